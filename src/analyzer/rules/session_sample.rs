//! A session as it is now, for rules that watch time pass.

use std::net::IpAddr;

use super::super::current_work::JobGap;
use super::super::verdicts::{PayoutState, WorkDoubt};
use crate::stratum::{Extranonce2Size, VersionMask};
use crate::tap::{Role, SessionId};

/// What rules look at twice a second.
#[derive(Debug, Clone)]
pub(in super::super) struct SessionSample<'a> {
    pub(in super::super) session: SessionId,
    pub(in super::super) role: Role,
    pub(in super::super) upstream: Option<usize>,
    pub(in super::super) worker: &'a str,
    pub(in super::super) miner: IpAddr,
    /// Hashes per second over the last hour, or as long as it was watched.
    pub(in super::super) hash_rate: f64,
    /// What the pool asks for.
    pub(in super::super) difficulty: f64,
    pub(in super::super) accepted: u64,
    /// How long it has been watched, in seconds.
    pub(in super::super) watched: f64,
    /// Since the pool last said anything, in seconds; `None` when it never did.
    pub(in super::super) pool_silent: Option<f64>,
    /// The pool has accepted an authorize, and has never sent a job.
    pub(in super::super) waits_for_work: bool,
    /// Since the newest job, readable or not, in seconds.
    pub(in super::super) job_silent: Option<f64>,
    /// Shares that wait for the pool's answer.
    pub(in super::super) unanswered: u32,
    /// Since the last share, in seconds.
    pub(in super::super) share_silent: Option<f64>,
    /// How long no job came; `None` before the first.
    pub(in super::super) jobs: Option<JobGap>,
    /// What may be a job and could not be read, and for how many seconds.
    pub(in super::super) unread: Option<(WorkDoubt, f64)>,
    pub(in super::super) extranonce2_size: Option<Extranonce2Size>,
    pub(in super::super) version_mask: Option<VersionMask>,
    /// The worst payout of what its miner works on, and whom it should pay.
    pub(in super::super) payout: Option<(PayoutState, Option<&'a str>)>,
}
