//! A limit on what all sessions use together, such as bytes of memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An amount that sessions reserve parts of. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    used: Arc<AtomicUsize>,
    max: usize,
}

/// A reserved part of the budget. Dropping it releases the part.
#[derive(Debug)]
pub(crate) struct Reservation {
    used: Arc<AtomicUsize>,
    amount: usize,
}

impl Budget {
    pub(crate) fn new(max: usize) -> Budget {
        Budget { used: Arc::default(), max }
    }

    /// Reserves `amount`. `None` if the budget does not have it left.
    pub(crate) fn reserve(&self, amount: usize) -> Option<Reservation> {
        let add = |used: usize| used.checked_add(amount).filter(|used| *used <= self.max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Reservation { used: self.used.clone(), amount })
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Reservation {
    pub(crate) fn amount(&self) -> usize {
        self.amount
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.used.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_reservations_can_be_made_again_and_the_budget_holds() {
        let budget = Budget::new(5);
        let two = budget.reserve(2).unwrap();
        let _three = budget.reserve(3).unwrap();
        assert!(budget.reserve(1).is_none());
        drop(two);
        assert!(budget.reserve(3).is_none());
        assert!(budget.reserve(2).is_some());
    }
}
