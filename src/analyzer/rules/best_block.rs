//! `chain.stuck`, `chain.behind`, `chain.empty_job`: the newest block of each pool and reference, and since when it has
//! it.
//!
//! A pool that works on an old block shows in two ways after others have moved on: by a job on the old block, and by
//! sending no job at all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::verdicts::MAINNET_FLOOR;
use super::payout::job_evidence;
use super::poisson::{FALSE_ALARM_CHANCE, poisson_at_least};
use super::{AlertContext, AlertType, SessionSample, seconds_between};
use crate::analyzer::session_event::JobSeen;
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::reference;
use crate::stratum::PrevHash;
use crate::work::{network_difficulty, parent_hash, share_difficulty};

const STUCK: AlertType = ("chain.stuck", Severity::Medium);
const BEHIND: AlertType = ("chain.behind", Severity::Medium);
const EMPTY_JOB: AlertType = ("chain.empty_job", Severity::Info);

/// The most that the target can differ between two blocks: a retarget changes it by a factor of four at most (Bitcoin
/// Core, `CalculateNextWorkRequired`).
pub(super) const MAX_RETARGET_FACTOR: f64 = 4.0;
/// The age of a block after which the pool is stuck. Blocks come every 600 s on average, and only one in 6.6e7 takes
/// this long, which is once in 1,200 years.
const STUCK_SECONDS: f64 = 18.0 * 600.0;
/// The delay after which a pool that still works on the old block is behind. A block reaches every pool within
/// seconds.
const BEHIND_SECONDS: f64 = 60.0;
/// The time after which an empty job is reported. Pools send an empty job first, and the full one as soon as they
/// have chosen transactions.
const EMPTY_SECONDS: f64 = 60.0;
/// The silence after which a pool's newest block is unknown. Other rules report the silence.
const MAX_SILENCE_SECONDS: f64 = 600.0;
/// The mean time between blocks while the hash rate grows by a quarter between two retargets, in seconds.
const FAST_BLOCK_SECONDS: f64 = 480.0;
/// Caps the past blocks that are remembered: about half a day of them.
const MAX_PAST_BLOCKS: usize = 64;
/// The blocks that a node can receive at once after it was cut off.
const MAX_BURST_BLOCKS: f64 = 4.0;

/// The newest blocks of all upstreams and references that are configured.
#[derive(Debug, Default)]
pub(super) struct BestBlocks {
    upstreams: BTreeMap<usize, BestBlock>,
    references: BTreeMap<Arc<str>, BestBlock>,
    /// The blocks that upstreams worked on before, with the height of the block to be found.
    past: VecDeque<(PrevHash, u32)>,
}

/// The newest block of a pool or reference.
#[derive(Debug, Clone, Copy)]
struct BestBlock {
    height: u32,
    prevhash: PrevHash,
    since: NtpTime,
    /// When the newest job came.
    last_job: NtpTime,
    empty_since: Option<NtpTime>,
    /// A mainnet block with real proof of work. Other heights can be made up.
    is_mainnet: bool,
    /// Another block that jobs have come for, and since when no job came for this one.
    rival: Option<(u32, PrevHash, NtpTime)>,
}

impl BestBlocks {
    /// Handles a job from the upstream at this index.
    pub(super) fn job(
        &mut self,
        index: usize,
        job: &JobSeen,
        (height, is_mainnet): (u32, bool),
        context: &mut AlertContext<'_>,
    ) {
        let at = context.at;
        let tip = self.upstreams.entry(index).or_insert_with(|| BestBlock::new(height, job.prevhash, at));
        tip.is_mainnet = is_mainnet;
        let before = (tip.prevhash, tip.height);
        tip.follow(height, job.prevhash, at);
        if tip.prevhash != before.0 && !self.past.contains(&before) {
            self.past.truncate(MAX_PAST_BLOCKS - 1);
            self.past.push_front(before);
        }
        if tip.prevhash == job.prevhash {
            tip.empty_since = if job.branches == 0 { tip.empty_since.or(Some(at)) } else { None };
        }
        let upstream = context.upstream(Some(index));
        tip.empty(upstream, true, context);
        tip.stuck(upstream, true, context);
        if is_mainnet {
            self.behind(index, Some(job), context);
        }
    }

    /// Takes in the newest block of a reference. A block that is not mainnet's or has no proof of work is ignored.
    pub(super) fn reference(&mut self, tip: &reference::Tip, at: NtpTime) {
        let difficulty = network_difficulty(tip.nbits).unwrap_or(0.0);
        let worth = share_difficulty(&parent_hash(&tip.prevhash));
        if difficulty < MAINNET_FLOOR || worth * MAX_RETARGET_FACTOR < difficulty {
            return;
        }
        let height = tip.height.0;
        let new = || BestBlock { is_mainnet: true, ..BestBlock::new(height, tip.prevhash, at) };
        self.references.entry(tip.source.clone()).or_insert_with(new).follow(height, tip.prevhash, at);
    }

    pub(super) fn tick(&self, sessions: &[SessionSample<'_>], context: &mut AlertContext<'_>) {
        for (index, tip) in &self.upstreams {
            let upstream = context.upstream(Some(*index));
            let silence = seconds_between(tip.last_job, context.at);
            // Without a session that was open when the pool's last job came, nothing is known of its block.
            let was_open =
                |sample: &&SessionSample<'_>| sample.upstream == Some(*index) && sample.watched >= silence;
            let mut listeners = sessions.iter().filter(was_open).peekable();
            if listeners.peek().is_none() {
                for id in [STUCK.0, EMPTY_JOB.0, BEHIND.0] {
                    context.resolve(id, upstream);
                }
                continue;
            }
            let is_current = silence < MAX_SILENCE_SECONDS;
            tip.stuck(upstream, is_current, context);
            tip.empty(upstream, is_current, context);
            if is_current && tip.is_mainnet && listeners.any(|sample| sample.watched > BEHIND_SECONDS) {
                self.behind(*index, None, context);
            }
        }
    }

    fn behind(&self, index: usize, job: Option<&JobSeen>, context: &mut AlertContext<'_>) {
        let upstream = context.upstream(Some(index));
        let Some(own) = self.upstreams.get(&index) else { return };
        let at = context.at;
        let ahead = self.ahead_of(index, own, context);
        if ahead.is_empty() {
            context.resolve(BEHIND.0, upstream);
            return;
        }
        // A source that makes heights up must not hide one that does not.
        let is_credible = |tip: &BestBlock| {
            seconds_between(tip.since, at) > BEHIND_SECONDS
                && are_blocks_likely(tip.height - own.height, seconds_between(own.since, at))
        };
        // Of equal heights, the source that had it first.
        let furthest = ahead
            .into_iter()
            .filter(|(_, tip)| is_credible(tip))
            .max_by_key(|(_, tip)| (tip.height, std::cmp::Reverse(tip.since)));
        let Some((name, ahead)) = furthest else { return };
        let delay = seconds_between(ahead.since, at);
        context.raise(BEHIND, upstream, || {
            let description = format!(
                "{upstream}: the pool works on block {}, although {name} has been on {} for {delay:.0} s",
                own.height, ahead.height
            );
            let evidence = json!({
                "ahead": name,
                "ahead_height": ahead.height,
                "ahead_prevhash": parent_hash(&ahead.prevhash).to_string(),
                "delay_seconds": delay,
            });
            let evidence = match job {
                Some(job) => job_evidence(job, evidence),
                None => own.evidence(evidence),
            };
            (description, evidence)
        });
    }

    /// The sources with a newer block, without those that give an old block another height.
    fn ahead_of<'a>(
        &'a self,
        index: usize,
        own: &BestBlock,
        context: &AlertContext<'a>,
    ) -> Vec<(&'a str, &'a BestBlock)> {
        let others = self.upstreams.iter().filter(|(other, _)| **other != index);
        let others = others.map(|(other, tip)| (context.upstream(Some(*other)), tip));
        let references = self.references.iter().map(|(name, tip)| (&**name, tip));
        others
            .chain(references)
            .filter(|(_, tip)| tip.is_mainnet && tip.height > own.height && tip.prevhash != own.prevhash)
            .filter(|(_, tip)| !self.is_made_up(tip))
            .collect()
    }

    fn is_made_up(&self, tip: &BestBlock) -> bool {
        self.past.iter().any(|(prevhash, height)| *prevhash == tip.prevhash && *height != tip.height)
    }
}

impl BestBlock {
    fn new(height: u32, prevhash: PrevHash, at: NtpTime) -> BestBlock {
        BestBlock {
            height,
            prevhash,
            since: at,
            last_job: at,
            empty_since: None,
            is_mainnet: false,
            rival: None,
        }
    }

    /// Follows a job to its block. A single late job on an older block or with a made-up height changes nothing: an
    /// odd block has to last. Another block of the same height is no progress.
    fn follow(&mut self, height: u32, prevhash: PrevHash, at: NtpTime) {
        self.last_job = at;
        if self.prevhash == prevhash && self.height == height {
            self.rival = None;
            return;
        }
        let is_odd = height < self.height
            || !are_blocks_likely(height - self.height, seconds_between(self.since, at))
            || self.prevhash == prevhash;
        let mut since = at;
        if is_odd {
            let (_, _, began) = *self.rival.get_or_insert((height, prevhash, at));
            if seconds_between(began, at) <= BEHIND_SECONDS {
                return;
            }
            since = began;
        }
        if height != self.height {
            self.since = since;
        }
        (self.height, self.prevhash) = (height, prevhash);
        (self.empty_since, self.rival) = (None, None);
    }

    fn stuck(&self, upstream: &str, is_current: bool, context: &mut AlertContext<'_>) {
        let age = seconds_between(self.since, context.at);
        if !(self.is_mainnet && is_current && age > STUCK_SECONDS) {
            context.resolve(STUCK.0, upstream);
            return;
        }
        context.raise(STUCK, upstream, || {
            let description =
                format!("{upstream}: the pool has worked on the same block for {:.1} hours", age / 3600.0);
            (description, self.evidence(json!({ "seconds": age })))
        });
    }

    fn empty(&self, upstream: &str, is_current: bool, context: &mut AlertContext<'_>) {
        match self.empty_since {
            Some(since) if is_current && seconds_between(since, context.at) > EMPTY_SECONDS => {
                context.raise(EMPTY_JOB, upstream, || {
                    let description = format!("{upstream}: the pool works on a block without transactions");
                    (description, json!({ "height": self.height, "since": since.to_string() }))
                });
            }
            Some(_) => {}
            None => context.resolve(EMPTY_JOB.0, upstream),
        }
    }

    fn evidence(&self, mut evidence: Value) -> Value {
        evidence["height"] = json!(self.height);
        evidence["prevhash"] = json!(parent_hash(&self.prevhash).to_string());
        evidence
    }
}

/// Returns whether the network can have found this many blocks in this many seconds.
pub(super) fn are_blocks_likely(blocks: u32, seconds: f64) -> bool {
    let blocks = f64::from(blocks);
    blocks <= MAX_BURST_BLOCKS
        || poisson_at_least(blocks, (seconds / FAST_BLOCK_SECONDS).max(0.01)) >= FALSE_ALARM_CHANCE
}
