//! The sessions that exist. Touched when one begins or ends, never in between.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::session::Session;
use crate::analyzer::SessionId;
use crate::upstream::Rank;

#[derive(Debug, Default)]
pub(super) struct Registry {
    sessions: Mutex<HashMap<SessionId, Arc<Session>>>,
    /// Told when a session ends.
    ended: Condvar,
}

impl Registry {
    pub(super) fn add(&self, session: Arc<Session>) {
        self.lock().insert(session.conversation.id, session);
    }

    pub(super) fn remove(&self, id: SessionId) {
        self.lock().remove(&id);
        self.ended.notify_all();
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// All sessions as of now, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        let mut sessions: Vec<_> = self.lock().values().cloned().collect();
        sessions.sort_by_key(|session| session.conversation.id);
        sessions
    }

    /// Whether any session has had bytes from this upstream lately: then the silence of another one
    /// is not the pool's.
    pub(super) fn heard_from(&self, upstream: Rank, within: Duration) -> bool {
        let heard = |session: &Arc<Session>| {
            session.conversation.upstream() == Some(upstream.0)
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

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
