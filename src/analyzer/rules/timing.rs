//! `timing.*`: are the times of jobs and shares right, and do jobs come when they should?

use std::collections::BTreeMap;

use serde_json::json;

use super::super::SessionId;
use super::super::finding::JobSeen;
use super::super::share::JudgedShare;
use super::payout::job_evidence;
use super::{Pulse, Tongue, seconds_between};
use crate::clock::{ClockState, NtpTime, Why};
use crate::config::{self, Severity};

const EXTREME: (&str, Severity) = ("timing.extreme", Severity::High);
const FUTURE_JOB: (&str, Severity) = ("timing.future_job", Severity::Low);
const OLD_JOB: (&str, Severity) = ("timing.old_job", Severity::Low);
const SHARE_NTIME: (&str, Severity) = ("timing.share_ntime", Severity::Low);
const LOCAL_CLOCK: (&str, Severity) = ("timing.local_clock", Severity::Low);
const NOTIFY_GAP: (&str, Severity) = ("timing.notify_gap", Severity::Low);

/// Honest pools are within a minute; miners may roll a job's time for some more.
const OFF_SECONDS: f64 = 600.0;
/// How far a share's ntime may be rolled (ckpool; wire reference, section 3.4).
const ROLLED_SECONDS: u32 = 7000;
/// A machine whose clock is further off than this has no working time service.
const CLOCK_SECONDS: f64 = 60.0;
/// A pool is silent when it is so many times later than it usually is, and later than
/// `rules.stale_job`.
const LATE_FACTOR: f64 = 6.0;
/// So many gaps make a habit.
const LEAST_GAPS: u32 = 5;

#[derive(Debug)]
pub(super) struct Timing {
    max_drift: f64,
    stale_job: f64,
    sessions: BTreeMap<SessionId, Cadence>,
}

#[derive(Debug, Clone, Copy)]
struct Cadence {
    last: NtpTime,
    /// The longest gap lately: it fades by a tenth with each job.
    usual: f64,
    gaps: u32,
    late: bool,
}

impl Timing {
    pub(super) fn new(settings: &config::Rules) -> Timing {
        Timing {
            max_drift: settings.max_drift.as_secs_f64(),
            stale_job: settings.stale_job.as_secs_f64(),
            sessions: BTreeMap::new(),
        }
    }

    pub(super) fn job(&mut self, job: &JobSeen, at: NtpTime, tongue: &mut Tongue<'_>) {
        self.cadence(job, at, tongue);
        // Test networks allow a block of any target 20 minutes after the last one, and their pools
        // put its time ahead.
        if job.chain.network != "testnet" && can_tell(tongue.clock) {
            self.drift(job, at, tongue);
        }
    }

    pub(super) fn share(&mut self, judged: &JudgedShare, at: NtpTime, tongue: &mut Tongue<'_>) {
        let (Some(submit), Some(job)) = (&judged.share.submit, judged.share.job_ntime) else { return };
        let subject = &judged.share.worker;
        if submit.ntime.0 >= job.0 && submit.ntime.0 <= job.0.saturating_add(ROLLED_SECONDS) {
            tongue.ends(SHARE_NTIME.0, subject, at);
            return;
        }
        tongue.lasts(SHARE_NTIME, subject, at, || {
            let off = i64::from(submit.ntime.0) - i64::from(job.0);
            let description = format!("{subject}: a share's time is {off:+} s from its job's");
            let evidence = json!({
                "job_id": submit.job_id.as_str(),
                "job_ntime": job.0,
                "share_ntime": submit.ntime.0,
                "session": judged.session.0,
            });
            (description, evidence)
        });
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    pub(super) fn tick(&mut self, sessions: &[Pulse<'_>], now: NtpTime, tongue: &mut Tongue<'_>) {
        local_clock(now, tongue);
        for pulse in sessions {
            let Some(cadence) = self.sessions.get_mut(&pulse.session) else { continue };
            let gap = seconds_between(cadence.last, now);
            let limit = (cadence.usual * LATE_FACTOR).max(self.stale_job);
            if cadence.late || cadence.gaps < LEAST_GAPS || gap <= limit {
                continue;
            }
            cadence.late = true;
            let (upstream, usual) = (tongue.upstream(pulse.upstream), cadence.usual);
            tongue.lasts(NOTIFY_GAP, &upstream, now, || {
                let description = format!(
                    "{upstream}: no job for {gap:.0} s, although one comes at least every {usual:.0} s"
                );
                (description, json!({ "seconds": gap, "usual_seconds": usual, "session": pulse.session.0 }))
            });
        }
    }

    fn cadence(&mut self, job: &JobSeen, at: NtpTime, tongue: &mut Tongue<'_>) {
        let Some(known) = self.sessions.get_mut(&job.session) else {
            let cadence = Cadence { last: at, usual: 0.0, gaps: 0, late: false };
            self.sessions.insert(job.session, cadence);
            return;
        };
        let gap = seconds_between(known.last, at).max(0.0);
        known.last = at;
        known.gaps = known.gaps.saturating_add(1);
        if std::mem::take(&mut known.late) {
            let upstream = tongue.upstream(job.upstream);
            tongue.ends(NOTIFY_GAP.0, &upstream, at);
            // What was too long is no habit.
            return;
        }
        known.usual = gap.max(known.usual * 0.9);
    }

    fn drift(&self, job: &JobSeen, at: NtpTime, tongue: &mut Tongue<'_>) {
        let upstream = tongue.upstream(job.upstream);
        let off = job.time_difference(at);
        let kind = if off.abs() > self.max_drift {
            Some(EXTREME)
        } else if off > OFF_SECONDS {
            Some(FUTURE_JOB)
        } else if off < -OFF_SECONDS {
            Some(OLD_JOB)
        } else {
            None
        };
        for (id, _) in [EXTREME, FUTURE_JOB, OLD_JOB] {
            if kind.is_none_or(|(kind, _)| kind != id) {
                tongue.ends(id, &upstream, at);
            }
        }
        let Some(kind) = kind else { return };
        tongue.lasts(kind, &upstream, at, || {
            let way = if off > 0.0 { "ahead of" } else { "behind" };
            let description = format!("{upstream}: its jobs' time is {:.0} s {way} the time", off.abs());
            let mut evidence = job_evidence(job);
            evidence["ntime"] = json!(job.ntime.0);
            evidence["time"] = json!(at.to_string());
            evidence["difference_seconds"] = json!(off);
            (description, evidence)
        });
    }
}

/// Without NTP servers the system's clock is taken at its word; while they are not reached it may be
/// that of a Raspberry Pi that has just been switched on.
fn can_tell(clock: &ClockState) -> bool {
    matches!(clock, ClockState::Synchronised { .. } | ClockState::Unsynchronised { why: Why::Off, .. })
}

fn local_clock(now: NtpTime, tongue: &mut Tongue<'_>) {
    let ClockState::Synchronised { offset, .. } = tongue.clock else { return };
    let seconds = offset.micros() as f64 / 1e6;
    if seconds.abs() <= CLOCK_SECONDS {
        tongue.ends(LOCAL_CLOCK.0, "clock", now);
        return;
    }
    tongue.lasts(LOCAL_CLOCK, "clock", now, || {
        let way = if seconds > 0.0 { "slow" } else { "fast" };
        let description = format!("this machine's clock is {:.0} s {way}; Sluice goes by NTP", seconds.abs());
        (description, json!({ "offset_seconds": seconds }))
    });
}
