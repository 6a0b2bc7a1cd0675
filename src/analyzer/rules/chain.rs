//! `chain.*`: is it Bitcoin, and does each job follow the one before?

use std::collections::BTreeMap;

use serde_json::json;

use super::super::verdicts::ChainState;
use super::best_block::{BestBlocks, MAX_RETARGET_FACTOR, are_blocks_likely};
use super::payout::job_evidence;
use super::{AlertContext, AlertType, SessionSample, number, seconds_between};
use crate::analyzer::session_event::JobSeen;
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::reference;
use crate::stratum::{PrevHash, ReadingAgreement};
use crate::tap::SessionId;
use crate::work::{parent_hash, share_difficulty};

const WRONG: AlertType = ("chain.wrong", Severity::High);
const BAD_PREVHASH: AlertType = ("chain.bad_prevhash", Severity::High);
const HEIGHT: AlertType = ("chain.height", Severity::Medium);

/// The time over which a session's blocks are counted, to compare their pace with the network's.
const PACE_SECONDS: f64 = 6.0 * 3600.0;

#[derive(Debug, Default)]
pub(in super::super) struct ChainRules {
    pub(super) sessions: BTreeMap<SessionId, SessionBlock>,
    best_blocks: BestBlocks,
}

/// The newest block that a session got jobs for.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionBlock {
    height: u32,
    prevhash: PrevHash,
    /// When the first job for this block came.
    at: NtpTime,
    /// The height and time from which the session's blocks are counted.
    counted: (u32, NtpTime),
}

impl ChainRules {
    pub(super) fn job(&mut self, job: &JobSeen, context: &mut AlertContext<'_>) {
        let upstream = context.upstream(job.upstream);
        check_network(job, upstream, context);
        let is_mainnet = job.chain.network == "mainnet" && job.chain.state == ChainState::Plausible;
        // A pool that makes blocks up must not make honest pools look late.
        let has_proof_of_work = is_mainnet && has_good_parent(job, upstream, context);
        // A job that some miners ignore must not make its pool look up to date.
        if job.agreement != ReadingAgreement::All {
            return;
        }
        let (Some(height), Some(index)) = (job.height, job.upstream) else { return };
        let at = context.at;
        let new = SessionBlock { height: height.0, prevhash: job.prevhash, at, counted: (height.0, at) };
        let seen = self.sessions.entry(job.session).or_insert(new);
        if is_mainnet {
            check_height(job, upstream, seen, &new, context);
        }
        seen.follow(&new);
        self.best_blocks.job(index, job, (height.0, has_proof_of_work), context);
    }

    /// Takes in the newest block of a reference.
    pub(in super::super) fn reference(&mut self, tip: &reference::Tip, at: NtpTime) {
        self.best_blocks.reference(tip, at);
    }

    pub(super) fn tick(&self, sessions: &[SessionSample<'_>], context: &mut AlertContext<'_>) {
        self.best_blocks.tick(sessions, context);
    }
}

fn check_network(job: &JobSeen, upstream: &str, context: &mut AlertContext<'_>) {
    let verdict = &job.chain;
    match verdict.state {
        ChainState::Wrong => {}
        // An unknown chain neither raises nor resolves the alert.
        ChainState::Unknown => return,
        // A job that some miners ignore does not replace the one before it.
        ChainState::Plausible if job.agreement != ReadingAgreement::All => return,
        ChainState::Plausible => {
            if context.alerts.is_open(WRONG.0) {
                for network in [verdict.network, "unknown"] {
                    context.resolve(WRONG.0, &format!("{upstream} {network}"));
                }
            }
            return;
        }
    }
    // Each network is a subject of its own, because miners' addresses can be of several networks.
    let subject = format!("{upstream} {}", verdict.network);
    context.raise(WRONG, &subject, || {
        let what = match verdict.network {
            "unknown" => "for no known Bitcoin network".to_owned(),
            network => format!("not for Bitcoin's {network}"),
        };
        let difficulty = number(verdict.difficulty);
        let description =
            format!("{upstream}: the pool's work is {what}: its network difficulty is {difficulty}");
        (description, job_evidence(job, json!({ "network_difficulty": verdict.difficulty })))
    });
}

fn has_good_parent(job: &JobSeen, upstream: &str, context: &mut AlertContext<'_>) -> bool {
    let parent = parent_hash(&job.prevhash);
    let worth = share_difficulty(&parent);
    if worth * MAX_RETARGET_FACTOR >= job.chain.difficulty {
        if job.agreement == ReadingAgreement::All {
            context.resolve(BAD_PREVHASH.0, upstream);
        }
        return true;
    }
    context.raise(BAD_PREVHASH, upstream, || {
        let description = format!(
            "{upstream}: the pool's work builds on a block that does not exist: its hash has no proof of work"
        );
        let work = json!({ "prevhash_difficulty": worth, "network_difficulty": job.chain.difficulty });
        (description, job_evidence(job, work))
    });
    false
}

/// Checks that the blocks of a session go forward, and no faster than the network finds them.
fn check_height(
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
        _ if now.prevhash == before.prevhash => "the height changed on the same previous block",
        step if step < 0 => "the height went back",
        _ if jumps(before.height, before.at) || jumps(before.counted.0, before.counted.1) => {
            "the height rises faster than blocks are found"
        }
        _ => return,
    };
    context.report(HEIGHT, upstream, || {
        let description = format!("{upstream}: {fault}: {} after {}", now.height, before.height);
        (description, job_evidence(job, json!({ "height_before": before.height, "seconds": elapsed })))
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
