//! A session until the pool's first byte. The miner's bytes are kept meanwhile, so that they can be replayed
//! to the next pool if the first one turns out to be dead. The miner, which may give up after 1.2 s and
//! remember nothing, sees one connection attempt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::net::{Stamp, Stream};
use crate::upstream::PoolConnection;

/// Caps the bytes that are kept. A handshake has a few hundred bytes; a miner that sends more stays with the
/// pool that is connected, without a second try.
const MAX_KEPT_BYTES: usize = 16 * 1024;

/// Coordinates a session's two threads until the first answer. No other session shares it.
#[derive(Debug, Default)]
pub(super) struct FirstAnswer {
    state: Mutex<FirstAnswerState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct FirstAnswerState {
    phase: Phase,
    miner: Option<Arc<Stream>>,
    connection: Option<Arc<PoolConnection>>,
    /// When the connection was made.
    connected_at: Stamp,
    kept_bytes: Vec<u8>,
    /// When the pool was first sent a request.
    requested_at: Option<Instant>,
    /// The miner has closed its sending direction.
    finished: bool,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum Phase {
    /// There is no answer yet: the miner's bytes are kept.
    #[default]
    Open,
    /// The session stays on this connection.
    Settled,
    Over,
}

/// The outcome of [`FirstAnswer::send`].
pub(super) enum Sent {
    /// The bytes were sent to the pool, and kept.
    Kept,
    /// The bytes were not sent: the session has settled, and the caller writes to the connection itself.
    Settled(Arc<PoolConnection>),
    /// There is no pool.
    Over,
}

impl FirstAnswer {
    /// Notes the miner's stream (after TLS, if any).
    pub(super) fn miner_arrived(&self, miner: Arc<Stream>) {
        let mut state = self.state.lock();
        if state.phase == Phase::Over {
            // The thread that gave up did not know of this stream.
            miner.abort();
        }
        state.miner = Some(miner);
        self.changed.notify_all();
    }

    /// Waits for [`FirstAnswer::miner_arrived`]; `None` when the session is over.
    pub(super) fn wait_for_miner(&self) -> Option<Arc<Stream>> {
        let mut state = self.state.lock();
        loop {
            if state.phase == Phase::Over {
                return None;
            }
            if let Some(miner) = &state.miner {
                return Some(miner.clone());
            }
            self.changed.wait(&mut state);
        }
    }

    /// Waits until there is a connection and returns since when. `None` when there will be none.
    pub(super) fn wait_for_connection(&self) -> Option<Stamp> {
        let mut state = self.state.lock();
        loop {
            if state.phase == Phase::Over {
                return None;
            }
            if state.connection.is_some() {
                return Some(state.connected_at);
            }
            self.changed.wait(&mut state);
        }
    }

    /// Sends the miner's bytes to the pool.
    pub(super) fn send(&self, bytes: &[u8]) -> Sent {
        let mut state = self.state.lock();
        let connection = match (state.phase, &state.connection) {
            (Phase::Over, _) | (_, None) => return Sent::Over,
            (Phase::Settled, Some(connection)) => return Sent::Settled(connection.clone()),
            (Phase::Open, Some(connection)) => connection.clone(),
        };
        if state.kept_bytes.len() + bytes.len() > MAX_KEPT_BYTES {
            self.settle(&mut state);
            return Sent::Settled(connection);
        }
        state.kept_bytes.extend_from_slice(bytes);
        // No pool answers half a line, or what a port scanner sends.
        if bytes.contains(&b'\n') {
            state.requested_at.get_or_insert_with(Instant::now);
        }
        // The lock is held over this send so that no other connection can come in between. The bytes are so
        // few that a fresh connection's send buffer takes them.
        if connection.stream.send_all(bytes).is_err() {
            // The other thread reads the end of this connection and looks for another.
            connection.stream.abort();
        }
        Sent::Kept
    }

    /// Notes that the miner has closed its sending direction.
    pub(super) fn finish(&self) {
        let mut state = self.state.lock();
        state.finished = true;
        let connection = state.connection.clone();
        // Not under the lock: encrypted bytes before the end may wait for a pool that stalls.
        drop(state);
        if let Some(connection) = connection {
            connection.stream.finish();
        }
    }

    /// Replays the miner's bytes so far on this connection. `false` when the session is over or has settled,
    /// or when this connection is broken already.
    pub(super) fn offer(&self, connection: &Arc<PoolConnection>) -> bool {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return false;
        }
        if !state.kept_bytes.is_empty() && connection.stream.send_all(&state.kept_bytes).is_err() {
            return false;
        }
        if state.finished {
            connection.stream.finish();
        }
        if state.requested_at.is_some() {
            state.requested_at = Some(Instant::now());
        }
        state.connection = Some(connection.clone());
        state.connected_at = Stamp::now();
        self.changed.notify_all();
        true
    }

    /// Keeps the session on this connection from now on: the pool has answered, or there is no other to try.
    pub(super) fn settle_on_connection(&self) {
        self.settle(&mut self.state.lock());
    }

    /// Since when the pool owes its first answer. `None` when it was sent no request.
    pub(super) fn requested_at(&self) -> Option<Instant> {
        self.state.lock().requested_at
    }

    /// Whether the session could still move to another pool.
    pub(super) fn is_open(&self) -> bool {
        self.state.lock().phase == Phase::Open
    }

    /// Whether the pool owes an answer. It does not when the miner itself has closed, as port scanners and
    /// health checks do.
    pub(super) fn expects_answer(&self) -> bool {
        let state = self.state.lock();
        state.phase == Phase::Open && !state.finished
    }

    /// Ends the opening because there is no pool or no miner, and returns the connections that exist. None is
    /// added later.
    pub(super) fn give_up(&self) -> (Option<Arc<Stream>>, Option<Arc<PoolConnection>>) {
        let mut state = self.state.lock();
        state.phase = Phase::Over;
        self.changed.notify_all();
        (state.miner.clone(), state.connection.clone())
    }

    /// Whether [`FirstAnswer::give_up`] was called.
    pub(super) fn is_over(&self) -> bool {
        self.state.lock().phase == Phase::Over
    }

    /// For how long the pool has owed its first answer.
    pub(super) fn unanswered_for(&self) -> Option<Duration> {
        let state = self.state.lock();
        state.requested_at.filter(|_| state.phase == Phase::Open).map(|requested_at| requested_at.elapsed())
    }

    /// The connections that exist.
    pub(super) fn streams(&self) -> (Option<Arc<Stream>>, Option<Arc<PoolConnection>>) {
        let state = self.state.lock();
        (state.miner.clone(), state.connection.clone())
    }

    /// Drops the connections: they close when their threads are done with them.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock();
        (state.phase, state.miner, state.connection) = (Phase::Over, None, None);
    }

    fn settle(&self, state: &mut FirstAnswerState) {
        if state.phase == Phase::Open {
            state.phase = Phase::Settled;
            state.kept_bytes = Vec::new();
        }
    }
}
