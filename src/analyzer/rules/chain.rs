//! `chain.*`: is it Bitcoin, is it real, is it the newest block?

use std::collections::BTreeMap;

use serde_json::json;

use super::super::verdicts::ChainState;
use super::best_block::{BestBlocks, MAX_RETARGET_FACTOR, are_blocks_likely};
use super::payout::job_evidence;
use super::{AlertContext, SessionSample, number, seconds_between};
use crate::analyzer::session_event::JobSeen;
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::reference;
use crate::stratum::{PrevHash, ReadingAgreement};
use crate::tap::SessionId;
use crate::work::{parent_hash, share_difficulty};

const WRONG: (&str, Severity) = ("chain.wrong", Severity::High);
const BAD_PREVHASH: (&str, Severity) = ("chain.bad_prevhash", Severity::High);
const HEIGHT: (&str, Severity) = ("chain.height", Severity::Medium);

/// Over so many seconds a session's blocks are counted.
const PACE_SECONDS: f64 = 6.0 * 3600.0;

#[derive(Debug, Default)]
pub(super) struct ChainRules {
    sessions: BTreeMap<SessionId, SessionBlock>,
    tips: BestBlocks,
}

/// The newest block that a session was given work on.
#[derive(Debug, Clone, Copy)]
struct SessionBlock {
    height: u32,
    prevhash: PrevHash,
    /// When the first job of this block came.
    at: NtpTime,
    /// From here on its blocks are counted.
    counted: (u32, NtpTime),
}

impl ChainRules {
    pub(super) fn job(&mut self, job: &JobSeen, at: NtpTime, context: &mut AlertContext<'_>) {
        let upstream = context.upstream(job.upstream);
        wrong(job, upstream, at, context);
        let is_mainnet = job.chain.network == "mainnet" && job.chain.state == ChainState::Plausible;
        // Who makes blocks up must not make honest pools look late.
        let is_worked_for = is_mainnet && parent_is_good(job, upstream, at, context);
        // Who sends what some miners ignore must not look up to date by it.
        if job.agreement != ReadingAgreement::All {
            return;
        }
        let (Some(height), Some(place)) = (job.height, job.upstream) else { return };
        let new = SessionBlock { height: height.0, prevhash: job.prevhash, at, counted: (height.0, at) };
        let seen = self.sessions.entry(job.session).or_insert(new);
        if is_mainnet {
            height_rule(job, upstream, seen, &new, context);
        }
        seen.follow(&new);
        self.tips.job(place, job, (height.0, is_worked_for), at, context);
    }

    /// A reference works on this.
    pub(super) fn reference(&mut self, tip: &reference::Tip, at: NtpTime) {
        self.tips.reference(tip, at);
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    pub(super) fn tick(&self, sessions: &[SessionSample<'_>], now: NtpTime, context: &mut AlertContext<'_>) {
        self.tips.tick(sessions, now, context);
    }
}

fn wrong(job: &JobSeen, upstream: &str, at: NtpTime, context: &mut AlertContext<'_>) {
    let verdict = &job.chain;
    match verdict.state {
        ChainState::Wrong => {}
        // A miner without an address proves nothing, for or against.
        ChainState::Unknown => return,
        // A job that some miners ignore does not make the one before it any better.
        ChainState::Plausible if job.agreement != ReadingAgreement::All => return,
        ChainState::Plausible => {
            if context.is_open(WRONG.0) {
                for network in [verdict.network, "unknown"] {
                    context.resolve(WRONG.0, &format!("{upstream} {network}"), at);
                }
            }
            return;
        }
    }
    // A miner with an address of another network does not make the others' work wrong, nor right.
    let subject = format!("{upstream} {}", verdict.network);
    context.raise(WRONG, &subject, at, || {
        let description = match verdict.network {
            "unknown" => format!(
                "{upstream}: this is no Bitcoin network known: its difficulty is {}",
                number(verdict.difficulty)
            ),
            network => format!(
                "{upstream}: this is not Bitcoin's {network}: its work has a network difficulty of {}",
                number(verdict.difficulty)
            ),
        };
        let mut evidence = job_evidence(job);
        evidence["network_difficulty"] = json!(verdict.difficulty);
        (description, evidence)
    });
}

fn parent_is_good(job: &JobSeen, upstream: &str, at: NtpTime, context: &mut AlertContext<'_>) -> bool {
    let parent = parent_hash(&job.prevhash);
    let worth = share_difficulty(&parent);
    if worth * MAX_RETARGET_FACTOR >= job.chain.difficulty {
        if job.agreement == ReadingAgreement::All {
            context.resolve(BAD_PREVHASH.0, upstream, at);
        }
        return true;
    }
    context.raise(BAD_PREVHASH, upstream, at, || {
        let description = format!(
            "{upstream}: the block that the work builds on is none: its hash has not been worked for"
        );
        let mut evidence = job_evidence(job);
        evidence["prevhash_difficulty"] = json!(worth);
        evidence["network_difficulty"] = json!(job.chain.difficulty);
        (description, evidence)
    });
    false
}

/// One connection's blocks go forward, and no faster than blocks come.
fn height_rule(
    job: &JobSeen,
    upstream: &str,
    before: &SessionBlock,
    now: &SessionBlock,
    context: &mut AlertContext<'_>,
) {
    let elapsed = seconds_between(before.at, now.at);
    let step = i64::from(now.height) - i64::from(before.height);
    let jumps = |from: u32, since: NtpTime| {
        now.height > from && !are_blocks_likely(now.height - from, seconds_between(since, now.at))
    };
    let fault = match step {
        0 => return,
        _ if now.prevhash == before.prevhash => "another height on the same block before",
        step if step < 0 => "an older block than before",
        _ if jumps(before.height, before.at) || jumps(before.counted.0, before.counted.1) => {
            "blocks faster than they are found"
        }
        _ => return,
    };
    context.report(HEIGHT, upstream, now.at, || {
        let description = format!("{upstream}: {fault}: {} after {}", now.height, before.height);
        let mut evidence = job_evidence(job);
        evidence["height_before"] = json!(before.height);
        evidence["seconds"] = json!(elapsed);
        (description, evidence)
    });
}

impl SessionBlock {
    fn follow(&mut self, new: &SessionBlock) {
        if self.height == new.height && self.prevhash == new.prevhash {
            return;
        }
        let is_likely = new.height >= self.height
            && are_blocks_likely(
                new.height.saturating_sub(self.counted.0),
                seconds_between(self.counted.1, new.at),
            );
        let counted = if is_likely && seconds_between(self.counted.1, new.at) < PACE_SECONDS {
            self.counted
        } else {
            new.counted
        };
        *self = SessionBlock { counted, ..*new };
    }
}
