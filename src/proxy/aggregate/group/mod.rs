//! Many miners on one connection to a pool: they share its search space and get what it sends. The connection
//! changes, the miners stay. [`super::pool::manager`] keeps the connection.

pub(crate) mod account_hints;
pub(crate) mod account_router;
mod broadcast;
pub(crate) mod extranonce_space;
mod leases;
mod names;
pub(crate) mod prefixes;
pub(crate) mod senders;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::net::Stamp;
use crate::proxy::aggregate::{
    Account, AggregateServices, ConnectedMiner, MinerJob, SharedConnection, SpaceId,
};
use crate::stratum::VersionMask;
use crate::tap::SessionId;
use crate::upstream::UpstreamId;
use crate::util::plural::count;
use prefixes::PrefixTable;

/// The time for which a pool that can't be used is not tried again for a miner.
const UNUSABLE_TIME: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct MinerGroup {
    pub(crate) number: usize,
    /// The address of the miner that it was opened for.
    pub(crate) opener: IpAddr,
    pub(crate) services: Arc<AggregateServices>,
    state: Mutex<GroupState>,
    /// Notified of what the manager's thread may wait for: a connection, a job, a miner, an end.
    changed: Condvar,
    /// Notified of what miners without a lease wait for. They are many: 5,000 that are woken by the arrival of each
    /// of them would take the processor for half a minute.
    leasable: Condvar,
    /// The same connection as in the state; read without a lock for each share.
    current: ArcSwapOption<SharedConnection>,
    /// Miners that wait for a lease.
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
pub(crate) struct GroupState {
    connection: Option<Arc<SharedConnection>>,
    prefixes: Option<(SpaceId, PrefixTable)>,
    miners: BTreeMap<SessionId, Arc<ConnectedMiner>>,
    /// The account of the group. `None` before the first miner has authorized.
    account: Option<Account>,
    /// Pools that could be reached and not be used, with the reason, and when that was found.
    unusable: BTreeMap<UpstreamId, (String, Instant)>,
    /// Since when there has been no miner.
    empty_since: Option<Instant>,
    /// No miner can join any more: the thread that manages the group has ended.
    is_retired: bool,
    /// Counts the changes that a thread may wait for, so that none waits for a change that has happened
    /// already.
    changes: u64,
}

/// The difference of a job from the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobChange {
    /// The job belongs to another search space.
    pub(crate) is_moved: bool,
    /// No share of it can be one of the job before, whoever searched there.
    pub(crate) is_other_work: bool,
}

/// The reason that a miner got no lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeaseError {
    /// No pool was usable in all the time that a miner can wait.
    NoPool,
    /// All prefixes of the search space are used.
    Full,
    /// The limit of connections to pools is reached.
    TooMany,
    /// The pool's search space can't be shared, with the reason.
    Unusable(String),
}

impl MinerGroup {
    pub(crate) fn new(
        (number, opener): (usize, IpAddr),
        account: Option<Account>,
        services: Arc<AggregateServices>,
    ) -> MinerGroup {
        let state = GroupState { account, empty_since: Some(Instant::now()), ..GroupState::default() };
        MinerGroup {
            number,
            opener,
            services,
            state: Mutex::new(state),
            changed: Condvar::new(),
            leasable: Condvar::new(),
            current: ArcSwapOption::empty(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The present connection, if there is one.
    pub(crate) fn connection(&self) -> Option<Arc<SharedConnection>> {
        self.current.load_full()
    }

    /// The version bits that the pool lets miners roll. `None` while the pool has not said.
    pub(crate) fn known_mask(&self) -> Option<Option<VersionMask>> {
        self.connection()?.connection_state().known_mask()
    }

    /// Whether this group may mine for the account. The group belongs to the account from then on.
    pub(crate) fn claim(&self, account: &Account) -> bool {
        let mut state = self.state.lock();
        let is_its = *state.account.get_or_insert_with(|| account.clone()) == *account;
        drop(state);
        self.wake_waiters();
        is_its
    }

    pub(crate) fn account(&self) -> Option<Account> {
        self.state.lock().account.clone()
    }

    /// Whether this search space is that of the connection, and the connection lives.
    pub(crate) fn is_live(&self, space_id: SpaceId) -> bool {
        self.connection().is_some_and(|connection| {
            !connection.is_over()
                && connection
                    .connection_state()
                    .space
                    .as_ref()
                    .is_some_and(|space| space.space_id == space_id)
        })
    }

    /// Sends the current job to a miner that has just become ready for it.
    pub(crate) fn send_current_job(&self, miner: &ConnectedMiner) {
        let Some(connection) = self.connection().filter(|one| !one.is_over()) else { return };
        let newest = connection.connection_state().newest.clone();
        if let Some(miner_job) = newest {
            miner.send_job(&miner_job, &connection, Stamp::now());
        }
    }

    /// Sends the current job once more, as other work and with the miner's new difficulty.
    pub(crate) fn resend_job(&self, miner: &ConnectedMiner) {
        let Some(connection) = self.connection().filter(|one| !one.is_over()) else { return };
        let newest = connection.connection_state().newest.clone();
        // For a miner that has not had the newest job yet, that is other work already. Times would run away
        // if each miner's retarget advanced them for all.
        let other = newest.filter(|newest| !miner.work().has(newest));
        if let Some(miner_job) = other.or_else(|| self.renew(&connection)) {
            miner.send_job(&miner_job, &connection, Stamp::now());
        }
    }

    /// Drops the connection if there has been no miner for `grace`. `true` if it did.
    pub(crate) fn drop_if_idle(&self, grace: Duration) -> bool {
        let mut state = self.state.lock();
        // A miner that joins from now on waits for the lock, and then for the next connection.
        let is_idle = self.waiting.load(Ordering::Acquire) == 0
            && state.empty_since.is_some_and(|since| since.elapsed() >= grace);
        if is_idle {
            state.connection = None;
            self.current.store(None);
        }
        is_idle
    }

    /// Adapts to another list of pools, see [`MinerGroup::disconnect_others`]. Miners of a pool that is not listed
    /// any more stay there until another works.
    pub(crate) fn pools_relisted(&self) {
        let is_listed =
            |connection: Arc<SharedConnection>| self.services.upstreams.rank(connection.upstream).is_some();
        if self.connection().is_none_or(is_listed) {
            self.disconnect_others();
        }
        // All that are listed now may be unusable.
        self.leasable.notify_all();
    }

    /// Disconnects miners whose account may no longer share this connection with the pools that are listed
    /// now, so that they reconnect to another one.
    pub(crate) fn disconnect_others(&self) {
        let before = self.account();
        let (own, miners) = self.owner_and_miners();
        {
            let mut state = self.state.lock();
            // An account that has claimed the group meanwhile keeps it.
            if state.account == before {
                state.account = own.clone().filter(|own| !own.0.is_empty());
            }
        }
        let is_nameless = |miner: &ConnectedMiner| {
            let first = miner.work().workers.first().cloned();
            first.is_some_and(|worker| self.services.name_fault(&worker.name).is_some())
        };
        let leaving: Vec<_> = miners
            .iter()
            .filter(|(account, miner)| Some(account) != own.as_ref() || is_nameless(miner))
            .collect();
        if !leaving.is_empty() {
            self.services.listener_context.gatekeeper.pool_failed(Instant::now());
            let leaving = count(leaving.len() as u64, "miner");
            log::info!("{leaving} must reconnect, each to its own account's connection");
        }
        leaving.iter().for_each(|(_, miner)| miner.disconnect());
    }

    /// The account of the group with the pools that are listed now, and the account of each of its miners.
    fn owner_and_miners(&self) -> (Option<Account>, Vec<(Account, Arc<ConnectedMiner>)>) {
        let account_of = |miner: &Arc<ConnectedMiner>| {
            let worker = miner.work().workers.first().cloned()?;
            Some(self.services.account(&worker.name))
        };
        let miners: Vec<_> =
            self.miners().into_iter().filter_map(|miner| Some((account_of(&miner)?, miner))).collect();
        // A group without an authorized miner stays with the account that it was created for.
        let is_still_its =
            |own: &Account| miners.is_empty() || miners.iter().any(|(account, _)| account == own);
        let own = self.account().filter(is_still_its).or_else(|| Some(miners.first()?.0.clone()));
        (own, miners)
    }

    /// Disconnects all miners, because there is no pool for them for this reason.
    pub(crate) fn disconnect_all(&self, why: &str) {
        let miners = self.miners();
        let staying = miners.iter().filter(|miner| !miner.is_leaving()).count();
        if staying > 0 {
            log::warn!("{why}; {} disconnected", count(staying as u64, "miner"));
        }
        miners.iter().for_each(|miner| miner.disconnect());
    }

    /// Closes the group for good.
    pub(crate) fn shut_down(&self) {
        let mut state = self.state.lock();
        state.is_retired = true;
        let connection = state.connection.take();
        self.current.store(None);
        let miners = std::mem::take(&mut state.miners);
        self.notify_changed(state);
        self.leasable.notify_all();
        if let Some(connection) = connection {
            connection.end();
        }
        miners.values().for_each(|miner| miner.disconnect());
    }

    /// Lets no more miners join. Those that are here keep the present connection.
    pub(crate) fn stop_leasing(&self) {
        let mut state = self.state.lock();
        state.is_retired = true;
        self.notify_changed(state);
        self.leasable.notify_all();
    }

    /// Retires the group, if no miner is here or about to join. `false` otherwise.
    pub(crate) fn retire(&self) -> bool {
        let mut state = self.state.lock();
        let is_needed = !state.miners.is_empty() || self.waiting.load(Ordering::Acquire) > 0;
        state.is_retired = !is_needed;
        !is_needed
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.state.lock().is_retired
    }

    /// Whether any miner needs a pool.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0 || !self.state.lock().miners.is_empty()
    }

    /// The time without any miner. `None` when there is one.
    pub(crate) fn empty_for(&self) -> Option<Duration> {
        let state = self.state.lock();
        if self.waiting.load(Ordering::Acquire) > 0 {
            return None;
        }
        state.empty_since.map(|since| since.elapsed())
    }

    pub(crate) fn has_miners(&self) -> bool {
        !self.state.lock().miners.is_empty()
    }

    pub(crate) fn miners(&self) -> Vec<Arc<ConnectedMiner>> {
        self.state.lock().miners.values().cloned().collect()
    }

    /// Whether miners of other groups work with this pool.
    pub(crate) fn is_used_by_others(&self, upstream: UpstreamId) -> bool {
        let works = |connection: Arc<SharedConnection>| {
            connection.upstream == upstream
                && !connection.is_over()
                && connection.connection_state().newest.is_some()
        };
        let groups = self.services.router.groups();
        groups
            .iter()
            .filter(|group| group.number != self.number)
            .any(|group| group.connection().is_some_and(works))
    }

    /// Makes this the present connection. Miners that are here move over, or must reconnect.
    pub(crate) fn switch_to(&self, connection: &Arc<SharedConnection>) {
        let known_mask = connection.connection_state().known_mask();
        known_mask.into_iter().for_each(|mask| self.services.remember_mask(mask));
        let mut state = self.state.lock();
        state.unusable.remove(&connection.upstream);
        state.connection = Some(connection.clone());
        self.current.store(Some(connection.clone()));
        self.move_miners(&mut state, connection);
        self.notify_changed(state);
        self.leasable.notify_all();
    }

    /// Notes that a pool was reached and can't be used.
    pub(crate) fn note_unusable(&self, upstream: UpstreamId, why: &str) {
        self.state.lock().unusable.insert(upstream, (why.to_owned(), Instant::now()));
        self.leasable.notify_all();
    }

    /// Drops the connection, which has ended.
    pub(crate) fn drop_connection(&self) {
        let mut state = self.state.lock();
        state.connection = None;
        self.current.store(None);
        self.notify_changed(state);
    }

    /// Wakes the manager, and others that wait for a change of this group.
    pub(crate) fn wake_waiters(&self) {
        self.notify_changed(self.state.lock());
    }

    /// The number of changes until now.
    pub(crate) fn change_count(&self) -> u64 {
        self.state.lock().changes
    }

    /// Waits for a change after `seen`, `time` at most.
    pub(crate) fn wait_for_change(&self, seen: u64, time: Duration) {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| state.changes == seen, time);
    }

    fn notify_changed(&self, mut state: MutexGuard<'_, GroupState>) {
        state.changes += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Whether this is the connection of the group.
    pub(crate) fn is_current(&self, connection: &Arc<SharedConnection>) -> bool {
        self.state.lock().is_current(connection)
    }

    fn renew(&self, connection: &SharedConnection) -> Option<Arc<MinerJob>> {
        let mut connection_state = connection.connection_state();
        let miner_job = self.services.numbers.reissue(connection_state.newest.as_ref()?, Instant::now());
        connection_state.newest = Some(miner_job.clone());
        Some(miner_job)
    }
}

impl GroupState {
    fn is_current(&self, connection: &Arc<SharedConnection>) -> bool {
        self.connection.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection))
    }
}
