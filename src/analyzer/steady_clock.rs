//! A clock that is never set. Stamps come from the system's clock, which may be set: a Raspberry Pi sets its own by
//! days after a start. The analyzer calculates with stamps as they would be if the clock had never been set. Only
//! shown and recorded times are converted back.

use std::time::{Duration, Instant};

use crate::net::Stamp;

/// A smaller step, in nanoseconds, is an ordinary adjustment of the clock.
const MIN_STEP_NANOS: i64 = 1_000_000_000;
/// A stamp further away than this was taken before a step of the clock.
const MAX_STAMP_DISTANCE: Duration = Duration::from_secs(60);

/// Compares the system's clock with the monotonic one.
#[derive(Debug)]
pub(super) struct SteadyClock {
    wall: Stamp,
    steady: Instant,
    /// The sum of all steps since the start, in nanoseconds.
    skew: i64,
}

impl SteadyClock {
    pub(super) fn new(wall: Stamp, steady: Instant) -> SteadyClock {
        SteadyClock { wall, steady, skew: 0 }
    }

    /// Compares both clocks. Returns the whole skew if the clock was set since the last update.
    pub(super) fn update(&mut self, wall: Stamp, steady: Instant) -> Option<i64> {
        let passed =
            i128::try_from(steady.saturating_duration_since(self.steady).as_nanos()).unwrap_or(i128::MAX);
        let moved = i128::from(wall.as_nanos()) - i128::from(self.wall.as_nanos());
        let step = i64::try_from(moved - passed).unwrap_or(0);
        (self.wall, self.steady) = (wall, steady);
        if step.saturating_abs() < MIN_STEP_NANOS {
            return None;
        }
        self.skew = self.skew.saturating_add(step);
        Some(self.skew)
    }

    /// Converts a stamp of the system's clock to what it would be if the clock had never been set.
    pub(super) fn steady_stamp(&self, stamp: Stamp) -> Stamp {
        let (shifted, now) = (stamp.shifted(self.skew.saturating_neg()), self.now());
        let is_near =
            |earlier: Stamp, later: Stamp| later.since(earlier).is_some_and(|time| time < MAX_STAMP_DISTANCE);
        if is_near(shifted, now) || is_near(now, shifted) { shifted } else { now }
    }

    pub(super) fn now(&self) -> Stamp {
        self.wall.shifted(self.skew.saturating_neg())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Stamp {
        Stamp::from_nanos((1_790_000_000 + seconds) * 1_000_000_000)
    }

    #[test]
    fn a_clock_that_is_set_changes_no_duration() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let mut steady = SteadyClock::new(at(0), began);
        assert_eq!(steady.update(at(10), after(10)), None);
        assert_eq!(steady.steady_stamp(at(10)), at(10));
        // Two hours forward, then back again, ten seconds apart.
        assert_eq!(steady.update(at(7220), after(20)), Some(7_200_000_000_000));
        assert_eq!((steady.now(), steady.steady_stamp(at(7221))), (at(20), at(21)));
        // A stamp from before the step.
        assert_eq!(steady.steady_stamp(at(19)), at(20));
        assert_eq!(steady.update(at(30), after(30)), Some(0));
        assert_eq!((steady.now(), steady.steady_stamp(at(30))), (at(30), at(30)));
        // A small adjustment is none.
        assert_eq!(steady.update(at(41).shifted(-500_000_000), after(40)), None);
    }
}
