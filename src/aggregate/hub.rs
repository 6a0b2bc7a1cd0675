//! All links, and which of them a miner is seated on: one of its own account's, with room.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Services;
use super::identity::Account;
use super::keeping::keep;
use super::link::{Link, NoSeat};
use super::miner::Miner;
use crate::stop::Stopped;
use crate::thread::{SERVICE_STACK, spawn};

/// The most connections to pools at a time: an account each, or one more for each full search space.
const MOST_LINKS: usize = 64;
/// Whose miners these addresses had last. A miner says who it is only after it has got its search
/// space, so the first guess rests on this.
const MOST_REMEMBERED: usize = 8192;

#[derive(Debug, Default)]
pub(super) struct Hub {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    links: Vec<Arc<Link>>,
    opened: usize,
    accounts: HashMap<IpAddr, Account>,
    /// The oldest first.
    order: VecDeque<IpAddr>,
}

impl Hub {
    /// Seats a miner on a link that has room, opening one if there is none. Who has not said whose it is
    /// is taken for one of those who were at its address last.
    ///
    /// # Errors
    /// [`NoSeat`], at the deadline at the latest.
    pub(super) fn seat(
        &self,
        services: &Arc<Services>,
        miner: &Arc<Miner>,
        account: Option<&Account>,
        deadline: Instant,
    ) -> Result<(), NoSeat> {
        let guess = self.lock().accounts.get(&miner.address().ip()).cloned();
        let account = account.or(guess.as_ref());
        let mut tried = Vec::new();
        loop {
            let Some(link) = self.candidate(services, account, &tried) else { return Err(NoSeat::Full) };
            match link.seat(miner, deadline) {
                Ok(()) => {
                    miner.set_link(Some(link));
                    return Ok(());
                }
                Err(NoSeat::Full) => tried.push(link.number),
                Err(NoSeat::NoPool)
                    if link.is_retired()
                        && !miner.is_leaving()
                        && !services.stop.is_stopped()
                        && Instant::now() < deadline => {}
                Err(why) => return Err(why),
            }
        }
    }

    /// Takes a miner from where it sits.
    pub(super) fn part(&self, miner: &Miner) {
        if let Some(link) = miner.link() {
            link.leave(miner);
            miner.set_link(None);
        }
    }

    /// Miners from this address are this account's.
    pub(super) fn remember(&self, address: IpAddr, account: &Account) {
        let mut state = self.lock();
        if state.accounts.insert(address, account.clone()).is_none() {
            state.order.push_back(address);
        }
        if state.order.len() > MOST_REMEMBERED {
            if let Some(oldest) = state.order.pop_front() {
                state.accounts.remove(&oldest);
            }
        }
    }

    /// The links that there are.
    pub(super) fn links(&self) -> Vec<Arc<Link>> {
        self.lock().links.clone()
    }

    /// A link for this account that is not among `tried`; a new one if there is room for one.
    fn candidate(
        &self,
        services: &Arc<Services>,
        account: Option<&Account>,
        tried: &[usize],
    ) -> Option<Arc<Link>> {
        let mut state = self.lock();
        state.links.retain(|link| !link.is_retired());
        let fits = |link: &&Arc<Link>| {
            let of_link = link.account();
            let is_its = match (&of_link, account) {
                (Some(of_link), Some(account)) => of_link == account,
                _ => true,
            };
            is_its && !tried.contains(&link.number)
        };
        if let Some(link) = state.links.iter().find(fits) {
            return Some(link.clone());
        }
        if state.links.len() >= MOST_LINKS {
            return None;
        }
        state.opened += 1;
        let number = state.opened;
        let link = Arc::new(Link::new(number, account.cloned(), services.clone()));
        let (kept, stop) = (link.clone(), services.stop.clone());
        let thread = spawn(format!("link-{number}"), SERVICE_STACK, move || match keep(&kept, &stop) {
            Ok(()) | Err(Stopped) => Ok::<(), Stopped>(()),
        });
        if let Err(error) = thread {
            log::error!("no thread for another connection to the pool: {error}");
            return None;
        }
        state.links.push(link.clone());
        Some(link)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
