//! `job.unreadable`: may miners work on something that nobody here could read?
//!
//! Two things show it. A line from the pool that may be a job cannot be read; and the pool accepts shares for
//! jobs that were never seen, which needs no guess about what such a job looks like.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::share::{JudgedShare, UnseenJob};
use super::super::verdicts::WorkDoubt;
use super::{AlertContext, SessionSample, seconds_between};
use crate::analyzer::session_event::{Event, JobSeen};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::ShareOutcome;
use crate::stratum::{JobId, ReadingAgreement};
use crate::tap::SessionId;

const UNREADABLE: &str = "job.unreadable";

/// So many accepted shares for jobs that were never seen are no accident, even without a line that could not
/// be read.
const MANY_SHARES: u64 = 3;
/// A state that shares show is over when there was none for so long, in seconds.
const QUIET_SECONDS: f64 = 600.0;
/// After lost copies the next job clears everything up. When none comes for so long, in seconds, it is told.
const MISSED_SECONDS: f64 = 60.0;

#[derive(Debug, Default)]
pub(super) struct Blind {
    sessions: BTreeMap<SessionId, UnreadWork>,
    /// The upstreams of sessions that have ended since the last round.
    left: BTreeSet<Option<usize>>,
}

#[derive(Debug)]
struct UnreadWork {
    upstream: Option<usize>,
    /// Lines since the last job that every miner reads, and on which a share proves that it works.
    unread: u64,
    /// Accepted shares for jobs that were never seen.
    accepted: u64,
    last_accepted: Option<NtpTime>,
    /// Accepted shares for jobs that may have been among lost copies, since the last job.
    missed: u64,
}

impl Blind {
    pub(super) fn job(&mut self, job: &JobSeen, at: NtpTime, tongue: &mut AlertContext<'_>) {
        let seen = self.seen(job.session, job.upstream);
        // It proves nothing while the miner may still work on what came before it.
        let is_in_doubt = job.superseded_doubt.is_some_and(WorkDoubt::is_about_reading);
        if job.agreement != ReadingAgreement::All || is_in_doubt {
            return;
        }
        (seen.unread, seen.missed) = (0, 0);
        self.may_end(job.upstream, at, tongue);
    }

    pub(super) fn event(&mut self, event: &Event, at: NtpTime, tongue: &mut AlertContext<'_>) {
        if let Event::DoubtEnded { session, upstream } = event {
            let seen = self.seen(*session, *upstream);
            (seen.unread, seen.missed) = (0, 0);
            return self.may_end(*upstream, at, tongue);
        }
        let Event::JobUnread { session, upstream, why, line } = event else { return };
        let seen = self.seen(*session, *upstream);
        seen.unread += 1;
        let accepted = seen.accepted;
        let upstream = tongue.upstream(*upstream);
        tongue.lasts((UNREADABLE, severity(1, accepted)), upstream, at, || {
            let description = format!(
                "{upstream}: it sent what may be a job, and Sluice cannot read it ({why}): nobody can tell \
                 whom a block would pay"
            );
            let evidence =
                json!({ "session": session.0, "reason": why, "line": line, "accepted_shares": accepted });
            (description, evidence)
        });
    }

    pub(super) fn share(&mut self, judged: &JudgedShare, at: NtpTime, tongue: &mut AlertContext<'_>) {
        let (ShareOutcome::Accepted, Some(unseen)) = (&judged.outcome, judged.share.unseen_job) else {
            return;
        };
        let job_id = judged.share.submit.as_ref().map(|submit| &submit.job_id);
        let seen = self.seen(judged.session, judged.upstream);
        if unseen == UnseenJob::PerhapsMissed {
            seen.missed += 1;
            return;
        }
        (seen.accepted, seen.last_accepted) = (seen.accepted + 1, Some(at));
        let (accepted, unread) = (seen.accepted, seen.unread);
        let upstream = tongue.upstream(judged.upstream);
        tongue.lasts((UNREADABLE, severity(unread, accepted)), upstream, at, || {
            let description = format!(
                "{upstream}: it accepts shares for jobs that Sluice has not been able to read: nobody can tell \
                 whom a block would pay"
            );
            let evidence = json!({
                "session": judged.session.0,
                "job_id": job_id.map(JobId::as_str),
                "accepted_shares": accepted,
                "unread_lines": unread,
            });
            (description, evidence)
        });
    }

    /// Whether the pool has lately accepted shares of this session's for jobs that nobody could read.
    pub(super) fn accepts_unseen(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|seen| seen.accepted > 0)
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.left.extend(self.sessions.remove(&session).map(|seen| seen.upstream));
    }

    pub(super) fn tick(
        &mut self,
        sessions: &[SessionSample<'_>],
        now: NtpTime,
        tongue: &mut AlertContext<'_>,
    ) {
        for pulse in sessions {
            let Some((doubt, seconds)) = pulse.unread else { continue };
            let upstream = tongue.upstream(pulse.upstream);
            let missed = self.sessions.get(&pulse.session).map_or(0, |seen| seen.missed);
            if doubt.is_about_reading() {
                tongue.goes_on(UNREADABLE, upstream, now);
            } else if missed > 0 && seconds > MISSED_SECONDS {
                if tongue.is_open_about(UNREADABLE, upstream) {
                    tongue.goes_on(UNREADABLE, upstream, now);
                    continue;
                }
                tongue.lasts((UNREADABLE, Severity::Medium), upstream, now, || {
                    let description = format!(
                        "{upstream}: Sluice missed some of what it sent, and it accepts shares for a job that \
                         may be among it: nobody can tell whom a block would pay"
                    );
                    (description, json!({ "session": pulse.session.0, "accepted_shares": missed }))
                });
            }
        }
        let mut quiet: Vec<Option<usize>> = Vec::new();
        for seen in self.sessions.values_mut() {
            let is_quiet = seen.last_accepted.is_some_and(|last| seconds_between(last, now) > QUIET_SECONDS);
            if is_quiet {
                (seen.accepted, seen.last_accepted) = (0, None);
                quiet.push(seen.upstream);
            }
        }
        quiet.extend(std::mem::take(&mut self.left));
        for upstream in quiet {
            self.may_end(upstream, now, tongue);
        }
    }

    /// The state of an upstream is over when none of its sessions shows it.
    fn may_end(&self, upstream: Option<usize>, at: NtpTime, tongue: &mut AlertContext<'_>) {
        if !tongue.is_open(UNREADABLE) {
            return;
        }
        let is_blind =
            |seen: &&UnreadWork| seen.upstream == upstream && seen.unread + seen.accepted + seen.missed > 0;
        if self.sessions.values().find(is_blind).is_none() {
            tongue.ends(UNREADABLE, tongue.upstream(upstream), at);
        }
    }

    fn seen(&mut self, session: SessionId, upstream: Option<usize>) -> &mut UnreadWork {
        let new = || UnreadWork { upstream, unread: 0, accepted: 0, last_accepted: None, missed: 0 };
        let seen = self.sessions.entry(session).or_insert_with(new);
        seen.upstream = upstream;
        seen
    }
}

fn severity(unread: u64, accepted: u64) -> Severity {
    let is_proven = accepted >= MANY_SHARES || (unread > 0 && accepted > 0);
    if is_proven { Severity::High } else { Severity::Medium }
}
