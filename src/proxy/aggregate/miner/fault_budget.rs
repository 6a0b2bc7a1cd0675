//! Limits the faults of a miner before it is closed. Honest miners have a few stale shares after a block, a
//! few low ones after a change of difficulty, and a duplicate at times. A budget that refills with time and
//! with good work tells them from miners that do little else.

use std::time::Instant;

/// Caps the faults at once: a Bitaxe behind a slow line may send some seconds of stale shares.
const MAX_FAULTS: f64 = 100.0;
/// The faults that are forgiven in a second.
const FAULTS_PER_SECOND: f64 = 1.0;

/// The faults that are left.
#[derive(Debug)]
pub(crate) struct FaultBudget {
    left: f64,
    at: Instant,
}

impl FaultBudget {
    pub(crate) fn new(now: Instant) -> FaultBudget {
        FaultBudget { left: MAX_FAULTS, at: now }
    }

    /// Makes up for a fault by a good share: a miner that sends more good ones than bad ones is never closed.
    pub(crate) fn earn(&mut self) {
        self.left = (self.left + 1.0).min(MAX_FAULTS);
    }

    /// Counts a fault. `false` when it was one too many.
    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * FAULTS_PER_SECOND).min(MAX_FAULTS) - 1.0;
        self.at = now;
        self.left >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn good_work_makes_up_for_faults_and_a_little_of_it_does_not() {
        let now = Instant::now();
        let tolerated = |good: usize, bad: usize| {
            let mut budget = FaultBudget::new(now);
            (0..1000)
                .take_while(|_| {
                    (0..good).for_each(|_| budget.earn());
                    (0..bad).all(|_| budget.spend(now))
                })
                .count()
        };
        assert_eq!((tolerated(7, 1), tolerated(1, 1)), (1000, 1000));
        assert!(tolerated(1, 9) < 20);
    }

    #[test]
    fn a_fault_a_second_is_forgiven_and_a_flood_is_not() {
        let start = Instant::now();
        let mut budget = FaultBudget::new(start);
        assert!((0..10_000).all(|second| budget.spend(start + Duration::from_secs(second))));
        let now = start + Duration::from_secs(10_000);
        let tolerated = (0..1000).take_while(|_| budget.spend(now)).count();
        assert!((99..=101).contains(&tolerated), "{tolerated}");
    }
}
