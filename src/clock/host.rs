//! This machine's two clocks, read together: the system's clock, which can be set, and the steady
//! clock, which can't.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::time::Offset;
use crate::net::Stamp;

/// Smallest difference between the two clocks' progress that counts as a step. Slewing moves both
/// alike, and reading both takes microseconds.
const MIN_STEP: Duration = Duration::from_millis(500);

/// Caps the attempts to read both clocks without an interruption in between.
const MAX_READS: usize = 4;

/// Longest time for reading both clocks; a slower reading is repeated.
const MAX_READ_TIME: Duration = Duration::from_micros(200);

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The system's clock.
    pub system: Stamp,
    /// Time since the machine was started, including suspension. It can't be set.
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

    /// The step of the system's clock between `earlier` and this reading: positive if forward, zero if
    /// it was not set.
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
    /// Clocks read from a function, for tests that set a clock.
    pub fn simulated(read: impl Fn() -> ClockReading + Send + Sync + 'static) -> HostClocks {
        HostClocks(Arc::new(read))
    }

    /// Reads both clocks.
    pub fn read(&self) -> ClockReading {
        (self.0)()
    }
}

impl Default for HostClocks {
    /// This machine's clocks.
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
    // CLOCK_MONOTONIC stops during suspension, which would look like a step.
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
    fn a_step_is_noticed_and_slewing_is_not() {
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
