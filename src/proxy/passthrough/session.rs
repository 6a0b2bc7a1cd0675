//! One miner's session: its state, and what ends it. Its two threads are [`super::miner_to_pool`] and
//! [`super::pool_to_miner`].

use std::fmt::Display;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::PassthroughServices;
use super::first_answer::FirstAnswer;
use super::half_close::HalfClose;
use super::miner_to_pool::MinerToPool;
use crate::limits::{Abuse, Admission};
use crate::net::Stamp;
use crate::proxy::{IncomingConnection, LogTopic};
use crate::tap::send_event;
use crate::tap::{Conversation, Direction, SessionId, TapEvent};
use crate::util::format::count;
use crate::util::thread::{SESSION_STACK, spawn};

/// Without the analyzer it is not known what is in flight. This long after the miner's last bytes the answer
/// should have come (30–100 ms are usual; wire reference, section 2.3).
const UNSEEN_ANSWER_TIME: Duration = Duration::from_secs(2);

/// Shared by a session's two threads and by those that watch it.
#[derive(Debug)]
pub(super) struct PassthroughSession {
    pub(super) conversation: Arc<Conversation>,
    pub(super) accepted_at: Instant,
    pub(super) first_answer: FirstAnswer,
    pub(super) half_close: HalfClose,
    /// The end of the session was requested.
    closing: AtomicBool,
    /// The list of pools knows that the pool gave it work.
    pub(super) work_noted: AtomicBool,
    /// The pool supervisor has counted it as turned away.
    pub(super) turned_away_noted: AtomicBool,
    /// The pool ended it, not the miner.
    ended_by_pool: AtomicBool,
    /// Nothing more is read from the miner, so that the session can end without a share in flight.
    paused: AtomicBool,
}

/// A session's entry among the others, held by its threads. The session ends when the last one drops it.
#[derive(Debug)]
pub(super) struct SessionGuard {
    pub(super) session: Arc<PassthroughSession>,
    pub(super) services: Arc<PassthroughServices>,
    /// Set when the miner's address is known.
    admission: OnceLock<Admission>,
}

/// Starts a session for an accepted connection.
///
/// # Errors
/// When the system has no room for another thread; the connection is closed then.
pub(super) fn start(services: &Arc<PassthroughServices>, incoming: IncomingConnection) -> io::Result<()> {
    let id = SessionId(services.next_session.fetch_add(1, Ordering::Relaxed));
    let conversation = Arc::new(Conversation::new(id, incoming.peer, Stamp::now()));
    let session = Arc::new(PassthroughSession {
        conversation,
        accepted_at: Instant::now(),
        first_answer: FirstAnswer::default(),
        half_close: HalfClose::default(),
        closing: AtomicBool::new(false),
        work_noted: AtomicBool::new(false),
        turned_away_noted: AtomicBool::new(false),
        ended_by_pool: AtomicBool::new(false),
        paused: AtomicBool::new(false),
    });
    services.registry.add(session.clone());
    let guard = SessionGuard { session, services: services.clone(), admission: OnceLock::new() };
    // From here on dropping the guard takes the session out of the registry again.
    let upward = MinerToPool::new(Arc::new(guard), incoming);
    spawn(format!("{id}-up"), SESSION_STACK, move || upward.run())?;
    Ok(())
}

impl PassthroughSession {
    /// Stops reading from the miner; what has arrived is still forwarded.
    pub(super) fn pause_miner(&self) {
        self.paused.store(true, Ordering::Release);
        match self.first_answer.streams() {
            (Some(miner), Some(_)) => miner.stop_reading(),
            // No pool is connected yet: there is nothing in flight.
            _ => self.close(),
        }
    }

    /// Whether [`PassthroughSession::pause_miner`] was called.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Whether the pool owes this miner nothing. `watched`: the analyzer follows the session.
    pub(super) fn is_answered(&self, watched: bool) -> bool {
        let conversation = &self.conversation;
        if self.is_closing() || self.half_close.is_over() {
            return true;
        }
        if watched && conversation.dropped_copies.load(Ordering::Relaxed) == 0 {
            return conversation.fully_read.load(Ordering::Acquire)
                && conversation.unanswered.load(Ordering::Acquire) == 0;
        }
        // A session that never got an answer has no share in flight.
        !conversation.down.has_begun()
            || conversation.up.silent_for().is_none_or(|time| time >= UNSEEN_ANSWER_TIME)
    }

    /// Ends the session: the pool's side at once. The miner gets what had come from the pool, and then the
    /// end.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        let (miner, connection) = self.first_answer.give_up();
        match (miner, connection) {
            (_, Some(connection)) => connection.stream.abort(),
            (Some(miner), None) => miner.abort(),
            (None, None) => {}
        }
    }

    /// Whether [`PassthroughSession::close`] was called.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether the pool has accepted the miner and given it a job.
    pub(super) fn is_served(&self) -> bool {
        let clock = &self.conversation.clock;
        clock.accepted_ago().is_some() && clock.job_ago().is_some()
    }

    /// Whether the analyzer has seen everything that the pool said, up to now.
    pub(super) fn is_seen(&self) -> bool {
        self.conversation.clock.is_current() && self.conversation.dropped_copies.load(Ordering::Relaxed) == 0
    }

    /// Whether the pool owes the miner the first job: it has accepted the miner, or has not answered its authorize.
    pub(super) fn waits_for_work(&self) -> bool {
        let clock = &self.conversation.clock;
        let is_unanswered = || clock.refused_ago().is_none() && self.conversation.login().is_some();
        clock.job_ago().is_none() && (clock.accepted_ago().is_some() || is_unanswered())
    }

    /// The time since the pool refused the miner, if it has not accepted it since. Not known without analysis.
    pub(super) fn refused_ago(&self) -> Option<Duration> {
        let clock = &self.conversation.clock;
        clock.refused_ago().filter(|_| clock.accepted_ago().is_none())
    }

    /// Whether the miner's side is still open. A miner that has left waits for nothing.
    pub(super) fn has_miner(&self) -> bool {
        !self.half_close.is_ended(Direction::Up)
    }

    /// Notes that the pool ends the session, not the miner.
    pub(super) fn note_ended_by_pool(&self) {
        self.ended_by_pool.store(true, Ordering::Release);
    }

    /// Whether the pool ended a session whose miner had sent nothing unreadable.
    pub(super) fn is_ended_by_pool(&self) -> bool {
        let garbage = self.conversation.unreadable_lines.load(Ordering::Relaxed);
        garbage == 0 && self.ended_by_pool.load(Ordering::Acquire)
    }

    /// For how long the pool has owed an answer to a share and sent nothing else either.
    pub(super) fn unanswered_for(&self) -> Option<Duration> {
        let silence = self.conversation.down.silent_for()?;
        self.conversation.clock.unanswered_for().map(|time| time.min(silence))
    }

    /// Wakes both threads from whatever they wait for.
    pub(super) fn abort(&self) {
        let (miner, connection) = self.first_answer.give_up();
        if let Some(miner) = miner {
            miner.abort();
        }
        if let Some(connection) = connection {
            connection.stream.abort();
        }
    }

    /// The number of bytes that a direction has forwarded.
    pub(super) fn progress(&self, direction: Direction) -> u64 {
        self.conversation.traffic(direction).bytes.load(Ordering::Relaxed)
    }
}

impl SessionGuard {
    /// Keeps the miner's address counted for as long as the session lasts.
    pub(super) fn admit(&self, admission: Admission) {
        let _ = self.admission.set(admission);
    }

    /// Logs a line about the miner.
    pub(super) fn log(&self, topic: LogTopic, text: &dyn Display) {
        self.services.listener_context.log_peer(self.session.conversation.miner(), topic, text);
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        let PassthroughSession { conversation, first_answer, .. } = &*self.session;
        // The analyzer may hold the conversation for longer, but not its sockets.
        first_answer.forget();
        send_event(&self.services.to_analyzer, conversation, TapEvent::Closed);
        let garbage = conversation.unreadable_lines.load(Ordering::Relaxed) > 0;
        if garbage && !conversation.authorized.load(Ordering::Relaxed) {
            self.services.listener_context.report_abuse(conversation.miner(), Abuse::Garbage);
        }
        if conversation.down.has_begun() {
            let (up, down) = (self.session.progress(Direction::Up), self.session.progress(Direction::Down));
            let lasted = self.session.accepted_at.elapsed().as_secs();
            let text = format!(
                "session {} ended after {lasted} s, {} up, {} down",
                conversation.id,
                count(up, "byte"),
                count(down, "byte")
            );
            self.log(LogTopic::Ended, &text);
        }
        if !self.session.is_served() && conversation.down.has_begun() {
            self.services.unserved.add(self.session.clone(), Instant::now());
        }
        self.services.registry.remove(conversation.id);
    }
}
