//! The jobs that a pool sent: a bounded number of them is kept, all are counted.

use std::time::Duration;

use super::job::ObservedJob;
use crate::analyzer::{ChainVerdict, PayoutState};
use crate::config::RulesConfig;

/// Caps the kept jobs. A pool that sends a job every 30 s sends 120 in an hour.
const MAX_KEPT_JOBS: usize = 128;

/// A job is late after this many of the pool's own intervals. Blocks come at random: one in 22,000
/// takes ten times as long as the mean.
const LATE_INTERVALS: u32 = 10;

/// Payouts closer than this are the same, in percent. Fees cause such differences.
const SAME_PERCENT: f64 = 0.005;

/// The jobs that a pool sent.
#[derive(Debug, Default)]
pub struct ObservedJobs {
    /// The first jobs.
    pub kept: Vec<ObservedJob>,
    pub newest: Option<ObservedJob>,
    /// The first job with the worst payout among those whose payout decides.
    pub worst: Option<ObservedJob>,
    /// The first job that builds on a block whose hash misses the target.
    pub bad_parent: Option<ObservedJob>,
    pub worst_chain: Option<ChainVerdict>,
    /// The largest difference between a job's time and the clock, in seconds.
    pub worst_drift: Option<i64>,
    /// The number of jobs that were read.
    pub count: u64,
    /// The number of jobs whose payout decides: see [`ObservedJob::is_telling`].
    pub telling: u64,
    /// The times of the first and the newest telling job, since the connection.
    telling_from: Option<Duration>,
    telling_to: Option<Duration>,
    pub clean: u64,
    /// Jobs without transactions.
    pub empty: u64,
    /// Lines that may be jobs and could not be read for certain. Miners may read them.
    pub unreadable: u64,
    /// The reason why the first of them could not be read.
    pub unreadable_reason: Option<String>,
    /// The size of the largest coinbase, in bytes; zero before the first job.
    pub largest_coinbase: usize,
    /// The longest time between two jobs.
    pub longest_gap: Option<Duration>,
    /// The height decreased at some point.
    pub went_back: bool,
    /// The outcome is bad, whatever comes later.
    pub is_ruled_out: bool,
}

impl ObservedJobs {
    /// Counts a line that may be a job and could not be read.
    pub(super) fn add_unreadable(&mut self, why: &str) {
        self.unreadable += 1;
        self.unreadable_reason.get_or_insert_with(|| why.to_owned());
    }

    pub(super) fn add(&mut self, job: ObservedJob, max_drift: i64) {
        self.count += 1;
        self.clean += u64::from(job.clean);
        self.empty += u64::from(job.branches == 0);
        self.largest_coinbase = self.largest_coinbase.max(job.coinbase_bytes);
        self.is_ruled_out |= job.rules_out_good(max_drift);
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
            let is_worse = |worst: &ObservedJob| {
                let is_less = job.payout.percent < worst.payout.percent - SAME_PERCENT;
                job.payout.state > worst.payout.state || (job.payout.state == worst.payout.state && is_less)
            };
            if self.worst.as_ref().is_none_or(is_worse) {
                self.worst = Some(job.clone());
            }
        }
        if job.parent_meets_target == Some(false) && self.bad_parent.is_none() {
            self.bad_parent = Some(job.clone());
        }
        if self.worst_chain.as_ref().is_none_or(|worst| job.chain.state > worst.state) {
            self.worst_chain = Some(job.chain.clone());
        }
        let drift = job.drift();
        if self.worst_drift.is_none_or(|worst| drift.abs() > worst.abs()) {
            self.worst_drift = Some(drift);
        }
        if self.kept.len() < MAX_KEPT_JOBS {
            self.kept.push(job.clone());
        }
        self.newest = Some(job);
    }

    pub fn first(&self) -> Option<&ObservedJob> {
        self.kept.first()
    }

    /// The job to show: the one with the worst payout, else the newest.
    pub fn shown(&self) -> Option<&ObservedJob> {
        self.worst.as_ref().or(self.newest.as_ref())
    }

    /// The time from the first telling job to the newest. `None` before the first.
    pub fn telling_for(&self) -> Option<Duration> {
        Some(self.telling_to?.saturating_sub(self.telling_from?))
    }

    /// The mean time between two jobs. `None` before the second.
    pub fn interval(&self) -> Option<Duration> {
        let (first, last) = (self.first()?, self.newest.as_ref()?);
        let gaps = u32::try_from(self.count.checked_sub(1)?).unwrap_or(u32::MAX);
        last.at.since.checked_sub(first.at.since)?.checked_div(gaps)
    }

    /// The age of the newest job at the end of a check that lasted `lasted`, if the job is outdated by then.
    pub fn outdated_for(&self, lasted: Duration) -> Option<Duration> {
        let age = lasted.saturating_sub(self.newest.as_ref()?.at.since);
        let habit = self.interval().unwrap_or_default().saturating_mul(LATE_INTERVALS);
        (age > RulesConfig::default().stale_job.max(habit)).then_some(age)
    }

    /// Whether every job whose payout decides pays the address.
    pub fn all_pay(&self) -> bool {
        self.worst.as_ref().is_some_and(|worst| worst.payout.state == PayoutState::Verified)
    }
}
