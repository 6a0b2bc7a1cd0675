//! How often jobs come, and when one is late.

use super::chance::longest_gap;
use super::seconds_between;
use crate::clock::NtpTime;

/// What is known fades by this part with each job: some hundred of them count.
const FADES: f64 = 0.99;
/// A clock's habit shows after so many gaps of which none was longer than so many means. Of jobs that
/// come with blocks only, sixty gaps look like that once in a million times.
const REGULAR_GAPS: u32 = 60;
const REGULAR_SPREAD: f64 = 1.6;
/// A regular pool is late after so many of its longest gaps.
const REGULAR_LATE: f64 = 3.0;

/// The jobs of one session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cadence {
    pub(super) last: NtpTime,
    count: f64,
    seconds: f64,
    pub(super) longest: f64,
    gaps: u32,
}

impl Cadence {
    /// The first job.
    pub(super) fn new(at: NtpTime) -> Cadence {
        Cadence { last: at, count: 0.0, seconds: 0.0, longest: 0.0, gaps: 0 }
    }

    /// A further one. What was too long is no habit.
    pub(super) fn job(&mut self, at: NtpTime, was_late: bool) {
        let gap = seconds_between(self.last, at).max(0.0);
        self.last = at;
        if was_late {
            return;
        }
        self.gaps = self.gaps.saturating_add(1);
        self.count = self.count * FADES + 1.0;
        self.seconds = self.seconds * FADES + gap;
        self.longest = gap.max(self.longest * FADES);
    }

    /// A job that did not come for so many seconds is late: by the pool's habit when it is regular, else
    /// by chance, as of blocks.
    pub(super) fn late_after(&self) -> f64 {
        let mean = self.seconds / self.count.max(1.0);
        if self.gaps >= REGULAR_GAPS && self.longest <= REGULAR_SPREAD * mean {
            return self.longest * REGULAR_LATE;
        }
        longest_gap(self.count, self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> NtpTime {
        NtpTime::from_timestamp(jiff::Timestamp::from_millisecond((seconds * 1e3) as i64).unwrap())
    }

    #[test]
    fn a_regular_pool_is_late_soon_and_one_that_waits_for_blocks_is_not() {
        let mut regular = Cadence::new(at(0.0));
        let mut by_blocks = regular;
        let mut time = 0.0;
        for number in 1..200 {
            regular.job(at(30.0 * f64::from(number)), false);
            time += if number % 3 == 0 { 1500.0 } else { 150.0 };
            by_blocks.job(at(time), false);
        }
        assert!((89.0..91.0).contains(&regular.late_after()), "{}", regular.late_after());
        assert!(by_blocks.late_after() > 23.0 * 600.0, "{}", by_blocks.late_after());
        // Five gaps say next to nothing.
        let mut new = Cadence::new(at(0.0));
        for number in 1..=5 {
            new.job(at(30.0 * f64::from(number)), false);
        }
        assert!(new.late_after() > 3600.0);
    }
}
