//! The jobs of a watch: a bounded number of them whole, all of them counted.

use std::time::Duration;

use super::job::{ParentWork, SeenJob};
use crate::analyzer::{ChainVerdict, PayoutState};
use crate::config::RulesConfig;

/// More are only counted; an hour of a pool that sends one every 30 s has 120.
const MOST_KEPT: usize = 128;

/// A job is late after so many of the pool's own intervals. Blocks come by chance: one in 22,000 takes ten times
/// as long as the mean.
const LATE_INTERVALS: u32 = 10;

/// Fees make a difference of this order between jobs that share them alike.
const SAME_PERCENT: f64 = 0.005;

/// What the pool gave to do.
#[derive(Debug, Default)]
pub struct JobsSeen {
    /// The first ones, whole.
    pub kept: Vec<SeenJob>,
    pub newest: Option<SeenJob>,
    /// The one with the worst payout, among the telling ones; the first of several alike.
    pub worst: Option<SeenJob>,
    /// The first one that builds on a block nobody worked for.
    pub baseless: Option<SeenJob>,
    /// The first of those on the worst chain.
    pub worst_chain: Option<ChainVerdict>,
    /// Of those that were read, the farthest from the clock, in seconds.
    pub worst_drift: Option<i64>,
    /// How many were read.
    pub count: u64,
    /// Of these, how many the pool could make for the address, or that paid it all the same.
    pub telling: u64,
    /// When the first and the newest of these came, since the connection.
    telling_from: Option<Duration>,
    telling_to: Option<Duration>,
    pub clean: u64,
    /// Without transactions.
    pub empty: u64,
    /// Jobs, or what may be jobs, that can't be read, or not for certain. Miners may read them.
    pub unreadable: u64,
    /// The reason why the first of them can't be read.
    pub unreadable_reason: Option<String>,
    /// Of the largest coinbase, in bytes; zero before the first job.
    pub largest_coinbase: usize,
    /// The longest time between two.
    pub longest_gap: Option<Duration>,
    /// The height went back at some point.
    pub went_back: bool,
    /// Nothing that comes later can make this pool a good one.
    pub is_damned: bool,
}

impl JobsSeen {
    /// Counts something that may be a job and can't be read.
    pub(super) fn add_unreadable(&mut self, why: &str) {
        self.unreadable += 1;
        self.unreadable_reason.get_or_insert_with(|| why.to_owned());
    }

    pub(super) fn add(&mut self, job: SeenJob, most_drift: i64) {
        self.count += 1;
        self.clean += u64::from(job.clean);
        self.empty += u64::from(job.branches == 0);
        self.largest_coinbase = self.largest_coinbase.max(job.coinbase_bytes);
        self.is_damned |= job.is_damning(most_drift);
        if let Some(before) = &self.newest {
            let gap = job.at.since.saturating_sub(before.at.since);
            self.longest_gap = self.longest_gap.max(Some(gap));
            let back = job.height.zip(before.height).is_some_and(|(now, before)| now < before);
            self.went_back |= back;
        }
        if job.is_telling() {
            self.telling += 1;
            self.telling_from = self.telling_from.or(Some(job.at.since));
            self.telling_to = Some(job.at.since);
            let is_worse = |worst: &SeenJob| {
                let is_less = job.payout.percent < worst.payout.percent - SAME_PERCENT;
                job.payout.state > worst.payout.state || (job.payout.state == worst.payout.state && is_less)
            };
            if self.worst.as_ref().is_none_or(is_worse) {
                self.worst = Some(job.clone());
            }
        }
        if job.parent_work == ParentWork::Missed && self.baseless.is_none() {
            self.baseless = Some(job.clone());
        }
        if self.worst_chain.as_ref().is_none_or(|worst| job.chain.state > worst.state) {
            self.worst_chain = Some(job.chain.clone());
        }
        let drift = job.drift();
        if self.worst_drift.is_none_or(|worst| drift.abs() > worst.abs()) {
            self.worst_drift = Some(drift);
        }
        if self.kept.len() < MOST_KEPT {
            self.kept.push(job.clone());
        }
        self.newest = Some(job);
    }

    /// The first one.
    pub fn first(&self) -> Option<&SeenJob> {
        self.kept.first()
    }

    /// The one to show: that with the worst payout, else the newest.
    pub fn shown(&self) -> Option<&SeenJob> {
        self.worst.as_ref().or(self.newest.as_ref())
    }

    /// From the first telling job to the newest; `None` before there is any.
    pub fn telling_for(&self) -> Option<Duration> {
        Some(self.telling_to?.saturating_sub(self.telling_from?))
    }

    /// The mean time between two; `None` before the second.
    pub fn interval(&self) -> Option<Duration> {
        let (first, last) = (self.first()?, self.newest.as_ref()?);
        let gaps = u32::try_from(self.count.checked_sub(1)?).unwrap_or(u32::MAX);
        last.at.since.checked_sub(first.at.since)?.checked_div(gaps)
    }

    /// The time since the newest job, when the watch lasted `lasted` and that job says nothing any more.
    pub fn outdated_for(&self, lasted: Duration) -> Option<Duration> {
        let age = lasted.saturating_sub(self.newest.as_ref()?.at.since);
        let habit = self.interval().unwrap_or_default().saturating_mul(LATE_INTERVALS);
        (age > RulesConfig::default().stale_job.max(habit)).then_some(age)
    }

    /// Whether each telling job pays the address.
    pub fn all_pay(&self) -> bool {
        self.worst.as_ref().is_some_and(|worst| worst.payout.state == PayoutState::Verified)
    }
}
