//! Growing pauses between retries.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Keeps `1 << failures` in range, whatever the longest pause is.
const MAX_DOUBLINGS: u32 = 20;

/// A pause that doubles with each failure in a row.
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Creates a back-off with pauses from `min` to `max`. `max` must be at least 1.25 times `min`.
    pub(super) fn new(min: Duration, max: Duration) -> Backoff {
        Backoff { min, max, failures: 0 }
    }

    /// Counts a failure and returns the pause that follows it. Up to a quarter of random jitter keeps many proxies
    /// that were started together from reconnecting together.
    pub(super) fn next_pause(&mut self) -> Duration {
        let doubled = 1 << self.failures.min(MAX_DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        let pause = self.min.saturating_mul(doubled).min(self.max.mul_f64(0.8)).max(self.min);
        let random = RandomState::new().build_hasher().finish() % 1001;
        pause + pause.mul_f64(random as f64 / 4000.0)
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_their_bounds() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(300));
        let mut backoff = Backoff::new(min, max);
        for step in 0..40 {
            let due = min.saturating_mul(1 << step.min(20)).min(max.mul_f64(0.8));
            let pause = backoff.next_pause();
            assert!(pause >= due && pause <= due.mul_f64(1.25) && pause <= max, "{step}: {pause:?}");
        }
        backoff.reset();
        assert!(backoff.next_pause() < 2 * min);
    }
}
