//! Assigns each miner to a group: one of its own account's, with room.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::account_hints::AccountHints;
use super::{LeaseError, MinerGroup};
use crate::proxy::aggregate::AggregateServices;
use crate::proxy::aggregate::identity::Account;
use crate::proxy::aggregate::miner::ConnectedMiner;
use crate::proxy::aggregate::pool::manager::keep;
use crate::util::os_error::describe;
use crate::util::stop::Stopped;
use crate::util::supervise::{OnPanic, service};

/// Caps the connections to pools: one for each account, or one more for each full search space.
const MOST_LINKS: usize = 256;
/// Caps the pool connections that miners behind one address can cause, so that one host inventing account
/// names cannot exhaust them for others.
const MOST_OF_ONE: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct AccountRouter {
    state: Mutex<RouterState>,
}

#[derive(Debug, Default)]
struct RouterState {
    links: Vec<Arc<MinerGroup>>,
    opened: usize,
    guesses: AccountHints,
}

impl AccountRouter {
    /// Leases a part of a group's search space to a miner, creating a group if none has room. A miner that
    /// has not authorized is taken for one that is expected at its address, or for the last one there. In the
    /// first case this returns the account that it was taken for.
    ///
    /// # Errors
    /// [`LeaseError`], at the deadline at the latest.
    pub(crate) fn seat(
        &self,
        services: &Arc<AggregateServices>,
        miner: &Arc<ConnectedMiner>,
        account: Option<&Account>,
        deadline: Instant,
    ) -> Result<Option<Account>, LeaseError> {
        let address = miner.address().ip();
        let guess = match account {
            Some(_) => None,
            None => self.lock().guesses.take(address, Instant::now()),
        };
        let mut is_guessed = guess.is_some();
        let mut account = account.or(guess.as_ref().map(|(account, _)| account));
        let mut tried = Vec::new();
        loop {
            let link = match self.candidate(services, address, account, &tried) {
                // It was only a guess, and there is room in other groups.
                Err(LeaseError::TooMany) if is_guessed => {
                    (account, is_guessed) = (None, false);
                    continue;
                }
                found => found?,
            };
            match link.seat(miner, deadline) {
                Ok(()) => {
                    miner.set_link(Some(link));
                    return Ok(guess.filter(|(_, is_expected)| *is_expected).map(|(account, _)| account));
                }
                Err(LeaseError::Full) => tried.push(link.number),
                Err(LeaseError::NoPool)
                    if link.is_retired()
                        && !miner.is_leaving()
                        && !services.stop.is_stopped()
                        && Instant::now() < deadline => {}
                Err(why) => return Err(why),
            }
        }
    }

    /// Removes a miner from its group.
    pub(crate) fn part(&self, miner: &ConnectedMiner) {
        if let Some(link) = miner.link() {
            link.leave(miner);
            miner.set_link(None);
        }
    }

    /// Notes that a miner of this account is at this address.
    pub(crate) fn remember(&self, address: IpAddr, account: &Account) {
        self.lock().guesses.remember(address, account);
    }

    /// Notes that a miner of this account will reconnect from there, and will not have authorized when it
    /// subscribes. It was taken for one of `other`. `false` when that happens too often.
    pub(crate) fn expect(&self, address: IpAddr, account: &Account, other: Option<Account>) -> bool {
        let (mut state, now) = (self.lock(), Instant::now());
        let has_room = state.guesses.expect(address, account, now);
        if let Some(other) = other.filter(|_| has_room) {
            state.guesses.put_back(address, other, now);
        }
        has_room
    }

    /// All groups.
    pub(crate) fn links(&self) -> Vec<Arc<MinerGroup>> {
        self.lock().links.clone()
    }

    /// A group for this account that is not among `tried`, or a new one if there is room for one.
    fn candidate(
        &self,
        services: &Arc<AggregateServices>,
        address: IpAddr,
        account: Option<&Account>,
        tried: &[usize],
    ) -> Result<Arc<MinerGroup>, LeaseError> {
        let mut state = self.lock();
        state.links.retain(|link| !link.is_retired());
        let fits = |link: &&Arc<MinerGroup>| {
            let of_link = link.account();
            let is_its = match (&of_link, account) {
                (Some(of_link), Some(account)) => of_link == account,
                _ => true,
            };
            is_its && !tried.contains(&link.number)
        };
        if let Some(link) = state.links.iter().find(fits) {
            return Ok(link.clone());
        }
        let of_one = state.links.iter().filter(|link| link.opener == address).count();
        if state.links.len() >= MOST_LINKS || of_one >= MOST_OF_ONE {
            return Err(LeaseError::TooMany);
        }
        state.opened += 1;
        let number = state.opened;
        let link = Arc::new(MinerGroup::new((number, address), account.cloned(), services.clone()));
        let (kept, stop) = (link.clone(), services.stop.clone());
        // A panic would lose what the manager was about to do with its connection, and its miners wait for
        // that.
        let manager = service(format!("link-{number}")).on_panic(OnPanic::EndProgram);
        let thread = manager.start(move || match keep(&kept, &stop) {
            Ok(()) | Err(Stopped) => Ok::<(), Stopped>(()),
        });
        if let Err(error) = thread {
            log::error!("no thread for another connection to the pool: {}", describe(&error));
            return Err(LeaseError::TooMany);
        }
        state.links.push(link.clone());
        Ok(link)
    }

    fn lock(&self) -> MutexGuard<'_, RouterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
