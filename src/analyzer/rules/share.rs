//! `share.*`: what becomes of the work.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::super::share::JudgedShare;
use super::poisson::{CHANCE, Fading, poisson_at_least};
use super::timing::is_ntime_good;
use super::{AlertContext, seconds_between};
use crate::analyzer::session_event::{JobSeen, ProtocolEvent};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::ShareOutcome;
use crate::stratum::{PrevHash, says_low_difficulty};
use crate::tap::{Role, SessionId};
use crate::util::plural::count;

const VALID_REJECTED: (&str, Severity) = ("share.valid_rejected", Severity::High);
const UNANSWERED: (&str, Severity) = ("share.unanswered", Severity::Medium);
const DUPLICATE: (&str, Severity) = ("share.duplicate", Severity::Low);
const STALE: (&str, Severity) = ("share.stale", Severity::Info);
const REJECT_RATE: (&str, Severity) = ("share.reject_rate", Severity::Medium);

/// A new block that is seen within so many seconds of a refusal explains it: the pool knew already.
const RACE_SECONDS: f64 = 10.0;
/// A pool drops a job that another has followed for so long: DATUM after two minutes, others later.
const FOLLOWED_SECONDS: f64 = 60.0;
/// A pool may stumble: so many valid shares at least are refused, or not answered, …
const LEAST: f64 = 2.5;
/// … and more than a five-hundredth of all explains, with this chance.
const STUMBLES: f64 = 0.002;
const STUMBLES_CHANCE: f64 = 1e-4;
/// For so long, in seconds, refusals and missing answers are remembered.
const REFUSED_SECONDS: f64 = 3600.0;
const UNANSWERED_SECONDS: f64 = 600.0;
/// So many of the last shares make a rate of rejects; honest ones stay below a twentieth.
const RATE_OF: usize = 100;
const HONEST_RATE: f64 = 0.05;
/// Refusals that wait for an explanation.
const MOST_WAITING: usize = 256;

#[derive(Debug, Default)]
pub(super) struct ShareRules {
    sessions: BTreeMap<SessionId, SessionShares>,
    waiting: VecDeque<Refused>,
    /// By upstream, of which there are as many as were configured.
    books: BTreeMap<Option<usize>, UpstreamShares>,
}

#[derive(Debug, Default)]
struct SessionShares {
    /// Of the last shares, the newest lowest: a one was accepted.
    outcomes: u128,
    judged: u32,
    prevhash: Option<PrevHash>,
    /// When a new block or another difficulty made shares under way worthless, and whether one of them
    /// was counted.
    race: Option<(NtpTime, bool)>,
}

/// What an upstream does with shares.
#[derive(Debug, Default)]
struct UpstreamShares {
    judged: Fading,
    refused: Fading,
    answered: Fading,
    unanswered: Fading,
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

    pub(super) fn event(&mut self, event: &ProtocolEvent, at: NtpTime) {
        if let ProtocolEvent::DifficultySet { session, .. } = event {
            self.sessions.entry(*session).or_default().race = Some((at, false));
        }
    }

    pub(super) fn share(
        &mut self,
        judged: &JudgedShare,
        role: Role,
        at: NtpTime,
        tongue: &mut AlertContext<'_>,
    ) {
        if role.is_with_miner() {
            sent(judged, at, tongue);
        }
        if role.is_with_pool() {
            self.answered(judged, at, tongue);
        }
        let is_answered = matches!(judged.outcome, ShareOutcome::Accepted | ShareOutcome::Rejected { .. });
        // A miner itself sends only what was asked for.
        if is_answered && (role == Role::Direct || !is_low_block(judged)) {
            let subject = match role {
                Role::Pool => tongue.upstream(judged.upstream),
                Role::Direct | Role::Miner => &judged.share.worker,
            };
            self.rate(judged, subject, at, tongue);
        }
    }

    /// What the pool made of it.
    fn answered(&mut self, judged: &JudgedShare, at: NtpTime, tongue: &mut AlertContext<'_>) {
        let share = &judged.share;
        let upstream = tongue.upstream(judged.upstream);
        let book = self.books.entry(judged.upstream).or_default();
        match &judged.outcome {
            ShareOutcome::Accepted | ShareOutcome::Rejected { .. } => {
                book.judged.add(at, REFUSED_SECONDS);
                book.answered.add(at, UNANSWERED_SECONDS);
                if book.unanswered.value(at, UNANSWERED_SECONDS) < 1.0 && tongue.is_open(UNANSWERED.0) {
                    tongue.ends(UNANSWERED.0, upstream, at);
                }
                // What the miner did wrong itself says nothing of the pool.
                if let ShareOutcome::Rejected { code, reason } = &judged.outcome {
                    if !share.is_repeated && !is_own_fault(judged, *code, reason.as_deref()) {
                        self.refuse(judged, *code, reason.as_deref(), at);
                    }
                }
            }
            ShareOutcome::Unanswered => {
                let count = book.unanswered.add(at, UNANSWERED_SECONDS);
                let answered = book.answered.value(at, UNANSWERED_SECONDS);
                if is_more_than_stumbling(count, answered) {
                    tongue.lasts(UNANSWERED, upstream, at, || {
                        let description =
                            format!("{upstream}: about {count:.0} shares were not answered in ten minutes");
                        let evidence = json!({
                            "count": count, "answered": answered,
                            "worker": share.worker, "session": judged.session.0,
                        });
                        (description, evidence)
                    });
                }
            }
            ShareOutcome::Unknown => {}
        }
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    pub(super) fn tick(&mut self, now: NtpTime, tongue: &mut AlertContext<'_>) {
        while self.waiting.front().is_some_and(|refused| seconds_between(refused.at, now) > RACE_SECONDS) {
            if let Some(refused) = self.waiting.pop_front() {
                self.unexplained(refused, tongue);
            }
        }
    }

    fn refuse(&mut self, judged: &JudgedShare, code: Option<i64>, reason: Option<&str>, at: NtpTime) {
        let (Some(rebuilt), Some(range)) = (&judged.share.rebuilt, judged.share.range) else { return };
        if !rebuilt.meets(range.highest) || self.waiting.len() >= MOST_WAITING {
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

    fn unexplained(&mut self, refused: Refused, tongue: &mut AlertContext<'_>) {
        let book = self.books.entry(refused.upstream).or_default();
        let count = book.refused.add(refused.at, REFUSED_SECONDS);
        if !is_more_than_stumbling(count, book.judged.value(refused.at, REFUSED_SECONDS)) {
            return;
        }
        let upstream = tongue.upstream(refused.upstream);
        tongue.lasts(VALID_REJECTED, upstream, refused.at, || {
            let description =
                format!("{upstream}: about {count:.0} shares were refused although their hashes are good");
            (description, refused.evidence)
        });
    }

    fn rate(&mut self, judged: &JudgedShare, subject: &str, at: NtpTime, tongue: &mut AlertContext<'_>) {
        let accepted = judged.outcome == ShareOutcome::Accepted;
        let seen = self.sessions.entry(judged.session).or_default();
        if !accepted && seen.is_of_race(at) {
            return;
        }
        let all = u128::MAX >> (128 - RATE_OF);
        seen.outcomes = (seen.outcomes << 1 | u128::from(accepted)) & all;
        seen.judged = (seen.judged + 1).min(RATE_OF as u32);
        let rejected = seen.judged - seen.outcomes.count_ones();
        let judged_count = seen.judged;
        let expected = HONEST_RATE * f64::from(judged_count);
        if poisson_at_least(f64::from(rejected), expected) < CHANCE {
            tongue.lasts(REJECT_RATE, subject, at, || {
                let reason = match &judged.outcome {
                    ShareOutcome::Rejected { reason, .. } => reason.clone(),
                    _ => None,
                };
                let shares = count(u64::from(judged_count), "share");
                let description = format!("{subject}: the pool refused {rejected} of the last {shares}");
                (description, json!({ "rejected": rejected, "of": judged_count, "last_reason": reason, "session": judged.session.0 }))
            });
        } else if f64::from(rejected) < expected && tongue.is_open(REJECT_RATE.0) {
            tongue.ends(REJECT_RATE.0, subject, at);
        }
    }
}

impl SessionShares {
    /// A burst of shares under way when a block or a difficulty came: the first counts for all of it.
    fn is_of_race(&mut self, at: NtpTime) -> bool {
        match &mut self.race {
            Some((since, counted)) if seconds_between(*since, at).abs() < RACE_SECONDS => {
                std::mem::replace(counted, true)
            }
            _ => false,
        }
    }
}

/// What the miner did with it.
fn sent(judged: &JudgedShare, at: NtpTime, tongue: &mut AlertContext<'_>) {
    let (share, worker) = (&judged.share, &judged.share.worker);
    if let (Some(rebuilt), true) = (&share.rebuilt, share.is_repeated) {
        tongue.lasts(DUPLICATE, worker, at, || {
            let description = format!("{worker}: the same share was sent more than once");
            (description, json!({ "hash": rebuilt.hash.to_string(), "session": judged.session.0 }))
        });
    }
    if share.stale {
        let upstream = tongue.upstream(judged.upstream);
        tongue.lasts(STALE, upstream, at, || {
            let description = format!("{upstream}: shares come for jobs that a newer one has ended");
            (description, json!({ "worker": worker, "session": judged.session.0 }))
        });
    }
}

/// Whether the refusal is the miner's own doing, or to be expected.
fn is_own_fault(judged: &JudgedShare, code: Option<i64>, reason: Option<&str>) -> bool {
    let share = &judged.share;
    if share.stale || share.fault.is_some() || !is_ntime_good(share) {
        return true;
    }
    let is_over = share.superseded_for.is_some_and(|since| since.as_secs_f64() > FOLLOWED_SECONDS);
    let reason = reason.unwrap_or_default().to_ascii_lowercase();
    is_over && (code == Some(21) || reason.contains("stale") || reason.contains("job"))
}

/// Whether a share was passed on only because it meets the network's target, and refused because the pool asks
/// for more than that: the refusal says nothing.
fn is_low_block(judged: &JudgedShare) -> bool {
    let ShareOutcome::Rejected { code, reason } = &judged.outcome else { return false };
    judged.share.is_block() && says_low_difficulty(*code, reason.as_deref())
}

fn is_more_than_stumbling(count: f64, of: f64) -> bool {
    // Of none at all there is no part.
    count >= LEAST && poisson_at_least(count, STUMBLES * of.max(1.0)) < STUMBLES_CHANCE
}
