//! A connected miner, as seen by the threads that have something for it: its own two, the pool's reader, the
//! vardiff timer.
//!
//! Locks are taken in this order, and none is held while waiting for the network: the state of a group
//! ([`MinerGroup`]), the state of a miner ([`ConnectedMiner::work`]), the state of a connection
//! ([`SharedConnection::connection_state`]), an outbox. No other lock is taken under these: the one on a miner's group, and
//! those on a connection's open requests and on its forwarded shares. A share takes each lock once.

pub(crate) mod device_class;
pub(crate) mod difficulty_cache;
pub(crate) mod fault_budget;
pub(crate) mod replies;
pub(crate) mod requests;
pub(crate) mod session;
pub(crate) mod share_verdict;
pub(crate) mod share_window;
pub(crate) mod vardiff;
pub(crate) mod vardiff_timer;
pub(crate) mod work;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::analyzer::MINER_CLOSED;
use crate::config;
use crate::net::Stamp;
use crate::proxy::aggregate::{
    LeaseError, Limits, MinerGroup, MinerJob, Outbox, SharedConnection, WakeReason, set_extranonce_line,
    set_version_mask_line,
};
use crate::stratum::{RefusalCode, StratumError, SubscribeAnswer, VersionMask, refuse_line, result_line};
use crate::tap::Tap;
use crate::tap::{Conversation, SessionId};
use replies::{OrderedReplies, Ready, ReplySlot};
use work::{ExtranonceLease, MinerWork};

/// The time between two checks, while waiting for replies, whether the miner is leaving.
const LEAVE_CHECK: Duration = Duration::from_millis(200);

/// Caps the time after the end of reading in which requests may arrive. What was sent before is there by
/// then; a miner that never stops sending must not keep its session open.
const MAX_LATE_TIME: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct ConnectedMiner {
    pub(crate) conversation: Arc<Conversation>,
    pub(crate) accepted_at: Instant,
    pub(crate) outbox: Outbox,
    limits: Limits,
    work: Mutex<MinerWork>,
    /// Notified when the pool has answered something, or the session is over. Belongs to the lock on `work`.
    answered: Condvar,
    group: Mutex<Option<Arc<MinerGroup>>>,
    /// The bits of the difficulty that is right for its hash rate, as of its last job.
    strength: AtomicU64,
    /// The session is to end, or has ended.
    is_leaving: AtomicBool,
    /// When reading from it was stopped. What arrives much later is not taken.
    stopped_at: OnceLock<Stamp>,
    /// The time at which requests that the pool has not answered are answered with an error.
    give_up_at: OnceLock<Instant>,
    /// Nothing more is read from it.
    is_fully_read: AtomicBool,
}

/// The outcome of moving a miner to another search space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MoveOutcome {
    /// The miner goes on in the new search space.
    Moved,
    /// The miner can't get new extranonces: it must reconnect.
    MustLeave,
}

impl ConnectedMiner {
    pub(crate) fn new(
        conversation: Arc<Conversation>,
        tap: Tap,
        vardiff: Arc<config::VardiffConfig>,
        limits: Limits,
    ) -> ConnectedMiner {
        ConnectedMiner {
            conversation,
            accepted_at: Instant::now(),
            outbox: Outbox::new(tap, limits),
            limits,
            work: Mutex::new(MinerWork::new(vardiff)),
            answered: Condvar::new(),
            group: Mutex::default(),
            strength: AtomicU64::new(0),
            is_leaving: AtomicBool::new(false),
            stopped_at: OnceLock::new(),
            give_up_at: OnceLock::new(),
            is_fully_read: AtomicBool::new(false),
        }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.conversation.id
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.conversation.miner()
    }

    pub(crate) fn work(&self) -> MutexGuard<'_, MinerWork> {
        // Each change of a miner's state is complete in itself.
        self.work.lock()
    }

    pub(crate) fn group(&self) -> Option<Arc<MinerGroup>> {
        self.group.lock().clone()
    }

    pub(crate) fn set_group(&self, group: Option<Arc<MinerGroup>>) {
        *self.group.lock() = group;
    }

    /// Sends lines that are no reply.
    pub(crate) fn send(&self, lines: impl AsRef<[u8]>, since: Stamp) {
        self.outbox.send(lines, since);
    }

    /// Replies to a request, in the order of the requests.
    pub(crate) fn answer(&self, line: String, since: Stamp) {
        self.answer_in(&mut self.work(), line, since);
    }

    /// Replies as [`ConnectedMiner::answer`] does, for a caller that holds the lock already.
    pub(crate) fn answer_in(&self, work: &mut MinerWork, line: String, since: Stamp) {
        let ready = work.replies.answer(line);
        self.send_lines(&ready, since);
    }

    /// Answers a subscribe with the miner's lease. `false` if the lease is not valid any more. A lease that
    /// ends later ends with new extranonces or a disconnect.
    pub(crate) fn answer_subscribe(&self, id: &str, since: Stamp) -> bool {
        let group = self.group();
        let mut work = self.work();
        let Some(lease) = work.lease.clone() else { return false };
        if !work.is_subscribed && !group.is_some_and(|group| group.is_live(lease.space_id)) {
            return false;
        }
        let line = self.subscribe_line(id, &lease);
        let ready = work.replies.answer_subscribe(id, line);
        self.send_replies(&mut work, &ready, since);
        true
    }

    /// Sends what follows an answer to subscribe: the version mask, since the one granted before the pool was
    /// known may have been wrong, and a job. Some miners start over with each answer.
    pub(crate) fn send_after_subscribe(&self) {
        let Some(group) = self.group() else { return };
        if let Some(mask) = group.known_mask() {
            self.set_mask(mask, Stamp::now());
        }
        let starts_over = self.work().starts_over;
        if starts_over {
            group.resend_job(self);
        } else {
            group.send_current_job(self);
        }
    }

    /// Reserves the place of a reply that the pool will give. `None` when too many wait.
    pub(crate) fn reserve(&self, id: &str) -> Option<ReplySlot> {
        self.work().replies.reserve(id)
    }

    /// Reserves as [`ConnectedMiner::reserve`] does, for a caller that holds the lock already. Waits for a
    /// place until `deadline`, without the lock. Meanwhile nothing more is read from the miner, which is
    /// better than losing its shares.
    pub(crate) fn reserve_until<'a>(
        &self,
        mut work: MutexGuard<'a, MinerWork>,
        id: &str,
        deadline: Instant,
    ) -> (MutexGuard<'a, MinerWork>, Option<ReplySlot>) {
        loop {
            let slot = work.replies.reserve(id);
            let left = deadline.saturating_duration_since(Instant::now());
            if slot.is_some() || left.is_zero() || self.is_leaving() {
                return (work, slot);
            }
            self.answered.wait_for(&mut work, left);
        }
    }

    /// Takes the lock once there is room for more replies. A miner that sends requests faster than it reads,
    /// or than the pool answers, is slowed down. `true` when it took time.
    pub(crate) fn work_with_room(&self) -> (MutexGuard<'_, MinerWork>, bool) {
        let mut has_waited = false;
        loop {
            has_waited |= self.outbox.wait_for_room();
            let mut work = self.work();
            if !work.replies.is_full() {
                return (work, has_waited);
            }
            has_waited = true;
            self.answered.wait_for(&mut work, LEAVE_CHECK);
        }
    }

    /// Completes a reserved reply with the pool's answer.
    pub(crate) fn complete(&self, slot: ReplySlot, line: String, since: Stamp) {
        self.change_replies(|replies| replies.complete(slot, line), since);
    }

    /// Handles a wake-up of the miner's own thread.
    pub(crate) fn wake(&self, why: WakeReason) {
        match why {
            WakeReason::Quiet => self.remind(),
            WakeReason::Due if self.stopped_at.get().is_none() => {
                self.stop_reading();
                self.give_up_at.get().iter().for_each(|at| self.outbox.wake_at(**at));
            }
            WakeReason::Due => {
                let late = StratumError::new(RefusalCode::Other, MINER_CLOSED);
                let refuse = |id: &str| refuse_line(id, &late, Default::default());
                self.change_replies(|replies| replies.give_up(refuse), Stamp::now());
            }
        }
    }

    /// Sends a job of this connection, if the miner is ready for one and has none newer. `since`: the time
    /// from which the delay counts.
    pub(crate) fn send_job(&self, miner_job: &Arc<MinerJob>, connection: &SharedConnection, since: Stamp) {
        let mut work = self.work();
        // The pool's difficulty is read under the lock on the miner: a thread that lowers it looks at the
        // miners after that, and finds those that got more.
        if let Some(lines) = work.assign(miner_job, connection.difficulty(), Instant::now()) {
            // Under the lock on the miner: jobs leave in the order in which they were assigned.
            self.outbox.send_shared(lines.into(), since);
            self.strength.store(work.right_difficulty().to_bits(), Ordering::Relaxed);
        }
    }

    /// A number that is greater the more hashes a second the miner does.
    pub(crate) fn strength(&self) -> u64 {
        // Numbers above zero have the order of their bits.
        self.strength.load(Ordering::Relaxed)
    }

    /// Moves the miner to a search space, with a job of it if there is one already. A miner that has not
    /// subscribed yet gets the space in the answer to its subscribe.
    ///
    /// # Errors
    /// The error of `take`, which is called for the lease if the miner can move.
    pub(crate) fn move_to(
        &self,
        take: impl FnOnce() -> Result<ExtranonceLease, LeaseError>,
        newest_job: Option<(&Arc<MinerJob>, &SharedConnection)>,
        now: Stamp,
    ) -> Result<MoveOutcome, LeaseError> {
        let mut work = self.work();
        if !work.can_move() {
            return Ok(MoveOutcome::MustLeave);
        }
        let lease = take()?;
        let mut lines = set_extranonce_line(&lease.extranonce1, lease.extranonce2_size);
        // An answer to subscribe that waits behind another one would be out of date.
        work.replies.change_lease(|id| self.subscribe_line(id, &lease));
        work.lease = Some(lease);
        if !work.is_subscribed {
            return Ok(MoveOutcome::Moved);
        }
        work.moved_at = Some(Instant::now());
        if let Some((miner_job, connection)) = newest_job {
            let job = work.assign(miner_job, connection.difficulty(), Instant::now());
            lines.push_str(job.as_deref().unwrap_or_default());
        }
        self.send(lines, now);
        Ok(MoveOutcome::Moved)
    }

    /// Applies the version bits that the pool allows from now on.
    pub(crate) fn set_mask(&self, of_pool: Option<VersionMask>, now: Stamp) {
        let mut work = self.work();
        // Nothing is sent before the answer to subscribe (wire reference, section 1.4), after which this is
        // called again.
        if !work.is_subscribed {
            return;
        }
        let narrows = |before: VersionMask, after: VersionMask| before.intersection(after) != before;
        let rollable = of_pool.unwrap_or_default();
        let rollable_before = work.pool_mask.replace(rollable);
        let Some(asked) = work.asked_mask else {
            // It has negotiated nothing and can't get a new mask, but it may roll all the same.
            if rollable_before.is_some_and(|before| narrows(before, rollable)) {
                work.narrowed_at = Some(Instant::now());
            }
            return;
        };
        let granted = of_pool.map_or(VersionMask(0), |mask| mask.intersection(asked));
        let before = work.mask.unwrap_or(VersionMask(0));
        if before != granted {
            if narrows(before, granted) {
                work.narrowed_at = Some(Instant::now());
            }
            work.mask = (!granted.is_empty()).then_some(granted);
            self.send(set_version_mask_line(granted), now);
        }
    }

    /// Reminds a miner that was sent nothing for long, if its outbox has no thread for that.
    pub(crate) fn remind_if_quiet(&self) {
        if self.outbox.is_quiet(self.limits.remind_after) {
            self.remind();
        }
    }

    /// Sends a reminder, because some miners leave after a long silence.
    fn remind(&self) {
        let work = self.work();
        if let Some(line) = work.reminder() {
            self.send(line, Stamp::now());
        }
    }

    /// Disconnects the miner in order. While the pool owes it an answer, its requests are still read, since a
    /// share may be a block; but only for a quarter of [`Limits::disconnect_wait`], since a miner that always has a
    /// share in flight would never be done.
    ///
    /// The session closes once everything is answered. A pool that does not answer is waited for at most
    /// [`Limits::disconnect_wait`]; then the miner gets an error.
    pub(crate) fn disconnect(&self) {
        self.disconnect_by(Instant::now() + self.limits.disconnect_wait);
    }

    /// Disconnects as [`ConnectedMiner::disconnect`] does, with another deadline for the pool's answers.
    pub(crate) fn disconnect_by(&self, deadline: Instant) {
        let work = self.work();
        let _ = self.give_up_at.set(deadline);
        self.is_leaving.store(true, Ordering::Release);
        self.answered.notify_all();
        if work.replies.waiting() > 0 {
            self.outbox.wake_at(deadline.min(Instant::now() + self.limits.disconnect_wait / 4));
        }
        self.end_if_answered(&work.replies);
    }

    /// Whether bytes that became readable at `at` came too late to be taken: reading was stopped
    /// [`MAX_LATE_TIME`] before. The kernel still passes on what arrives after that.
    pub(crate) fn is_too_late(&self, at: Stamp) -> bool {
        let stopped = self.stopped_at.get();
        stopped.is_some_and(|stopped| at.since(*stopped).is_some_and(|time| time > MAX_LATE_TIME))
    }

    /// Ends the reading: the miner's own thread reads what has come, and then the end.
    fn stop_reading(&self) {
        let _ = self.stopped_at.set(Stamp::now());
        self.outbox.stop_reading();
    }

    /// Whether the pool owes this miner nothing, and will not: its requests were all read, or it never had a
    /// search space to find shares in.
    pub(crate) fn is_settled(&self) -> bool {
        // In this order: a request that was being read has its place among the replies by now.
        let is_fully_read = self.is_fully_read.load(Ordering::Acquire);
        let work = self.work();
        (is_fully_read || !work.is_subscribed) && work.replies.waiting() == 0
    }

    /// Ends the session once the replies are there and sent. All requests were read.
    pub(crate) fn finish(&self) {
        let work = self.work();
        self.is_leaving.store(true, Ordering::Release);
        self.is_fully_read.store(true, Ordering::Release);
        if let Some(at) = self.give_up_at.get().filter(|_| work.replies.waiting() > 0) {
            self.outbox.wake_at(*at);
        }
        self.end_if_answered(&work.replies);
    }

    fn end_if_answered(&self, replies: &OrderedReplies) {
        if !self.is_leaving() || replies.waiting() > 0 {
            return;
        }
        if self.is_fully_read.load(Ordering::Acquire) {
            self.outbox.finish();
        } else {
            self.stop_reading();
        }
    }

    /// Ends the session at once.
    pub(crate) fn close(&self) {
        self.is_leaving.store(true, Ordering::Release);
        self.is_fully_read.store(true, Ordering::Release);
        self.outbox.close();
        // Under the lock, or a thread that is about to wait would miss it.
        self.work().replies.close();
        self.answered.notify_all();
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    /// Changes the replies, and sends what can be sent then.
    fn change_replies(&self, change: impl FnOnce(&mut OrderedReplies) -> Ready, since: Stamp) {
        let mut work = self.work();
        let ready = change(&mut work.replies);
        self.answered.notify_all();
        self.send_replies(&mut work, &ready, since);
        self.end_if_answered(&work.replies);
        drop(work);
        if ready.answers_subscribe {
            self.send_after_subscribe();
        }
    }

    /// Sends replies under the lock on the miner: nothing comes before the first answer to subscribe, and
    /// everything that follows from it after it.
    fn send_replies(&self, work: &mut MinerWork, ready: &Ready, since: Stamp) {
        if ready.answers_subscribe {
            work.note_subscribed();
        }
        self.send_lines(&ready.lines, since);
    }

    fn subscribe_line(&self, id: &str, lease: &ExtranonceLease) -> String {
        let extranonce1 = (*lease.extranonce1).clone();
        let answer = SubscribeAnswer { extranonce1, extranonce2_size: lease.extranonce2_size };
        result_line(id, &answer.result(&self.id().to_string()))
    }

    fn send_lines(&self, lines: &str, since: Stamp) {
        if !lines.is_empty() {
            self.send(lines, since);
        }
    }
}
