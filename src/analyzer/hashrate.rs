//! Hash rates from proven work, over sliding windows.

use std::time::Duration;

use crate::net::Stamp;
use crate::stratum::Difficulty;
use crate::work::HASHES_PER_DIFFICULTY;

/// The parts of a window. The oldest part drops out as a whole.
const PARTS: usize = 30;
const WINDOWS: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(3600),
    Duration::from_secs(86_400),
];

/// Hashes per second over the last minute, five minutes, hour and day. If the meter has run for a shorter time,
/// the rate is computed over that time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HashRates {
    pub one_minute: f64,
    pub five_minutes: f64,
    pub one_hour: f64,
    pub one_day: f64,
}

/// Sums up proven work over sliding windows.
#[derive(Debug, Clone)]
pub struct WorkMeter {
    since: Stamp,
    /// `None` before the first work: many sessions never prove any.
    windows: Option<Box<[RateWindow; 4]>>,
}

impl WorkMeter {
    /// A meter that begins at `now`.
    pub fn new(now: Stamp) -> WorkMeter {
        WorkMeter { since: now, windows: None }
    }

    /// Adds work that was proven at `at`.
    pub fn add(&mut self, work: Difficulty, at: Stamp) {
        let new = || Box::new(WINDOWS.map(|length| RateWindow::new(length / PARTS as u32)));
        for window in self.windows.get_or_insert_with(new).iter_mut() {
            window.add(work.value(), at);
        }
    }

    pub(super) fn one_hour(&self, now: Stamp) -> f64 {
        self.rate(2, now)
    }

    /// The rates as of `now`.
    pub fn rates(&self, now: Stamp) -> HashRates {
        let [one_minute, five_minutes, one_hour, one_day] =
            std::array::from_fn(|index| self.rate(index, now));
        HashRates { one_minute, five_minutes, one_hour, one_day }
    }

    fn rate(&self, index: usize, now: Stamp) -> f64 {
        let watched = now.since(self.since).unwrap_or_default().min(WINDOWS[index]);
        // At least a second, so that the first share gives no absurd rate. An empty sum is minus zero; adding zero
        // makes it plus zero.
        let sum = self.windows.as_ref().map_or(0.0, |windows| windows[index].sum(now));
        0.0 + sum * HASHES_PER_DIFFICULTY / watched.as_secs_f64().max(1.0)
    }
}

impl Default for WorkMeter {
    fn default() -> WorkMeter {
        WorkMeter::new(Stamp::default())
    }
}

#[derive(Debug, Clone)]
struct RateWindow {
    part: Duration,
    /// The number of the newest part, counted from 1970.
    newest: u64,
    /// The sums of all parts.
    sums: [f64; PARTS],
}

impl RateWindow {
    fn new(part: Duration) -> RateWindow {
        RateWindow { part, newest: 0, sums: [0.0; PARTS] }
    }

    fn number(&self, at: Stamp) -> u64 {
        at.as_nanos() / u64::try_from(self.part.as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    fn add(&mut self, work: f64, at: Stamp) {
        let number = self.number(at);
        if number > self.newest {
            // The parts in between had no work.
            let skipped = (number - self.newest).min(PARTS as u64);
            for step in 0..skipped {
                self.sums[slot(number - step)] = 0.0;
            }
            self.newest = number;
        }
        if self.newest - number < PARTS as u64 {
            self.sums[slot(number)] += work;
        }
    }

    fn sum(&self, now: Stamp) -> f64 {
        let number = self.number(now);
        let first = number.saturating_sub(PARTS as u64 - 1);
        let last = self.newest.min(number);
        (first..=last).filter(|number| self.newest - number < PARTS as u64).map(|n| self.sums[slot(n)]).sum()
    }
}

fn slot(number: u64) -> usize {
    usize::try_from(number % PARTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Stamp {
        Stamp::from_nanos((1_700_000_000 + seconds) * 1_000_000_000)
    }

    fn near(found: f64, expected: f64) -> bool {
        (found / expected - 1.0).abs() < 0.05
    }

    #[test]
    fn a_steady_miner_has_its_rate_in_every_window() {
        let mut meter = WorkMeter::new(at(0));
        // Difficulty 2 every second for two hours.
        for second in 1..=7200 {
            meter.add(Difficulty::new(2.0).unwrap(), at(second));
        }
        let rates = meter.rates(at(7200));
        for rate in [rates.one_minute, rates.five_minutes, rates.one_hour, rates.one_day] {
            assert!(near(rate, 2.0 * HASHES_PER_DIFFICULTY), "{rates:?}");
        }
    }

    #[test]
    fn a_miner_that_stops_falls_out_of_the_windows_one_by_one() {
        let mut meter = WorkMeter::new(at(0));
        for second in 1..=600 {
            meter.add(Difficulty::ONE, at(second));
        }
        let rates = meter.rates(at(600 + 61));
        assert_eq!(rates.one_minute, 0.0);
        assert!(near(rates.five_minutes, HASHES_PER_DIFFICULTY * 240.0 / 300.0), "{rates:?}");
        let rates = meter.rates(at(600 + 86_401 + 3600));
        assert_eq!((rates.one_hour, rates.one_day), (0.0, 0.0));
    }

    #[test]
    fn a_short_watch_is_reckoned_over_its_own_time() {
        let mut meter = WorkMeter::new(at(0));
        for second in 1..=10 {
            meter.add(Difficulty::ONE, at(second));
        }
        assert!(near(meter.rates(at(10)).one_day, HASHES_PER_DIFFICULTY));
        assert_eq!(WorkMeter::new(at(0)).rates(at(0)), HashRates::default());
    }

    #[test]
    fn a_clock_set_back_loses_nothing_and_breaks_nothing() {
        let mut meter = WorkMeter::new(at(100));
        meter.add(Difficulty::ONE, at(110));
        meter.add(Difficulty::ONE, at(50));
        assert!(meter.rates(at(110)).one_hour > 0.0);
        assert!(meter.rates(at(40)).one_hour.is_finite());
    }
}
