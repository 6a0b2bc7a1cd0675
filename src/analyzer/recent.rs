//! The newest shares and jobs, as they are shown.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::session_event::JobSeen;
use super::verdicts::{ChainVerdict, PayoutVerdict};
use crate::clock::NtpTime;
use crate::record::ShareRow;
use crate::stratum::{JobId, Nbits, Ntime};
use crate::work::{BlockHash, Height, parent_hash};

/// The most shares that are kept.
const MAX_SHARES: usize = 200;
/// The most jobs that are kept.
const MAX_JOBS: usize = 100;
/// A pool sends the same job to all its miners within moments, so it is among the newest.
const SAME_JOB_SEARCH: usize = 16;

/// A job as the first of its miners got it.
#[derive(Debug, Clone)]
pub struct JobView {
    /// The upstream's number, from 0.
    pub upstream: Option<usize>,
    pub job_id: JobId,
    pub height: Option<Height>,
    /// The hash of the previous block.
    pub parent: BlockHash,
    pub nbits: Nbits,
    pub network_difficulty: Option<f64>,
    pub ntime: Ntime,
    /// The ntime less NTP time, in seconds.
    pub time_difference: f64,
    pub at: NtpTime,
    /// The time since the job before.
    pub gap: Option<Duration>,
    /// The time since the first job of its block.
    pub block_age: Option<Duration>,
    pub branches: usize,
    /// The job ends the jobs before it.
    pub clean: bool,
    /// In bytes; zero if the coinbase cannot be decoded.
    pub coinbase_length: usize,
    /// The pool's own text in the coinbase.
    pub tag: Option<String>,
    pub payout: PayoutVerdict,
    pub chain: ChainVerdict,
}

/// A job and the number of miners that got it.
#[derive(Debug, Clone)]
pub struct RecentJob {
    pub job: Arc<JobView>,
    pub miners: u32,
}

/// The newest shares and jobs, newest first.
#[derive(Debug, Clone, Default)]
pub struct RecentView {
    pub shares: Arc<[Arc<ShareRow>]>,
    pub jobs: Arc<[RecentJob]>,
}

/// The newest shares and jobs, bounded in number.
#[derive(Debug, Default)]
pub(super) struct Recent {
    shares: VecDeque<Arc<ShareRow>>,
    jobs: VecDeque<RecentJob>,
    changed: bool,
    view: RecentView,
}

impl Recent {
    /// Adds a share.
    pub(super) fn add_share(&mut self, row: Arc<ShareRow>) {
        self.changed = true;
        self.shares.truncate(MAX_SHARES - 1);
        self.shares.push_front(row);
    }

    /// Adds a job. The same job of another miner counts as the same one; the copy of the miner that got it first is
    /// shown.
    pub(super) fn add_job(&mut self, seen: &JobSeen, at: NtpTime) -> Arc<JobView> {
        self.changed = true;
        let parent = parent_hash(&seen.prevhash);
        let is_same = |recent: &&mut RecentJob| {
            let job = &recent.job;
            job.job_id == seen.job_id && job.parent == parent && job.upstream == seen.upstream
        };
        if let Some(known) = self.jobs.iter_mut().take(SAME_JOB_SEARCH).find(is_same) {
            known.miners += 1;
            return known.job.clone();
        }
        let job = Arc::new(JobView::new(seen, parent, at));
        self.jobs.truncate(MAX_JOBS - 1);
        self.jobs.push_front(RecentJob { job: job.clone(), miners: 1 });
        job
    }

    /// The view, rebuilt only after a change.
    pub(super) fn view(&mut self) -> RecentView {
        if std::mem::take(&mut self.changed) {
            self.view = RecentView {
                shares: self.shares.iter().cloned().collect(),
                jobs: self.jobs.iter().cloned().collect(),
            };
        }
        self.view.clone()
    }
}

impl JobView {
    fn new(seen: &JobSeen, parent: BlockHash, at: NtpTime) -> JobView {
        JobView {
            upstream: seen.upstream,
            job_id: seen.job_id.clone(),
            height: seen.height,
            parent,
            nbits: seen.nbits,
            network_difficulty: seen.network_difficulty,
            ntime: seen.ntime,
            time_difference: seen.time_difference(at),
            at,
            gap: seen.gap,
            block_age: seen.block_age,
            branches: seen.branches,
            clean: seen.clean,
            coinbase_length: seen.coinbase_length,
            tag: seen.tag.as_ref().map(|tag| tag.as_str().to_owned()),
            payout: seen.payout.clone(),
            chain: seen.chain.clone(),
        }
    }
}
