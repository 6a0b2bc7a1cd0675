//! `share.*`: does the pool accept and answer valid shares, and does the miner send good ones?

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::super::share::JudgedShare;
use super::poisson::{DecayingCount, FALSE_ALARM_CHANCE, poisson_at_least};
use super::timing::is_ntime_good;
use super::{AlertContext, AlertType, seconds_between};
use crate::analyzer::session_event::{EventKind, JobSeen, ProtocolEvent};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::ShareOutcome;
use crate::stratum::{PrevHash, says_low_difficulty};
use crate::tap::{Role, SessionId};
use crate::util::format::count;

const VALID_REJECTED: AlertType = ("share.valid_rejected", Severity::High);
const UNANSWERED: AlertType = ("share.unanswered", Severity::Medium);
const DUPLICATE: AlertType = ("share.duplicate", Severity::Low);
const STALE: AlertType = ("share.stale", Severity::Info);
const REJECT_RATE: AlertType = ("share.reject_rate", Severity::Medium);

/// A new block within this time of a refusal explains it: the pool knew of the block already.
const RACE_SECONDS: f64 = 10.0;
/// The time after a newer job from which a refusal as stale is expected. DATUM drops a job after two minutes, others
/// later.
const SUPERSEDED_SECONDS: f64 = 60.0;
/// The minimum of valid shares that are refused or not answered before an alert. A pool may stumble now and then.
const MIN_FAULTS: f64 = 2.5;
/// The part of all shares with which a pool may stumble, and the chance below which more of them raise an alert.
const FAULT_RATE: f64 = 0.002;
const FAULT_CHANCE: f64 = 1e-4;
/// The decay times of the counts of refusals and of missing answers.
const REFUSED_SECONDS: f64 = 3600.0;
const UNANSWERED_SECONDS: f64 = 600.0;
/// The number of last shares over which the reject rate is computed. Honest pools and miners stay below a twentieth.
const RATE_SHARES: usize = 100;
const HONEST_RATE: f64 = 0.05;
/// Caps the refusals that wait for a new block to explain them.
const MAX_WAITING_REFUSALS: usize = 256;

#[derive(Debug, Default)]
pub(in super::super) struct ShareRules {
    pub(super) sessions: BTreeMap<SessionId, SessionShares>,
    waiting: VecDeque<Refused>,
    /// The counts of each upstream. Their number is that of the configured upstreams.
    upstreams: BTreeMap<Option<usize>, UpstreamShares>,
}

#[derive(Debug, Default)]
pub(super) struct SessionShares {
    /// A bit for each of the last shares, the newest lowest. A one is an accepted share.
    outcomes: u128,
    judged: u32,
    prevhash: Option<PrevHash>,
    /// When a new block or another difficulty made shares in flight worthless, and whether one of them was counted.
    race: Option<(NtpTime, bool)>,
}

/// The verdicts of an upstream, counted.
#[derive(Debug, Default)]
struct UpstreamShares {
    judged: DecayingCount,
    refused: DecayingCount,
    answered: DecayingCount,
    unanswered: DecayingCount,
}

/// A valid share that was refused.
#[derive(Debug)]
struct Refused {
    at: NtpTime,
    session: SessionId,
    upstream: Option<usize>,
    evidence: Value,
}

impl ShareRules {
    pub(super) fn job(&mut self, job: &JobSeen, at: NtpTime) {
        let seen = self.sessions.entry(job.session).or_default();
        if seen.prevhash.replace(job.prevhash) != Some(job.prevhash) {
            seen.race = Some((at, false));
            self.waiting.retain(|refused| refused.session != job.session);
        }
    }

    pub(in super::super) fn event(&mut self, event: &ProtocolEvent, at: NtpTime) {
        if let EventKind::DifficultySet(_) = event.kind {
            self.sessions.entry(event.session).or_default().race = Some((at, false));
        }
    }

    pub(super) fn share(&mut self, judged: &JudgedShare, role: Role, context: &mut AlertContext<'_>) {
        if role.is_with_miner() {
            check_sent(judged, context);
        }
        if role.is_with_pool() {
            self.answered(judged, context);
        }
        let is_answered = matches!(judged.outcome, ShareOutcome::Accepted | ShareOutcome::Rejected { .. });
        // A share that was forwarded only as a possible block is not the miner's fault.
        if is_answered && (role == Role::Direct || !is_low_block(judged)) {
            let subject = match role {
                Role::Pool => context.upstream(judged.upstream),
                Role::Direct | Role::Miner => &judged.share.worker,
            };
            self.check_reject_rate(judged, subject, context);
        }
    }

    fn answered(&mut self, judged: &JudgedShare, context: &mut AlertContext<'_>) {
        let share = &judged.share;
        let upstream = context.upstream(judged.upstream);
        let at = context.at;
        let counts = self.upstreams.entry(judged.upstream).or_default();
        match &judged.outcome {
            ShareOutcome::Accepted | ShareOutcome::Rejected { .. } => {
                counts.judged.add(at, REFUSED_SECONDS);
                counts.answered.add(at, UNANSWERED_SECONDS);
                if counts.unanswered.value(at, UNANSWERED_SECONDS) < 1.0 {
                    context.resolve(UNANSWERED.0, upstream);
                }
                // The miner's own faults are not held against the pool.
                if let ShareOutcome::Rejected { code, reason } = &judged.outcome {
                    if !share.is_repeated && !is_own_fault(judged, *code, reason.as_deref()) {
                        self.refuse(judged, *code, reason.as_deref(), at);
                    }
                }
            }
            ShareOutcome::Unanswered => {
                let count = counts.unanswered.add(at, UNANSWERED_SECONDS);
                let answered = counts.answered.value(at, UNANSWERED_SECONDS);
                if is_more_than_chance(count, answered) {
                    context.raise(UNANSWERED, upstream, || {
                        let description = format!(
                            "{upstream}: the pool did not answer about {count:.0} shares in ten minutes"
                        );
                        (
                            description,
                            json!({
                                "count": count, "answered": answered,
                                "worker": share.worker, "session": judged.session.0,
                            }),
                        )
                    });
                }
            }
            ShareOutcome::Unknown => {}
        }
    }

    pub(super) fn tick(&mut self, context: &mut AlertContext<'_>) {
        let now = context.at;
        context.is_tick = false;
        while self.waiting.front().is_some_and(|refused| seconds_between(refused.at, now) > RACE_SECONDS) {
            if let Some(refused) = self.waiting.pop_front() {
                context.at = refused.at;
                self.unexplained(refused, context);
            }
        }
        (context.at, context.is_tick) = (now, true);
    }

    fn refuse(&mut self, judged: &JudgedShare, code: Option<i64>, reason: Option<&str>, at: NtpTime) {
        let (Some(rebuilt), Some(range)) = (&judged.share.rebuilt, judged.share.range) else { return };
        if !rebuilt.meets(range.highest) || self.waiting.len() >= MAX_WAITING_REFUSALS {
            return;
        }
        let evidence = json!({
            "hash": rebuilt.hash.to_string(),
            "share_difficulty": rebuilt.difficulty,
            "asked": range.highest.value(),
            "code": code,
            "reason": reason,
            "job_id": judged.share.submit.as_ref().map(|submit| submit.job_id.as_str()),
            "worker": judged.share.worker,
            "session": judged.session.0,
        });
        self.waiting.push_back(Refused { at, session: judged.session, upstream: judged.upstream, evidence });
    }

    fn unexplained(&mut self, refused: Refused, context: &mut AlertContext<'_>) {
        let counts = self.upstreams.entry(refused.upstream).or_default();
        let count = counts.refused.add(context.at, REFUSED_SECONDS);
        if !is_more_than_chance(count, counts.judged.value(context.at, REFUSED_SECONDS)) {
            return;
        }
        let upstream = context.upstream(refused.upstream);
        context.raise(VALID_REJECTED, upstream, || {
            let description = format!(
                "{upstream}: the pool refused about {count:.0} shares although their hashes are good"
            );
            (description, refused.evidence)
        });
    }

    fn check_reject_rate(&mut self, judged: &JudgedShare, subject: &str, context: &mut AlertContext<'_>) {
        let accepted = judged.outcome == ShareOutcome::Accepted;
        let seen = self.sessions.entry(judged.session).or_default();
        if !accepted && seen.is_in_race(context.at) {
            return;
        }
        let all = u128::MAX >> (128 - RATE_SHARES);
        seen.outcomes = (seen.outcomes << 1 | u128::from(accepted)) & all;
        seen.judged = (seen.judged + 1).min(RATE_SHARES as u32);
        let rejected = seen.judged - seen.outcomes.count_ones();
        let judged_count = seen.judged;
        let expected = HONEST_RATE * f64::from(judged_count);
        if poisson_at_least(f64::from(rejected), expected) < FALSE_ALARM_CHANCE {
            context.raise(REJECT_RATE, subject, || {
                let reason = match &judged.outcome {
                    ShareOutcome::Rejected { reason, .. } => reason.clone(),
                    _ => None,
                };
                let shares = count(u64::from(judged_count), "share");
                let description = format!("{subject}: the pool refused {rejected} of the last {shares}");
                (description, json!({ "rejected": rejected, "of": judged_count, "last_reason": reason, "session": judged.session.0 }))
            });
        } else if f64::from(rejected) < expected {
            context.resolve(REJECT_RATE.0, subject);
        }
    }
}

impl SessionShares {
    /// Returns whether a refused share was in flight when a block or a difficulty came. The first one of a burst
    /// counts, the others do not.
    fn is_in_race(&mut self, at: NtpTime) -> bool {
        match &mut self.race {
            Some((since, counted)) if seconds_between(*since, at).abs() < RACE_SECONDS => {
                std::mem::replace(counted, true)
            }
            _ => false,
        }
    }
}

/// Checks the faults that are the miner's: repeated and stale shares.
fn check_sent(judged: &JudgedShare, context: &mut AlertContext<'_>) {
    let (share, worker) = (&judged.share, &judged.share.worker);
    if let (Some(rebuilt), true) = (&share.rebuilt, share.is_repeated) {
        context.raise(DUPLICATE, worker, || {
            let description = format!("{worker}: the miner sent the same share more than once");
            (description, json!({ "hash": rebuilt.hash.to_string(), "session": judged.session.0 }))
        });
    }
    if share.stale {
        let upstream = context.upstream(judged.upstream);
        context.raise(STALE, upstream, || {
            let description =
                format!("{upstream}: miners send shares for jobs that a newer job has replaced");
            (description, json!({ "worker": worker, "session": judged.session.0 }))
        });
    }
}

/// Returns whether a refusal is the miner's own fault, or to be expected.
fn is_own_fault(judged: &JudgedShare, code: Option<i64>, reason: Option<&str>) -> bool {
    let share = &judged.share;
    if share.stale || share.fault.is_some() || !is_ntime_good(share) {
        return true;
    }
    let is_over = share.superseded_for.is_some_and(|since| since.as_secs_f64() > SUPERSEDED_SECONDS);
    let reason = reason.unwrap_or_default().to_ascii_lowercase();
    is_over && (code == Some(21) || reason.contains("stale") || reason.contains("job"))
}

/// Returns whether a share was forwarded only because it meets the network's target, and refused because the pool's
/// difficulty is higher than that. Such a refusal means nothing.
fn is_low_block(judged: &JudgedShare) -> bool {
    let ShareOutcome::Rejected { code, reason } = &judged.outcome else { return false };
    judged.share.is_block() && says_low_difficulty(*code, reason.as_deref())
}

fn is_more_than_chance(count: f64, of: f64) -> bool {
    // At least one, so that there is a rate before the first answer.
    count >= MIN_FAULTS && poisson_at_least(count, FAULT_RATE * of.max(1.0)) < FAULT_CHANCE
}
