//! A connected miner, as the threads see it that have something for it: its own two, the pool's
//! reader, the clock.
//!
//! Locks are taken in this order, and none is held while waiting for the network: the state of a link
//! ([`MinerGroup`]), the state of a miner ([`ConnectedMiner::desk`]), the facts of a connection ([`Connection::facts`]), an
//! outbox. No other lock is taken under these: the one on which link a miner is on, and those on a connection's
//! open requests and on the shares that it was sent. A share takes each lock once.

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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::group::{LeaseError, MinerGroup};
use super::jobs::MinerJob;
use super::limits::Limits;
use super::outbox::{Outbox, WakeReason};
use super::pool::connection::Connection;
use super::{set_extranonce_line, set_version_mask_line};
use crate::analyzer::MINER_CLOSED;
use crate::config;
use crate::net::Stamp;
use crate::stratum::{RefusalCode, StratumError, SubscribeAnswer, VersionMask, refuse_line, result_line};
use crate::tap::Tap;
use crate::tap::{Conversation, SessionId};
use replies::{OrderedReplies, Ready, ReplySlot};
use work::{ExtranonceLease, MinerWork};

/// How often a wait for answers looks whether the miner is leaving.
const LOOK: Duration = Duration::from_millis(200);

/// How long after the reading was stopped requests may have arrived that are taken. What was sent before is
/// there by then; a miner that never stops sending must not keep its session open.
const LAST_WORDS: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct ConnectedMiner {
    pub(crate) conversation: Arc<Conversation>,
    pub(crate) accepted_at: Instant,
    pub(crate) outbox: Outbox,
    limits: Limits,
    desk: Mutex<MinerWork>,
    /// Told when the pool has answered something, or it is over. Belongs to the lock on `desk`.
    answered: Condvar,
    link: Mutex<Option<Arc<MinerGroup>>>,
    /// It was told to end, or has.
    is_leaving: AtomicBool,
    /// When the reading of it was stopped; nothing that arrives much later is taken.
    stopped_at: OnceLock<Stamp>,
    /// When what the pool has not answered by then is answered here.
    give_up_at: OnceLock<Instant>,
    /// Nothing more is read of it.
    is_heard: AtomicBool,
}

/// What became of a miner whose extranonce was to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MoveOutcome {
    /// It goes on in the new search space.
    Told,
    /// It has no way of being told: it must connect again.
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
            desk: Mutex::new(MinerWork::new(vardiff)),
            answered: Condvar::new(),
            link: Mutex::default(),
            is_leaving: AtomicBool::new(false),
            stopped_at: OnceLock::new(),
            give_up_at: OnceLock::new(),
            is_heard: AtomicBool::new(false),
        }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.conversation.id
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.conversation.miner()
    }

    pub(crate) fn desk(&self) -> MutexGuard<'_, MinerWork> {
        // Each change of a desk is complete in itself.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn link(&self) -> Option<Arc<MinerGroup>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_link(&self, link: Option<Arc<MinerGroup>>) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = link;
    }

    /// Says something that is no answer.
    pub(crate) fn say(&self, lines: impl AsRef<[u8]>, since: Stamp) {
        self.outbox.send(lines, since);
    }

    /// Answers a request, in its turn.
    pub(crate) fn answer(&self, line: String, since: Stamp) {
        self.answer_in(&mut self.desk(), line, since);
    }

    /// As [`ConnectedMiner::answer`], for a caller that holds the lock already.
    pub(crate) fn answer_in(&self, desk: &mut MinerWork, line: String, since: Stamp) {
        let ready = desk.answers.answer(line);
        self.send_ready(&ready, since);
    }

    /// Answers a subscribe with the miner's seat. `false`: that is worth nothing any more. One that is
    /// taken away later is taken away aloud.
    pub(crate) fn tell_seat(&self, id: &str, since: Stamp) -> bool {
        let link = self.link();
        let mut desk = self.desk();
        let Some(seat) = desk.seat.clone() else { return false };
        if !desk.is_subscribed && !link.is_some_and(|link| link.is_live(seat.epoch)) {
            return false;
        }
        let line = self.seat_line(id, &seat);
        let ready = desk.answers.tell_seat(id, line);
        self.release(&mut desk, &ready, since);
        true
    }

    /// What follows an answer to subscribe, as soon as that was sent: what was granted before the pool
    /// was known may have been too much or too little, and some begin anew with each answer.
    pub(crate) fn welcome(&self) {
        let Some(link) = self.link() else { return };
        if let Some(mask) = link.known_mask() {
            self.set_mask(mask, Stamp::now());
        }
        let starts_over = self.desk().starts_over();
        if starts_over {
            link.again(self);
        } else {
            link.begin(self);
        }
    }

    /// Keeps the place of a request that the pool answers. `None` when too many wait.
    pub(crate) fn reserve(&self, id: &str) -> Option<ReplySlot> {
        self.desk().answers.reserve(id)
    }

    /// As [`ConnectedMiner::reserve`], for a caller that holds the lock already. Waits for a place until `deadline`,
    /// without the lock. Meanwhile nothing more is read of the miner, which is better than losing its shares.
    pub(crate) fn reserve_until<'a>(
        &self,
        mut desk: MutexGuard<'a, MinerWork>,
        id: &str,
        deadline: Instant,
    ) -> (MutexGuard<'a, MinerWork>, Option<ReplySlot>) {
        loop {
            let place = desk.answers.reserve(id);
            let left = deadline.saturating_duration_since(Instant::now());
            if place.is_some() || left.is_zero() || self.is_leaving() {
                return (desk, place);
            }
            desk = self.answered.wait_timeout(desk, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes the lock once the miner has room for more answers: one that asks faster than it reads, or than
    /// the pool answers, is not read any faster. `true` when it took time.
    pub(crate) fn desk_with_room(&self) -> (MutexGuard<'_, MinerWork>, bool) {
        let mut has_waited = false;
        loop {
            has_waited |= self.outbox.wait_for_room();
            let desk = self.desk();
            if !desk.answers.is_full() {
                return (desk, has_waited);
            }
            has_waited = true;
            drop(self.answered.wait_timeout(desk, LOOK));
        }
    }

    /// The pool has answered.
    pub(crate) fn complete(&self, place: ReplySlot, line: String, since: Stamp) {
        self.release_by(|answers| answers.complete(place, line), since);
    }

    /// The miner's own thread was woken.
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
                self.release_by(|answers| answers.give_up(refuse), Stamp::now());
            }
        }
    }

    /// Gives a job of this connection, if the miner is ready for one and has none newer. `since`: when
    /// it could first have been given.
    pub(crate) fn give(&self, task: &Arc<MinerJob>, connection: &Connection, since: Stamp) {
        let mut desk = self.desk();
        // The pool's difficulty is read under the desk's lock: whoever lowers it looks at the desks
        // after that, and finds who was given more.
        if let Some(lines) = desk.give(task, connection.difficulty(), Instant::now()) {
            // Under the desk's lock: jobs leave in the order in which they were given.
            self.outbox.send_shared(&lines, since);
        }
    }

    /// Seats the miner in a search space, with a job of it if there is one already. Who has not been
    /// told of any yet learns of it by the answer to its subscribe.
    ///
    /// # Errors
    /// As `take`, which is asked for the seat if the miner can have it.
    pub(crate) fn move_to(
        &self,
        take: impl FnOnce() -> Result<ExtranonceLease, LeaseError>,
        work: Option<(&Arc<MinerJob>, &Connection)>,
        now: Stamp,
    ) -> Result<MoveOutcome, LeaseError> {
        let mut desk = self.desk();
        if !desk.can_move() {
            return Ok(MoveOutcome::MustLeave);
        }
        let seat = take()?;
        let mut lines = set_extranonce_line(&seat.extranonce1, seat.extranonce2_size);
        // An answer to subscribe that waits behind another one would come too late to be true.
        desk.answers.change_seat(|id| self.seat_line(id, &seat));
        desk.seat = Some(seat);
        if !desk.is_subscribed {
            return Ok(MoveOutcome::Told);
        }
        desk.moved_at = Some(Instant::now());
        if let Some((task, connection)) = work {
            let job = desk.give(task, connection.difficulty(), Instant::now());
            lines.push_str(job.as_deref().unwrap_or_default());
        }
        self.say(lines, now);
        Ok(MoveOutcome::Told)
    }

    /// The pool lets its miners roll other bits than before.
    pub(crate) fn set_mask(&self, of_pool: Option<VersionMask>, now: Stamp) {
        let mut desk = self.desk();
        // Nothing comes before the answer to subscribe (wire reference, section 1.4), after which this is
        // looked at again.
        if !desk.is_subscribed {
            return;
        }
        let narrows = |before: VersionMask, after: VersionMask| before.intersection(after) != before;
        let rollable = of_pool.unwrap_or_default();
        let rollable_before = desk.pool_mask.replace(rollable);
        let Some(asked) = desk.asked_mask else {
            // It has negotiated nothing and can't be told, but it may roll all the same.
            if rollable_before.is_some_and(|before| narrows(before, rollable)) {
                desk.narrowed_at = Some(Instant::now());
            }
            return;
        };
        let granted = of_pool.map_or(VersionMask(0), |mask| mask.intersection(asked));
        let before = desk.mask.unwrap_or(VersionMask(0));
        if before != granted {
            if narrows(before, granted) {
                desk.narrowed_at = Some(Instant::now());
            }
            desk.mask = (!granted.is_empty()).then_some(granted);
            self.say(set_version_mask_line(granted), now);
        }
    }

    /// Nothing was sent for so long that some miners would leave.
    fn remind(&self) {
        let desk = self.desk();
        if let Some(line) = desk.reminder() {
            self.say(line, Stamp::now());
        }
    }

    /// Ends the session in order. While the pool owes the miner an answer, what it sends is still read, since
    /// it may be a block; but only for a quarter of [`Limits::dismissal`], since a miner that always has a share
    /// in flight would never be through.
    /// The session closes once everything is answered. A pool that does not answer is waited for at most
    /// [`Limits::dismissal`]; the miner then gets its answers from here.
    pub(crate) fn dismiss(&self) {
        self.dismiss_by(Instant::now() + self.limits.dismissal);
    }

    /// As [`ConnectedMiner::dismiss`], with another deadline for the pool's answers.
    pub(crate) fn dismiss_by(&self, deadline: Instant) {
        let desk = self.desk();
        let _ = self.give_up_at.set(deadline);
        self.is_leaving.store(true, Ordering::Release);
        self.answered.notify_all();
        self.outbox.wake_at(deadline.min(Instant::now() + self.limits.dismissal / 4));
        self.end_if_answered(&desk.answers);
    }

    /// Whether bytes that became readable at `at` came too late to be taken: the reading was stopped
    /// [`LAST_WORDS`] before. The kernel still passes on what arrives after that.
    pub(crate) fn is_too_late(&self, at: Stamp) -> bool {
        let stopped = self.stopped_at.get();
        stopped.is_some_and(|stopped| at.since(*stopped).is_some_and(|time| time > LAST_WORDS))
    }

    /// Its own thread reads what has come, and then the end.
    fn stop_reading(&self) {
        let _ = self.stopped_at.set(Stamp::now());
        self.outbox.stop_reading();
    }

    /// Whether the pool owes this miner nothing, and will not: its requests were all read, or it never
    /// had a search space to find shares in.
    pub(crate) fn is_settled(&self) -> bool {
        // In this order: a request that was being read has its place among the answers by now.
        let is_heard = self.is_heard.load(Ordering::Acquire);
        let desk = self.desk();
        (is_heard || !desk.is_subscribed) && desk.answers.waiting() == 0
    }

    /// All its requests were read: the session ends once the answers are there and sent.
    pub(crate) fn finish(&self) {
        let desk = self.desk();
        self.is_leaving.store(true, Ordering::Release);
        self.is_heard.store(true, Ordering::Release);
        self.end_if_answered(&desk.answers);
    }

    fn end_if_answered(&self, answers: &OrderedReplies) {
        if !self.is_leaving() || answers.waiting() > 0 {
            return;
        }
        if self.is_heard.load(Ordering::Acquire) {
            self.outbox.finish();
        } else {
            self.stop_reading();
        }
    }

    /// Ends the session at once.
    pub(crate) fn close(&self) {
        self.is_leaving.store(true, Ordering::Release);
        self.is_heard.store(true, Ordering::Release);
        self.outbox.close();
        // Under the lock, or it would be missed by who is about to wait.
        self.desk().answers.close();
        self.answered.notify_all();
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    /// Sends what can be sent after this change of the answers.
    fn release_by(&self, change: impl FnOnce(&mut OrderedReplies) -> Ready, since: Stamp) {
        let mut desk = self.desk();
        let ready = change(&mut desk.answers);
        self.answered.notify_all();
        self.release(&mut desk, &ready, since);
        self.end_if_answered(&desk.answers);
        drop(desk);
        if ready.tells_seat {
            self.welcome();
        }
    }

    /// Under the desk's lock: nothing comes before the first answer to subscribe, and everything that
    /// follows from it after it.
    fn release(&self, desk: &mut MinerWork, ready: &Ready, since: Stamp) {
        if ready.tells_seat {
            desk.was_told_seat();
        }
        self.send_ready(&ready.lines, since);
    }

    fn seat_line(&self, id: &str, seat: &ExtranonceLease) -> String {
        let extranonce1 = (*seat.extranonce1).clone();
        let answer = SubscribeAnswer { extranonce1, extranonce2_size: seat.extranonce2_size };
        result_line(id, &answer.result(&self.id().to_string()))
    }

    fn send_ready(&self, lines: &str, since: Stamp) {
        if !lines.is_empty() {
            self.say(lines, since);
        }
    }
}
