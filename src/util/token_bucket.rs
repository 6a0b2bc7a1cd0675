//! A rate limit: a burst at once, and a number of actions a second from then on.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct TokenBucket {
    capacity: f64,
    per_second: f64,
    tokens: f64,
    refilled_at: Instant,
}

impl TokenBucket {
    pub(crate) fn new(capacity: f64, per_second: f64, now: Instant) -> TokenBucket {
        TokenBucket { capacity, per_second, tokens: capacity, refilled_at: now }
    }

    /// Takes a token if there is one.
    pub(crate) fn try_take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let has_token = self.tokens >= 1.0;
        if has_token {
            self.tokens -= 1.0;
        }
        has_token
    }

    /// Takes a token, and returns how long the caller has to wait until it is due.
    pub(crate) fn take(&mut self, now: Instant) -> Duration {
        self.refill(now);
        self.tokens -= 1.0;
        Duration::from_secs_f64((-self.tokens / self.per_second).max(0.0))
    }

    /// Puts a token back.
    pub(crate) fn put_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.capacity);
    }

    /// The time at which the next token is available.
    pub(crate) fn next_token(&self) -> Instant {
        let missing = (1.0 - self.tokens).max(0.0);
        self.refilled_at + Duration::from_secs_f64(missing / self.per_second)
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.capacity);
        self.refilled_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_a_flood_waits() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(64.0, 20.0, start);
        assert!((0..64).all(|_| bucket.take(start).is_zero()));
        assert_eq!(bucket.take(start), Duration::from_millis(50));
        assert!(bucket.take(start + Duration::from_secs(1)).is_zero());
    }

    #[test]
    fn tokens_that_are_put_back_make_up_for_those_taken() {
        let now = Instant::now();
        let rounds = |back: usize, taken: usize| {
            let mut bucket = TokenBucket::new(100.0, 1.0, now);
            let mut round = || {
                (0..back).for_each(|_| bucket.put_back());
                (0..taken).all(|_| bucket.take(now).is_zero())
            };
            (0..1000).take_while(|_| round()).count()
        };
        assert_eq!((rounds(7, 1), rounds(1, 1)), (1000, 1000));
        assert!(rounds(1, 9) < 20);
    }

    #[test]
    fn one_a_second_is_free_for_ever_and_a_later_flood_is_not() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(100.0, 1.0, start);
        assert!((0..10_000).all(|second| bucket.take(start + Duration::from_secs(second)).is_zero()));
        let now = start + Duration::from_secs(10_000);
        let free = (0..1000).take_while(|_| bucket.take(now).is_zero()).count();
        assert!((99..=101).contains(&free), "{free}");
    }

    #[test]
    fn try_take_does_not_go_into_debt() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(3.0, 2.0, start);
        assert_eq!((0..100).filter(|_| bucket.try_take(start)).count(), 3);
        assert!(bucket.try_take(start + Duration::from_millis(500)));
        assert!(!bucket.try_take(start + Duration::from_millis(500)));
    }
}
