//! The analyzer's thread.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::unanswered::Unanswered;
use super::{Chunk, Conversation, Copy, Direction, LineReader, SessionId, Summary, What};
use crate::config;
use crate::stop::{Stop, Stopped};
use crate::stratum::Envelope;
use crate::thread::{SERVICE_STACK, spawn};

/// Pause when the queue is empty. The consumer never waits in the channel: waking a parked consumer
/// would make the forwarding threads' `try_send` up to 1 ms slow.
const PAUSE: Duration = Duration::from_millis(1);
/// The pause grows to this while nothing comes.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// How often counts are published and old entries forgotten.
const ROUND: Duration = Duration::from_millis(500);

/// The running analyzer.
#[derive(Debug)]
pub struct Analyzer {
    summary: Arc<Mutex<Summary>>,
    stop: Stop,
    thread: JoinHandle<()>,
}

impl Analyzer {
    /// Starts the thread; copies go to the sender that is returned with it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(config: &config::Analysis) -> io::Result<(Analyzer, Sender<Copy>)> {
        let (sender, copies) = bounded(config.queue);
        let (summary, stop) = (Arc::new(Mutex::default()), Stop::new());
        let mut consumer = Consumer {
            copies,
            published: Arc::clone(&summary),
            summary: Summary::default(),
            watched: HashMap::new(),
            share_timeout: config.share_timeout,
        };
        let until = stop.clone();
        let thread = spawn("analyzer", SERVICE_STACK, move || {
            consumer.consume(&until);
            Ok::<(), Stopped>(())
        })?;
        Ok((Analyzer { summary, stop, thread }, sender))
    }

    /// The counts as of less than a second ago.
    pub fn summary(&self) -> Summary {
        lock(&self.summary).clone()
    }

    /// Reads what is still in the queue, and ends.
    pub fn finish(self) -> Summary {
        self.stop.stop();
        let _ = self.thread.join();
        lock(&self.summary).clone()
    }
}

struct Consumer {
    copies: Receiver<Copy>,
    published: Arc<Mutex<Summary>>,
    summary: Summary,
    watched: HashMap<SessionId, Watched>,
    share_timeout: Duration,
}

/// One session, as far as it is followed here.
struct Watched {
    conversation: Arc<Conversation>,
    up: LineReader,
    down: LineReader,
    unanswered: Unanswered,
}

impl Consumer {
    fn consume(&mut self, stop: &Stop) {
        let mut next_round = Instant::now() + ROUND;
        let mut pause = PAUSE;
        loop {
            match self.copies.try_recv() {
                Ok(copy) => {
                    self.take(copy);
                    pause = PAUSE;
                }
                Err(TryRecvError::Empty) if !stop.is_stopped() => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            let now = Instant::now();
            if now >= next_round {
                self.round(now);
                next_round = now + ROUND;
            }
        }
        self.round(Instant::now());
    }

    fn take(&mut self, copy: Copy) {
        let Copy { conversation, what } = copy;
        let id = conversation.id;
        if let What::Closed = what {
            self.watched.remove(&id);
            return;
        }
        let watched = self.watched.entry(id).or_insert_with(|| Watched::new(conversation));
        match what {
            What::Bytes(chunk) => watched.read(&chunk, &mut self.summary),
            What::MinerPaused => watched.conversation.heard_out.store(true, Ordering::Release),
            What::Opened | What::Closed => {}
        }
    }

    /// Publishes, and forgets what is over. The news of a session's end may have been dropped; then
    /// nobody else holds the conversation any more.
    fn round(&mut self, now: Instant) {
        let timeout = self.share_timeout;
        self.watched.retain(|_, watched| {
            watched.unanswered.expire(timeout, now);
            watched.publish();
            Arc::strong_count(&watched.conversation) > 1
        });
        *lock(&self.published) = self.summary.clone();
    }
}

impl Watched {
    fn new(conversation: Arc<Conversation>) -> Watched {
        Watched {
            conversation,
            up: LineReader::default(),
            down: LineReader::default(),
            unanswered: Unanswered::default(),
        }
    }

    fn read(&mut self, chunk: &Chunk, summary: &mut Summary) {
        if let Some(delay) = chunk.sent_at.since(chunk.readable_at) {
            summary.latency(chunk.direction).record(delay);
        }
        let Watched { conversation, up, down, unanswered } = self;
        let reader = match chunk.direction {
            Direction::Up => up,
            Direction::Down => down,
        };
        if chunk.after_gap {
            reader.gap();
            summary.gaps += 1;
        }
        let too_long = reader.too_long;
        reader.read(&chunk.bytes, |line| follow(line, chunk.direction, conversation, unanswered, summary));
        summary.too_long += reader.too_long - too_long;
        self.publish();
    }

    fn publish(&self) {
        self.conversation.unanswered.store(self.unanswered.count(), Ordering::Release);
    }
}

/// What one line changes.
fn follow(
    line: &[u8],
    direction: Direction,
    conversation: &Conversation,
    unanswered: &mut Unanswered,
    summary: &mut Summary,
) {
    match direction {
        Direction::Up => summary.messages_up += 1,
        Direction::Down => summary.messages_down += 1,
    }
    let Ok(message) = Envelope::read(line) else {
        summary.unreadable += 1;
        if direction == Direction::Up {
            conversation.garbage.fetch_add(1, Ordering::Relaxed);
        }
        return;
    };
    match (direction, message.method().as_deref()) {
        (Direction::Up, Some("mining.authorize")) => conversation.authorized.store(true, Ordering::Relaxed),
        (Direction::Up, Some("mining.submit")) => {
            summary.shares += 1;
            unanswered.submitted(message.id(), Instant::now());
        }
        (Direction::Down, None) => unanswered.answered(message.id(), Instant::now()),
        _ => {}
    }
}

fn lock(summary: &Mutex<Summary>) -> MutexGuard<'_, Summary> {
    summary.lock().unwrap_or_else(PoisonError::into_inner)
}
