//! `pool.*`: does the pool send miners elsewhere, fall silent, give them no work, refuse them?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::{AlertContext, SessionSample, seconds_between};
use crate::analyzer::job_interval::JobIntervals;
use crate::analyzer::session_event::{JobSeen, ProtocolEvent};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::stratum::Reconnect;
use crate::tap::{SessionId, WorkOwed};

const REDIRECT: (&str, Severity) = ("pool.redirect", Severity::High);
const SILENT: (&str, Severity) = ("pool.silent", Severity::Medium);
const NO_WORK: (&str, Severity) = ("pool.no_work", Severity::Medium);
const REFUSED: (&str, Severity) = ("pool.refused", Severity::Medium);

/// The part of `failover.silence_timeout` after which a pool that says nothing is told of: before the
/// session is ended for it.
const TELL_AFTER: f64 = 2.0 / 3.0;

/// The most that one look counts as. Looks come twice a second; a clock that is set between two of them, by
/// days after a start, is no time that a miner has waited.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Pool {
    silence: f64,
    silent: BTreeSet<Option<usize>>,
    /// When the newest job of each session came, and how often they come.
    cadences: BTreeMap<SessionId, (NtpTime, JobIntervals)>,
    /// How long a pool may take for its first job.
    first_job: Duration,
    owed: BTreeMap<Option<usize>, WorkOwed>,
    ticked_at: Option<NtpTime>,
}

impl Pool {
    pub(super) fn new(silence_timeout: Duration, first_job: Duration) -> Pool {
        Pool {
            silence: silence_timeout.as_secs_f64() * TELL_AFTER,
            silent: BTreeSet::new(),
            cadences: BTreeMap::new(),
            first_job,
            owed: BTreeMap::new(),
            ticked_at: None,
        }
    }

    pub(super) fn job(&mut self, job: &JobSeen, at: NtpTime) {
        let Some((last, cadence)) = self.cadences.get_mut(&job.session) else {
            self.cadences.insert(job.session, (at, JobIntervals::default()));
            return;
        };
        cadence.add(seconds_between(*last, at), false);
        *last = at;
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.cadences.remove(&session);
    }

    pub(super) fn event(&mut self, event: &ProtocolEvent, at: NtpTime, tongue: &mut AlertContext<'_>) {
        match event {
            ProtocolEvent::Redirected { session, upstream, host } => {
                let upstream = tongue.upstream(*upstream);
                let reconnect = Reconnect { host: host.clone(), ..Reconnect::default() };
                if reconnect.is_to(upstream) {
                    return;
                }
                tongue.happened(REDIRECT, upstream, at, || {
                    let description = format!("{upstream}: miners are sent to another host: {host}");
                    (description, json!({ "host": host, "session": session.0 }))
                });
            }
            ProtocolEvent::AuthorizeRefused { session, upstream, worker, reason } => {
                let upstream = tongue.upstream(*upstream);
                let subject = format!("{upstream} {worker}");
                tongue.lasts(REFUSED, &subject, at, || {
                    let description = format!("{upstream}: the pool refuses the worker {worker}");
                    (description, json!({ "worker": worker, "reason": reason, "session": session.0 }))
                });
            }
            ProtocolEvent::SubscribeRefused { session, upstream, reason } => {
                let name = tongue.upstream(*upstream);
                tongue.lasts(REFUSED, name, at, || {
                    let description = format!(
                        "{name}: the pool refuses mining.subscribe, so no miner can work there; miners are given \
                         to the next pool if there is one"
                    );
                    (description, json!({ "worker": null, "reason": reason, "session": session.0 }))
                });
            }
            ProtocolEvent::Subscribed { upstream } if tongue.is_open(REFUSED.0) => {
                tongue.ends(REFUSED.0, tongue.upstream(*upstream), at);
            }
            ProtocolEvent::Authorized { upstream, worker } if tongue.is_open(REFUSED.0) => {
                let subject = format!("{} {worker}", tongue.upstream(*upstream));
                tongue.ends(REFUSED.0, &subject, at);
            }
            ProtocolEvent::Subscribed { .. }
            | ProtocolEvent::Authorized { .. }
            | ProtocolEvent::DifficultySet { .. }
            | ProtocolEvent::ExtranonceChanged { .. }
            | ProtocolEvent::JobUnread { .. }
            | ProtocolEvent::DoubtEnded { .. } => {}
        }
    }

    pub(super) fn tick(
        &mut self,
        sessions: &[SessionSample<'_>],
        now: NtpTime,
        tongue: &mut AlertContext<'_>,
    ) {
        self.silence(sessions, now, tongue);
        self.no_work(sessions, now, tongue);
    }

    /// A pool gives no work when it has accepted miners and none of its sessions gets a job.
    fn no_work(&mut self, sessions: &[SessionSample<'_>], now: NtpTime, tongue: &mut AlertContext<'_>) {
        let seconds = self.ticked_at.replace(now).map_or(0.0, |before| seconds_between(before, now).max(0.0));
        let elapsed = Duration::from_secs_f64(seconds).min(LONGEST_LOOK);
        let (limit, silence) = (self.first_job, self.silence);
        let got_job = |pulse: &SessionSample<'_>| pulse.job_silent.is_some_and(|since| since <= seconds);
        for pulse in sessions.iter().filter(|pulse| pulse.waits_for_work) {
            self.owed.entry(pulse.upstream).or_default();
        }
        self.owed.retain(|upstream, owed| {
            let with = || sessions.iter().filter(|pulse| pulse.upstream == *upstream);
            let waiting = with().filter(|pulse| pulse.waits_for_work).count();
            let waited = owed.pass(elapsed, limit, waiting > 0, with().any(got_job));
            // Where others get work, one account's trouble is not the pool's.
            let serves_others = with().any(|pulse| pulse.job_silent.is_some_and(|since| since < silence));
            if waiting > 0 && waited >= limit && !serves_others {
                let name = tongue.upstream(*upstream);
                tongue.persists(NO_WORK, name, now, || {
                    let seconds = waited.as_secs_f64();
                    let description = format!(
                        "{name}: the pool gives no work: it accepts miners and has sent no job for {seconds:.0} s"
                    );
                    (description, json!({ "seconds": seconds, "sessions": waiting }))
                });
            }
            waiting > 0 || !waited.is_zero()
        });
        if tongue.is_open(NO_WORK.0) {
            for pulse in sessions.iter().filter(|pulse| got_job(pulse)) {
                tongue.ends(NO_WORK.0, tongue.upstream(pulse.upstream), now);
            }
        }
    }

    /// A pool is silent when none of its miners hears from it.
    fn silence(&mut self, sessions: &[SessionSample<'_>], now: NtpTime, tongue: &mut AlertContext<'_>) {
        let mut heard: BTreeSet<Option<usize>> = BTreeSet::new();
        let mut silent = BTreeSet::new();
        for pulse in sessions {
            match pulse.pool_silent {
                Some(seconds) if seconds > self.silence => {
                    // A pool that sends jobs with blocks only, and owes no answer, has nothing to say.
                    let cadence = self.cadences.get(&pulse.session);
                    let is_late = cadence.is_some_and(|(_, cadence)| seconds > cadence.late_after());
                    if pulse.unanswered == 0 && !is_late {
                        continue;
                    }
                    silent.insert(pulse.upstream)
                }
                Some(_) => heard.insert(pulse.upstream),
                None => false,
            };
        }
        for upstream in silent.difference(&heard) {
            let name = tongue.upstream(*upstream);
            let limit = self.silence;
            tongue.persists(SILENT, name, now, || {
                (
                    format!("{name}: connected, and silent for more than {limit:.0} s"),
                    json!({ "seconds": limit }),
                )
            });
        }
        for upstream in &heard {
            if self.silent.contains(upstream) && !silent.contains(upstream) {
                let name = tongue.upstream(*upstream);
                tongue.ends(SILENT.0, name, now);
            }
        }
        self.silent.extend(silent.iter().copied());
        self.silent.retain(|upstream| silent.contains(upstream) || !heard.contains(upstream));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use jiff::Timestamp;

    use super::super::super::alerts::AlertBook;
    use super::*;
    use crate::clock::{ClockState, UnsyncReason};
    use crate::record::SavedState;
    use crate::tap::Role;

    const LIMIT: Duration = Duration::from_secs(75);

    fn waiting() -> SessionSample<'static> {
        SessionSample {
            waits_for_work: true,
            job_silent: None,
            session: SessionId(1),
            role: Role::Direct,
            upstream: None,
            worker: "rig",
            miner: IpAddr::V4(Ipv4Addr::LOCALHOST),
            hash_rate: 0.0,
            difficulty: 1.0,
            accepted: 0,
            watched: 1.0,
            pool_silent: None,
            unanswered: 0,
            share_silent: None,
            jobs: None,
            unread: None,
            extranonce2_size: None,
            version_mask: None,
            payout: None,
        }
    }

    /// The seconds since the first tick at which the pool is told of, if a tick comes at each of these.
    fn told_at(seconds: impl IntoIterator<Item = i64>) -> Option<i64> {
        let (mut pool, mut alerts) = (Pool::new(LIMIT * 3, LIMIT), AlertBook::new(&[]));
        seconds.into_iter().find(|second| {
            let time = Timestamp::from_second(1_790_000_000 + second).unwrap();
            let (now, mut rows) = (NtpTime::from_timestamp(time), Vec::new());
            let mut tongue = AlertContext {
                alerts: &mut alerts,
                rows: &mut rows,
                upstreams: &[],
                clock: &ClockState::Unsynchronised { since: now, reason: UnsyncReason::Off },
                state: &mut SavedState::default(),
                unsaved: &mut false,
            };
            pool.tick(&[waiting()], now, &mut tongue);
            !rows.is_empty()
        })
    }

    #[test]
    fn a_clock_that_is_set_by_days_is_no_wait_for_work() {
        let limit = LIMIT.as_secs() as i64;
        assert_eq!(told_at(0..2 * limit), Some(limit));
        let day = 86_400;
        let told = told_at([0, 1].into_iter().chain(day..day + 2 * limit));
        assert!(told.is_some_and(|told| told > day + limit - 10), "{told:?}");
    }
}
