//! `timing.*`: are the times of jobs, shares and clocks right, and do jobs come in time?

use serde_json::json;

use super::super::share::{JudgedShare, PendingShare};
use super::payout::job_evidence;
use super::{AlertContext, AlertType, SessionSample, seconds_between};
use crate::analyzer::session_event::JobSeen;
use crate::clock::{ClockState, NtpTime, UnsyncReason};
use crate::config::{self, Severity};
use crate::util::format::count;

const EXTREME: AlertType = ("timing.extreme", Severity::High);
const FUTURE_JOB: AlertType = ("timing.future_job", Severity::Low);
const OLD_JOB: AlertType = ("timing.old_job", Severity::Low);
const SHARE_NTIME: AlertType = ("timing.share_ntime", Severity::Low);
const LOCAL_CLOCK: AlertType = ("timing.local_clock", Severity::Low);
const NOTIFY_GAP: AlertType = ("timing.notify_gap", Severity::Low);

/// The difference from which a job's time is wrong. Honest pools are within a minute, and miners may roll the time a
/// little further.
const OFF_SECONDS: f64 = 600.0;
/// Caps how far a share's ntime may be rolled (ckpool; wire reference, section 3.4).
const MAX_ROLLED_SECONDS: u32 = 7000;
/// The difference from which this machine's clock is wrong. Any working time service is closer.
const CLOCK_SECONDS: f64 = 60.0;
/// The time for which a large difference between this machine's clock and NTP waits for a job to show which of the two
/// is wrong.
const JOB_WAIT_SECONDS: f64 = 60.0;
/// The subjects of [`LOCAL_CLOCK`].
const SYSTEM: &str = "clock";
const NTP: &str = "NTP";

#[derive(Debug)]
pub(super) struct TimingRules {
    max_drift: f64,
    /// A job has come, whose time can be compared with the clocks.
    has_seen_job: bool,
    /// The time since which this machine's clock and NTP differ by more than [`CLOCK_SECONDS`].
    apart_since: Option<NtpTime>,
}

impl TimingRules {
    pub(super) fn new(settings: &config::RulesConfig) -> TimingRules {
        TimingRules { max_drift: settings.max_drift.as_secs_f64(), has_seen_job: false, apart_since: None }
    }

    pub(super) fn job(&mut self, job: &JobSeen, context: &mut AlertContext<'_>) {
        self.has_seen_job = true;
        if job.was_late {
            context.resolve(NOTIFY_GAP.0, context.upstream(job.upstream));
        }
        // Test networks allow a block of minimum difficulty 20 minutes after the last one, so their pools set the
        // time ahead.
        if job.chain.network != "testnet" && is_time_known(context.clock) {
            self.drift(job, context);
        }
    }

    pub(super) fn share(&mut self, judged: &JudgedShare, context: &mut AlertContext<'_>) {
        let (Some(submit), Some(job)) = (&judged.share.submit, judged.share.job_ntime) else { return };
        let subject = &judged.share.worker;
        if is_ntime_good(&judged.share) {
            context.resolve(SHARE_NTIME.0, subject);
            return;
        }
        // Only a hash proves that the share belongs to this job and time: a pool may have used the id again for
        // another job.
        if judged.share.proven().is_none() {
            return;
        }
        context.raise(SHARE_NTIME, subject, || {
            let off = i64::from(submit.ntime.0) - i64::from(job.0);
            let description = format!("{subject}: a share's time differs from its job's by {off:+} s");
            (
                description,
                json!({
                    "job_id": submit.job_id.as_str(),
                    "job_ntime": job.0,
                    "share_ntime": submit.ntime.0,
                    "session": judged.session.0,
                }),
            )
        });
    }

    pub(super) fn tick(&mut self, sessions: &[SessionSample<'_>], context: &mut AlertContext<'_>) {
        self.local_clock(context);
        for sample in sessions {
            let Some(gap) = sample.jobs.filter(|gap| gap.is_late) else { continue };
            let upstream = context.upstream(sample.upstream);
            context.raise(NOTIFY_GAP, upstream, || {
                let description = format!(
                    "{upstream}: the pool has sent no job for {:.0} s, although one came at least every {:.0} s",
                    gap.seconds, gap.usual
                );
                (description, json!({
                    "seconds": gap.seconds,
                    "usual_seconds": gap.usual,
                    "session": sample.session.0,
                }))
            });
        }
    }

    fn drift(&self, job: &JobSeen, context: &mut AlertContext<'_>) {
        let upstream = context.upstream(job.upstream);
        let off = job.time_difference(context.at);
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
                context.resolve(id, upstream);
            }
        }
        let Some(kind) = kind else { return };
        let at = context.at;
        context.raise(kind, upstream, || {
            let way = if off > 0.0 { "ahead of" } else { "behind" };
            let description =
                format!("{upstream}: the time in the pool's jobs is {:.0} s {way} the real time", off.abs());
            let times = json!({ "ntime": job.ntime.0, "time": at.to_string(), "difference_seconds": off });
            (description, job_evidence(job, times))
        });
    }

    /// Reports which clock is wrong, if any.
    fn local_clock(&mut self, context: &mut AlertContext<'_>) {
        let slow_or_fast = |is_slow| if is_slow { "slow" } else { "fast" };
        let (wrong, description, evidence) = match context.clock {
            ClockState::Synchronised { offset, .. } if offset.seconds().abs() > CLOCK_SECONDS => {
                let (seconds, now) = (offset.seconds(), context.at);
                let since = *self.apart_since.get_or_insert(now);
                let is_settled = self.has_seen_job || seconds_between(since, now) > JOB_WAIT_SECONDS;
                if seconds.abs() > OFF_SECONDS && !is_settled {
                    return;
                }
                let (size, way) = (seconds.abs(), slow_or_fast(seconds > 0.0));
                let description = format!("this machine's clock is {size:.0} s {way}; Sluice uses NTP");
                (SYSTEM, description, json!({ "wrong": "system", "offset_seconds": seconds }))
            }
            ClockState::Unsynchronised { reason: UnsyncReason::Contradicted { ntp, pools }, .. } => {
                let description = format!(
                    "the NTP servers are wrong: their time is {} this machine's clock, and the jobs of \
                     {} agree with this machine's clock, which Sluice uses; check ntp.servers",
                    ntp.ahead_or_behind(),
                    count(*pools as u64, "pool")
                );
                (NTP, description, json!({ "wrong": "ntp", "offset_seconds": ntp.seconds(), "pools": pools }))
            }
            ClockState::Unsynchronised { reason: UnsyncReason::Outvoted { jobs, pools }, .. } => {
                let description = format!(
                    "this machine's clock is {} {} by the jobs of {}, which agree with each \
                     other; Sluice dates its records by that clock: set it, or name NTP servers that answer \
                     (ntp.servers)",
                    jobs.amount(),
                    slow_or_fast(jobs.micros() > 0),
                    count(*pools as u64, "pool")
                );
                let evidence = json!({ "wrong": "system", "offset_seconds": jobs.seconds(), "pools": pools });
                (SYSTEM, description, evidence)
            }
            ClockState::Synchronised { .. }
            | ClockState::Unsynchronised { reason: UnsyncReason::Off, .. } => {
                self.apart_since = None;
                context.resolve(LOCAL_CLOCK.0, SYSTEM);
                context.resolve(LOCAL_CLOCK.0, NTP);
                return;
            }
            // The offset is unknown at present.
            ClockState::Unsynchronised { .. } => return,
        };
        context.resolve(LOCAL_CLOCK.0, if wrong == SYSTEM { NTP } else { SYSTEM });
        context.raise(LOCAL_CLOCK, wrong, || (description, evidence));
    }
}

/// Returns whether a pool has to accept the share's time: not before its job's, and not too long after.
pub(super) fn is_ntime_good(share: &PendingShare) -> bool {
    let (Some(submit), Some(job)) = (&share.submit, share.job_ntime) else { return true };
    (job.0..=job.0.saturating_add(MAX_ROLLED_SECONDS)).contains(&submit.ntime.0)
}

/// Returns whether the time is known well enough to judge pools by it. Without NTP servers, the system's clock is
/// trusted unless several pools' jobs contradict it. While configured servers are unreachable it is not, because it
/// may be that of a Raspberry Pi that has just been switched on. If the system's clock and the jobs both contradict
/// NTP, NTP is not used and the time is known.
fn is_time_known(clock: &ClockState) -> bool {
    match clock {
        ClockState::Synchronised { .. } => true,
        ClockState::Unsynchronised { reason: why, .. } => {
            matches!(why, UnsyncReason::Off | UnsyncReason::Contradicted { .. })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_time;
    use super::*;
    use crate::analyzer::alerts::AlertBook;
    use crate::clock::Offset;
    use std::time::Duration;

    #[test]
    fn the_wrong_clock_is_reported_and_half_a_minute_is_not() {
        let now = test_time(0);
        let offset = |seconds: i64| Offset::from_micros(seconds * 1_000_000);
        let synchronised = |seconds| ClockState::Synchronised {
            offset: offset(seconds),
            error_bound: Duration::from_millis(20),
            servers: 3,
            at: now,
        };
        let because = |why| ClockState::Unsynchronised { since: now, reason: why };
        for (clock, way) in [
            (synchronised(300), Some("300 s slow")),
            (synchronised(-300), Some("300 s fast")),
            (synchronised(30), None),
            (because(UnsyncReason::Off), None),
            (
                because(UnsyncReason::Contradicted { ntp: offset(8_640_000), pools: 1 }),
                Some("the NTP servers are wrong: their time is 100 days ahead of this machine's clock"),
            ),
            (
                because(UnsyncReason::Outvoted { jobs: offset(8_640_000), pools: 2 }),
                Some("this machine's clock is 100 days slow by the jobs of 2 pools"),
            ),
        ] {
            let mut alerts = AlertBook::new(&[]);
            let mut timing = TimingRules::new(&config::RulesConfig::default());
            AlertContext::for_tests(&mut alerts, &clock, now, |context| {
                timing.tick(&[], context);
                timing.tick(&[], context);
            });
            let view = alerts.view();
            let reported = view.alerts.first().map(|alert| (alert.id, alert.severity, alert.count));
            assert_eq!(reported, way.map(|_| ("timing.local_clock", Severity::Low, 1)));
            assert!(view.alerts.iter().all(|alert| alert.description.contains(way.unwrap())));
        }
    }
}
