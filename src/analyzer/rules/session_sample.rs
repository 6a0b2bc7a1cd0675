//! The present state of a session, for rules that depend on the time.

use std::net::IpAddr;

use super::super::current_work::JobGap;
use super::super::verdicts::{PayoutState, WorkDoubt};
use crate::stratum::{Extranonce2Size, VersionMask};
use crate::tap::{Role, SessionId};

/// The state of a session that the rules check twice a second.
#[derive(Debug, Clone)]
pub(in super::super) struct SessionSample<'a> {
    pub(in super::super) session: SessionId,
    pub(in super::super) role: Role,
    pub(in super::super) upstream: Option<usize>,
    pub(in super::super) worker: &'a str,
    pub(in super::super) miner: IpAddr,
    pub(in super::super) user_agent: Option<&'a str>,
    /// Hashes per second over the last hour, or over the session's time if that is shorter.
    pub(in super::super) hash_rate: f64,
    /// The difficulty that the pool has set.
    pub(in super::super) difficulty: f64,
    pub(in super::super) accepted: u64,
    /// The seconds since the session opened.
    pub(in super::super) watched: f64,
    /// The seconds since the pool last sent anything. `None` if it never did.
    pub(in super::super) pool_silent: Option<f64>,
    /// The pool has accepted an authorize and has never sent a job.
    pub(in super::super) waits_for_work: bool,
    /// The seconds since the newest job, readable or not.
    pub(in super::super) job_silent: Option<f64>,
    /// Shares that wait for the pool's answer.
    pub(in super::super) unanswered: u32,
    /// The seconds since the last share.
    pub(in super::super) share_silent: Option<f64>,
    /// The time since the newest job. `None` before the first.
    pub(in super::super) jobs: Option<JobGap>,
    /// The doubt about an unreadable line that may be a job, and the seconds since it came.
    pub(in super::super) unread: Option<(WorkDoubt, f64)>,
    pub(in super::super) extranonce2_size: Option<Extranonce2Size>,
    pub(in super::super) version_mask: Option<VersionMask>,
    /// The worst payout of the jobs that the miner may be working on, and the address it should pay.
    pub(in super::super) payout: Option<(PayoutState, Option<&'a str>)>,
}

#[cfg(test)]
impl SessionSample<'static> {
    pub(super) fn for_tests() -> SessionSample<'static> {
        SessionSample {
            session: SessionId(1),
            role: Role::Direct,
            upstream: None,
            worker: "rig",
            miner: std::net::Ipv4Addr::LOCALHOST.into(),
            user_agent: None,
            hash_rate: 0.0,
            difficulty: 1.0,
            accepted: 0,
            watched: 1.0,
            pool_silent: None,
            waits_for_work: false,
            job_silent: None,
            unanswered: 0,
            share_silent: None,
            jobs: None,
            unread: None,
            extranonce2_size: None,
            version_mask: None,
            payout: None,
        }
    }
}
