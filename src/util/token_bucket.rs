//! How often something may be done: so many times at once, and so many a second from then on.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct TokenBucket {
    most: f64,
    per_second: f64,
    left: f64,
    at: Instant,
}

impl TokenBucket {
    pub(crate) fn new(most: f64, per_second: f64, now: Instant) -> TokenBucket {
        TokenBucket { most, per_second, left: most, at: now }
    }

    /// Takes one if there is one.
    pub(crate) fn take_if_any(&mut self, now: Instant) -> bool {
        self.refill(now);
        let has_one = self.left >= 1.0;
        self.left -= if has_one { 1.0 } else { 0.0 };
        has_one
    }

    /// Takes one. How long it has to be waited for.
    pub(crate) fn take(&mut self, now: Instant) -> Duration {
        self.refill(now);
        self.left -= 1.0;
        Duration::from_secs_f64((-self.left / self.per_second).max(0.0))
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.most);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_a_flood_is_not() {
        let start = Instant::now();
        let mut allowance = TokenBucket::new(64.0, 20.0, start);
        assert!((0..64).all(|_| allowance.take(start).is_zero()));
        assert_eq!(allowance.take(start), Duration::from_millis(50));
        assert!(allowance.take(start + Duration::from_secs(1)).is_zero());
    }

    #[test]
    fn what_is_not_there_is_not_owed_later() {
        let start = Instant::now();
        let mut allowance = TokenBucket::new(3.0, 2.0, start);
        assert_eq!((0..100).filter(|_| allowance.take_if_any(start)).count(), 3);
        assert!(allowance.take_if_any(start + Duration::from_millis(500)));
        assert!(!allowance.take_if_any(start + Duration::from_millis(500)));
    }
}
