//! Growing pauses between tries.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Doublings after which a pause grows no further, whatever the longest is.
const MOST_DOUBLINGS: u32 = 20;

/// Pauses that double with each failure in a row.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// None is shorter than `first` or longer than `longest`, which is at least five quarters of it.
    pub(super) fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, failures: 0 }
    }

    /// It failed: how long to wait now. Up to a quarter more than due, so that many proxies that were
    /// started together do not come together.
    pub(super) fn failed(&mut self) -> Duration {
        let doubled = 1 << self.failures.min(MOST_DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        let pause = self.first.saturating_mul(doubled).min(self.longest.mul_f64(0.8)).max(self.first);
        let random = RandomState::new().build_hasher().finish() % 1001;
        pause + pause.mul_f64(random as f64 / 4000.0)
    }

    /// It works.
    pub(super) fn begin_anew(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_never_shorter_than_the_first() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(300));
        let mut pauses = Backoff::new(first, longest);
        for step in 0..40 {
            let due = first.saturating_mul(1 << step.min(20)).min(longest.mul_f64(0.8));
            let pause = pauses.failed();
            assert!(pause >= due && pause <= due.mul_f64(1.25) && pause <= longest, "{step}: {pause:?}");
        }
        pauses.begin_anew();
        assert!(pauses.failed() < 2 * first);
    }
}
