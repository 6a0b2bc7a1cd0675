//! The analyzer's thread: takes copies out of the queue, puts each session's copies in order, has the session
//! tracker read them, and publishes a snapshot every half second, or every two with thousands of miners.

use std::any::Any;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::ExternalUpdate;
use super::external_update::MAX_QUEUED_UPDATES;
use super::reorder_buffer::HOLD_TIME;
use super::session_tracker::SessionTracker;
use super::setup::Setup;
use super::snapshot::Snapshot;
use super::steady_clock::SteadyClock;
use crate::tap::{Direction, Role, SessionId, TapEvent, TapMessage};
use crate::util::stop::Stop;
use crate::util::supervise;
use crate::util::thread::panic_text;

/// The pause when the queue is empty. The thread never blocks in the channel: waking a parked consumer would make the
/// forwarding threads' `try_send` up to 1 ms slow. A copy is held for as long anyway.
const PAUSE: Duration = HOLD_TIME;
/// The pause while few copies come: each time that the thread wakes up costs more than such a copy.
const QUIET_PAUSE: Duration = Duration::from_millis(40);
/// The part of the queue's places that fills at most within one pause while few copies come.
const QUIET_PART: u64 = 1024;
/// The pause while the queue fills fast.
const BUSY_PAUSE: Duration = Duration::from_millis(2);
/// The part of the queue's places that fills within one pause when it fills fast.
const BUSY_PART: u64 = 64;
/// The time between two ticks, at which counts are published, shares time out and old entries are forgotten. Each
/// session makes it longer, because a tick costs some microseconds a session.
const MIN_TICK: Duration = Duration::from_millis(500);
const TICK_PER_SESSION: Duration = Duration::from_micros(500);
const MAX_TICK: Duration = Duration::from_secs(2);
/// The time between two readings of the clocks while copies come without a pause. A step of the system's clock within
/// this time puts the time of a share off by the step, and by at most a minute.
const CLOCK_READING_INTERVAL: Duration = Duration::from_millis(1);
/// Caps the copies that are held to be put in order.
const MAX_HELD: usize = 4096;
/// Caps the bytes of the held copies. A flood comes in chunks of a whole buffer.
const MAX_HELD_BYTES: usize = 4 << 20;
/// Caps the held copies of one session while half of the room is in use. Only a session that floods has as many
/// within the 20 ms for which a copy is held, and it must not take the room of the others.
const MAX_HELD_PER_SESSION: usize = 32;
/// The copies of a pool connection that are read in one turn at the end. It carries the shares and answers of many
/// miners.
const POOL_COPIES_PER_TURN: usize = 8;
/// Caps the time for which copies wait longer than [`HOLD_TIME`] for a copy of their own session. A peer that does not
/// read delays the analysis of all sessions by this.
const MAX_EXTRA_HOLD_TIME: Duration = Duration::from_millis(500);
/// Caps the sessions that are remembered as abandoned after a panic.
const MAX_ABANDONED: usize = 1024;

pub(super) struct Consumer {
    copies: Receiver<TapMessage>,
    external_updates: Option<Receiver<ExternalUpdate>>,
    published: Arc<ArcSwap<Snapshot>>,
    /// Wakes the thread that renders the snapshot.
    renews: Sender<()>,
    tracker: SessionTracker,
    steady: SteadyClock,
    clock_read_at: Instant,
    /// The sessions whose copies are held, and until when, in the order of arrival.
    held: VecDeque<(Instant, SessionId, SessionHold)>,
    held_bytes: usize,
    /// The number of copies that were taken out of the queue.
    taken: u64,
    /// The number of taken copies at which the earliest held copy is read: by then every copy that was in the queue
    /// when the session's threads were last seen between two sends has been taken. `None`: they have not been seen so.
    read_at_taken: Option<u64>,
    /// Sessions whose copies made the thread panic, until they close.
    abandoned: BTreeSet<SessionId>,
    /// The number of thread restarts that were reported. `None` if another analyzer reports them.
    reports_restarts: Option<u64>,
    is_ending: Arc<AtomicBool>,
    /// The thread is reading the rest of the queue before it ends.
    is_draining: bool,
}

/// The step that is due for a session when its copy has been held long enough.
enum SessionHold {
    /// Read the earliest of the held copies.
    Chunk,
    Paused,
    Closed,
}

impl Consumer {
    pub(super) fn new(
        copies: Receiver<TapMessage>,
        setup: Setup,
        (published, renews): (Arc<ArcSwap<Snapshot>>, Sender<()>),
        is_ending: Arc<AtomicBool>,
    ) -> Consumer {
        let began = setup.clock.reading().system;
        Consumer {
            copies,
            external_updates: setup.external_updates.clone(),
            published,
            renews,
            reports_restarts: setup.reports_restarts.then(|| supervise::restarts(u64::MAX).0),
            tracker: SessionTracker::new(setup, began),
            steady: SteadyClock::new(began, Instant::now()),
            clock_read_at: Instant::now(),
            held: VecDeque::new(),
            held_bytes: 0,
            taken: 0,
            read_at_taken: None,
            abandoned: BTreeSet::new(),
            is_ending,
            is_draining: false,
        }
    }

    /// Prepares for a start of the thread, the first one or another one after a panic.
    pub(super) fn resume(&mut self, keeps_sessions: bool) {
        if !keeps_sessions {
            self.tracker.forget_sessions();
        }
        self.held_bytes = self.tracker.held_bytes();
    }

    pub(super) fn consume(&mut self, stop: &Stop) {
        let mut next_tick = Instant::now() + MIN_TICK;
        let mut taken_before = self.taken;
        loop {
            supervise::beat();
            if stop.is_stopped() {
                break;
            }
            let now = match self.copies.try_recv() {
                Ok(copy) => {
                    let now = Instant::now();
                    self.take_catching(copy, now);
                    now
                }
                Err(TryRecvError::Empty) => {
                    std::thread::sleep(self.pause(self.taken - taken_before));
                    taken_before = self.taken;
                    Instant::now()
                }
                Err(TryRecvError::Disconnected) => break,
            };
            self.release(now);
            if now >= next_tick {
                self.tick();
                next_tick = now + self.tick_interval();
            }
        }
        self.drain(next_tick);
        self.tracker.is_ending = self.is_ending.load(Ordering::Acquire);
        self.tracker.close_all(self.steady.now());
        // Takes the last updates from outside, too: nothing comes after the end.
        self.tick();
        self.tracker.accounting.end();
        self.tick();
    }

    /// Returns the time for which the thread may sleep now that the queue is empty, after it took so many copies since
    /// its last sleep.
    fn pause(&self, taken: u64) -> Duration {
        let capacity = self.copies.capacity().unwrap_or(usize::MAX) as u64;
        match taken {
            many if many > capacity / BUSY_PART => BUSY_PAUSE,
            some if some > capacity / QUIET_PART => PAUSE,
            _ => QUIET_PAUSE,
        }
    }

    fn tick_interval(&self) -> Duration {
        (MIN_TICK + TICK_PER_SESSION.saturating_mul(self.tracker.session_count())).min(MAX_TICK)
    }

    /// Reads the rest of the queue before the end. The program does not wait for ever, so the sessions take turns:
    /// a session that floods must not cost others their last shares.
    fn drain(&mut self, mut next_tick: Instant) {
        self.is_draining = true;
        let waiting = self.copies.len();
        for copy in self.copies.clone().try_iter().take(waiting) {
            self.take_catching(copy, Instant::now());
        }
        let held = std::mem::take(&mut self.held).into_iter().map(|(_, id, held)| (id, held));
        let per_turn = |id| match self.tracker.role(id) {
            Some(Role::Pool) => POOL_COPIES_PER_TURN,
            Some(Role::Direct | Role::Miner) | None => 1,
        };
        for (id, held) in in_turns(held, per_turn) {
            self.follow_catching(id, held);
            supervise::beat();
            if Instant::now() >= next_tick {
                self.tick();
                next_tick = Instant::now() + self.tick_interval();
            }
        }
    }

    /// Takes a copy. After a panic, only the session of that copy is abandoned.
    fn take_catching(&mut self, copy: TapMessage, now: Instant) {
        self.taken += 1;
        let conversation = copy.conversation.clone();
        if self.abandoned.contains(&conversation.id) {
            match copy.event {
                TapEvent::Closed => drop(self.abandoned.remove(&conversation.id)),
                TapEvent::MinerPaused => conversation.fully_read.store(true, Ordering::Release),
                TapEvent::Bytes(chunk) => conversation.traffic(chunk.direction).dequeued(),
                TapEvent::Hashed(_) => {}
            }
            return;
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take(copy, now))) {
            self.drop_session(conversation.id, panic.as_ref());
        }
    }

    /// Does the step that is due for a session. After a panic, only that session is abandoned.
    fn follow_catching(&mut self, id: SessionId, held: SessionHold) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.follow(id, held))) {
            self.drop_session(id, panic.as_ref());
        }
    }

    /// Abandons a session after a panic, because its state may be half-changed.
    fn drop_session(&mut self, id: SessionId, panic: &(dyn Any + Send)) {
        let reason = format!("while it followed session {id}: {}", panic_text(panic));
        log::error!("the analyzer panicked {reason}; that session is not analysed any more");
        supervise::note_restart(&reason);
        let forgotten = catch_unwind(AssertUnwindSafe(|| self.tracker.forget(id)));
        if let Ok(Some(conversation)) = forgotten {
            // The session's open requests are unknown now, as after lost copies.
            conversation.dropped_copies.fetch_add(1, Ordering::Relaxed);
            conversation.fully_read.store(true, Ordering::Release);
        }
        self.held_bytes = self.tracker.held_bytes();
        if self.abandoned.len() >= MAX_ABANDONED {
            self.abandoned.pop_first();
        }
        self.abandoned.insert(id);
    }

    /// Holds a copy out of the queue, so that copies that were forwarded before it can overtake it.
    fn take(&mut self, copy: TapMessage, now: Instant) {
        if now.saturating_duration_since(self.clock_read_at) >= CLOCK_READING_INTERVAL {
            self.check_clock(now);
        }
        let TapMessage { conversation, event } = copy;
        let id = conversation.id;
        let held = match event {
            // Not held: it is looked up when the copy of the share is read.
            TapEvent::Hashed(hashed) => return self.tracker.shared.known_hashes.add(*hashed),
            TapEvent::Bytes(mut chunk) => {
                conversation.traffic(chunk.direction).dequeued();
                let summary = &mut self.tracker.accounting.summary;
                // In aggregate mode, another conversation sends on what this one reads.
                let is_forwarding = match conversation.role {
                    Role::Direct => true,
                    Role::Miner => chunk.direction == Direction::Down,
                    Role::Pool => chunk.direction == Direction::Up,
                };
                let delay = chunk.sent_at.since(chunk.readable_at).filter(|_| is_forwarding);
                if let Some(delay) = delay {
                    summary.latency(chunk.direction).record(delay);
                }
                summary.gaps += u64::from(chunk.after_gap);
                (chunk.readable_at, chunk.sent_at) =
                    (self.steady.steady_stamp(chunk.readable_at), self.steady.steady_stamp(chunk.sent_at));
                self.held_bytes += chunk.bytes.len();
                let order = &mut self.tracker.session(&conversation).order;
                order.push(chunk);
                let is_crowded = self.held.len() > MAX_HELD / 2 || self.held_bytes > MAX_HELD_BYTES / 2;
                if is_crowded && !self.is_draining && order.len() > MAX_HELD_PER_SESSION {
                    // The session's own earliest copy makes room, instead of another session's.
                    return self.follow(id, SessionHold::Chunk);
                }
                SessionHold::Chunk
            }
            TapEvent::MinerPaused => SessionHold::Paused,
            TapEvent::Closed => SessionHold::Closed,
        };
        if let SessionHold::Paused = held {
            // Starts the session even if it has sent nothing.
            self.tracker.session(&conversation);
        }
        self.held.push_back((now + HOLD_TIME, id, held));
    }

    fn release(&mut self, now: Instant) {
        while let Some((until, id, _)) = self.held.front() {
            let has_room = self.held.len() <= MAX_HELD && self.held_bytes <= MAX_HELD_BYTES;
            let (until, id) = (*until, *id);
            if has_room && (until > now || self.is_early(id, until, now)) {
                break;
            }
            self.read_at_taken = None;
            if let Some((_, id, held)) = self.held.pop_front() {
                self.follow_catching(id, held);
            }
            if self.held.is_empty() {
                // The copies of abandoned sessions were dropped with them.
                self.held_bytes = 0;
            }
        }
    }

    /// Returns whether the earliest held copy may have come before its cause. A thread that sent a job may lose the CPU
    /// before it has put the job's copy into the queue, and the miner answers meanwhile. So a copy waits while one of
    /// its session's threads is sending, and then for all that the queue holds, among it the copy of what was sent.
    fn is_early(&mut self, id: SessionId, until: Instant, now: Instant) -> bool {
        if now >= until + MAX_EXTRA_HOLD_TIME {
            return false;
        }
        if self.tracker.is_sending(id) {
            self.read_at_taken = None;
            return true;
        }
        self.taken < *self.read_at_taken.get_or_insert_with(|| self.taken + self.copies.len() as u64)
    }

    fn follow(&mut self, id: SessionId, held: SessionHold) {
        match held {
            SessionHold::Chunk => {
                supervise::fault_point("analyzer-session");
                self.held_bytes = self.held_bytes.saturating_sub(self.tracker.read_held(id));
            }
            SessionHold::Paused => self.tracker.miner_paused(id),
            SessionHold::Closed => {
                self.tracker.is_ending = self.is_ending.load(Ordering::Acquire);
                self.tracker.close(id, self.steady.now());
            }
        }
    }

    fn check_clock(&mut self, now: Instant) {
        self.clock_read_at = now;
        let reading = self.tracker.accounting.read_clocks();
        if let Some(skew) = self.steady.update(reading.system, now) {
            log::info!("the system's clock was set; the analyzer adjusts the times of running sessions");
            self.tracker.clock_was_set(skew);
        }
    }

    /// Does the work of a tick, and publishes a snapshot.
    pub(super) fn tick(&mut self) {
        self.check_clock(Instant::now());
        let now = self.steady.now();
        // The limit keeps a flood of updates from delaying the miners' copies.
        for mut update in self.external_updates.iter().flat_map(Receiver::try_iter).take(MAX_QUEUED_UPDATES) {
            if let ExternalUpdate::Tip(tip) = &mut update {
                tip.at = self.steady.steady_stamp(tip.at);
            }
            self.tracker.external_update(&update);
        }
        if let Some(seen) = &mut self.reports_restarts {
            let (count, restarts) = supervise::restarts(*seen);
            *seen = count;
            self.tracker.accounting.restarted(&restarts);
        }
        if self.held.capacity() > MAX_HELD && self.held.len() < MAX_HELD / 8 {
            self.held.shrink_to(MAX_HELD / 4);
        }
        self.tracker.tick(now);
        self.published.store(Arc::new(self.tracker.snapshot(now)));
        // If the channel is full, the last message is still unread.
        let _ = self.renews.try_send(());
    }
}

/// Puts a backlog into turns: first the first `per_turn` items of each session, then the next ones of each, and so
/// on. The order within a session stays. A session with a short backlog is done after a few turns, however long the
/// backlog of others is.
fn in_turns<Id: Copy + Eq + Hash, T>(
    backlog: impl IntoIterator<Item = (Id, T)>,
    per_turn: impl Fn(Id) -> usize,
) -> Vec<(Id, T)> {
    let mut counts: HashMap<Id, usize> = HashMap::new();
    let with_turn = |(id, item)| {
        let count = counts.entry(id).or_default();
        *count += 1;
        ((*count - 1) / per_turn(id).max(1), id, item)
    };
    let mut turns: Vec<(usize, Id, T)> = backlog.into_iter().map(with_turn).collect();
    turns.sort_by_key(|(turn, _, _)| *turn);
    turns.into_iter().map(|(_, id, item)| (id, item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AnalysisConfig;
    use crate::net::Stamp;
    use crate::tap::{Conversation, TapBytes};

    #[test]
    fn a_session_with_a_short_backlog_is_read_early_and_in_order() {
        let mut backlog: Vec<(char, u32)> = (0..1000).map(|number| ('f', number)).collect();
        backlog.extend([('h', 1), ('h', 2), ('p', 1), ('p', 2), ('p', 3)]);
        let turns = in_turns(backlog, |id| if id == 'p' { 2 } else { 1 });
        let first: Vec<(char, u32)> = turns.iter().copied().take(8).collect();
        let expected = [('f', 0), ('h', 1), ('p', 1), ('p', 2), ('f', 1), ('h', 2), ('p', 3), ('f', 2)];
        assert_eq!(first, expected);
        assert_eq!(turns.len(), 1005);
    }

    /// The thread that sent a job lost the CPU before the job's copy was in the queue, and the miner's share passed it
    /// by. The analyzer's thread is held up as well: it never sees the copy come.
    #[test]
    fn a_share_waits_for_the_copy_of_its_job() {
        let (sender, copies) = crossbeam_channel::bounded(8);
        let (renews, _renewed) = crossbeam_channel::bounded(1);
        let setup = Setup::plain(&AnalysisConfig::default());
        let mut consumer = Consumer::new(copies.clone(), setup, (Arc::default(), renews), Arc::default());
        let peer = "127.0.0.1:1".parse().unwrap();
        let conversation = Arc::new(Conversation::new(SessionId(1), peer, Stamp::now()));
        let put = |direction, text: &str, at| {
            let bytes = text.as_bytes().into();
            let chunk = TapBytes { direction, bytes, readable_at: at, sent_at: at, after_gap: false };
            let event = TapEvent::Bytes(chunk);
            sender.send(TapMessage { conversation: conversation.clone(), event }).unwrap();
        };
        let job_sent = Stamp::now();
        let share_sent = Stamp::from_nanos(job_sent.as_nanos() + 1_000_000);
        let begin = Instant::now();
        let late = begin + HOLD_TIME * 3;
        conversation.down.set_sending(true);
        put(Direction::Up, "share\n", share_sent);
        consumer.take_catching(copies.recv().unwrap(), begin);
        consumer.release(late);
        assert_eq!(consumer.held.len(), 1, "while the job is being sent");
        put(Direction::Down, "job\n", job_sent);
        conversation.down.set_sending(false);
        consumer.release(late);
        assert_eq!(consumer.held.len(), 1, "while the job's copy is in the queue");
        consumer.take_catching(copies.recv().unwrap(), late);
        let earliest = consumer.tracker.session(&conversation).order.pop().unwrap();
        assert_eq!(&*earliest.bytes, b"job\n");
        consumer.release(late);
        assert_eq!(consumer.held.len(), 1, "the job's copy has its own time to wait");
        // A peer that does not read holds its session's copies up for a short time only.
        conversation.down.set_sending(true);
        consumer.release(late + HOLD_TIME + MAX_EXTRA_HOLD_TIME);
        assert!(consumer.held.is_empty());
    }
}
