//! The counts of one bucket of the history.

use serde::{Deserialize, Serialize};

use crate::record::ShareOutcome;
use crate::stratum::Difficulty;
use crate::work::HASHES_PER_DIFFICULTY;

/// Caps the sum of work in a bucket. All of Bitcoin's work in a week is below 10^18.
const MAX_WORK: f64 = 1e24;

/// The counts of one bucket, whose length depends on the series. The default is a bucket in which Sluice did not
/// run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Bucket {
    /// Seconds since 1970, a multiple of the length.
    pub start: u64,
    /// The seconds of the bucket in which Sluice ran.
    #[serde(default)]
    pub watched: f64,
    /// The sum of the difficulties that the shares' hashes prove.
    #[serde(default)]
    pub work: f64,
    #[serde(default)]
    pub accepted: u32,
    #[serde(default)]
    pub rejected: u32,
    #[serde(default)]
    pub unanswered: u32,
    /// The shares for a job that a clean job had replaced.
    #[serde(default)]
    pub stale: u32,
    /// The best accepted share's own difficulty.
    #[serde(default)]
    pub best: f64,
}

/// The part of a judged share that a bucket counts.
#[derive(Debug, Clone, Copy)]
pub struct HistoryShare<'a> {
    /// The work that the share's hash proves, whatever the pool's verdict.
    pub work: Option<Difficulty>,
    /// The difficulty of the share's hash.
    pub difficulty: Option<f64>,
    pub outcome: &'a ShareOutcome,
    /// A later clean job came before the share.
    pub stale: bool,
}

impl Bucket {
    /// The hashes per second over the time in which Sluice ran. `None` if that is less than a second, so that
    /// the chart shows a gap instead of a zero.
    pub fn hash_rate(&self) -> Option<f64> {
        let rate = self.work * HASHES_PER_DIFFICULTY / self.watched;
        (self.watched >= 1.0 && rate.is_finite()).then_some(rate)
    }

    pub(super) fn at(start: u64) -> Bucket {
        Bucket { start, ..Bucket::default() }
    }

    pub(super) fn share(&mut self, share: &HistoryShare) {
        let work = share.work.map_or(0.0, Difficulty::value);
        self.work = (self.work + work).min(MAX_WORK);
        let count = match share.outcome {
            ShareOutcome::Accepted => {
                let difficulty = share.difficulty.filter(|difficulty| difficulty.is_finite());
                self.best = self.best.max(difficulty.unwrap_or(0.0));
                Some(&mut self.accepted)
            }
            ShareOutcome::Rejected { .. } => Some(&mut self.rejected),
            ShareOutcome::Unanswered => Some(&mut self.unanswered),
            // The verdict is unknown, but the work was done.
            ShareOutcome::Unknown => None,
        };
        if let Some(count) = count {
            *count = count.saturating_add(1);
        }
        self.stale = self.stale.saturating_add(u32::from(share.stale));
    }

    /// Adds a second in which Sluice ran, in a bucket of `length` seconds.
    pub(super) fn watch(&mut self, length: u64) {
        self.watched = (self.watched + 1.0).min(length as f64);
    }

    /// Clamps the values, which come from a file that others may have written.
    pub(super) fn bounded(self, length: u64) -> Bucket {
        Bucket {
            watched: within(self.watched, length as f64),
            work: within(self.work, MAX_WORK),
            best: within(self.best, MAX_WORK),
            ..self
        }
    }
}

/// Clamps a value; NaN becomes zero.
fn within(value: f64, max: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, max) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_needs_a_second() {
        let bucket = Bucket { watched: 30.0, work: 60.0, ..Bucket::default() };
        assert_eq!(bucket.hash_rate(), Some(2.0 * HASHES_PER_DIFFICULTY));
        assert_eq!(Bucket { watched: 0.9, ..bucket }.hash_rate(), None);
        assert_eq!(Bucket { work: 0.0, ..bucket }.hash_rate(), Some(0.0));
        assert_eq!(Bucket { watched: f64::NAN, ..bucket }.hash_rate(), None);
        assert_eq!(Bucket { work: f64::MAX, ..bucket }.hash_rate(), None);
    }

    #[test]
    fn each_outcome_has_its_count_and_only_accepted_shares_are_the_best() {
        let mut bucket = Bucket::at(60);
        let rejected = ShareOutcome::Rejected { code: None, reason: None };
        let outcomes = [ShareOutcome::Accepted, rejected, ShareOutcome::Unanswered, ShareOutcome::Unknown];
        for (outcome, difficulty) in outcomes.iter().zip([5.0, 9.0, 9.0, 9.0]) {
            let stale = *outcome == ShareOutcome::Unknown;
            let work = Some(Difficulty::ONE);
            bucket.share(&HistoryShare { work, difficulty: Some(difficulty), outcome, stale });
        }
        assert_eq!((bucket.accepted, bucket.rejected, bucket.unanswered, bucket.stale), (1, 1, 1, 1));
        assert_eq!((bucket.work, bucket.best), (4.0, 5.0));
    }

    #[test]
    fn all_values_are_bounded() {
        let mut bucket = Bucket { accepted: u32::MAX, stale: u32::MAX, ..Bucket::default() };
        for _ in 0..2 {
            let work = Difficulty::new(f64::MAX).ok();
            let difficulty = Some(f64::INFINITY);
            bucket.share(&HistoryShare { work, difficulty, outcome: &ShareOutcome::Accepted, stale: true });
        }
        assert_eq!((bucket.accepted, bucket.stale), (u32::MAX, u32::MAX));
        assert_eq!((bucket.work, bucket.best), (MAX_WORK, 0.0));
        for _ in 0..100 {
            bucket.watch(60);
        }
        assert!(bucket.hash_rate().is_some_and(f64::is_finite));
        let hostile = Bucket { watched: -1.0, work: f64::NAN, best: f64::INFINITY, ..bucket }.bounded(60);
        assert_eq!((hostile.watched, hostile.work, hostile.best), (0.0, 0.0, MAX_WORK));
    }
}
