//! The work of one device on its way: what the device says it does, what its shares prove, what the pool accepts.
//!
//! The three are sums over the same time: that in which the miner was connected with work, and its newest reading was
//! fresh. A loss is certain if an honest device would hardly ever prove so little.

use std::collections::VecDeque;

use super::poisson::{FALSE_ALARM_CHANCE, poisson_at_least, poisson_at_most};
use crate::work::HASHES_PER_DIFFICULTY;

/// The length of a slice.
const SLICE_SECONDS: f64 = 600.0;
/// Caps the slices: a day. With a share each 15 s, that is enough to prove a loss of a fifth.
const MAX_SLICES: usize = 144;
/// The slices that are shown: an hour.
const SHOWN_SLICES: usize = 6;
/// The time without anything to count after which the figures are too old to be shown.
const MAX_UNCOUNTED_SECONDS: f64 = 900.0;
/// The part of what it says that an honest device proves at the least. Some firmware estimates its hash rate.
const HONEST_PART: f64 = 0.85;
/// The least time that proves a loss. A device that has just started says more than it does.
const MIN_SECONDS: f64 = 1200.0;
/// The least time, and the shares expected in it, that can prove that a loss is over.
const MIN_RECOVERY_SECONDS: f64 = 1800.0;
const MIN_RECOVERY_SHARES: f64 = 50.0;
/// The chance that a loss that goes on looks as if it were over.
const FALSE_RECOVERY_CHANCE: f64 = 1e-3;

/// The hash rates of a device at three places, over the same time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WorkLegs {
    /// The time that they are averages of; an hour at most.
    pub seconds: f64,
    /// Hashes per second as the device says.
    pub reported: f64,
    /// Hashes per second as its shares prove.
    pub proven: f64,
    /// Hashes per second for which the pool has accepted the shares; in aggregate mode Sluice.
    pub accepted: f64,
    /// The part by which chance alone moves `proven`: one standard deviation.
    pub chance: f64,
}

/// A certain loss of work between the device and Sluice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct WorkLoss {
    pub(super) seconds: f64,
    /// Hashes per second.
    pub(super) reported: f64,
    pub(super) proven: f64,
    /// An upper bound of the chance with an honest device.
    pub(super) probability: f64,
}

/// The work since the device was first read, a day at most.
#[derive(Debug, Default)]
pub(super) struct DeviceWork {
    /// The oldest first. The last one is being filled.
    slices: VecDeque<WorkSlice>,
    /// The slices begun since the alert about a loss began.
    since_loss: usize,
    /// The time since anything was counted.
    uncounted_seconds: f64,
}

/// Sums of difficulties.
#[derive(Debug, Clone, Copy, Default)]
struct WorkSlice {
    seconds: f64,
    reported: f64,
    proven: f64,
    accepted: f64,
    /// The highest difficulty of a share.
    hardest: f64,
}

impl DeviceWork {
    /// Counts time in which the device said that it makes so many hashes per second, at this difficulty.
    pub(super) fn pass(&mut self, seconds: f64, hash_rate: f64, difficulty: f64) {
        self.uncounted_seconds = 0.0;
        if self.slices.back().is_none_or(|slice| slice.seconds >= SLICE_SECONDS) {
            if self.slices.len() >= MAX_SLICES {
                self.slices.pop_front();
            }
            self.slices.push_back(WorkSlice::default());
            self.since_loss = self.since_loss.saturating_add(1);
        }
        if let Some(slice) = self.slices.back_mut() {
            slice.seconds += seconds;
            slice.reported += hash_rate * seconds / HASHES_PER_DIFFICULTY;
            slice.hardest = slice.hardest.max(difficulty);
        }
    }

    /// Lets time pass that can't be compared.
    pub(super) fn pass_uncounted(&mut self, seconds: f64) {
        self.uncounted_seconds += seconds;
    }

    /// Counts a share of this proven difficulty, and what the pool credits for it. Before the first time has passed,
    /// nothing is counted.
    pub(super) fn add_share(&mut self, proven: f64, accepted: f64) {
        if let Some(slice) = self.slices.back_mut() {
            slice.proven += proven;
            slice.accepted += accepted;
            slice.hardest = slice.hardest.max(proven);
        }
    }

    /// Forgets everything.
    pub(super) fn start_over(&mut self) {
        self.slices.clear();
        self.since_loss = 0;
    }

    /// The three hash rates over the last hour. `None` before a minute has passed, and when nothing was counted lately.
    pub(super) fn legs(&self) -> Option<WorkLegs> {
        let sum = self.newest(SHOWN_SLICES);
        let per_second = |work: f64| work * HASHES_PER_DIFFICULTY / sum.seconds;
        (sum.seconds >= 60.0 && self.uncounted_seconds < MAX_UNCOUNTED_SECONDS).then(|| WorkLegs {
            seconds: sum.seconds,
            reported: per_second(sum.reported),
            proven: per_second(sum.proven),
            accepted: per_second(sum.accepted),
            chance: if sum.reported > 0.0 { (sum.hardest / sum.reported).sqrt().min(1.0) } else { 1.0 },
        })
    }

    /// The most certain loss over the last slice, two, four and so on. A device that loses work since an hour was
    /// honest before.
    pub(super) fn loss(&self) -> Option<WorkLoss> {
        let windows = (0..).map(|power| 1 << power).take_while(|slices| *slices < 2 * self.slices.len());
        let losses = windows.filter_map(|slices| {
            let sum = self.newest(slices);
            let probability =
                poisson_at_most(sum.proven / sum.hardest, HONEST_PART * sum.reported / sum.hardest);
            let per_second = |work: f64| work * HASHES_PER_DIFFICULTY / sum.seconds;
            (sum.seconds >= MIN_SECONDS && probability < FALSE_ALARM_CHANCE).then(|| WorkLoss {
                seconds: sum.seconds,
                reported: per_second(sum.reported),
                proven: per_second(sum.proven),
                probability,
            })
        });
        losses.min_by(|a, b| a.probability.total_cmp(&b.probability))
    }

    /// An alert about a loss begins now.
    pub(super) fn begin_loss(&mut self) {
        self.since_loss = 0;
    }

    /// Returns whether a loss that left only this part of the work is over. Then what came before is forgotten.
    /// Looks at the least time that can prove it, and at twice that, four times and so on since the alert began.
    pub(super) fn has_recovered(&mut self, part: f64) -> bool {
        let Some(least) = (1..=self.slices.len()).find(|slices| {
            let sum = self.newest(*slices);
            sum.seconds >= MIN_RECOVERY_SECONDS && sum.reported >= MIN_RECOVERY_SHARES * sum.hardest
        }) else {
            return false;
        };
        let since = self.since_loss.min(self.slices.len());
        let longer = (1..).map(|power| least << power).take_while(|slices| *slices <= since);
        let found = std::iter::once(least).chain(longer).find(|slices| {
            let sum = self.newest(*slices);
            let between = f64::midpoint(part, HONEST_PART) * sum.reported / sum.hardest;
            sum.proven >= HONEST_PART * sum.reported
                && poisson_at_least(sum.proven / sum.hardest, between) < FALSE_RECOVERY_CHANCE
        });
        if let Some(slices) = found {
            self.slices.drain(..self.slices.len() - slices);
        }
        found.is_some()
    }

    fn newest(&self, slices: usize) -> WorkSlice {
        let newest = self.slices.iter().rev().take(slices);
        newest.fold(WorkSlice::default(), |sum, slice| WorkSlice {
            seconds: sum.seconds + slice.seconds,
            reported: sum.reported + slice.reported,
            proven: sum.proven + slice.proven,
            accepted: sum.accepted + slice.accepted,
            hardest: sum.hardest.max(slice.hardest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFFICULTY: f64 = 1024.0;
    /// A share each 15 s.
    const HASH_RATE: f64 = DIFFICULTY * HASHES_PER_DIFFICULTY / 15.0;

    /// A random time with a mean of 1, by a congruential generator.
    fn exponential(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        -(((*state >> 11) as f64 + 1.0) / (1_u64 << 53) as f64).ln()
    }

    /// A device that says `HASH_RATE` and makes this part of it. Returns the hours until a loss is certain.
    fn hours_to_loss(work: &mut DeviceWork, part: f64, seed: u64, hours: u32) -> Option<f64> {
        let mut state = seed;
        let mut next_share = 0.0;
        for second in 0..hours * 3600 {
            work.pass(1.0, HASH_RATE, DIFFICULTY);
            next_share -= 1.0;
            while next_share <= 0.0 {
                work.add_share(DIFFICULTY, DIFFICULTY);
                next_share += exponential(&mut state) * 15.0 / part;
            }
            if second % 60 == 0 && work.loss().is_some() {
                return Some(f64::from(second) / 3600.0);
            }
        }
        None
    }

    #[test]
    fn an_honest_device_loses_nothing_for_a_week() {
        for (part, seed) in [(1.0, 1), (0.95, 2), (0.87, 3), (1.2, 4)] {
            let mut work = DeviceWork::default();
            assert_eq!(hours_to_loss(&mut work, part, seed, 24 * 7), None, "{part}");
        }
    }

    #[test]
    fn the_more_is_lost_the_sooner_it_is_certain() {
        for (part, least, most) in [(0.6, 0.3, 6.0), (0.3, 0.2, 1.5), (0.02, 0.1, 0.7)] {
            let mut work = DeviceWork::default();
            let hours = hours_to_loss(&mut work, part, 7, 24).unwrap();
            assert!((least..most).contains(&hours), "{part}: {hours}");
        }
    }

    #[test]
    fn a_loss_after_an_honest_day_is_seen_and_its_end_too() {
        let mut work = DeviceWork::default();
        assert_eq!(hours_to_loss(&mut work, 1.0, 8, 30), None);
        let hours = hours_to_loss(&mut work, 0.5, 9, 24).unwrap();
        assert!(hours < 4.0, "{hours}");
        let loss = work.loss().unwrap();
        assert!((0.3..0.8).contains(&(loss.proven / loss.reported)), "{loss:?}");
        let part = loss.proven / loss.reported;
        work.begin_loss();
        assert!(!work.has_recovered(part));
        let mut minutes = 0;
        while !work.has_recovered(part) {
            minutes += 1;
            assert!(minutes < 240);
            for _ in 0..4 {
                work.pass(15.0, HASH_RATE, DIFFICULTY);
                work.add_share(DIFFICULTY, DIFFICULTY);
            }
        }
        assert!(work.loss().is_none());
    }

    #[test]
    fn the_end_of_a_small_loss_is_seen_too() {
        for (seed, part) in [(10, 1.0), (11, 0.95), (12, 1.0)] {
            let mut work = DeviceWork::default();
            hours_to_loss(&mut work, 0.65, seed, 48).unwrap();
            work.begin_loss();
            let (mut state, mut next_share, mut seconds) = (seed, 0.0, 0);
            while !work.has_recovered(0.65) {
                seconds += 60;
                assert!(seconds < 12 * 3600, "{seed}");
                work.pass(60.0, HASH_RATE, DIFFICULTY);
                next_share -= 60.0;
                while next_share <= 0.0 {
                    work.add_share(DIFFICULTY, DIFFICULTY);
                    next_share += exponential(&mut state) * 15.0 / part;
                }
            }
        }
    }

    #[test]
    fn difficulties_may_change() {
        let mut work = DeviceWork::default();
        for hour in 0..48 {
            let difficulty = if hour % 2 == 0 { DIFFICULTY } else { DIFFICULTY * 16.0 };
            for _ in 0..15 {
                work.pass(240.0, HASH_RATE, difficulty);
                for _ in 0..(16.0 * DIFFICULTY / difficulty) as u32 {
                    work.add_share(difficulty, 0.0);
                }
            }
            assert_eq!(work.loss(), None);
        }
        let legs = work.legs().unwrap();
        assert!((legs.proven / legs.reported - 1.0).abs() < 0.01 && legs.accepted == 0.0, "{legs:?}");
    }
}
