//! `pool.*`: does the pool send miners elsewhere, fall silent, refuse them?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::super::SessionId;
use super::super::cadence::Cadence;
use super::super::finding::{Event, JobSeen};
use super::{Pulse, Tongue, seconds_between};
use crate::clock::NtpTime;
use crate::config::Severity;

const REDIRECT: (&str, Severity) = ("pool.redirect", Severity::High);
const SILENT: (&str, Severity) = ("pool.silent", Severity::Medium);
const REFUSED: (&str, Severity) = ("pool.refused", Severity::Medium);

/// The part of `failover.silence_timeout` after which a pool that says nothing is told of: before the
/// session is ended for it.
const TELL_AFTER: f64 = 2.0 / 3.0;

#[derive(Debug)]
pub(super) struct Pool {
    silence: f64,
    silent: BTreeSet<Option<usize>>,
    /// When the newest job of each session came, and how often they come.
    cadences: BTreeMap<SessionId, (NtpTime, Cadence)>,
}

impl Pool {
    pub(super) fn new(silence_timeout: Duration) -> Pool {
        Pool {
            silence: silence_timeout.as_secs_f64() * TELL_AFTER,
            silent: BTreeSet::new(),
            cadences: BTreeMap::new(),
        }
    }

    pub(super) fn job(&mut self, job: &JobSeen, at: NtpTime) {
        let Some((last, cadence)) = self.cadences.get_mut(&job.session) else {
            self.cadences.insert(job.session, (at, Cadence::default()));
            return;
        };
        cadence.job(seconds_between(*last, at), false);
        *last = at;
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.cadences.remove(&session);
    }

    pub(super) fn event(&mut self, event: &Event, at: NtpTime, tongue: &mut Tongue<'_>) {
        match event {
            Event::Redirected { session, upstream, host } => {
                let upstream = tongue.upstream(*upstream);
                if is_same_host(upstream, host) {
                    return;
                }
                tongue.happened(REDIRECT, upstream, at, || {
                    let description = format!("{upstream}: miners are sent to another host: {host}");
                    (description, json!({ "host": host, "session": session.0 }))
                });
            }
            Event::AuthorizeRefused { session, upstream, worker, reason } => {
                let upstream = tongue.upstream(*upstream);
                let subject = format!("{upstream} {worker}");
                tongue.lasts(REFUSED, &subject, at, || {
                    let description = format!("{upstream}: the pool refuses the worker {worker}");
                    (description, json!({ "worker": worker, "reason": reason, "session": session.0 }))
                });
            }
            Event::Authorized { upstream, worker } if tongue.is_open(REFUSED.0) => {
                let subject = format!("{} {worker}", tongue.upstream(*upstream));
                tongue.ends(REFUSED.0, &subject, at);
            }
            Event::Authorized { .. }
            | Event::DifficultySet { .. }
            | Event::ExtranonceChanged { .. }
            | Event::JobUnread { .. } => {}
        }
    }

    /// A pool is silent when none of its miners hears from it.
    pub(super) fn tick(&mut self, sessions: &[Pulse<'_>], now: NtpTime, tongue: &mut Tongue<'_>) {
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

/// Without a host the miner comes back to the same one.
fn is_same_host(upstream: &str, host: &str) -> bool {
    let bare = upstream.rsplit("://").next().unwrap_or(upstream);
    let own = bare.rsplit_once(':').map_or(bare, |(own, _)| own);
    let own = own.trim_matches(|c| c == '[' || c == ']');
    host.is_empty() || host.trim_end_matches('.').eq_ignore_ascii_case(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_the_same_whatever_its_case_and_port() {
        for (upstream, host) in [
            ("stratum+tcp://solo.ckpool.org:3333", "solo.ckpool.org"),
            ("stratum+tcp://solo.ckpool.org:3333", "Solo.CKpool.org."),
            ("stratum+ssl://[2001:db8::1]:3333", "2001:db8::1"),
            ("solo.ckpool.org:3333", ""),
        ] {
            assert!(is_same_host(upstream, host), "{upstream} {host}");
        }
        assert!(!is_same_host("stratum+tcp://solo.ckpool.org:3333", "evil.example"));
        assert!(!is_same_host("stratum+tcp://solo.ckpool.org:3333", "ckpool.org"));
    }
}
