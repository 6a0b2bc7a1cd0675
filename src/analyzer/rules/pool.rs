//! `pool.*`: does the pool redirect miners, fall silent, send no jobs, or refuse miners?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::{AlertContext, AlertType, SessionSample, seconds_between};
use crate::analyzer::job_interval::JobIntervals;
use crate::analyzer::session_event::{EventKind, JobSeen, ProtocolEvent};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::stratum::Reconnect;
use crate::tap::{SessionId, WorkOwed};

const REDIRECT: AlertType = ("pool.redirect", Severity::High);
const SILENT: AlertType = ("pool.silent", Severity::Medium);
const NO_WORK: AlertType = ("pool.no_work", Severity::Medium);
const REFUSED: AlertType = ("pool.refused", Severity::Medium);

/// The part of `failover.silence_timeout` after which a silent pool is reported, which is before the session is closed
/// because of the silence.
const REPORT_AT_PART: f64 = 2.0 / 3.0;

/// Caps the time that one tick counts as. Ticks come twice a second. If the clock is set by days between two of them,
/// no miner has waited for days.
const MAX_TICK: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct PoolRules {
    pub(super) silence_timeout: Duration,
    silent: BTreeSet<Option<usize>>,
    /// When the newest job of each session came, and the interval of its jobs.
    pub(super) intervals: BTreeMap<SessionId, (NtpTime, JobIntervals)>,
    /// The time that a pool may take for its first job.
    pub(super) first_job: Duration,
    owed: BTreeMap<Option<usize>, WorkOwed>,
    ticked_at: Option<NtpTime>,
}

impl PoolRules {
    pub(super) fn new(silence_timeout: Duration, first_job: Duration) -> PoolRules {
        PoolRules {
            silence_timeout,
            silent: BTreeSet::new(),
            intervals: BTreeMap::new(),
            first_job,
            owed: BTreeMap::new(),
            ticked_at: None,
        }
    }

    pub(super) fn job(&mut self, job: &JobSeen, at: NtpTime) {
        let Some((last, interval)) = self.intervals.get_mut(&job.session) else {
            self.intervals.insert(job.session, (at, JobIntervals::default()));
            return;
        };
        interval.add(seconds_between(*last, at), false);
        *last = at;
    }

    pub(super) fn event(&mut self, event: &ProtocolEvent, context: &mut AlertContext<'_>) {
        let (session, upstream) = (event.session, context.upstream(event.upstream));
        match &event.kind {
            EventKind::Redirected { host } => {
                let reconnect = Reconnect { host: host.clone(), ..Reconnect::default() };
                if reconnect.is_to(upstream) {
                    return;
                }
                context.report(REDIRECT, upstream, || {
                    let description =
                        format!("{upstream}: the pool redirects miners to another host: {host}");
                    (description, json!({ "host": host, "session": session.0 }))
                });
            }
            EventKind::AuthorizeRefused { worker, reason } => {
                let subject = format!("{upstream} {worker}");
                context.raise(REFUSED, &subject, || {
                    let description = format!("{upstream}: the pool refuses the worker {worker}");
                    (description, json!({ "worker": worker, "reason": reason, "session": session.0 }))
                });
            }
            EventKind::SubscribeRefused { reason } => {
                context.raise(REFUSED, upstream, || {
                    let description = format!(
                        "{upstream}: the pool refuses mining.subscribe, so no miner can work there; Sluice moves miners \
                         to the next pool if there is one"
                    );
                    (description, json!({ "worker": null, "reason": reason, "session": session.0 }))
                });
            }
            EventKind::Subscribed => context.resolve(REFUSED.0, upstream),
            EventKind::Authorized { worker } if context.alerts.is_open(REFUSED.0) => {
                context.resolve(REFUSED.0, &format!("{upstream} {worker}"));
            }
            EventKind::Authorized { .. }
            | EventKind::DifficultySet(_)
            | EventKind::ExtranonceChanged { .. }
            | EventKind::JobUnread { .. }
            | EventKind::DoubtEnded => {}
        }
    }

    pub(super) fn tick(&mut self, sessions: &[SessionSample<'_>], context: &mut AlertContext<'_>) {
        self.silence(sessions, context);
        self.no_work(sessions, context);
    }

    /// The seconds after which a silent pool is reported.
    fn silence_limit(&self) -> f64 {
        self.silence_timeout.as_secs_f64() * REPORT_AT_PART
    }

    /// Checks whether a pool gives no work: it has accepted miners, and none of its sessions gets a job.
    fn no_work(&mut self, sessions: &[SessionSample<'_>], context: &mut AlertContext<'_>) {
        let now = context.at;
        let seconds = self.ticked_at.replace(now).map_or(0.0, |before| seconds_between(before, now).max(0.0));
        let elapsed = Duration::from_secs_f64(seconds).min(MAX_TICK);
        let (limit, silence) = (self.first_job, self.silence_limit());
        let got_job = |sample: &SessionSample<'_>| sample.job_silent.is_some_and(|since| since <= seconds);
        for sample in sessions.iter().filter(|sample| sample.waits_for_work) {
            self.owed.entry(sample.upstream).or_default();
        }
        self.owed.retain(|upstream, owed| {
            let with = || sessions.iter().filter(|sample| sample.upstream == *upstream);
            let waiting = with().filter(|sample| sample.waits_for_work).count();
            let waited = owed.pass(elapsed, limit, waiting > 0, with().any(got_job));
            // If others get work, the fault is the account's, not the pool's.
            let serves_others = with().any(|sample| sample.job_silent.is_some_and(|since| since < silence));
            if waiting > 0 && waited >= limit && !serves_others {
                let name = context.upstream(*upstream);
                context.raise(NO_WORK, name, || {
                    let seconds = waited.as_secs_f64();
                    let description = format!(
                        "{name}: the pool gives no work: it accepts miners and has sent no job for {seconds:.0} s"
                    );
                    (description, json!({ "seconds": seconds, "sessions": waiting }))
                });
            }
            waiting > 0 || !waited.is_zero()
        });
        if context.alerts.is_open(NO_WORK.0) {
            for sample in sessions.iter().filter(|sample| got_job(sample)) {
                context.resolve(NO_WORK.0, context.upstream(sample.upstream));
            }
        }
    }

    /// Checks whether a pool is silent: none of its sessions receives anything.
    fn silence(&mut self, sessions: &[SessionSample<'_>], context: &mut AlertContext<'_>) {
        let mut active: BTreeSet<Option<usize>> = BTreeSet::new();
        let mut silent = BTreeSet::new();
        for sample in sessions {
            match sample.pool_silent {
                Some(seconds) if seconds > self.silence_limit() => {
                    // A pool that sends jobs only with new blocks, and owes no answer, is not silent.
                    let interval = self.intervals.get(&sample.session);
                    let is_late = interval.is_some_and(|(_, interval)| seconds > interval.late_after());
                    if sample.unanswered == 0 && !is_late {
                        continue;
                    }
                    silent.insert(sample.upstream)
                }
                Some(_) => active.insert(sample.upstream),
                None => false,
            };
        }
        for upstream in silent.difference(&active) {
            let name = context.upstream(*upstream);
            let limit = self.silence_limit();
            context.raise(SILENT, name, || {
                (
                    format!("{name}: the pool is connected and has sent nothing for more than {limit:.0} s"),
                    json!({ "seconds": limit }),
                )
            });
        }
        for upstream in &active {
            if self.silent.contains(upstream) && !silent.contains(upstream) {
                let name = context.upstream(*upstream);
                context.resolve(SILENT.0, name);
            }
        }
        self.silent.extend(silent.iter().copied());
        self.silent.retain(|upstream| silent.contains(upstream) || !active.contains(upstream));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{test_clock, test_time};
    use super::*;
    use crate::analyzer::alerts::AlertBook;

    const LIMIT: Duration = Duration::from_secs(75);

    /// The second at which the pool is reported, if there is a tick at each of these seconds.
    fn reported_at(seconds: impl IntoIterator<Item = i64>) -> Option<i64> {
        let (mut pool, mut alerts) = (PoolRules::new(LIMIT * 3, LIMIT), AlertBook::new(&[]));
        let waiting = SessionSample { waits_for_work: true, ..SessionSample::for_tests() };
        seconds.into_iter().find(|second| {
            let tick = |context: &mut AlertContext<'_>| pool.tick(std::slice::from_ref(&waiting), context);
            !AlertContext::for_tests(&mut alerts, &test_clock(), test_time(*second), tick).is_empty()
        })
    }

    #[test]
    fn a_clock_that_is_set_by_days_is_no_wait_for_work() {
        let limit = LIMIT.as_secs() as i64;
        assert_eq!(reported_at(0..2 * limit), Some(limit));
        let day = 86_400;
        let reported = reported_at([0, 1].into_iter().chain(day..day + 2 * limit));
        assert!(reported.is_some_and(|reported| reported > day + limit - 10), "{reported:?}");
    }
}
