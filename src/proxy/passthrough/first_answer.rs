//! A session until the pool's first byte. What the miner says meanwhile is kept, so that it can be
//! said once more to the next pool when the first one turns out to be dead: the miner, which may
//! give up after 1.2 s and remember nothing, sees one connection attempt.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::net::{Stamp, Stream};
use crate::upstream::PoolConnection;

/// How much is kept. An opening conversation has a few hundred bytes; more than this goes to the
/// pool that is there, and there is no second try.
const MOST_KEPT: usize = 16 * 1024;

/// The two threads' meeting place during the opening. Not shared with any other session.
#[derive(Debug, Default)]
pub(super) struct FirstAnswer {
    state: Mutex<FirstAnswerState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct FirstAnswerState {
    phase: Phase,
    miner: Option<Arc<Stream>>,
    link: Option<Arc<PoolConnection>>,
    /// When `link` came.
    linked_at: Stamp,
    kept: Vec<u8>,
    /// When the pool was first asked something.
    asked: Option<Instant>,
    /// The miner has closed its sending direction.
    finished: bool,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum Phase {
    /// No answer yet: what the miner says is kept.
    #[default]
    Open,
    /// This link it is.
    Settled,
    Over,
}

/// What became of bytes given to [`FirstAnswer::send`].
pub(super) enum Sent {
    /// They are with the pool, and kept.
    Kept,
    /// They were not sent: the opening is past, and the caller writes to the link itself.
    Settled(Arc<PoolConnection>),
    /// There is no pool.
    Over,
}

impl FirstAnswer {
    /// The miner's stream exists (after TLS, if any).
    pub(super) fn miner_arrived(&self, miner: Arc<Stream>) {
        let mut state = self.lock();
        if state.phase == Phase::Over {
            // Whoever gave up did not know of it.
            miner.abort();
        }
        state.miner = Some(miner);
        self.changed.notify_all();
    }

    /// Waits for [`FirstAnswer::miner_arrived`]; `None` when the session is over.
    pub(super) fn wait_for_miner(&self) -> Option<Arc<Stream>> {
        let mut state = self.lock();
        loop {
            if state.phase == Phase::Over {
                return None;
            }
            if let Some(miner) = &state.miner {
                return Some(miner.clone());
            }
            state = self.wait(state);
        }
    }

    /// Waits until there is a link and returns since when; `None` when there will be none.
    pub(super) fn wait_for_link(&self) -> Option<Stamp> {
        let mut state = self.lock();
        loop {
            if state.phase == Phase::Over {
                return None;
            }
            if state.link.is_some() {
                return Some(state.linked_at);
            }
            state = self.wait(state);
        }
    }

    /// The miner's bytes on their way to the pool.
    pub(super) fn send(&self, bytes: &[u8]) -> Sent {
        let mut state = self.lock();
        let link = match (state.phase, &state.link) {
            (Phase::Over, _) | (_, None) => return Sent::Over,
            (Phase::Settled, Some(link)) => return Sent::Settled(link.clone()),
            (Phase::Open, Some(link)) => link.clone(),
        };
        if state.kept.len() + bytes.len() > MOST_KEPT {
            self.settle(&mut state);
            return Sent::Settled(link);
        }
        state.kept.extend_from_slice(bytes);
        // Nobody answers half a line, or what a port scanner sends.
        if bytes.contains(&b'\n') {
            state.asked.get_or_insert_with(Instant::now);
        }
        // The lock is held over this send so that a new link can't come in between; the bytes are so
        // few that a fresh connection's send buffer takes them.
        if link.stream.send_all(bytes).is_err() {
            // The other thread reads the end of this link and looks for another.
            link.stream.abort();
        }
        Sent::Kept
    }

    /// The miner has closed its sending direction.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        state.finished = true;
        let link = state.link.clone();
        // Not under the lock: what is encrypted before the end may wait for a pool that stalls.
        drop(state);
        if let Some(link) = link {
            link.stream.finish();
        }
    }

    /// A link, with everything the miner has said so far. `false` when the session is over or
    /// has settled, or when this link is broken already.
    pub(super) fn offer(&self, link: &Arc<PoolConnection>) -> bool {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return false;
        }
        if !state.kept.is_empty() && link.stream.send_all(&state.kept).is_err() {
            return false;
        }
        if state.finished {
            link.stream.finish();
        }
        if state.asked.is_some() {
            state.asked = Some(Instant::now());
        }
        state.link = Some(link.clone());
        state.linked_at = Stamp::now();
        self.changed.notify_all();
        true
    }

    /// The pool has answered, or there is no other to try: from here on this link is the session's.
    pub(super) fn settle_on_link(&self) {
        self.settle(&mut self.lock());
    }

    /// Since when the pool owes its first answer; `None` when it was asked nothing.
    pub(super) fn asked(&self) -> Option<Instant> {
        self.lock().asked
    }

    /// Whether another pool could still be given the session.
    pub(super) fn is_open(&self) -> bool {
        self.lock().phase == Phase::Open
    }

    /// Whether the pool's silence or its closing would say something about the pool: not when the
    /// miner itself has closed, as port scanners and health checks do.
    pub(super) fn expects_answer(&self) -> bool {
        let state = self.lock();
        state.phase == Phase::Open && !state.finished
    }

    /// There is no pool, or no miner: nothing is opened any more. Both connections, as far as they
    /// exist; none is added later.
    pub(super) fn give_up(&self) -> (Option<Arc<Stream>>, Option<Arc<PoolConnection>>) {
        let mut state = self.lock();
        state.phase = Phase::Over;
        self.changed.notify_all();
        (state.miner.clone(), state.link.clone())
    }

    /// Whether [`FirstAnswer::give_up`] was called.
    pub(super) fn is_over(&self) -> bool {
        self.lock().phase == Phase::Over
    }

    /// For how long the pool has owed its first answer.
    pub(super) fn unanswered_for(&self) -> Option<Duration> {
        let state = self.lock();
        state.asked.filter(|_| state.phase == Phase::Open).map(|asked| asked.elapsed())
    }

    /// Both connections, as far as they exist.
    pub(super) fn streams(&self) -> (Option<Arc<Stream>>, Option<Arc<PoolConnection>>) {
        let state = self.lock();
        (state.miner.clone(), state.link.clone())
    }

    /// Lets go of the connections: they close when their threads are done with them.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        (state.phase, state.miner, state.link) = (Phase::Over, None, None);
    }

    fn settle(&self, state: &mut FirstAnswerState) {
        if state.phase == Phase::Open {
            state.phase = Phase::Settled;
            state.kept = Vec::new();
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, FirstAnswerState>) -> MutexGuard<'a, FirstAnswerState> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, FirstAnswerState> {
        // A panic in one of the two threads ends the session; the other only needs to see that.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
