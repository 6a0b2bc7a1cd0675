//! The miners that are connected. Touched when a session begins or ends, and by those who look.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::miner::ConnectedMiner;
use crate::proxy::Volume;
use crate::tap::SessionId;

/// Room for so many is not worth giving back.
const SPARE: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct MinerRegistry {
    miners: Mutex<HashMap<SessionId, Arc<ConnectedMiner>>>,
    /// What the sessions that are over have carried.
    carried: Mutex<Volume>,
    /// Told when a session ends.
    ended: Condvar,
}

impl MinerRegistry {
    pub(crate) fn add(&self, miner: Arc<ConnectedMiner>) {
        self.lock().insert(miner.id(), miner);
    }

    pub(crate) fn remove(&self, id: SessionId) {
        let mut miners = self.lock();
        if let Some(miner) = miners.remove(&id) {
            self.carried().add(&miner.conversation);
        }
        if miners.capacity() > SPARE + 4 * miners.len() {
            let twice = 2 * miners.len();
            miners.shrink_to(twice);
        }
        drop(miners);
        self.ended.notify_all();
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// All as of now, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<ConnectedMiner>> {
        let mut miners: Vec<_> = self.lock().values().cloned().collect();
        miners.sort_by_key(|miner| miner.id());
        miners
    }

    /// What all sessions since the start have carried.
    pub(crate) fn volume(&self) -> Volume {
        // Under both locks, so that a session that ends meanwhile counts once.
        let miners = self.lock();
        let mut volume = *self.carried();
        for miner in miners.values() {
            volume.add(&miner.conversation);
        }
        volume
    }

    /// Waits until nobody is connected; `false` at the deadline.
    pub(crate) fn wait_empty(&self, deadline: Instant) -> bool {
        let mut miners = self.lock();
        while !miners.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            miners = self.ended.wait_timeout(miners, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn carried(&self) -> MutexGuard<'_, Volume> {
        self.carried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<ConnectedMiner>>> {
        self.miners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
