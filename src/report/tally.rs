//! The figures of the shares of one worker, of one pool, or of all.

use super::fields::UnixMs;
use super::histogram::ValueHistogram;
use super::series::{BucketContent, BucketSeries};
use super::share_line::{ShareLine, ShareResult};

/// The parts into which the chance of a share's difficulty is divided.
pub(super) const LUCK_PARTS: usize = 20;
/// The powers of two by which a share may exceed what was asked for, before they are one.
pub(super) const LUCK_POWERS: usize = 48;

/// The figures of many shares.
#[derive(Debug, Clone)]
pub(super) struct ShareTally {
    pub submitted: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub unanswered: u64,
    pub unknown: u64,
    /// Rejected because the job was over.
    pub stale: u64,
    /// Sent a second time.
    pub duplicates: u64,
    /// The hash does not meet what the pool asked for.
    pub below_difficulty: u64,
    /// Shares with an assigned difficulty and a hash.
    pub judged: u64,
    pub proven_difficulty: f64,
    /// The sum of the squares, from which the uncertainty is known.
    pub proven_squares: f64,
    /// The shares that prove it.
    pub proven_shares: u64,
    pub accepted_difficulty: f64,
    pub best: Option<BestFound>,
    /// Shares that meet the network's target.
    pub blocks: u64,
    pub least_assigned: Option<f64>,
    pub greatest_assigned: Option<f64>,
    pub last_assigned: Option<f64>,
    pub network_difficulty: Option<f64>,
    pub first_at: UnixMs,
    pub last_at: UnixMs,
    /// In milliseconds.
    pub response: ValueHistogram,
    /// In seconds.
    pub job_age: ValueHistogram,
    /// Proven shares by `assigned / found`, which is uniform between 0 and 1 for honest hashes.
    pub luck: [u64; LUCK_PARTS],
    /// Proven shares by the power of two of `found / assigned`.
    pub powers: [u64; LUCK_POWERS],
    pub work: BucketSeries<WorkBucket>,
}

/// The share with the highest difficulty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BestFound {
    pub difficulty: f64,
    pub at: UnixMs,
}

/// The shares of a stretch of time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WorkBucket {
    pub accepted: u32,
    pub rejected: u32,
    pub unanswered: u32,
    pub unknown: u32,
    pub stale: u32,
    pub proven_shares: u32,
    pub proven: f64,
    pub proven_squares: f64,
    /// The highest difficulty of an accepted share.
    pub best: f64,
}

/// The answer times and job ages of a stretch of time.
#[derive(Debug, Clone, Default)]
pub(super) struct DelayBucket {
    pub response: ValueHistogram,
    pub job_age: ValueHistogram,
}

impl ShareTally {
    /// Without shares, and with at most so many buckets over time.
    pub fn new(max_buckets: usize) -> ShareTally {
        ShareTally {
            submitted: 0,
            accepted: 0,
            rejected: 0,
            unanswered: 0,
            unknown: 0,
            stale: 0,
            duplicates: 0,
            below_difficulty: 0,
            judged: 0,
            proven_difficulty: 0.0,
            proven_squares: 0.0,
            proven_shares: 0,
            accepted_difficulty: 0.0,
            best: None,
            blocks: 0,
            least_assigned: None,
            greatest_assigned: None,
            last_assigned: None,
            network_difficulty: None,
            first_at: UnixMs::MAX,
            last_at: UnixMs::MIN,
            response: ValueHistogram::default(),
            job_age: ValueHistogram::default(),
            luck: [0; LUCK_PARTS],
            powers: [0; LUCK_POWERS],
            work: BucketSeries::new(max_buckets),
        }
    }

    /// Counts a share. `is_repeated`: its hash came before, so it proves nothing.
    pub fn add(&mut self, share: &ShareLine<'_>, is_repeated: bool) {
        self.submitted += 1;
        self.first_at = self.first_at.min(share.at);
        self.last_at = self.last_at.max(share.at);
        let is_stale = share.is_stale_reject();
        let proven = share.proven().filter(|_| !is_repeated);
        let bucket = self.work.at(share.at);
        match share.result {
            ShareResult::Accepted => {
                self.accepted += 1;
                bucket.accepted += 1;
                self.accepted_difficulty += share.assigned_difficulty.unwrap_or(0.0);
            }
            ShareResult::Rejected => {
                self.rejected += 1;
                bucket.rejected += 1;
            }
            ShareResult::Unanswered => {
                self.unanswered += 1;
                bucket.unanswered += 1;
            }
            ShareResult::Unknown => {
                self.unknown += 1;
                bucket.unknown += 1;
            }
        }
        if let Some(proven) = proven {
            bucket.proven_shares += 1;
            bucket.proven += proven;
            bucket.proven_squares += proven * proven;
            self.proven_shares += 1;
            self.proven_difficulty += proven;
            self.proven_squares += proven * proven;
        }
        bucket.stale += u32::from(is_stale);
        self.stale += u64::from(is_stale);
        self.duplicates += u64::from(is_repeated);
        self.blocks += u64::from(share.is_block && !is_repeated);
        if let Some(response) = share.response_ms {
            self.response.add(response);
        }
        if let Some(age) = share.job_age {
            self.job_age.add(age);
        }
        self.network_difficulty = share.network_difficulty.or(self.network_difficulty);
        self.add_difficulty(share, proven.is_some());
    }

    fn add_difficulty(&mut self, share: &ShareLine<'_>, is_proven: bool) {
        if let Some(assigned) = share.assigned_difficulty {
            self.last_assigned = Some(assigned);
            self.least_assigned = Some(self.least_assigned.map_or(assigned, |least| least.min(assigned)));
            self.greatest_assigned = Some(self.greatest_assigned.map_or(assigned, |most| most.max(assigned)));
        }
        let (Some(found), Some(assigned)) = (share.share_difficulty, share.assigned_difficulty) else {
            return;
        };
        self.judged += 1;
        self.below_difficulty += u64::from(found < assigned);
        if is_proven {
            let part = (assigned / found * LUCK_PARTS as f64) as usize;
            self.luck[part.min(LUCK_PARTS - 1)] += 1;
            let power = ((found / assigned).to_bits() >> 52).saturating_sub(1023) as usize;
            self.powers[power.min(LUCK_POWERS - 1)] += 1;
            if share.result == ShareResult::Accepted {
                let bucket = self.work.at(share.at);
                bucket.best = bucket.best.max(found);
            }
            if share.result == ShareResult::Accepted && self.best.is_none_or(|best| found > best.difficulty) {
                self.best = Some(BestFound { difficulty: found, at: share.at });
            }
        }
    }

    /// The number of equal shares that would be known as exactly as these.
    pub fn effective_shares(&self) -> f64 {
        effective(self.proven_difficulty, self.proven_squares)
    }

    /// Accepted and rejected shares.
    pub fn answered(&self) -> u64 {
        self.accepted + self.rejected
    }
}

impl WorkBucket {
    pub fn effective_shares(&self) -> f64 {
        effective(self.proven, self.proven_squares)
    }

    pub fn answered(&self) -> u64 {
        u64::from(self.accepted) + u64::from(self.rejected)
    }
}

fn effective(sum: f64, squares: f64) -> f64 {
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

impl BucketContent for WorkBucket {
    fn merge(&mut self, other: WorkBucket) {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.unanswered += other.unanswered;
        self.unknown += other.unknown;
        self.stale += other.stale;
        self.proven_shares += other.proven_shares;
        self.proven += other.proven;
        self.proven_squares += other.proven_squares;
        self.best = self.best.max(other.best);
    }
}

impl BucketContent for DelayBucket {
    fn merge(&mut self, other: DelayBucket) {
        self.response.merge(&other.response);
        self.job_age.merge(&other.job_age);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(result: ShareResult, found: f64, assigned: f64) -> ShareLine<'static> {
        ShareLine {
            result,
            reason: "Stale share",
            share_difficulty: Some(found),
            assigned_difficulty: Some(assigned),
            job_age: Some(1.0),
            response_ms: Some(30.0),
            ..ShareLine::for_tests("rig", 1_790_000_000_000)
        }
    }

    #[test]
    fn work_is_proven_by_the_hash_and_accepted_by_the_pool() {
        let mut tally = ShareTally::new(10);
        tally.add(&share(ShareResult::Accepted, 9.0, 8.0), false);
        tally.add(&share(ShareResult::Rejected, 16.0, 8.0), false);
        tally.add(&share(ShareResult::Rejected, 7.0, 8.0), false);
        tally.add(&share(ShareResult::Accepted, 9.0, 8.0), true);
        assert_eq!((tally.submitted, tally.accepted, tally.rejected, tally.stale), (4, 2, 2, 2));
        assert_eq!((tally.proven_difficulty, tally.accepted_difficulty), (16.0, 16.0));
        assert_eq!((tally.proven_shares, tally.below_difficulty, tally.duplicates), (2, 1, 1));
        assert_eq!(tally.best.map(|best| best.difficulty), Some(9.0));
        assert_eq!(tally.effective_shares(), 2.0);
        assert_eq!((tally.luck[10], tally.luck[17]), (1, 1));
    }
}
