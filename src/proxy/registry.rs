//! The sessions that exist. The lock is taken when a session begins or ends and by readers of the list, never
//! while bytes are forwarded.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::Volume;
use crate::tap::{Conversation, SessionId};

/// A table with fewer free places than this is not shrunk: it would grow again with the next miners.
const MAX_SPARE_CAPACITY: usize = 64;

/// A miner's session, as the registry and the drain see it.
pub trait ProxySession: Send + Sync + 'static {
    fn conversation(&self) -> &Arc<Conversation>;

    /// Reads nothing more from the miner. Requests that have arrived still get their answers; those that the
    /// pool has not answered at `deadline` may be answered with an error.
    fn stop_reading(&self, deadline: Instant);

    /// Whether the pool owes this miner no answer. `is_analyzed`: the analyzer follows the session.
    fn is_answered(&self, is_analyzed: bool) -> bool;

    /// Ends a session that has its answers, or has waited for them long enough. A session that ends by itself
    /// once it has its answers does nothing here.
    fn end_drained(&self) {}

    /// Ends the session now, and wakes its threads.
    fn abort(&self);
}

/// The sessions of a mode.
#[derive(Debug)]
pub struct Registry<S> {
    sessions: Mutex<HashMap<SessionId, Arc<S>>>,
    /// The volume of the sessions that have ended.
    ended_volume: Mutex<Volume>,
    /// Notified when a session ends.
    ended: Condvar,
}

impl<S> Default for Registry<S> {
    fn default() -> Registry<S> {
        Registry { sessions: Mutex::default(), ended_volume: Mutex::default(), ended: Condvar::new() }
    }
}

impl<S: ProxySession> Registry<S> {
    pub fn add(&self, session: Arc<S>) {
        self.sessions.lock().insert(session.conversation().id, session);
    }

    pub fn remove(&self, id: SessionId) {
        let mut sessions = self.sessions.lock();
        if let Some(session) = sessions.remove(&id) {
            self.ended_volume.lock().add(session.conversation());
        }
        if sessions.capacity() > MAX_SPARE_CAPACITY + 4 * sessions.len() {
            let twice = 2 * sessions.len();
            sessions.shrink_to(twice);
        }
        drop(sessions);
        self.ended.notify_all();
    }

    pub fn count(&self) -> usize {
        self.sessions.lock().len()
    }

    /// All sessions as of now, the oldest first.
    pub fn all(&self) -> Vec<Arc<S>> {
        let mut sessions: Vec<_> = self.sessions.lock().values().cloned().collect();
        sessions.sort_by_key(|session| session.conversation().id);
        sessions
    }

    /// Whether the condition holds for any session.
    pub fn any(&self, condition: impl Fn(&S) -> bool) -> bool {
        self.sessions.lock().values().any(|session| condition(session))
    }

    /// Bytes and messages of all sessions since the start.
    pub fn volume(&self) -> Volume {
        // Under both locks, so that a session that ends meanwhile counts once.
        let sessions = self.sessions.lock();
        let mut volume = *self.ended_volume.lock();
        for session in sessions.values() {
            volume.add(session.conversation());
        }
        volume
    }

    /// Waits until there is no session; `false` at the deadline.
    pub fn wait_empty(&self, deadline: Instant) -> bool {
        let mut sessions = self.sessions.lock();
        self.ended.wait_while_until(&mut sessions, |sessions| !sessions.is_empty(), deadline);
        sessions.is_empty()
    }
}
