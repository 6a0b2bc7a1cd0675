//! `job.unreadable`: may miners be working on a job that Sluice could not read?
//!
//! Two things show it: a line from the pool that may be a job and cannot be read, and accepted shares for jobs that
//! were never seen. The second needs no guess about the form of such a job.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::share::{JudgedShare, UnseenJob};
use super::super::verdicts::WorkDoubt;
use super::{AlertContext, SessionSample, seconds_between};
use crate::analyzer::session_event::{EventKind, JobSeen, ProtocolEvent};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::ShareOutcome;
use crate::stratum::{JobId, ReadingAgreement};
use crate::tap::SessionId;

const UNREADABLE: &str = "job.unreadable";

/// The number of accepted shares for jobs that were never seen that is no accident, even without an unreadable line.
const PROOF_SHARES: u64 = 3;
/// The time without such a share after which the state is over.
const QUIET_SECONDS: f64 = 600.0;
/// The time without a readable job after lost copies, after which the state is reported. A job within it ends the
/// doubt.
const MISSED_REPORT_SECONDS: f64 = 60.0;

#[derive(Debug, Default)]
pub(in super::super) struct UnreadableJobRule {
    sessions: BTreeMap<SessionId, UnreadWork>,
    /// The upstreams of sessions that were closed since the last tick.
    left: BTreeSet<Option<usize>>,
}

#[derive(Debug)]
struct UnreadWork {
    upstream: Option<usize>,
    /// Unreadable lines since the last job that every miner reads and that is in no doubt.
    unread: u64,
    /// Accepted shares for jobs that were never seen.
    accepted: u64,
    last_accepted: Option<NtpTime>,
    /// Accepted shares for jobs that may have been in lost copies, since the last job.
    missed: u64,
}

impl UnreadableJobRule {
    pub(super) fn job(&mut self, job: &JobSeen, context: &mut AlertContext<'_>) {
        self.work(job.session, job.upstream);
        // The job proves nothing while the miner may still be working on an earlier one.
        let is_in_doubt = job.superseded_doubt.is_some_and(WorkDoubt::is_about_reading);
        if job.agreement == ReadingAgreement::All && !is_in_doubt {
            self.forget_unread(job.session, job.upstream, context);
        }
    }

    fn forget_unread(&mut self, session: SessionId, upstream: Option<usize>, context: &mut AlertContext<'_>) {
        let work = self.work(session, upstream);
        (work.unread, work.missed) = (0, 0);
        self.resolve_if_clear(upstream, context);
    }

    pub(super) fn event(&mut self, event: &ProtocolEvent, context: &mut AlertContext<'_>) {
        let ProtocolEvent { session, upstream, kind, .. } = event;
        let (why, line) = match kind {
            EventKind::DoubtEnded => return self.forget_unread(*session, *upstream, context),
            EventKind::JobUnread { why, line } => (why, line),
            _ => return,
        };
        let work = self.work(*session, *upstream);
        work.unread += 1;
        let accepted = work.accepted;
        let upstream = context.upstream(*upstream);
        context.raise((UNREADABLE, severity(1, accepted)), upstream, || {
            let description = format!(
                "{upstream}: the pool sent a line that may be a job, and Sluice cannot read it ({why}), so nobody \
                 can tell whom a block would pay"
            );
            (description, json!({ "session": session.0, "reason": why, "line": line, "accepted_shares": accepted }))
        });
    }

    pub(super) fn share(&mut self, judged: &JudgedShare, context: &mut AlertContext<'_>) {
        let (ShareOutcome::Accepted, Some(unseen)) = (&judged.outcome, judged.share.unseen_job) else {
            return;
        };
        let job_id = judged.share.submit.as_ref().map(|submit| &submit.job_id);
        let work = self.work(judged.session, judged.upstream);
        if unseen == UnseenJob::MaybeMissed {
            work.missed += 1;
            return;
        }
        (work.accepted, work.last_accepted) = (work.accepted + 1, Some(context.at));
        let (accepted, unread) = (work.accepted, work.unread);
        let upstream = context.upstream(judged.upstream);
        context.raise((UNREADABLE, severity(unread, accepted)), upstream, || {
            let description = format!(
                "{upstream}: the pool accepts shares for jobs that Sluice could not read, so nobody can tell whom \
                 a block would pay"
            );
            (description, json!({
                "session": judged.session.0,
                "job_id": job_id.map(JobId::as_str),
                "accepted_shares": accepted,
                "unread_lines": unread,
            }))
        });
    }

    /// Returns whether the pool has recently accepted shares of this session for jobs that Sluice could not read.
    pub(in super::super) fn accepts_unseen(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|work| work.accepted > 0)
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.left.extend(self.sessions.remove(&session).map(|work| work.upstream));
    }

    pub(super) fn tick(&mut self, sessions: &[SessionSample<'_>], context: &mut AlertContext<'_>) {
        for sample in sessions {
            let Some((doubt, seconds)) = sample.unread else { continue };
            let upstream = context.upstream(sample.upstream);
            let missed = self.sessions.get(&sample.session).map_or(0, |work| work.missed);
            if doubt.is_about_reading() {
                context.keep_open(UNREADABLE, upstream);
            } else if missed > 0 && seconds > MISSED_REPORT_SECONDS {
                context.raise((UNREADABLE, Severity::Medium), upstream, || {
                    let description = format!(
                        "{upstream}: Sluice missed some of the pool's messages, and the pool accepts shares for a \
                         job that may be among them, so nobody can tell whom a block would pay"
                    );
                    (description, json!({ "session": sample.session.0, "accepted_shares": missed }))
                });
            }
        }
        let mut quiet: Vec<Option<usize>> = Vec::new();
        for work in self.sessions.values_mut() {
            let is_quiet =
                work.last_accepted.is_some_and(|last| seconds_between(last, context.at) > QUIET_SECONDS);
            if is_quiet {
                (work.accepted, work.last_accepted) = (0, None);
                quiet.push(work.upstream);
            }
        }
        quiet.extend(std::mem::take(&mut self.left));
        for upstream in quiet {
            self.resolve_if_clear(upstream, context);
        }
    }

    /// Resolves the upstream's alert if none of its sessions shows the state.
    fn resolve_if_clear(&self, upstream: Option<usize>, context: &mut AlertContext<'_>) {
        if !context.alerts.is_open(UNREADABLE) {
            return;
        }
        let is_unreadable =
            |work: &&UnreadWork| work.upstream == upstream && work.unread + work.accepted + work.missed > 0;
        if self.sessions.values().find(is_unreadable).is_none() {
            context.resolve(UNREADABLE, context.upstream(upstream));
        }
    }

    fn work(&mut self, session: SessionId, upstream: Option<usize>) -> &mut UnreadWork {
        let new = || UnreadWork { upstream, unread: 0, accepted: 0, last_accepted: None, missed: 0 };
        let work = self.sessions.entry(session).or_insert_with(new);
        work.upstream = upstream;
        work
    }
}

fn severity(unread: u64, accepted: u64) -> Severity {
    let is_proven = accepted >= PROOF_SHARES || (unread > 0 && accepted > 0);
    if is_proven { Severity::High } else { Severity::Medium }
}
