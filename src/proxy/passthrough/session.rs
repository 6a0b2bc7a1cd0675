//! One miner's session: who takes part, and what ends it. Its two threads are [`super::miner_to_pool`] and
//! [`super::pool_to_miner`].

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::PassthroughServices;
use super::first_answer::FirstAnswer;
use super::half_close::HalfClose;
use super::miner_to_pool::Upward;
use crate::limits::{Abuse, Admission};
use crate::net::Stamp;
use crate::proxy::{IncomingConnection, LogTopic, say};
use crate::tap::send_event;
use crate::tap::{Conversation, Direction, SessionId, TapEvent};
use crate::util::plural::count;
use crate::util::thread::{SESSION_STACK, spawn};

/// Without the analyzer nobody knows what is in flight: so long after the miner's last bytes the
/// answer should have come (30–100 ms are usual; wire reference, section 2.3).
const UNWATCHED_ANSWER: Duration = Duration::from_secs(2);

/// What a session's two threads and its observers share.
#[derive(Debug)]
pub(super) struct PassthroughSession {
    pub(super) conversation: Arc<Conversation>,
    pub(super) accepted_at: Instant,
    pub(super) opening: FirstAnswer,
    pub(super) ending: HalfClose,
    /// It was told to end.
    closing: AtomicBool,
    /// That the pool gave it work is known to the list of pools.
    pub(super) work_noted: AtomicBool,
    /// The pool supervisor has counted it as one that was turned away.
    pub(super) turned_away_noted: AtomicBool,
    /// The pool ended it, not the miner.
    ended_by_pool: AtomicBool,
    /// Nothing more is read from the miner, so that the session can end without a share in flight.
    paused: AtomicBool,
}

/// A session's place among the others, held by its threads. The last one to let go ends it.
#[derive(Debug)]
pub(super) struct SessionGuard {
    pub(super) session: Arc<PassthroughSession>,
    pub(super) services: Arc<PassthroughServices>,
    /// Comes with the miner's arrival: whom it speaks for is not known before.
    admission: Mutex<Option<Admission>>,
}

/// Starts a session for an accepted connection.
///
/// # Errors
/// When the system has no room for another thread; the connection is closed then.
pub(super) fn start(services: &Arc<PassthroughServices>, visitor: IncomingConnection) -> io::Result<()> {
    let id = SessionId(services.next_session.fetch_add(1, Ordering::Relaxed));
    let conversation = Arc::new(Conversation::new(id, visitor.peer(), Stamp::now()));
    let session = Arc::new(PassthroughSession {
        conversation,
        accepted_at: Instant::now(),
        opening: FirstAnswer::default(),
        ending: HalfClose::default(),
        closing: AtomicBool::new(false),
        work_noted: AtomicBool::new(false),
        turned_away_noted: AtomicBool::new(false),
        ended_by_pool: AtomicBool::new(false),
        paused: AtomicBool::new(false),
    });
    services.registry.add(session.clone());
    send_event(&services.to_analyzer, &session.conversation, TapEvent::Opened);
    let presence = SessionGuard { session, services: services.clone(), admission: Mutex::new(None) };
    // From here on dropping the presence takes the session out of the registry again.
    let upward = Upward::new(Arc::new(presence), visitor);
    spawn(format!("{id}-up"), SESSION_STACK, move || upward.run())?;
    Ok(())
}

impl PassthroughSession {
    /// Nothing more is read from the miner; what has arrived is still forwarded.
    pub(super) fn pause_miner(&self) {
        self.paused.store(true, Ordering::Release);
        match self.opening.streams() {
            (Some(miner), Some(_)) => miner.stop_reading(),
            // Still dialling: there is nothing in flight.
            _ => self.close(),
        }
    }

    /// Whether [`PassthroughSession::pause_miner`] was called.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Whether the pool owes this miner nothing. `watched`: the analyzer knows.
    pub(super) fn is_answered(&self, watched: bool) -> bool {
        let conversation = &self.conversation;
        if self.is_closing() || self.ending.is_over() {
            return true;
        }
        if watched && conversation.dropped_copies.load(Ordering::Relaxed) == 0 {
            return conversation.fully_read.load(Ordering::Acquire)
                && conversation.unanswered.load(Ordering::Acquire) == 0;
        }
        // One that was never answered anything has no share under way.
        !conversation.down.has_begun()
            || conversation.up.silent_for().is_none_or(|time| time >= UNWATCHED_ANSWER)
    }

    /// Ends the session: the pool's side at once; the miner gets what had come from the pool, and
    /// then the end.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        let (miner, link) = self.opening.give_up();
        match (miner, link) {
            (_, Some(link)) => link.stream.abort(),
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

    /// Whether the pool has accepted the miner and owes it the first job.
    pub(super) fn waits_for_work(&self) -> bool {
        let clock = &self.conversation.clock;
        clock.accepted_ago().is_some() && clock.job_ago().is_none()
    }

    /// How long ago the pool refused the miner, if it has not accepted it since. Nobody knows without analysis.
    pub(super) fn refused_ago(&self) -> Option<Duration> {
        let clock = &self.conversation.clock;
        clock.refused_ago().filter(|_| clock.accepted_ago().is_none())
    }

    /// Whether the miner's side is still open. One that has left waits for nothing.
    pub(super) fn has_miner(&self) -> bool {
        !self.ending.is_ended(Direction::Up)
    }

    /// The pool ends the session, not the miner.
    pub(super) fn note_ended_by_pool(&self) {
        self.ended_by_pool.store(true, Ordering::Release);
    }

    /// Whether the pool ended a session that had said nothing unreadable.
    pub(super) fn is_ended_by_pool(&self) -> bool {
        let garbage = self.conversation.unreadable_lines.load(Ordering::Relaxed);
        garbage == 0 && self.ended_by_pool.load(Ordering::Acquire)
    }

    /// For how long the pool has owed an answer to a share and said nothing else either.
    pub(super) fn unanswered_for(&self) -> Option<Duration> {
        let silence = self.conversation.down.silent_for()?;
        self.conversation.clock.unanswered_for().map(|time| time.min(silence))
    }

    /// Wakes both threads from whatever they wait for.
    pub(super) fn abort(&self) {
        let (miner, link) = self.opening.give_up();
        if let Some(miner) = miner {
            miner.abort();
        }
        if let Some(link) = link {
            link.stream.abort();
        }
    }

    /// How many bytes a direction has forwarded.
    pub(super) fn progress(&self, direction: Direction) -> u64 {
        self.conversation.traffic(direction).bytes.load(Ordering::Relaxed)
    }
}

impl SessionGuard {
    /// The place that the miner's address takes.
    pub(super) fn admit(&self, admission: Admission) {
        *self.admission.lock().unwrap_or_else(PoisonError::into_inner) = Some(admission);
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        let PassthroughSession { conversation, opening, .. } = &*self.session;
        // The analyzer may hold the conversation for longer, but not its sockets.
        opening.forget();
        send_event(&self.services.to_analyzer, conversation, TapEvent::Closed);
        let garbage = conversation.unreadable_lines.load(Ordering::Relaxed) > 0;
        if garbage && !conversation.authorized.load(Ordering::Relaxed) {
            self.services.reception.report_abuse(conversation.miner(), Abuse::Garbage);
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
            say(&self.services.reception, conversation.miner(), LogTopic::Ended, &text);
        }
        if !self.session.is_served() && conversation.down.has_begun() {
            self.services.unserved.add(self.session.clone(), Instant::now());
        }
        self.services.registry.remove(conversation.id);
    }
}
