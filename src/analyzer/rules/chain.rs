//! `chain.*`: is it Bitcoin, is it real, is it the newest block?

use std::collections::BTreeMap;

use serde_json::json;

use super::super::SessionId;
use super::super::finding::JobSeen;
use super::super::verdicts::ChainState;
use super::payout::job_evidence;
use super::{Tongue, number, seconds_between};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::stratum::PrevHash;
use crate::work::{parent_hash, share_difficulty};

const WRONG: (&str, Severity) = ("chain.wrong", Severity::High);
const BAD_PREVHASH: (&str, Severity) = ("chain.bad_prevhash", Severity::High);
const HEIGHT: (&str, Severity) = ("chain.height", Severity::Medium);
const STUCK: (&str, Severity) = ("chain.stuck", Severity::Medium);
const BEHIND: (&str, Severity) = ("chain.behind", Severity::Medium);
const EMPTY_JOB: (&str, Severity) = ("chain.empty_job", Severity::Info);

/// The block before may have had another target, but a retarget changes it by a factor of four at most
/// (Bitcoin Core, `CalculateNextWorkRequired`).
const RETARGET: f64 = 4.0;
/// Blocks come every 600 s on average; that none comes for so long happens once in 6.6e7 blocks, which
/// is once in 1,200 years.
const STUCK_SECONDS: f64 = 18.0 * 600.0;
/// A block reaches every pool within seconds; a pool that still sends work on the old one so long after
/// another had the new one is behind.
const BEHIND_SECONDS: f64 = 60.0;
/// Pools send an empty job first, and the full one as soon as they have chosen transactions.
const EMPTY_SECONDS: f64 = 60.0;
/// Blocks by chance: the mean and so many standard deviations, and a few.
const DEVIATIONS: f64 = 7.0;

#[derive(Debug, Default)]
pub(super) struct Chain {
    sessions: BTreeMap<SessionId, Seen>,
    upstreams: BTreeMap<usize, Tip>,
}

/// The newest block that a session was given work on.
#[derive(Debug, Clone, Copy)]
struct Seen {
    height: u32,
    prevhash: PrevHash,
    at: NtpTime,
}

/// The newest block of an upstream.
#[derive(Debug, Clone, Copy)]
struct Tip {
    height: u32,
    prevhash: PrevHash,
    since: NtpTime,
    /// When the newest job came.
    heard: NtpTime,
    empty_since: Option<NtpTime>,
    /// Of mainnet: others have blocks as they like.
    is_mainnet: bool,
}

impl Chain {
    pub(super) fn job(&mut self, job: &JobSeen, at: NtpTime, tongue: &mut Tongue<'_>) {
        let upstream = tongue.upstream(job.upstream);
        wrong(job, &upstream, at, tongue);
        let is_mainnet = job.chain.network == "mainnet" && job.chain.state == ChainState::Plausible;
        if is_mainnet {
            bad_prevhash(job, &upstream, at, tongue);
        }
        let (Some(height), Some(place)) = (job.height, job.upstream) else { return };
        let seen = Seen { height: height.0, prevhash: job.prevhash, at };
        if let Some(before) = self.sessions.insert(job.session, seen) {
            if is_mainnet {
                height_rule(job, &upstream, &before, &seen, tongue);
            }
        }
        self.tip(place, job, &seen, is_mainnet);
        if is_mainnet {
            self.behind(place, job, &upstream, at, tongue);
        }
    }

    pub(super) fn closed(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    pub(super) fn tick(&mut self, now: NtpTime, tongue: &mut Tongue<'_>) {
        for (place, tip) in &self.upstreams {
            let upstream = tongue.upstream(Some(*place));
            // A pool that nobody is with says nothing of its blocks.
            let is_heard = seconds_between(tip.heard, now) < 600.0;
            let age = seconds_between(tip.since, now);
            if tip.is_mainnet && is_heard && age > STUCK_SECONDS {
                tongue.lasts(STUCK, &upstream, now, || {
                    let description =
                        format!("{upstream}: work on the same block for {:.1} hours", age / 3600.0);
                    let prevhash = parent_hash(&tip.prevhash).to_string();
                    (description, json!({ "height": tip.height, "prevhash": prevhash, "seconds": age }))
                });
            } else {
                tongue.ends(STUCK.0, &upstream, now);
            }
            match tip.empty_since {
                Some(since) if is_heard && seconds_between(since, now) > EMPTY_SECONDS => {
                    tongue.lasts(EMPTY_JOB, &upstream, now, || {
                        let description = format!("{upstream}: work on a block without transactions");
                        (description, json!({ "height": tip.height, "since": since.to_string() }))
                    });
                }
                Some(_) => {}
                None => tongue.ends(EMPTY_JOB.0, &upstream, now),
            }
        }
    }

    fn tip(&mut self, place: usize, job: &JobSeen, seen: &Seen, is_mainnet: bool) {
        let at = seen.at;
        let is_empty = job.branches == 0;
        let tip = self.upstreams.entry(place).or_insert(Tip {
            height: seen.height,
            prevhash: seen.prevhash,
            since: at,
            heard: at,
            empty_since: None,
            is_mainnet,
        });
        tip.is_mainnet = is_mainnet;
        // One miner's late copy of an older job does not bring the old block back.
        if tip.prevhash != seen.prevhash && seen.height >= tip.height {
            (tip.height, tip.prevhash, tip.since) = (seen.height, seen.prevhash, at);
            tip.empty_since = None;
        }
        tip.heard = at;
        if tip.prevhash == seen.prevhash {
            tip.empty_since = if is_empty { tip.empty_since.or(Some(at)) } else { None };
        }
    }

    fn behind(&mut self, place: usize, job: &JobSeen, upstream: &str, at: NtpTime, tongue: &mut Tongue<'_>) {
        let Some(own) = self.upstreams.get(&place).copied() else { return };
        let ahead = self.upstreams.iter().filter(|(other, tip)| **other != place && tip.is_mainnet);
        let newest = ahead.max_by_key(|(_, tip)| tip.height).map(|(other, tip)| (*other, *tip));
        match newest {
            Some((other, tip))
                if tip.height > own.height && seconds_between(tip.since, at) > BEHIND_SECONDS =>
            {
                let delay = seconds_between(tip.since, at);
                let ahead = tongue.upstream(Some(other));
                tongue.lasts(BEHIND, upstream, at, || {
                    let description = format!(
                        "{upstream}: work on block {} although {ahead} has had {} for {delay:.0} s",
                        own.height, tip.height
                    );
                    let mut evidence = job_evidence(job);
                    evidence["ahead"] = json!(ahead);
                    evidence["ahead_height"] = json!(tip.height);
                    evidence["delay_seconds"] = json!(delay);
                    (description, evidence)
                });
            }
            Some((_, tip)) if tip.height > own.height => {}
            _ => tongue.ends(BEHIND.0, upstream, at),
        }
    }
}

fn wrong(job: &JobSeen, upstream: &str, at: NtpTime, tongue: &mut Tongue<'_>) {
    let verdict = &job.chain;
    match verdict.state {
        ChainState::Wrong => {}
        // A miner without an address proves nothing, for or against.
        ChainState::Unknown => return,
        ChainState::Plausible => return tongue.ends(WRONG.0, upstream, at),
    }
    tongue.lasts(WRONG, upstream, at, || {
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

fn bad_prevhash(job: &JobSeen, upstream: &str, at: NtpTime, tongue: &mut Tongue<'_>) {
    let parent = parent_hash(&job.prevhash);
    let worth = share_difficulty(&parent);
    if worth * RETARGET >= job.chain.difficulty {
        tongue.ends(BAD_PREVHASH.0, upstream, at);
        return;
    }
    tongue.lasts(BAD_PREVHASH, upstream, at, || {
        let description = format!(
            "{upstream}: the block that the work builds on is none: its hash has not been worked for"
        );
        let mut evidence = job_evidence(job);
        evidence["prevhash_difficulty"] = json!(worth);
        evidence["network_difficulty"] = json!(job.chain.difficulty);
        (description, evidence)
    });
}

/// One connection's blocks go forward, and no faster than blocks come.
fn height_rule(job: &JobSeen, upstream: &str, before: &Seen, now: &Seen, tongue: &mut Tongue<'_>) {
    let elapsed = seconds_between(before.at, now.at).max(0.0);
    let mean = elapsed / 600.0;
    let most = 3.0 + mean + DEVIATIONS * mean.sqrt();
    let step = i64::from(now.height) - i64::from(before.height);
    let is_same_block = now.prevhash == before.prevhash;
    let fault = match step {
        0 => return,
        _ if is_same_block => "another height on the same block before",
        step if step < 0 => "an older block than before",
        step if step as f64 > most => "blocks faster than they are found",
        _ => return,
    };
    tongue.happened(HEIGHT, upstream, now.at, || {
        let description = format!("{upstream}: {fault}: {} after {}", now.height, before.height);
        let mut evidence = job_evidence(job);
        evidence["height_before"] = json!(before.height);
        evidence["seconds"] = json!(elapsed);
        (description, evidence)
    });
}
