//! A histogram of delays.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest delay that is counted exactly; longer ones count as this.
const MAX_DELAY: Duration = Duration::from_secs(60);
/// The longest age of a job that is counted exactly: jobs get as old as the gaps between blocks.
const MAX_JOB_AGE: Duration = Duration::from_secs(7200);

/// The distribution of a delay, such as the time from when bytes became readable to when the kernel took the last
/// of them for sending.
#[derive(Debug, Clone)]
pub struct Latency {
    /// In nanoseconds with two significant digits: 1 % is less than the noise of the clock.
    histogram: Option<Histogram<u32>>,
    total: Duration,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency::between(Duration::from_nanos(100), MAX_DELAY)
    }
}

impl Latency {
    /// A histogram for ages of jobs, from a millisecond to two hours.
    pub fn of_ages() -> Latency {
        Latency::between(Duration::from_millis(1), MAX_JOB_AGE)
    }

    fn between(shortest: Duration, longest: Duration) -> Latency {
        let [shortest, longest] =
            [shortest, longest].map(|bound| u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX));
        // The bounds are constants and valid; without a histogram nothing would be counted.
        Latency { histogram: Histogram::new_with_bounds(shortest, longest, 2).ok(), total: Duration::ZERO }
    }

    /// Counts one delay.
    pub fn record(&mut self, delay: Duration) {
        self.total = self.total.saturating_add(delay);
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// The number of delays.
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// The delay that `fraction` (0 to 1) of all delays do not exceed; zero if there are none.
    pub fn quantile(&self, fraction: f64) -> Duration {
        self.of(|histogram| histogram.value_at_quantile(fraction))
    }

    /// The number of delays of at most `bound`, to about 1 %.
    pub fn within(&self, bound: Duration) -> u64 {
        let bound = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.as_ref().map_or(0, |histogram| histogram.count_between(0, bound))
    }

    /// The sum of all delays.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// The longest delay.
    pub fn max(&self) -> Duration {
        self.of(Histogram::max)
    }

    /// The delays of both.
    pub fn merged(&self, other: &Latency) -> Latency {
        let mut both = self.clone();
        both.total = both.total.saturating_add(other.total);
        if let (Some(mine), Some(others)) = (&mut both.histogram, &other.histogram) {
            // It fails only for values out of bounds, and none are recorded.
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
