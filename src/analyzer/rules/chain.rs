//! `chain.*`: is it Bitcoin, is it real, is it the newest block?

use std::collections::BTreeMap;

use serde_json::json;

use super::super::SessionId;
use super::super::finding::JobSeen;
use super::super::verdicts::ChainState;
use super::chance::{CHANCE, poisson_at_least};
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
/// The mean time between blocks while the hash rate grows by a quarter between two retargets, in seconds.
const FAST_BLOCKS: f64 = 480.0;
/// A node that was cut off hears of so many blocks at once.
const AT_ONCE: f64 = 4.0;
/// Over so many seconds a session's blocks are counted.
const COUNTED_SECONDS: f64 = 6.0 * 3600.0;

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
    /// When the first job of this block came.
    at: NtpTime,
    /// From here on its blocks are counted.
    counted: (u32, NtpTime),
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
        wrong(job, upstream, at, tongue);
        let is_mainnet = job.chain.network == "mainnet" && job.chain.state == ChainState::Plausible;
        // Who makes blocks up must not make honest pools look late.
        let is_worked_for = is_mainnet && parent_is_good(job, upstream, at, tongue);
        let (Some(height), Some(place)) = (job.height, job.upstream) else { return };
        let new = Seen { height: height.0, prevhash: job.prevhash, at, counted: (height.0, at) };
        let seen = self.sessions.entry(job.session).or_insert(new);
        if is_mainnet {
            height_rule(job, upstream, seen, &new, tongue);
        }
        seen.follow(&new);
        self.tip(place, job, &new, is_worked_for);
        if is_worked_for {
            self.behind(place, job, upstream, at, tongue);
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
                tongue.lasts(STUCK, upstream, now, || {
                    let description =
                        format!("{upstream}: work on the same block for {:.1} hours", age / 3600.0);
                    let prevhash = parent_hash(&tip.prevhash).to_string();
                    (description, json!({ "height": tip.height, "prevhash": prevhash, "seconds": age }))
                });
            } else {
                tongue.ends(STUCK.0, upstream, now);
            }
            match tip.empty_since {
                Some(since) if is_heard && seconds_between(since, now) > EMPTY_SECONDS => {
                    tongue.lasts(EMPTY_JOB, upstream, now, || {
                        let description = format!("{upstream}: work on a block without transactions");
                        (description, json!({ "height": tip.height, "since": since.to_string() }))
                    });
                }
                Some(_) => {}
                None => tongue.ends(EMPTY_JOB.0, upstream, now),
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
        // One miner's late copy of an older job does not bring the old block back; another block of the
        // same height is no progress.
        if tip.prevhash != seen.prevhash && seen.height >= tip.height {
            if seen.height > tip.height {
                tip.since = at;
            }
            (tip.height, tip.prevhash) = (seen.height, seen.prevhash);
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
                if tip.height > own.height
                    && seconds_between(tip.since, at) > BEHIND_SECONDS
                    && are_likely(tip.height - own.height, seconds_between(own.since, at)) =>
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
        ChainState::Plausible => {
            if tongue.is_open(WRONG.0) {
                for network in [verdict.network, "unknown"] {
                    tongue.ends(WRONG.0, &format!("{upstream} {network}"), at);
                }
            }
            return;
        }
    }
    // A miner with an address of another network does not make the others' work wrong, nor right.
    let subject = format!("{upstream} {}", verdict.network);
    tongue.lasts(WRONG, &subject, at, || {
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

fn parent_is_good(job: &JobSeen, upstream: &str, at: NtpTime, tongue: &mut Tongue<'_>) -> bool {
    let parent = parent_hash(&job.prevhash);
    let worth = share_difficulty(&parent);
    if worth * RETARGET >= job.chain.difficulty {
        tongue.ends(BAD_PREVHASH.0, upstream, at);
        return true;
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
    false
}

/// One connection's blocks go forward, and no faster than blocks come.
fn height_rule(job: &JobSeen, upstream: &str, before: &Seen, now: &Seen, tongue: &mut Tongue<'_>) {
    let elapsed = seconds_between(before.at, now.at);
    let step = i64::from(now.height) - i64::from(before.height);
    let jumps = |from: u32, since: NtpTime| {
        now.height > from && !are_likely(now.height - from, seconds_between(since, now.at))
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
    tongue.happened(HEIGHT, upstream, now.at, || {
        let description = format!("{upstream}: {fault}: {} after {}", now.height, before.height);
        let mut evidence = job_evidence(job);
        evidence["height_before"] = json!(before.height);
        evidence["seconds"] = json!(elapsed);
        (description, evidence)
    });
}

impl Seen {
    fn follow(&mut self, new: &Seen) {
        if self.height == new.height && self.prevhash == new.prevhash {
            return;
        }
        let is_likely = new.height >= self.height
            && are_likely(new.height.saturating_sub(self.counted.0), seconds_between(self.counted.1, new.at));
        let counted = if is_likely && seconds_between(self.counted.1, new.at) < COUNTED_SECONDS {
            self.counted
        } else {
            new.counted
        };
        *self = Seen { counted, ..*new };
    }
}

/// Whether the network can have found so many blocks in so many seconds.
fn are_likely(blocks: u32, seconds: f64) -> bool {
    let blocks = f64::from(blocks);
    blocks <= AT_ONCE || poisson_at_least(blocks, (seconds / FAST_BLOCKS).max(0.01)) >= CHANCE
}
