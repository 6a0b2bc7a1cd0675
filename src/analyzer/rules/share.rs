//! `share.*`: what becomes of the work.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::SessionId;
use super::super::finding::JobSeen;
use super::super::share::JudgedShare;
use super::{CHANCE, Pulse, Tongue, seconds_between};
use crate::clock::NtpTime;
use crate::config::{self, Severity};
use crate::record::Outcome;
use crate::work::BlockHash;

const VALID_REJECTED: (&str, Severity) = ("share.valid_rejected", Severity::High);
const UNANSWERED: (&str, Severity) = ("share.unanswered", Severity::Medium);
const DUPLICATE: (&str, Severity) = ("share.duplicate", Severity::Low);
const STALE: (&str, Severity) = ("share.stale", Severity::Info);
const RAPID: (&str, Severity) = ("share.rapid", Severity::Low);
const SILENT: (&str, Severity) = ("share.silent", Severity::Low);
const REJECT_RATE: (&str, Severity) = ("share.reject_rate", Severity::Medium);

/// A clean job that comes within so many seconds of a refusal explains it: the pool knew already.
const RACE_SECONDS: f64 = 10.0;
/// A pool may stumble; so many valid shares refused within an hour, or unanswered within ten minutes.
const LEAST: usize = 3;
const REFUSED_SECONDS: f64 = 3600.0;
const UNANSWERED_SECONDS: f64 = 600.0;
/// The shares of so many seconds are counted, …
const WINDOW_SECONDS: f64 = 60.0;
/// … and compared with the hash rate of at least so many, known from at least so many shares.
const LEAST_WATCHED: f64 = 1800.0;
const LEAST_KNOWN: u64 = 50;
/// No miner is called silent sooner, in seconds.
const LEAST_SILENCE: f64 = 600.0;
/// So many of the last shares make a rate of rejects; honest ones stay below a twentieth.
const RATE_OF: usize = 100;
const HONEST_RATE: f64 = 0.05;
/// Bounds: hashes remembered of a session, shares of its window.
const MOST_HASHES: usize = 256;
const MOST_WINDOW: usize = 2048;
/// Refusals that wait for an explanation.
const MOST_WAITING: usize = 256;

#[derive(Debug)]
pub(super) struct Share {
    /// `rules.rapid_share`
    rapid: Option<Duration>,
    sessions: BTreeMap<SessionId, Seen>,
    waiting: VecDeque<Refused>,
    refused: BTreeMap<Option<usize>, VecDeque<NtpTime>>,
    unanswered: BTreeMap<Option<usize>, VecDeque<NtpTime>>,
}

#[derive(Debug, Default)]
struct Seen {
    hashes: VecDeque<BlockHash>,
    /// When shares came, and what they were worth.
    window: VecDeque<(NtpTime, f64)>,
    outcomes: VecDeque<bool>,
    last_clean: Option<NtpTime>,
    /// Hashes per second when it last sent a share.
    rate: f64,
    is_silent: bool,
}

/// A valid share that was refused.
#[derive(Debug)]
struct Refused {
    at: NtpTime,
    session: SessionId,
    upstream: Option<usize>,
    evidence: Value,
}

impl Share {
    pub(super) fn new(settings: &config::Rules) -> Share {
        Share {
            rapid: settings.rapid_share,
            sessions: BTreeMap::new(),
            waiting: VecDeque::new(),
            refused: BTreeMap::new(),
            unanswered: BTreeMap::new(),
        }
    }

    pub(super) fn job(&mut self, job: &JobSeen, at: NtpTime) {
        let seen = self.sessions.entry(job.session).or_default();
        if job.clean {
            seen.last_clean = Some(at);
            self.waiting.retain(|refused| refused.session != job.session);
        }
    }

    pub(super) fn share(&mut self, judged: &JudgedShare, at: NtpTime, tongue: &mut Tongue<'_>) {
        let share = &judged.share;
        let upstream = tongue.upstream(judged.upstream);
        let is_duplicate = self.duplicate(judged, at, tongue);
        if share.stale {
            tongue.lasts(STALE, &upstream, at, || {
                let description = format!("{upstream}: shares come for jobs that a newer one has ended");
                (description, json!({ "worker": share.worker, "session": judged.session.0 }))
            });
        }
        self.window(judged, at, tongue);
        match &judged.outcome {
            Outcome::Accepted => self.rate(judged, true, at, tongue),
            Outcome::Rejected { code, reason } => {
                // What the miner did wrong itself says nothing of the pool.
                let is_own = is_duplicate || share.stale || share.fault.is_some();
                if !is_own {
                    self.refuse(judged, *code, reason.as_deref(), at);
                }
                self.rate(judged, false, at, tongue);
            }
            Outcome::Unanswered => {
                let times = self.unanswered.entry(judged.upstream).or_default();
                let count = count_within(times, at, UNANSWERED_SECONDS);
                if count >= LEAST {
                    tongue.lasts(UNANSWERED, &upstream, at, || {
                        let description =
                            format!("{upstream}: {count} shares were not answered in ten minutes");
                        (
                            description,
                            json!({ "count": count, "worker": share.worker, "session": judged.session.0 }),
                        )
                    });
                }
            }
            Outcome::Unknown => {}
        }
        if matches!(judged.outcome, Outcome::Accepted | Outcome::Rejected { .. }) {
            let recent = self.unanswered.get(&judged.upstream).and_then(VecDeque::back);
            if recent.is_none_or(|last| seconds_between(*last, at) > UNANSWERED_SECONDS) {
                tongue.ends(UNANSWERED.0, &upstream, at);
            }
        }
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    pub(super) fn tick(&mut self, sessions: &[Pulse<'_>], now: NtpTime, tongue: &mut Tongue<'_>) {
        while self.waiting.front().is_some_and(|refused| seconds_between(refused.at, now) > RACE_SECONDS) {
            if let Some(refused) = self.waiting.pop_front() {
                self.unexplained(refused, tongue);
            }
        }
        for pulse in sessions {
            let Some(seen) = self.sessions.get_mut(&pulse.session) else { continue };
            seen.silent(pulse, now, tongue);
            if self.rapid.is_none() {
                seen.rapid(pulse, now, tongue);
            }
        }
    }

    fn duplicate(&mut self, judged: &JudgedShare, at: NtpTime, tongue: &mut Tongue<'_>) -> bool {
        let Some(rebuilt) = &judged.share.rebuilt else { return false };
        let seen = self.sessions.entry(judged.session).or_default();
        if !seen.hashes.contains(&rebuilt.hash) {
            seen.hashes.truncate(MOST_HASHES - 1);
            seen.hashes.push_front(rebuilt.hash);
            return false;
        }
        let worker = &judged.share.worker;
        tongue.lasts(DUPLICATE, worker, at, || {
            let description = format!("{worker}: the same share was sent more than once");
            (description, json!({ "hash": rebuilt.hash.to_string(), "session": judged.session.0 }))
        });
        true
    }

    /// The original program's rule, where it is asked for; and what the windowed one counts.
    fn window(&mut self, judged: &JudgedShare, at: NtpTime, tongue: &mut Tongue<'_>) {
        let seen = self.sessions.entry(judged.session).or_default();
        let last = seen.window.front().map(|(last, _)| *last);
        if let Some(assigned) = judged.share.proven() {
            seen.window.truncate(MOST_WINDOW - 1);
            seen.window.push_front((at, assigned.value()));
        }
        let (Some(least), Some(last)) = (self.rapid, last) else { return };
        let gap = seconds_between(last, at);
        if (0.0..least.as_secs_f64()).contains(&gap) {
            let worker = &judged.share.worker;
            tongue.lasts(RAPID, worker, at, || {
                let description = format!("{worker}: two shares within {:.1} ms", gap * 1e3);
                (description, json!({ "gap_seconds": gap, "session": judged.session.0 }))
            });
        }
    }

    fn refuse(&mut self, judged: &JudgedShare, code: Option<i64>, reason: Option<&str>, at: NtpTime) {
        let (Some(rebuilt), Some(range)) = (&judged.share.rebuilt, judged.share.range) else { return };
        if !rebuilt.meets(range.highest) || self.waiting.len() >= MOST_WAITING {
            return;
        }
        let clean = self.sessions.get(&judged.session).and_then(|seen| seen.last_clean);
        let age = judged.share.job_age.unwrap_or_default().as_secs_f64();
        // A share that was on its way when the clean job came.
        if clean.is_some_and(|clean| seconds_between(clean, at).abs() < RACE_SECONDS && age > RACE_SECONDS) {
            return;
        }
        let evidence = json!({
            "hash": rebuilt.hash.to_string(),
            "share_difficulty": rebuilt.difficulty,
            "asked": range.highest.value(),
            "code": code,
            "reason": reason,
            "worker": judged.share.worker,
            "session": judged.session.0,
        });
        self.waiting.push_back(Refused { at, session: judged.session, upstream: judged.upstream, evidence });
    }

    fn unexplained(&mut self, refused: Refused, tongue: &mut Tongue<'_>) {
        let times = self.refused.entry(refused.upstream).or_default();
        let count = count_within(times, refused.at, REFUSED_SECONDS);
        if count < LEAST {
            return;
        }
        let upstream = tongue.upstream(refused.upstream);
        tongue.lasts(VALID_REJECTED, &upstream, refused.at, || {
            let description =
                format!("{upstream}: {count} shares were refused although their hashes are good");
            (description, refused.evidence)
        });
    }

    fn rate(&mut self, judged: &JudgedShare, accepted: bool, at: NtpTime, tongue: &mut Tongue<'_>) {
        let seen = self.sessions.entry(judged.session).or_default();
        seen.outcomes.truncate(RATE_OF - 1);
        seen.outcomes.push_front(accepted);
        let rejected = seen.outcomes.iter().filter(|accepted| !**accepted).count();
        let judged_count = seen.outcomes.len();
        let expected = HONEST_RATE * judged_count as f64;
        let worker = &judged.share.worker;
        if poisson_at_least(rejected as f64, expected) < CHANCE {
            let reasons = match &judged.outcome {
                Outcome::Rejected { reason, .. } => reason.clone(),
                _ => None,
            };
            tongue.lasts(REJECT_RATE, worker, at, || {
                let description = format!("{worker}: {rejected} of the last {judged_count} shares were refused");
                (description, json!({ "rejected": rejected, "of": judged_count, "last_reason": reasons, "session": judged.session.0 }))
            });
        } else if (rejected as f64) < expected {
            tongue.ends(REJECT_RATE.0, worker, at);
        }
    }
}

impl Seen {
    /// Far more shares in a minute than the hash rate of the last hour gives.
    fn rapid(&mut self, pulse: &Pulse<'_>, now: NtpTime, tongue: &mut Tongue<'_>) {
        while self.window.back().is_some_and(|(at, _)| seconds_between(*at, now) > WINDOW_SECONDS) {
            self.window.pop_back();
        }
        if pulse.watched < LEAST_WATCHED || pulse.accepted < LEAST_KNOWN || self.window.is_empty() {
            return;
        }
        let count = self.window.len() as f64;
        let work: f64 = self.window.iter().map(|(_, work)| work).sum();
        // In shares of the window's own mean difficulty.
        let expected = pulse.hash_rate * WINDOW_SECONDS / 2_f64.powi(32) / (work / count);
        let worker = pulse.worker;
        if poisson_at_least(count, expected) >= CHANCE {
            return;
        }
        tongue.lasts(RAPID, worker, now, || {
            let description =
                format!("{worker}: {count:.0} shares in a minute, where {expected:.1} are expected");
            (description, json!({ "shares": count, "expected": expected, "session": pulse.session.0 }))
        });
    }

    /// No share for far longer than chance explains.
    fn silent(&mut self, pulse: &Pulse<'_>, now: NtpTime, tongue: &mut Tongue<'_>) {
        let Some(silent) = pulse.share_silent else { return };
        if silent < WINDOW_SECONDS || self.rate == 0.0 {
            self.rate = pulse.hash_rate;
        }
        if silent < LEAST_SILENCE {
            if std::mem::take(&mut self.is_silent) {
                tongue.ends(SILENT.0, pulse.worker, now);
            }
            return;
        }
        let per_second = self.rate / 2_f64.powi(32) / pulse.difficulty.max(f64::MIN_POSITIVE);
        let known_from = per_second * pulse.watched.min(3600.0);
        // The rate itself is known no better than its shares allow.
        let expected = silent * per_second * (1.0 - 2.0 / known_from.max(4.0).sqrt());
        if pulse.accepted < LEAST_KNOWN / 5 || (-expected).exp() >= CHANCE || self.is_silent {
            return;
        }
        self.is_silent = true;
        let worker = pulse.worker;
        tongue.lasts(SILENT, worker, now, || {
            let minutes = silent / 60.0;
            let description = format!("{worker}: connected, and no share for {minutes:.0} minutes");
            (
                description,
                json!({ "seconds": silent, "expected_shares": expected, "session": pulse.session.0 }),
            )
        });
    }
}

/// How many of these there were within the last `seconds`, this one included.
fn count_within(times: &mut VecDeque<NtpTime>, at: NtpTime, seconds: f64) -> usize {
    while times.front().is_some_and(|first| seconds_between(*first, at) > seconds)
        || times.len() >= MOST_WINDOW
    {
        times.pop_front();
    }
    times.push_back(at);
    times.len()
}

/// At most this is the chance of `count` or more where `mean` are expected (Chernoff's bound).
fn poisson_at_least(count: f64, mean: f64) -> f64 {
    if count <= mean || mean <= 0.0 {
        return 1.0;
    }
    (count - mean - count * (count / mean).ln()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_above_the_truth_and_falls() {
        assert_eq!(poisson_at_least(3.0, 5.0), 1.0);
        // P(X >= 10 | 2) is 4.65e-5, P(X >= 30 | 5) is 5.7e-14.
        let (ten, thirty) = (poisson_at_least(10.0, 2.0), poisson_at_least(30.0, 5.0));
        assert!((4.65e-5..1e-3).contains(&ten), "{ten}");
        assert!((5.7e-14..1e-11).contains(&thirty), "{thirty}");
    }
}
