//! The analyzer's thread: takes copies out of the queue, puts each session's in order, has them
//! followed, and publishes what there is to see.

use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

use super::closing_order::in_turns;
use super::external_update::ROOM;
use super::history::History;
use super::names::UpstreamNames;
use super::reorder_buffer::HOLD;
use super::session_tracker::SessionTracker;
use super::snapshot::Snapshot;
use super::steady_clock::SteadyClock;
use super::verdicts::Expectations;
use super::{AnalyzerCounts, Enforcement, ExternalUpdate};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::net::process::yield_to_others;
use crate::notify::Notifier;
use crate::record::{Recorder, SavedState};
use crate::stratum::Difficulty;
use crate::tap::{Direction, Role, SessionId, TapEvent, TapMessage};
use crate::util::os_error::describe;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;
use crate::util::supervise::service;
use crate::util::thread::{join_within, panic_text};

/// Pause when the queue is empty. The consumer never waits in the channel: waking a parked consumer
/// would make the forwarding threads' `try_send` up to 1 ms slow.
const PAUSE: Duration = Duration::from_millis(1);
/// The pause grows to this while nothing comes.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// How often counts are published, shares given up, and old entries forgotten.
const ROUND: Duration = Duration::from_millis(500);
/// More copies than this are not held back to be put in order.
const MOST_HELD: usize = 4096;
/// Nor more than so many bytes: a flood comes in chunks of a whole buffer.
const MOST_HELD_BYTES: usize = 4 << 20;

/// While there are half as many, a session with more held copies than this gets no more time for its order:
/// only one that floods has as many within 20 ms, and others keep theirs.
const MAX_HELD_OF_ONE: usize = 32;
/// The thread's heartbeat is later than this only if something holds it.
const STUCK_AFTER: Duration = Duration::from_secs(30);
/// How long the end of the program waits for what is still in the queue, and for a found block.
const FINISH_LIMIT: Duration = Duration::from_secs(15);
/// Copies of a connection to a pool that are read in one turn at the end: it carries the shares and answers of many
/// miners.
const PER_TURN_OF_POOL: usize = 8;
/// How often the thread is started with all it knew. After more panics, whatever causes them is sought in
/// the sessions: they are forgotten, and followed from their next bytes on.
const TRUSTED_STARTS: u32 = 2;
/// Sessions over which the analyzer has panicked are not followed any more; so many are remembered.
const MAX_UNFOLLOWED: usize = 1024;

/// What the analyzer works with beside the copies.
pub struct Setup {
    pub analysis: config::AnalysisConfig,
    pub expectations: Expectations,
    pub rules: config::RulesConfig,
    /// `failover.silence_timeout`
    pub silence: Duration,
    /// `failover.first_job_timeout`
    pub first_job: Duration,
    /// What is to follow from findings beside alerts; `None`: nothing.
    pub enforcement: Option<Enforcement>,
    pub clock: Clock,
    pub recorder: Option<Recorder>,
    /// Who is told of alerts.
    pub notifier: Option<Notifier>,
    /// As it was read back at the start.
    pub state: SavedState,
    /// As it was read back at the start.
    pub history: History,
    pub upstreams: UpstreamNames,
    /// News from outside; `None`: there are none.
    pub outside: Option<Receiver<ExternalUpdate>>,
    /// Whose work the pool's figures are about; `None`: everybody's.
    pub account: Option<String>,
    /// The least difficulty of a share that ends a doubt: a hash made for another job reaches it once in a million
    /// shares. Less only where shares must be cheap, as in a simulation.
    pub least_proof: Difficulty,
    /// Whether it reports the restarts of the program's threads: they are one program's, and so one
    /// analyzer's.
    pub reports_restarts: bool,
}

/// The running analyzer.
#[derive(Debug)]
pub struct Analyzer {
    published: Published,
    recorder: Option<Recorder>,
    stop: Stop,
    is_ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What the analyzer publishes. Reading it takes no lock.
#[derive(Debug, Clone)]
pub struct Published {
    newest: Arc<ArcSwap<Snapshot>>,
    /// Has a word for each snapshot; the sender ends with the analyzer.
    renewed: Receiver<()>,
}

/// The analyzer publishes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnalyzerEnded;

impl Setup {
    /// With the system's clock, without records, and otherwise with the defaults of the configuration.
    pub fn plain(analysis: &config::AnalysisConfig) -> Setup {
        Setup::of(&Config { analysis: analysis.clone(), ..Config::with_upstreams(Vec::new()) })
    }

    /// By this configuration, with the system's clock and without records.
    pub fn of(config: &Config) -> Setup {
        Setup {
            analysis: config.analysis.clone(),
            expectations: Expectations::new(&config.payout, config.network),
            rules: config.rules.clone(),
            silence: config.failover.silence_timeout,
            first_job: config.failover.first_job_timeout,
            enforcement: None,
            clock: Clock::system(),
            recorder: None,
            notifier: None,
            state: SavedState::default(),
            history: History::default(),
            upstreams: config.upstreams.iter().collect(),
            outside: None,
            account: config.pool_stats.as_ref().and_then(|stats| stats.account(&config.payout)),
            least_proof: Difficulty::MILLION_HASHES,
            reports_restarts: false,
        }
    }
}

impl Analyzer {
    /// Starts the thread; copies go to the sender that is returned with it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(setup: Setup) -> io::Result<(Analyzer, Sender<TapMessage>)> {
        let (sender, copies) = bounded(setup.analysis.queue);
        Ok((Analyzer::on(copies, setup)?, sender))
    }

    /// As [`Analyzer::start`], on a queue that exists already.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn on(copies: Receiver<TapMessage>, setup: Setup) -> io::Result<Analyzer> {
        let (renews, renewed) = bounded(1);
        let (published, stop) = (Published { newest: Arc::default(), renewed }, Stop::new());
        let (recorder, began) = (setup.recorder.clone(), setup.clock.reading().system);
        let reports_restarts = setup.reports_restarts;
        let is_ending = Arc::new(AtomicBool::new(false));
        let mut consumer = Consumer {
            copies,
            outside: setup.outside.clone(),
            published: published.newest.clone(),
            renews,
            follower: SessionTracker::new(setup, began),
            steady: SteadyClock::new(began, Instant::now()),
            held: VecDeque::new(),
            held_bytes: 0,
            unfollowed: BTreeSet::new(),
            reports_restarts: reports_restarts.then(|| supervise::restarts(u64::MAX).0),
            is_ending: is_ending.clone(),
            is_last: false,
        };
        // What was read back at the start is to be seen from the first moment.
        consumer.round();
        let until = stop.clone();
        let mut starts = 0_u32;
        // When it fails again and again it stays off: miners are served without it.
        let thread = service("analyzer").beats_within(STUCK_AFTER).start(move || {
            if let Err(why) = yield_to_others() {
                log::debug!("the analyzer is scheduled like any thread: {why}");
            }
            starts += 1;
            if starts > TRUSTED_STARTS {
                consumer.follower.forget_sessions();
            }
            consumer.held_bytes = consumer.follower.held_bytes();
            consumer.consume(&until);
            Ok::<(), Stopped>(())
        })?;
        Ok(Analyzer { published, recorder, stop, is_ending, thread })
    }

    /// Everything there is to see, as of less than a second ago.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.snapshot()
    }

    /// What is published, without the analyzer, for whoever shows it.
    pub fn published(&self) -> Published {
        self.published.clone()
    }

    /// The counts as of less than a second ago.
    pub fn summary(&self) -> AnalyzerCounts {
        self.snapshot().summary.clone()
    }

    /// The program is about to end. Miners whose sessions end from now on are among those of the last snapshot,
    /// as they were: they leave because the program does.
    pub fn keep_those_who_leave(&self) {
        self.is_ending.store(true, Ordering::Release);
    }

    /// Reads what is still in the queue, has the records put on the disk, and ends.
    pub fn finish(self) -> Arc<Snapshot> {
        self.finish_within(FINISH_LIMIT)
    }

    /// As [`Analyzer::finish`], waiting no longer than this for the queue to be read.
    pub fn finish_within(self, limit: Duration) -> Arc<Snapshot> {
        self.stop.stop();
        if !join_within(self.thread, limit) {
            log::error!(
                "the analyzer did not end within {} s: the last shares of who sent most are not recorded",
                limit.as_secs()
            );
        }
        if let Some(recorder) = &self.recorder {
            if let Err(error) = recorder.finish() {
                log::error!("not everything was recorded: {}", describe(&error));
            }
        }
        self.published.snapshot()
    }
}

impl Published {
    /// As of less than a second ago.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.newest.load_full()
    }

    /// Waits for the next snapshot, for at most `limit`. Of several clones that wait, one is woken.
    ///
    /// # Errors
    /// [`AnalyzerEnded`] when there will be none.
    pub fn wait_for_next(&self, limit: Duration) -> Result<(), AnalyzerEnded> {
        match self.renewed.recv_timeout(limit) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(AnalyzerEnded),
        }
    }
}

struct Consumer {
    copies: Receiver<TapMessage>,
    outside: Option<Receiver<ExternalUpdate>>,
    published: Arc<ArcSwap<Snapshot>>,
    /// Wakes whoever shows what is published.
    renews: Sender<()>,
    follower: SessionTracker,
    steady: SteadyClock,
    /// Whose copies are held, and until when; in the order in which they came.
    held: VecDeque<(Instant, SessionId, SessionHold)>,
    held_bytes: usize,
    /// Sessions over which it has panicked, as long as they last.
    unfollowed: BTreeSet<SessionId>,
    /// How many restarts of threads were reported; `None` where that is not its task.
    reports_restarts: Option<u64>,
    is_ending: Arc<AtomicBool>,
    /// All that the queue had is held, to be read in turns.
    is_last: bool,
}

/// What happens to a session when its copies' time has come.
enum SessionHold {
    /// The earliest of its held copies is read.
    Chunk,
    Paused,
    Closed,
}

impl Consumer {
    fn consume(&mut self, stop: &Stop) {
        let mut next_round = Instant::now() + ROUND;
        let mut pause = PAUSE;
        loop {
            supervise::beat();
            if stop.is_stopped() {
                break;
            }
            let now = match self.copies.try_recv() {
                Ok(copy) => {
                    pause = PAUSE;
                    let now = Instant::now();
                    self.take_or_give_up(copy, now);
                    now
                }
                Err(TryRecvError::Empty) => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(if self.held.is_empty() { LONGEST_PAUSE } else { PAUSE });
                    Instant::now()
                }
                Err(TryRecvError::Disconnected) => break,
            };
            self.release(now);
            if now >= next_round {
                self.round();
                next_round = now + ROUND;
            }
        }
        self.read_the_rest(next_round);
        self.follower.is_ending = self.is_ending.load(Ordering::Acquire);
        self.follower.close_all(self.steady.now());
        self.round();
    }

    /// Reads what was put into the queue before the end. The program does not wait for ever, so the sessions take
    /// turns: what one that floods has left there must not cost others their last shares.
    fn read_the_rest(&mut self, mut next_round: Instant) {
        self.is_last = true;
        let waiting = self.copies.len();
        for copy in self.copies.clone().try_iter().take(waiting) {
            self.take_or_give_up(copy, Instant::now());
        }
        let held = std::mem::take(&mut self.held).into_iter().map(|(_, id, held)| (id, held));
        let per_turn = |id| match self.follower.role(id) {
            Some(Role::Pool) => PER_TURN_OF_POOL,
            Some(Role::Direct | Role::Miner) | None => 1,
        };
        for (id, held) in in_turns(held, per_turn) {
            self.follow_or_give_up(id, held);
            supervise::beat();
            if Instant::now() >= next_round {
                self.round();
                next_round = Instant::now() + ROUND;
            }
        }
    }

    /// As [`Consumer::take`]. A panic costs that session its analysis, and nobody else anything.
    fn take_or_give_up(&mut self, copy: TapMessage, now: Instant) {
        let conversation = copy.conversation.clone();
        if self.unfollowed.contains(&conversation.id) {
            match copy.what {
                TapEvent::Closed => drop(self.unfollowed.remove(&conversation.id)),
                TapEvent::MinerPaused => conversation.heard_out.store(true, Ordering::Release),
                TapEvent::Bytes(chunk) => conversation.traffic(chunk.direction).taken_out(),
                TapEvent::Opened | TapEvent::Hashed(_) => {}
            }
            return;
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take(copy, now))) {
            self.give_up(conversation.id, panic.as_ref());
        }
    }

    /// As [`Consumer::follow`], likewise.
    fn follow_or_give_up(&mut self, id: SessionId, held: SessionHold) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.follow(id, held))) {
            self.give_up(id, panic.as_ref());
        }
    }

    /// The session is not followed any more: what is known of it may be half-changed.
    fn give_up(&mut self, id: SessionId, panic: &(dyn Any + Send)) {
        let reason = format!("while it followed session {id}: {}", panic_text(panic));
        log::error!("the analyzer panicked {reason}; that session is not analysed any more");
        supervise::note_restart(&reason);
        let forgotten = catch_unwind(AssertUnwindSafe(|| self.follower.forget(id)));
        if let Ok(Some(conversation)) = forgotten {
            // What it owes is not known any more, as after copies that were lost.
            conversation.dropped_copies.fetch_add(1, Ordering::Relaxed);
            conversation.heard_out.store(true, Ordering::Release);
        }
        self.held_bytes = self.follower.held_bytes();
        if self.unfollowed.len() >= MAX_UNFOLLOWED {
            self.unfollowed.pop_first();
        }
        self.unfollowed.insert(id);
    }

    /// A copy out of the queue is held for those that were forwarded before it.
    fn take(&mut self, copy: TapMessage, now: Instant) {
        self.look_at_the_clock(now);
        let TapMessage { conversation, what } = copy;
        let id = conversation.id;
        let held = match what {
            TapEvent::Opened => return,
            // Not held: it is looked for when the copy of the share is read.
            TapEvent::Hashed(hashed) => return self.follower.hashed_shares.add(*hashed),
            TapEvent::Bytes(mut chunk) => {
                conversation.traffic(chunk.direction).taken_out();
                let summary = &mut self.follower.ledger.summary;
                // What is read from one side is sent to the other by another conversation.
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
                    (self.steady.of(chunk.readable_at), self.steady.of(chunk.sent_at));
                self.held_bytes += chunk.bytes.len();
                let order = &mut self.follower.session(&conversation).order;
                order.hold(chunk);
                let is_crowded = self.held.len() > MOST_HELD / 2 || self.held_bytes > MOST_HELD_BYTES / 2;
                if is_crowded && !self.is_last && order.len() > MAX_HELD_OF_ONE {
                    // Its earliest copy makes room for this one, instead of another session's.
                    return self.follow(id, SessionHold::Chunk);
                }
                SessionHold::Chunk
            }
            TapEvent::MinerPaused => SessionHold::Paused,
            TapEvent::Closed => SessionHold::Closed,
        };
        if let SessionHold::Paused = held {
            // Also of a session that has said nothing.
            self.follower.session(&conversation);
        }
        self.held.push_back((now + HOLD, id, held));
    }

    fn release(&mut self, now: Instant) {
        while let Some((until, _, _)) = self.held.front() {
            let has_room = self.held.len() <= MOST_HELD && self.held_bytes <= MOST_HELD_BYTES;
            if *until > now && has_room {
                break;
            }
            if let Some((_, id, held)) = self.held.pop_front() {
                self.follow_or_give_up(id, held);
            }
            if self.held.is_empty() {
                // What was held for a session that was given up went with it.
                self.held_bytes = 0;
            }
        }
    }

    fn follow(&mut self, id: SessionId, held: SessionHold) {
        match held {
            SessionHold::Chunk => {
                supervise::fault_point("analyzer-session");
                self.held_bytes = self.held_bytes.saturating_sub(self.follower.read_held(id));
            }
            SessionHold::Paused => self.follower.paused(id),
            SessionHold::Closed => {
                self.follower.is_ending = self.is_ending.load(Ordering::Acquire);
                self.follower.closed(id, self.steady.now());
            }
        }
    }

    fn look_at_the_clock(&mut self, now: Instant) {
        let reading = self.follower.ledger.read_clocks();
        if let Some(skew) = self.steady.look(reading.system, now) {
            log::info!("the system's clock was set; what is under way is reckoned on as before");
            self.follower.clock_was_set(skew);
        }
    }

    fn round(&mut self) {
        self.look_at_the_clock(Instant::now());
        let now = self.steady.now();
        // No more than there is room for: who floods must not keep the miners' copies waiting.
        for mut news in self.outside.iter().flat_map(Receiver::try_iter).take(ROOM) {
            if let ExternalUpdate::Tip(tip) = &mut news {
                tip.at = self.steady.of(tip.at);
            }
            self.follower.heard(&news);
        }
        if let Some(seen) = &mut self.reports_restarts {
            let (count, restarts) = supervise::restarts(*seen);
            *seen = count;
            self.follower.ledger.restarted(&restarts);
        }
        if self.held.capacity() > MOST_HELD && self.held.len() < MOST_HELD / 8 {
            self.held.shrink_to(MOST_HELD / 4);
        }
        self.follower.tick(now);
        self.published.store(Arc::new(self.follower.snapshot(now)));
        // If it has no room, the last word is still unread.
        let _ = self.renews.try_send(());
    }
}
