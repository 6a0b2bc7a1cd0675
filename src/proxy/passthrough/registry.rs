//! The sessions that exist. Touched when one begins or ends, never in between.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::session::PassthroughSession;
use crate::proxy::Volume;
use crate::tap::SessionId;
use crate::upstream::UpstreamId;

/// Room for so many is not worth giving back.
const SPARE: usize = 64;

#[derive(Debug, Default)]
pub(super) struct SessionRegistry {
    sessions: Mutex<HashMap<SessionId, Arc<PassthroughSession>>>,
    /// What the sessions that are over have carried.
    carried: Mutex<Volume>,
    /// Told when a session ends.
    ended: Condvar,
}

impl SessionRegistry {
    pub(super) fn add(&self, session: Arc<PassthroughSession>) {
        self.lock().insert(session.conversation.id, session);
    }

    pub(super) fn remove(&self, id: SessionId) {
        let mut sessions = self.lock();
        if let Some(session) = sessions.remove(&id) {
            self.carried().add(&session.conversation);
        }
        if sessions.capacity() > SPARE + 4 * sessions.len() {
            let twice = 2 * sessions.len();
            sessions.shrink_to(twice);
        }
        drop(sessions);
        self.ended.notify_all();
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// What all sessions since the start have carried.
    pub(super) fn volume(&self) -> Volume {
        // Under both locks, so that a session that ends meanwhile counts once.
        let sessions = self.lock();
        let mut volume = *self.carried();
        for session in sessions.values() {
            volume.add(&session.conversation);
        }
        volume
    }

    /// All sessions as of now, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<PassthroughSession>> {
        let mut sessions: Vec<_> = self.lock().values().cloned().collect();
        sessions.sort_by_key(|session| session.conversation.id);
        sessions
    }

    /// Whether any session that this upstream gave work to has had bytes from it lately: then the silence
    /// of another one is not the pool's. Answers to a subscribe are no sign of life.
    pub(super) fn heard_from(&self, upstream: UpstreamId, within: Duration) -> bool {
        let heard = |session: &Arc<PassthroughSession>| {
            session.conversation.upstream() == Some(upstream.0)
                && (session.conversation.clock.job_ago().is_some()
                    || session.conversation.dropped_copies.load(Ordering::Relaxed) > 0)
                && session.conversation.down.silent_for().is_some_and(|time| time < within)
        };
        self.lock().values().any(heard)
    }

    /// Waits until there is no session; `false` at the deadline.
    pub(super) fn wait_empty(&self, deadline: Instant) -> bool {
        let mut sessions = self.lock();
        while !sessions.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            sessions = self.ended.wait_timeout(sessions, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn carried(&self) -> MutexGuard<'_, Volume> {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<PassthroughSession>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
