//! Growing pauses between retries.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// Keeps `1 << failures` in range, whatever the longest pause is.
const MAX_DOUBLINGS: u32 = 20;

/// A pause that doubles with each failure in a row.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    pub(crate) max: Duration,
    failures: u32,
}

impl Backoff {
    /// Creates a back-off with pauses from `min` to `max`.
    pub(crate) fn new(min: Duration, max: Duration) -> Backoff {
        Backoff { min, max, failures: 0 }
    }

    /// Counts a failure and returns the pause that follows it, without [`jittered`].
    pub(crate) fn next_pause(&mut self) -> Duration {
        let doubled = 1 << self.failures.min(MAX_DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        self.min.saturating_mul(doubled).min(self.max)
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Returns `pause` times a random factor between these: many proxies that were started together shall not retry in
/// step.
pub(crate) fn jittered(pause: Duration, least: f64, most: f64) -> Duration {
    // The standard library's hasher is seeded by the system.
    let bits = RandomState::new().hash_one(Instant::now()) >> 11;
    let fraction = bits as f64 / (1_u64 << 53) as f64;
    pause.mul_f64(least + (most - least) * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_their_bounds() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(300));
        let mut backoff = Backoff::new(min, max);
        for step in 0..40 {
            assert_eq!(backoff.next_pause(), min.saturating_mul(1 << step.min(20)).min(max));
        }
        backoff.reset();
        assert_eq!(backoff.next_pause(), min);
    }

    #[test]
    fn random_factors_differ_and_keep_their_bounds() {
        let drawn: Vec<f64> =
            (0..100).map(|_| jittered(Duration::from_secs(1), 0.5, 1.0).as_secs_f64()).collect();
        assert!(drawn.iter().all(|factor| (0.5..=1.0).contains(factor)));
        assert!(drawn.iter().any(|factor| *factor != drawn[0]));
    }
}
