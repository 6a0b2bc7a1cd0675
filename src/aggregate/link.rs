//! Many miners on one connection to a pool: who sits where in its search space, and who is told what.
//! The connection changes, the miners stay. [`super::keeping`] sees to it that there is one.

mod news;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::Services;
use super::connection::{Connection, Space};
use super::desk::Seat;
use super::identity::{Account, Worker};
use super::miner::{Miner, Moved};
use super::slots::Slots;
use super::work::{Epoch, Task, TaskNumbers};
use crate::analyzer::SessionId;
use crate::config::Secret;
use crate::net::Stamp;
use crate::serving::ToAnalyzer;
use crate::stratum::VersionMask;
use crate::upstream::Rank;

/// So long a pool that can't be used is not tried again for a miner.
const UNUSABLE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Link {
    pub(super) number: usize,
    services: Arc<Services>,
    state: Mutex<State>,
    /// Told of whatever somebody may wait for: a connection, a job, a miner, an end.
    changed: Condvar,
    /// The same connection as in the state; read without a lock for each share.
    current: ArcSwapOption<Connection>,
    /// Miners that wait for a seat.
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<Arc<Connection>>,
    slots: Option<(Epoch, Slots)>,
    miners: BTreeMap<SessionId, Arc<Miner>>,
    /// Whose work this is; `None` before the first miner has said who it is.
    account: Option<Account>,
    /// Pools that could be reached and not be used, with the reason, and when that was found.
    unusable: BTreeMap<Rank, (String, Instant)>,
    /// Since when nobody is here.
    empty_since: Option<Instant>,
    /// Nobody may come any more: the thread that keeps it has ended.
    is_retired: bool,
    /// Counts what somebody may wait for, so that nobody waits for what has happened already.
    news: u64,
}

/// How a job differs from the one before.
#[derive(Debug, Clone, Copy)]
pub(super) struct JobNews {
    /// It is in another search space.
    pub(super) is_moved: bool,
    /// No share of it can be one of the job before, whoever searched there.
    pub(super) is_other_work: bool,
}

/// Why a miner got no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoSeat {
    /// There is no pool, in all the time that a miner can wait.
    NoPool,
    /// The search space is used up.
    Full,
    /// The pool's search space can't be shared, with the reason.
    Unusable(String),
}

impl Link {
    pub(super) fn new(number: usize, account: Option<Account>, services: Arc<Services>) -> Link {
        let state = State { account, empty_since: Some(Instant::now()), ..State::default() };
        Link {
            number,
            services,
            state: Mutex::new(state),
            changed: Condvar::new(),
            current: ArcSwapOption::empty(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The connection that there is, if any.
    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        self.current.load_full()
    }

    pub(super) fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Seats a miner in the search space, as soon as there is a pool. Who was in another one is told.
    ///
    /// # Errors
    /// [`NoSeat`], at the deadline at the latest.
    pub(super) fn seat(&self, miner: &Arc<Miner>, deadline: Instant) -> Result<(), NoSeat> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.news();
        let seated = self.wait_for_seat(miner, deadline);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        seated
    }

    fn wait_for_seat(&self, miner: &Arc<Miner>, deadline: Instant) -> Result<(), NoSeat> {
        let mut state = self.lock();
        loop {
            if state.is_retired || miner.is_leaving() {
                return Err(NoSeat::NoPool);
            }
            let connection = state.connection.clone().filter(|connection| !connection.is_over());
            if let Some(connection) = connection {
                let unusable = connection.facts().unusable.clone();
                if let Some(why) = unusable {
                    return Err(NoSeat::Unusable(why));
                }
                match state.bring_over(miner, &connection, Stamp::now())? {
                    Moved::Told => {
                        state.miners.insert(miner.id(), miner.clone());
                        state.empty_since = None;
                        return Ok(());
                    }
                    Moved::MustLeave => return Err(NoSeat::NoPool),
                }
            } else if let Some(why) = state.why_unusable(self.services.upstreams.count()) {
                return Err(NoSeat::Unusable(why));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = state.unusable.values().next().map(|(why, _)| why.clone());
                return Err(why.map_or(NoSeat::NoPool, NoSeat::Unusable));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The miner is gone; its place is free from the next job on.
    pub(super) fn leave(&self, miner: &Miner) {
        let mut state = self.lock();
        if state.miners.remove(&miner.id()).is_none() {
            return;
        }
        let seat = miner.desk().seat.take();
        if let (Some(seat), Some((epoch, slots))) = (seat, &mut state.slots) {
            if seat.epoch == *epoch {
                slots.release(&seat.prefix);
            }
        }
        if state.miners.is_empty() {
            state.empty_since = Some(Instant::now());
            self.tell(state);
        }
    }

    /// What the pool lets miners roll; `None` while it has not said.
    pub(super) fn known_mask(&self) -> Option<Option<VersionMask>> {
        let connection = self.connection()?;
        let facts = connection.facts();
        facts.knows_mask.then_some(facts.mask)
    }

    /// Whether this link may carry the account's work; it is the account's from then on.
    pub(super) fn claim(&self, account: &Account) -> bool {
        let mut state = self.lock();
        let is_its = *state.account.get_or_insert_with(|| account.clone()) == *account;
        drop(state);
        self.news();
        is_its
    }

    pub(super) fn account(&self) -> Option<Account> {
        self.lock().account.clone()
    }

    /// Whether this search space is that of the connection, and the connection lives.
    pub(super) fn is_live(&self, epoch: Epoch) -> bool {
        self.connection().is_some_and(|connection| {
            !connection.is_over()
                && connection.facts().space.as_ref().is_some_and(|space| space.epoch == epoch)
        })
    }

    /// The current job, for a miner that has just become ready for it.
    pub(super) fn begin(&self, miner: &Miner) {
        let Some(connection) = self.connection().filter(|one| !one.is_over()) else { return };
        let newest = connection.facts().newest.clone();
        if let Some(task) = newest {
            miner.give(&task, &connection, Stamp::now());
        }
    }

    /// The current job once more, as other work and with the miner's new difficulty.
    pub(super) fn again(&self, miner: &Miner) {
        let Some(connection) = self.connection().filter(|one| !one.is_over()) else { return };
        let newest = connection.facts().newest.clone();
        // To a miner that has not had the newest yet that is other work already: times would run away
        // if each one's retarget moved them for all.
        let other = newest.filter(|newest| !miner.desk().has(newest));
        if let Some(task) = other.or_else(|| self.renew(&connection)) {
            miner.give(&task, &connection, Stamp::now());
        }
    }

    /// Has the pool asked about a miner's name.
    pub(super) fn authorize(&self, worker: &Worker) {
        if let Some(connection) = self.connection() {
            self.authorize_on(&connection, worker);
        }
    }

    pub(super) fn authorize_on(&self, connection: &Connection, worker: &Worker) {
        let place = connection.rank.0;
        let pool_name = self.services.naming.at_pool(&worker.name, place);
        if pool_name.0.is_empty() {
            return;
        }
        let own = worker.password.as_ref().map(Secret::expose);
        connection.authorize(&pool_name, own.unwrap_or_else(|| self.services.password(place)), None);
    }

    /// Lets the connection go when nobody was here for so long: `true`, and it is nobody's any more.
    pub(super) fn rest(&self, grace: Duration) -> bool {
        let mut state = self.lock();
        // Whoever comes from now on waits for the lock, and then for the next connection.
        let is_idle = self.waiting.load(Ordering::Acquire) == 0
            && state.empty_since.is_some_and(|since| since.elapsed() >= grace);
        if is_idle {
            state.connection = None;
            self.current.store(None);
        }
        is_idle
    }

    /// Sends all away: there is no pool for them.
    pub(super) fn let_go(&self) {
        let miners = self.miners();
        let staying = miners.iter().filter(|miner| !miner.is_leaving()).count();
        if staying > 0 {
            log::warn!("no pool could be reached; {staying} miners are let go");
        }
        miners.iter().for_each(|miner| miner.dismiss());
    }

    /// Nobody keeps it any more, for whatever reason.
    pub(super) fn close_down(&self) {
        let mut state = self.lock();
        state.is_retired = true;
        let connection = state.connection.take();
        self.current.store(None);
        let miners = std::mem::take(&mut state.miners);
        self.tell(state);
        if let Some(connection) = connection {
            connection.end();
        }
        miners.values().for_each(|miner| miner.dismiss());
    }

    /// Its thread ends; nobody may come any more. `false` when somebody is here, or is about to be.
    pub(super) fn retire(&self) -> bool {
        let mut state = self.lock();
        let is_needed = !state.miners.is_empty() || self.waiting.load(Ordering::Acquire) > 0;
        state.is_retired = !is_needed;
        !is_needed
    }

    pub(super) fn is_retired(&self) -> bool {
        self.lock().is_retired
    }

    /// Whether anybody needs a pool.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0 || !self.lock().miners.is_empty()
    }

    /// How long nobody was here; `None` when somebody is.
    pub(super) fn empty_for(&self) -> Option<Duration> {
        let state = self.lock();
        if self.waiting.load(Ordering::Acquire) > 0 {
            return None;
        }
        state.empty_since.map(|since| since.elapsed())
    }

    pub(super) fn miners(&self) -> Vec<Arc<Miner>> {
        self.lock().miners.values().cloned().collect()
    }

    /// Those who are here and have said their name; a new pool is asked about all of them.
    pub(super) fn workers(&self) -> Vec<Worker> {
        self.miners().iter().flat_map(|miner| miner.desk().workers.clone()).collect()
    }

    /// From now on this is the pool. Who is here already moves over, or must come again.
    pub(super) fn adopt(&self, connection: &Arc<Connection>) {
        let mut state = self.lock();
        state.unusable.remove(&connection.rank);
        state.connection = Some(connection.clone());
        self.current.store(Some(connection.clone()));
        self.reseat(&mut state, connection);
        self.tell(state);
    }

    /// A pool was reached and can't be used.
    pub(super) fn note_unusable(&self, rank: Rank, why: &str) {
        self.lock().unusable.insert(rank, (why.to_owned(), Instant::now()));
        self.changed.notify_all();
    }

    /// There is no pool any more.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.connection = None;
        self.current.store(None);
        self.tell(state);
    }

    /// Wakes all who wait for something to change here.
    pub(super) fn news(&self) {
        self.tell(self.lock());
    }

    /// How much news there was until now.
    pub(super) fn moment(&self) -> u64 {
        self.lock().news
    }

    /// Waits for news after `seen`, `time` at most.
    pub(super) fn wait(&self, seen: u64, time: Duration) {
        let state = self.lock();
        let is_old = |state: &mut State| state.news == seen;
        drop(self.changed.wait_timeout_while(state, time, is_old).unwrap_or_else(PoisonError::into_inner));
    }

    fn tell(&self, mut state: MutexGuard<'_, State>) {
        state.news += 1;
        drop(state);
        self.changed.notify_all();
    }

    fn reseat(&self, state: &mut State, connection: &Arc<Connection>) {
        let (epoch, newest) = {
            let facts = connection.facts();
            (facts.space.as_ref().map(|space| space.epoch), facts.newest.clone())
        };
        let now = Stamp::now();
        let mut leaving = 0_usize;
        for miner in state.miners.clone().values() {
            let is_here = miner.desk().seat.as_ref().is_some_and(|seat| Some(seat.epoch) == epoch);
            if is_here {
                // It came after the search space and before its first job.
                newest.iter().for_each(|task| miner.give(task, connection, now));
            } else if miner.is_leaving() || state.bring_over(miner, connection, now) != Ok(Moved::Told) {
                leaving += 1;
                miner.dismiss();
            }
        }
        if leaving > 0 {
            // They come back in a wave, and it is not their fault.
            self.services.reception.gatekeeper.pool_failed(Instant::now());
            log::info!("{leaving} miners can't be told of new extranonces and have to connect again");
        }
    }

    pub(super) fn to_analyzer(&self) -> ToAnalyzer {
        self.services.to_analyzer.clone()
    }

    pub(super) fn next_epoch(&self) -> Epoch {
        self.services.next_epoch()
    }

    pub(super) fn numbers(&self) -> &TaskNumbers {
        &self.services.numbers
    }

    pub(super) fn is_strict(&self) -> bool {
        self.services.config.aggregate.strict_broadcast
    }

    /// How long the pool may take to judge a share.
    pub(super) fn answer_limit(&self) -> Duration {
        self.services.config.analysis.share_timeout
    }

    /// Where a miner's own shares go.
    pub(super) fn is_current(&self, connection: &Arc<Connection>) -> bool {
        self.lock().is_current(connection)
    }

    fn renew(&self, connection: &Connection) -> Option<Arc<Task>> {
        let mut facts = connection.facts();
        let task = self.services.numbers.again(facts.newest.as_ref()?, Instant::now());
        facts.newest = Some(task.clone());
        Some(task)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before the lock is let go.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Why no miner can be seated, when that was found just now of each of so many pools.
    fn why_unusable(&self, pools: usize) -> Option<String> {
        let is_fresh = |at: &Instant| at.elapsed() < UNUSABLE;
        let mut fresh = self.unusable.values().filter(|(_, at)| is_fresh(at)).map(|(why, _)| why);
        let why = fresh.next()?;
        (fresh.count() + 1 == pools).then(|| why.clone())
    }

    fn is_current(&self, connection: &Arc<Connection>) -> bool {
        self.connection.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection))
    }

    /// Seats a miner on this connection, with what it may roll before the first job: some use that from
    /// the next job on only (wire reference, section 2.5).
    fn bring_over(&mut self, miner: &Miner, connection: &Connection, now: Stamp) -> Result<Moved, NoSeat> {
        let (space, newest, mask) = {
            let facts = connection.facts();
            (facts.space.clone(), facts.newest.clone(), facts.knows_mask.then_some(facts.mask))
        };
        let Some(space) = space else { return Err(NoSeat::NoPool) };
        let is_to_be_told = {
            let desk = miner.desk();
            desk.is_subscribed && desk.can_move()
        };
        if let Some(mask) = mask.filter(|_| is_to_be_told) {
            miner.set_mask(mask, now);
        }
        let work = newest.as_ref().map(|task| (task, connection));
        miner.conversation.set_carrier(&connection.conversation);
        miner.move_to(|| self.take_seat(&space), work, now)
    }

    fn take_seat(&mut self, space: &Space) -> Result<Seat, NoSeat> {
        let is_of = |(epoch, _): &(Epoch, Slots)| *epoch == space.epoch;
        if !self.slots.as_ref().is_some_and(is_of) {
            self.slots = Some((space.epoch, Slots::new(space.split)));
        }
        let prefix = self.slots.as_mut().and_then(|(_, slots)| slots.take()).ok_or(NoSeat::Full)?;
        match space.split.extranonce1(&space.extranonce1, &prefix) {
            Ok(extranonce1) => Ok(Seat {
                epoch: space.epoch,
                prefix: Arc::new(prefix),
                extranonce1: Arc::new(extranonce1),
                extranonce2_size: space.split.miner_size(),
            }),
            Err(error) => Err(NoSeat::Unusable(error.to_string())),
        }
    }
}
