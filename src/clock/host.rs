//! This machine's two clocks, read together: the one that is set now and then, and the one that only
//! runs on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::time::Offset;
use crate::net::Stamp;

/// The system's clock was set if it moved this much more or less than the steady clock. Slewing
/// moves both alike, and reading the two clocks takes microseconds, so anything larger is a step.
const MIN_STEP: Duration = Duration::from_millis(500);

/// How often the pair is read again when the thread was held up between the two reads.
const MAX_READS: usize = 4;

/// A pair that took longer to read is read again.
const MAX_READ_TIME: Duration = Duration::from_micros(200);

/// The two clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The system's clock.
    pub system: Stamp,
    /// The time since the machine was started, time asleep included. Nobody sets it.
    pub steady: Duration,
}

impl ClockReading {
    /// Reads both clocks.
    pub fn now() -> ClockReading {
        let mut reads = 1;
        loop {
            let before = steady();
            let reading = ClockReading { system: Stamp::now(), steady: before };
            if steady().saturating_sub(before) <= MAX_READ_TIME || reads == MAX_READS {
                return reading;
            }
            reads += 1;
        }
    }

    /// How far the system's clock was set between `earlier` and this reading: positive when it was
    /// set forward, zero when nobody set it.
    pub fn step_since(&self, earlier: &ClockReading) -> Offset {
        let ahead = |reading: &ClockReading| {
            i128::from(reading.system.as_nanos()) - i128::try_from(reading.steady.as_nanos()).unwrap_or(0)
        };
        let micros = i64::try_from((ahead(self) - ahead(earlier)) / 1000).unwrap_or(0);
        let is_step = u128::from(micros.unsigned_abs()) >= MIN_STEP.as_micros();
        Offset::from_micros(if is_step { micros } else { 0 })
    }
}

/// The source of readings: this machine, or a simulated one.
#[derive(Clone)]
pub struct HostClocks(Arc<dyn Fn() -> ClockReading + Send + Sync>);

impl HostClocks {
    /// Takes the source of readings, for tests that set a clock.
    pub fn simulated(read: impl Fn() -> ClockReading + Send + Sync + 'static) -> HostClocks {
        HostClocks(Arc::new(read))
    }

    /// Reads both clocks.
    pub fn read(&self) -> ClockReading {
        (self.0)()
    }
}

impl Default for HostClocks {
    /// The machine's own.
    fn default() -> HostClocks {
        HostClocks::simulated(ClockReading::now)
    }
}

impl fmt::Debug for HostClocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostClocks")
    }
}

fn steady() -> Duration {
    // CLOCK_MONOTONIC stands still while the machine sleeps, which would look like a clock that was set.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(system_ms: u64, steady_ms: u64) -> ClockReading {
        let system = Stamp::from_nanos((1_790_000_000_000 + system_ms) * 1_000_000);
        ClockReading { system, steady: Duration::from_millis(steady_ms) }
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_and_one_that_is_slewed_is_not() {
        let before = reading(0, 5_000);
        for (moved_ms, step_ms) in
            [(10_000, 0), (10_005, 0), (9_501, 0), (10_600, 600), (9_400, -600), (3_610_000, 3_600_000)]
        {
            let step = reading(moved_ms, 15_000).step_since(&before);
            assert_eq!(step, Offset::from_micros(step_ms * 1000), "{moved_ms}");
        }
        assert_eq!(before.step_since(&reading(3_600_000, 5_000)), Offset::from_micros(-3_600_000_000));
    }

    #[test]
    fn the_machines_clocks_run_alike() {
        let before = ClockReading::now();
        std::thread::sleep(Duration::from_millis(5));
        let after = ClockReading::now();
        assert!(after.steady > before.steady);
        assert_eq!(after.step_since(&before), Offset::default());
    }
}
