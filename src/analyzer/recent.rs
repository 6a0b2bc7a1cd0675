//! The newest shares and jobs, as they are shown.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

use super::session_event::JobSeen;
use crate::clock::NtpTime;
use crate::record::ShareRow;
use crate::work::{BlockHash, parent_hash};

/// The most shares that are kept.
const MAX_SHARES: usize = 200;
/// The most jobs that are kept.
const MAX_JOBS: usize = 100;
/// A pool sends the same job to all its miners within moments, so it is among the newest.
const SAME_JOB_SEARCH: usize = 16;

/// A job as the first of its miners got it.
#[derive(Debug, Clone)]
pub struct JobView {
    seen: JobSeen,
    /// The hash of the previous block.
    pub parent: BlockHash,
    pub at: NtpTime,
    /// The ntime less NTP time, in seconds.
    pub time_difference: f64,
}

impl Deref for JobView {
    type Target = JobSeen;

    fn deref(&self) -> &JobSeen {
        &self.seen
    }
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

#[cfg(test)]
impl JobView {
    /// A job at the height 967,018 on the main chain.
    pub fn for_tests(at: NtpTime) -> JobView {
        use super::verdicts::{ChainState, ChainVerdict, PayoutState, PayoutVerdict};
        use crate::stratum::{JobId, Nbits, Ntime, PrevHash, ReadingAgreement};
        use crate::work::{Height, Sats};

        let prevhash = PrevHash::from_wire_bytes([0x11; 32]);
        let state = PayoutState::Verified;
        let seen = JobSeen {
            session: crate::tap::SessionId(1),
            miner: std::net::SocketAddr::from(([192, 168, 1, 20], 50_000)),
            worker: String::from("rig"),
            upstream: Some(0),
            job_id: JobId::from_counter(1),
            height: Some(Height(967_018)),
            ntime: Ntime(1_795_262_400),
            at: crate::net::Stamp::default(),
            gap: None,
            block_age: None,
            branches: 12,
            network_difficulty: Some(1.27e14),
            nbits: Nbits(0x1702_3a04),
            prevhash,
            clean: true,
            coinbase_length: 200,
            tag: None,
            payout: PayoutVerdict { state, expected: None, percent: 98.0, total: Sats(1), reward: Sats(1) },
            chain: ChainVerdict {
                state: ChainState::Plausible,
                network: "mainnet",
                difficulty: 1.27e14,
                doubt: None,
            },
            outputs: Vec::new(),
            payees: None,
            early: false,
            superseded_doubt: None,
            agreement: ReadingAgreement::All,
            was_late: false,
            space: 0,
        };
        JobView { parent: parent_hash(&prevhash), seen, at, time_difference: 0.0 }
    }
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
        let time_difference = seen.time_difference(at);
        let job = Arc::new(JobView { seen: seen.clone(), parent, at, time_difference });
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
