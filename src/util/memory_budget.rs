//! A limit on the memory that all sessions use together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that sessions reserve parts of. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct MemoryBudget {
    used: Arc<AtomicUsize>,
    max_bytes: usize,
}

/// A reserved part of the budget. Dropping it releases the part.
#[derive(Debug)]
pub(crate) struct MemoryReservation {
    used: Arc<AtomicUsize>,
    bytes: usize,
}

impl MemoryBudget {
    pub(crate) fn new(max_bytes: usize) -> MemoryBudget {
        MemoryBudget { used: Arc::default(), max_bytes }
    }

    /// Reserves `bytes`. `None` if the budget does not have them left.
    pub(crate) fn reserve(&self, bytes: usize) -> Option<MemoryReservation> {
        let add = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.max_bytes);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(MemoryReservation { used: self.used.clone(), bytes })
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl MemoryReservation {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
