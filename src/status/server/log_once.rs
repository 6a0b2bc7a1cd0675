//! Logs a repeated failure once.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// After this time without a failure, the next one is logged again.
const QUIET_PERIOD: Duration = Duration::from_secs(60);

/// Tracks one kind of failure.
#[derive(Debug, Default)]
pub(super) struct LogOnce(Mutex<Option<Instant>>);

impl LogOnce {
    /// Records a failure and tells whether it is the first of a series, which is to be logged.
    pub(super) fn is_first(&self, now: Instant) -> bool {
        let mut last = self.0.lock();
        let before = last.replace(now);
        before.is_none_or(|before| now.saturating_duration_since(before) >= QUIET_PERIOD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_of_failures_is_logged_once() {
        let (streak, start) = (LogOnce::default(), Instant::now());
        assert!(streak.is_first(start));
        for second in 1..300 {
            assert!(!streak.is_first(start + Duration::from_secs(second)));
        }
        assert!(streak.is_first(start + Duration::from_secs(299) + QUIET_PERIOD));
    }
}
