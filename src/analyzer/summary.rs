//! What the analyzer counts over all sessions.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::tap::Direction;

/// The longest delay that is told apart.
const MAX_DELAY: Duration = Duration::from_secs(60);
/// Jobs become as old as blocks are late.
const MAX_JOB_AGE: Duration = Duration::from_secs(7200);

/// Counts since the start. A message is a line.
#[derive(Debug, Clone, Default)]
pub struct AnalyzerCounts {
    pub messages_up: u64,
    pub messages_down: u64,
    /// Lines that are no Stratum message.
    pub unreadable: u64,
    /// Lines over 64 KiB, skipped.
    pub too_long: u64,
    /// How often a conversation was taken up again after lost copies.
    pub gaps: u64,
    pub shares: u64,
    pub latency_up: Latency,
    pub latency_down: Latency,
}

impl AnalyzerCounts {
    /// A message was read.
    pub(super) fn message(&mut self, direction: Direction) {
        match direction {
            Direction::Up => self.messages_up += 1,
            Direction::Down => self.messages_down += 1,
        }
    }

    /// The delay that forwarding added, both directions.
    pub fn latency(&mut self, direction: Direction) -> &mut Latency {
        match direction {
            Direction::Up => &mut self.latency_up,
            Direction::Down => &mut self.latency_down,
        }
    }
}

/// The time from when bytes became readable to when the kernel had the last of them for sending.
#[derive(Debug, Clone)]
pub struct Latency {
    /// Nanoseconds, two digits: 1 % is less than the clock's own noise.
    histogram: Option<Histogram<u32>>,
    total: Duration,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency::between(Duration::from_nanos(100), MAX_DELAY)
    }
}

impl Latency {
    /// For ages of jobs: from a millisecond to two hours.
    pub fn of_ages() -> Latency {
        Latency::between(Duration::from_millis(1), MAX_JOB_AGE)
    }

    fn between(shortest: Duration, longest: Duration) -> Latency {
        let [shortest, longest] =
            [shortest, longest].map(|bound| u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX));
        // The bounds are constants that are known to be valid; without a histogram nothing is counted.
        Latency { histogram: Histogram::new_with_bounds(shortest, longest, 2).ok(), total: Duration::ZERO }
    }

    /// Counts one delay.
    pub fn record(&mut self, delay: Duration) {
        self.total = self.total.saturating_add(delay);
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// How many delays were counted.
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// The delay that `fraction` (0 to 1) of all stayed within; zero when there were none.
    pub fn quantile(&self, fraction: f64) -> Duration {
        self.of(|histogram| histogram.value_at_quantile(fraction))
    }

    /// How many delays were at most so long, to about 1 %.
    pub fn within(&self, bound: Duration) -> u64 {
        let bound = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.as_ref().map_or(0, |histogram| histogram.count_between(0, bound))
    }

    /// All delays added up.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// The longest delay.
    pub fn max(&self) -> Duration {
        self.of(Histogram::max)
    }

    /// These and those together.
    pub fn merged(&self, other: &Latency) -> Latency {
        let mut both = self.clone();
        both.total = both.total.saturating_add(other.total);
        if let (Some(mine), Some(others)) = (&mut both.histogram, &other.histogram) {
            // It fails for values that are out of bounds, and those are never recorded.
            let _ = mine.add(others);
        }
        both
    }

    fn of(&self, value: impl Fn(&Histogram<u32>) -> u64) -> Duration {
        match &self.histogram {
            Some(histogram) if !histogram.is_empty() => Duration::from_nanos(value(histogram)),
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count() == 0 {
            return f.write_str("(nothing yet)");
        }
        write!(f, "p50 {:.1?}, p99 {:.1?}, max {:.1?}", self.quantile(0.5), self.quantile(0.99), self.max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut latency = Latency::default();
        assert_eq!((latency.count(), latency.max()), (0, Duration::ZERO));
        for micros in 1..=100 {
            latency.record(Duration::from_micros(micros));
        }
        let near = |found: Duration, micros: f64| (found.as_secs_f64() * 1e6 / micros - 1.0).abs() < 0.02;
        assert!(near(latency.quantile(0.5), 50.0), "{latency}");
        assert!(near(latency.quantile(0.99), 99.0), "{latency}");
        assert_eq!(latency.total(), Duration::from_micros(5050));
        assert_eq!(latency.within(Duration::from_secs(1)), 100);
        assert!((49..=51).contains(&latency.within(Duration::from_micros(50))));
        let twice = latency.merged(&latency);
        assert_eq!((twice.count(), twice.total()), (200, latency.total() * 2));
        latency.record(Duration::from_secs(3600));
        assert!(latency.max() >= MAX_DELAY);
    }
}
