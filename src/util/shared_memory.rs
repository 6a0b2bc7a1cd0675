//! Memory that all sessions share: each takes of it while there is some.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes for all. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct SharedMemory {
    used: Arc<AtomicUsize>,
    most: usize,
}

/// A part of that memory. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    of: Arc<AtomicUsize>,
    bytes: usize,
}

impl SharedMemory {
    pub(crate) fn of(most: usize) -> SharedMemory {
        SharedMemory { used: Arc::default(), most }
    }

    /// Reserves so many bytes, if there is room.
    pub(crate) fn reserve(&self, bytes: usize) -> Option<Reserved> {
        let add = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Reserved { of: self.used.clone(), bytes })
    }

    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Reserved {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
