//! The interval between a pool's jobs, and the time after which a job is late.

use super::rules::longest_gap;

/// The weight of older gaps decays by this factor with each job, so that about a hundred of them count.
const DECAY: f64 = 0.99;
/// A pool sends jobs by a clock if none of this many gaps is longer than [`MAX_REGULAR_SPREAD`] means. Jobs that come
/// only with blocks look like that once in a million times.
const MIN_REGULAR_GAPS: u32 = 60;
const MAX_REGULAR_SPREAD: f64 = 1.6;
/// The job of a pool that sends them by a clock is late after this many of its longest gaps.
const REGULAR_LATE_FACTOR: f64 = 3.0;

/// The gaps between the jobs of one session.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct JobIntervals {
    count: f64,
    seconds: f64,
    longest: f64,
    gaps: u32,
}

impl JobIntervals {
    /// Adds the gap before a job, in seconds. The gap before a late job does not count as usual.
    pub(super) fn add(&mut self, gap: f64, was_late: bool) {
        if was_late {
            return;
        }
        let gap = gap.max(0.0);
        self.gaps = self.gaps.saturating_add(1);
        self.count = self.count * DECAY + 1.0;
        self.seconds = self.seconds * DECAY + gap;
        self.longest = gap.max(self.longest * DECAY);
    }

    /// The longest recent gap, in seconds.
    pub(super) fn longest(&self) -> f64 {
        self.longest
    }

    /// The gap, in seconds, after which a job is late: by the pool's own clock if it has one, otherwise by the random
    /// times of blocks.
    pub(super) fn late_after(&self) -> f64 {
        let mean = self.seconds / self.count.max(1.0);
        if self.gaps >= MIN_REGULAR_GAPS && self.longest <= MAX_REGULAR_SPREAD * mean {
            return self.longest * REGULAR_LATE_FACTOR;
        }
        longest_gap(self.count, self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regular_pool_is_late_soon_and_one_that_waits_for_blocks_is_not() {
        let mut regular = JobIntervals::default();
        let mut by_blocks = regular;
        for number in 1..200 {
            regular.add(30.0, false);
            by_blocks.add(if number % 3 == 0 { 1500.0 } else { 150.0 }, false);
        }
        assert!((89.0..91.0).contains(&regular.late_after()), "{}", regular.late_after());
        assert!(by_blocks.late_after() > 23.0 * 600.0, "{}", by_blocks.late_after());
        // Five gaps are too few to tell.
        let mut new = JobIntervals::default();
        for _ in 1..=5 {
            new.add(30.0, false);
        }
        assert!(new.late_after() > 3600.0);
    }
}
