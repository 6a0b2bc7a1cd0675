//! Assigns each miner to a group: one of its own account's, with room.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::account_hints::AccountHints;
use crate::proxy::aggregate::pool::manager::manage;
use crate::proxy::aggregate::{Account, AggregateServices, ConnectedMiner, LeaseError, MinerGroup};
use crate::util::os_error::describe;
use crate::util::supervise::{OnPanic, service};

/// Caps the connections to pools: one for each account, or one more for each full search space.
const MAX_GROUPS: usize = 256;
/// Caps the pool connections that miners behind one address can cause, so that one host inventing account
/// names cannot exhaust them for others.
const MAX_GROUPS_PER_ADDRESS: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct AccountRouter {
    state: Mutex<RouterState>,
}

#[derive(Debug, Default)]
struct RouterState {
    groups: Vec<Arc<MinerGroup>>,
    opened: usize,
    hints: AccountHints,
}

impl AccountRouter {
    /// Leases a part of a group's search space to a miner, creating a group if none has room. A miner that
    /// has not authorized is taken for one that is expected at its address, or for the last one there. In the
    /// first case this returns the account that it was taken for.
    ///
    /// # Errors
    /// [`LeaseError`], at the deadline at the latest.
    pub(crate) fn lease(
        &self,
        services: &Arc<AggregateServices>,
        miner: &Arc<ConnectedMiner>,
        account: Option<&Account>,
        deadline: Instant,
    ) -> Result<Option<Account>, LeaseError> {
        let address = miner.address().ip();
        let guess = match account {
            Some(_) => None,
            None => self.state.lock().hints.take(address, Instant::now()),
        };
        let mut is_guessed = guess.is_some();
        let mut account = account.or(guess.as_ref().map(|(account, _)| account));
        let mut tried = Vec::new();
        loop {
            let group = match self.candidate(services, address, account, &tried) {
                // It was only a guess, and there is room in other groups.
                Err(LeaseError::TooMany) if is_guessed => {
                    (account, is_guessed) = (None, false);
                    continue;
                }
                found => found?,
            };
            match group.lease(miner, deadline) {
                Ok(()) => {
                    miner.set_group(Some(group));
                    return Ok(guess.filter(|(_, is_expected)| *is_expected).map(|(account, _)| account));
                }
                Err(LeaseError::Full) => tried.push(group.number),
                Err(LeaseError::NoPool)
                    if group.is_retired()
                        && !miner.is_leaving()
                        && !services.stop.is_stopped()
                        && Instant::now() < deadline => {}
                Err(why) => return Err(why),
            }
        }
    }

    /// Removes a miner from its group.
    pub(crate) fn remove(&self, miner: &ConnectedMiner) {
        if let Some(group) = miner.group() {
            group.leave(miner);
            miner.set_group(None);
        }
    }

    /// Notes that a miner of this account is at this address.
    pub(crate) fn remember(&self, address: IpAddr, account: &Account) {
        self.state.lock().hints.remember(address, account);
    }

    /// Notes that a miner of this account will reconnect from there, and will not have authorized when it
    /// subscribes. It was taken for one of `other`. `false` when that happens too often.
    pub(crate) fn expect_reconnect(
        &self,
        address: IpAddr,
        account: &Account,
        other: Option<Account>,
    ) -> bool {
        let (mut state, now) = (self.state.lock(), Instant::now());
        let has_room = state.hints.expect_reconnect(address, account, now);
        if let Some(other) = other.filter(|_| has_room) {
            state.hints.put_back(address, other, now);
        }
        has_room
    }

    /// All groups.
    pub(crate) fn groups(&self) -> Vec<Arc<MinerGroup>> {
        self.state.lock().groups.clone()
    }

    /// A group for this account that is not among `tried`, or a new one if there is room for one.
    fn candidate(
        &self,
        services: &Arc<AggregateServices>,
        address: IpAddr,
        account: Option<&Account>,
        tried: &[usize],
    ) -> Result<Arc<MinerGroup>, LeaseError> {
        let mut state = self.state.lock();
        state.groups.retain(|group| !group.is_retired());
        let fits = |group: &&Arc<MinerGroup>| {
            let of_group = group.account();
            let is_its = match (&of_group, account) {
                (Some(of_group), Some(account)) => of_group == account,
                _ => true,
            };
            is_its && !tried.contains(&group.number)
        };
        if let Some(group) = state.groups.iter().find(fits) {
            return Ok(group.clone());
        }
        let of_one = state.groups.iter().filter(|group| group.opener == address).count();
        if state.groups.len() >= MAX_GROUPS || of_one >= MAX_GROUPS_PER_ADDRESS {
            return Err(LeaseError::TooMany);
        }
        state.opened += 1;
        let number = state.opened;
        let group = Arc::new(MinerGroup::new((number, address), account.cloned(), services.clone()));
        let (kept, stop) = (group.clone(), services.stop.clone());
        // A panic would lose what the manager was about to do with its connection, and its miners wait for
        // that.
        let manager = service(format!("group-{number}")).on_panic(OnPanic::EndProgram);
        let thread = manager.start(move || manage(&kept, &stop));
        if let Err(error) = thread {
            log::error!("can't start a thread for another connection to the pool: {}", describe(&error));
            return Err(LeaseError::TooMany);
        }
        state.groups.push(group.clone());
        Ok(group)
    }
}
