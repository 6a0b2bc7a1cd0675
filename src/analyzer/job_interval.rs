//! How often jobs come, and when one is late.

use super::rules::longest_gap;

/// What is known fades by this part with each job: some hundred of them count.
const DECAY: f64 = 0.99;
/// A clock's habit shows after so many gaps of which none was longer than so many means. Of jobs that
/// come with blocks only, sixty gaps look like that once in a million times.
const MIN_REGULAR_GAPS: u32 = 60;
const MAX_REGULAR_SPREAD: f64 = 1.6;
/// A regular pool is late after so many of its longest gaps.
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
    /// A further job, so many seconds after the one before. What was too long is no habit.
    pub(super) fn job(&mut self, gap: f64, was_late: bool) {
        if was_late {
            return;
        }
        let gap = gap.max(0.0);
        self.gaps = self.gaps.saturating_add(1);
        self.count = self.count * DECAY + 1.0;
        self.seconds = self.seconds * DECAY + gap;
        self.longest = gap.max(self.longest * DECAY);
    }

    /// The longest gap of late, in seconds.
    pub(super) fn longest(&self) -> f64 {
        self.longest
    }

    /// A job that did not come for so many seconds is late: by the pool's habit when it is regular, else
    /// by chance, as of blocks.
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
            regular.job(30.0, false);
            by_blocks.job(if number % 3 == 0 { 1500.0 } else { 150.0 }, false);
        }
        assert!((89.0..91.0).contains(&regular.late_after()), "{}", regular.late_after());
        assert!(by_blocks.late_after() > 23.0 * 600.0, "{}", by_blocks.late_after());
        // Five gaps say next to nothing.
        let mut new = JobIntervals::default();
        for _ in 1..=5 {
            new.job(30.0, false);
        }
        assert!(new.late_after() > 3600.0);
    }
}
