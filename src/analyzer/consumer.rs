//! The analyzer's thread: takes copies out of the queue, puts each session's in order, has them
//! followed, and publishes what there is to see.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::alerts::Alerts;
use super::history::History;
use super::ledger::Ledger;
use super::order::HOLD;
use super::rules::Expectations;
use super::session::Session;
use super::snapshot::Snapshot;
use super::{Conversation, Copy, SessionId, Summary, What};
use crate::clock::Clock;
use crate::config;
use crate::net::Stamp;
use crate::net::priority::yield_to_others;
use crate::record::{Recorder, State};
use crate::stop::{Stop, Stopped};
use crate::thread::{SERVICE_STACK, spawn};

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

/// What the analyzer works with beside the copies.
pub struct Setup {
    pub analysis: config::Analysis,
    pub expectations: Expectations,
    /// `rules.off`
    pub rules_off: Vec<config::RuleId>,
    pub clock: Clock,
    pub recorder: Option<Recorder>,
    /// As it was read back at the start.
    pub state: State,
    /// As it was read back at the start.
    pub history: History,
    /// The upstreams' names, by their place in the order of preference.
    pub upstreams: Vec<String>,
}

/// The running analyzer.
#[derive(Debug)]
pub struct Analyzer {
    published: Arc<ArcSwap<Snapshot>>,
    recorder: Option<Recorder>,
    stop: Stop,
    thread: JoinHandle<()>,
}

/// What the analyzer publishes. Reading it takes no lock.
#[derive(Debug, Clone)]
pub struct Published(Arc<ArcSwap<Snapshot>>);

impl Setup {
    /// With the system's clock, and without records.
    pub fn plain(analysis: &config::Analysis) -> Setup {
        Setup {
            analysis: analysis.clone(),
            expectations: Expectations::default(),
            rules_off: Vec::new(),
            clock: Clock::system(),
            recorder: None,
            state: State::default(),
            history: History::default(),
            upstreams: Vec::new(),
        }
    }
}

impl Analyzer {
    /// Starts the thread; copies go to the sender that is returned with it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(setup: Setup) -> io::Result<(Analyzer, Sender<Copy>)> {
        let (sender, copies) = bounded(setup.analysis.queue);
        Ok((Analyzer::on(copies, setup)?, sender))
    }

    /// As [`Analyzer::start`], on a queue that exists already.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn on(copies: Receiver<Copy>, setup: Setup) -> io::Result<Analyzer> {
        let Setup { analysis, expectations, rules_off, clock, recorder, state, history, upstreams } = setup;
        let (published, stop) = (Arc::new(ArcSwap::default()), Stop::new());
        let (upstreams, near_miss, alerts) = (upstreams.into(), analysis.near_miss, Alerts::new(&rules_off));
        let ledger = Ledger::new(clock, recorder.clone(), state, history, upstreams, near_miss, alerts);
        let mut consumer = Consumer {
            copies,
            published: Arc::clone(&published),
            ledger,
            expectations,
            sessions: HashMap::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            share_timeout: analysis.share_timeout,
            began: Instant::now(),
        };
        let until = stop.clone();
        let thread = spawn("analyzer", SERVICE_STACK, move || {
            if let Err(why) = yield_to_others() {
                log::debug!("the analyzer is scheduled like any thread: {why}");
            }
            consumer.consume(&until);
            Ok::<(), Stopped>(())
        })?;
        Ok(Analyzer { published, recorder, stop, thread })
    }

    /// Everything there is to see, as of less than a second ago.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// For whoever shows it: what is published, without the analyzer.
    pub fn published(&self) -> Published {
        Published(self.published.clone())
    }

    /// The counts as of less than a second ago.
    pub fn summary(&self) -> Summary {
        self.snapshot().summary.clone()
    }

    /// Reads what is still in the queue, has the records put on the disk, and ends.
    pub fn finish(self) -> Arc<Snapshot> {
        self.stop.stop();
        let _ = self.thread.join();
        if let Some(recorder) = &self.recorder {
            if let Err(error) = recorder.finish() {
                log::error!("not everything was recorded: {error}");
            }
        }
        self.published.load_full()
    }
}

impl Published {
    /// As of less than a second ago.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

struct Consumer {
    copies: Receiver<Copy>,
    published: Arc<ArcSwap<Snapshot>>,
    ledger: Ledger,
    expectations: Expectations,
    sessions: HashMap<SessionId, Session>,
    /// Whose copies are held, and until when; in the order in which they came.
    held: VecDeque<(Instant, SessionId, Held)>,
    held_bytes: usize,
    share_timeout: Duration,
    began: Instant,
}

/// What happens to a session when its copies' time has come.
enum Held {
    /// Of so many bytes.
    Chunk(usize),
    Paused,
    Closed,
}

impl Consumer {
    fn consume(&mut self, stop: &Stop) {
        let mut next_round = Instant::now() + ROUND;
        let mut pause = PAUSE;
        loop {
            let now = match self.copies.try_recv() {
                Ok(copy) => {
                    pause = PAUSE;
                    let now = Instant::now();
                    self.take(copy, now);
                    now
                }
                Err(TryRecvError::Empty) if !stop.is_stopped() => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(if self.held.is_empty() { LONGEST_PAUSE } else { PAUSE });
                    Instant::now()
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            };
            self.release(now);
            if now >= next_round {
                self.round();
                next_round = now + ROUND;
            }
        }
        while let Some((_, id, held)) = self.held.pop_front() {
            self.follow(id, held);
        }
        for (_, mut session) in self.sessions.drain() {
            session.close(&mut |finding| self.ledger.take(finding));
        }
        self.round();
    }

    /// A copy out of the queue is held for those that were forwarded before it.
    fn take(&mut self, copy: Copy, now: Instant) {
        let Copy { conversation, what } = copy;
        let id = conversation.id;
        let held = match what {
            What::Opened => return,
            What::Bytes(chunk) => {
                if let Some(delay) = chunk.sent_at.since(chunk.readable_at) {
                    self.ledger.summary.latency(chunk.direction).record(delay);
                }
                self.ledger.summary.gaps += u64::from(chunk.after_gap);
                let length = chunk.bytes.len();
                self.held_bytes += length;
                self.session(&conversation).order.hold(chunk);
                Held::Chunk(length)
            }
            What::MinerPaused => Held::Paused,
            What::Closed => Held::Closed,
        };
        if let Held::Paused = held {
            // Also of a session that has said nothing.
            self.session(&conversation);
        }
        self.held.push_back((now + HOLD, id, held));
    }

    fn session(&mut self, conversation: &Arc<Conversation>) -> &mut Session {
        let expectations = &self.expectations;
        let new = || Session::new(conversation.clone(), expectations.clone());
        self.sessions.entry(conversation.id).or_insert_with(new)
    }

    fn release(&mut self, now: Instant) {
        while let Some((until, _, _)) = self.held.front() {
            let has_room = self.held.len() <= MOST_HELD && self.held_bytes <= MOST_HELD_BYTES;
            if *until > now && has_room {
                break;
            }
            if let Some((_, id, held)) = self.held.pop_front() {
                self.follow(id, held);
            }
        }
    }

    fn follow(&mut self, id: SessionId, held: Held) {
        if let Held::Chunk(length) = held {
            self.held_bytes -= length;
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let ledger = &mut self.ledger;
        match held {
            Held::Chunk(_) => {
                let too_long = session.too_long();
                if let Some(chunk) = session.order.release() {
                    session.read(&chunk, &mut |finding| ledger.take(finding));
                }
                ledger.summary.too_long += session.too_long() - too_long;
            }
            Held::Paused => session.conversation.heard_out.store(true, Ordering::Release),
            Held::Closed => {
                session.close(&mut |finding| ledger.take(finding));
                self.sessions.remove(&id);
            }
        }
    }

    /// Publishes, and forgets what is over. The news of a session's end may have been dropped; then
    /// nobody else holds the conversation any more.
    fn round(&mut self) {
        let (now, timeout, ledger) = (Stamp::now(), self.share_timeout, &mut self.ledger);
        self.sessions.retain(|_, session| {
            session.expire(timeout, now, &mut |finding| ledger.take(finding));
            let is_live = Arc::strong_count(&session.conversation) > 1 || !session.order.is_empty();
            if !is_live {
                session.close(&mut |finding| ledger.take(finding));
            }
            is_live
        });
        ledger.round();
        let snapshot = Snapshot::of(ledger, &self.sessions, self.began.elapsed(), now);
        self.published.store(Arc::new(snapshot));
    }
}
