//! `chain.stuck`, `chain.behind`, `chain.empty_job`: who has which newest block, and since when.
//!
//! References are last_job beside the upstreams. A pool's withheld block shows in both ways: as a job of
//! an old block, and as none at all, after others have moved on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::verdicts::MAINNET_FLOOR;
use super::payout::job_evidence;
use super::poisson::{FALSE_ALARM_CHANCE, poisson_at_least};
use super::{AlertContext, SessionSample, seconds_between};
use crate::analyzer::session_event::JobSeen;
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::reference;
use crate::stratum::PrevHash;
use crate::work::{network_difficulty, parent_hash, share_difficulty};

const STUCK: (&str, Severity) = ("chain.stuck", Severity::Medium);
const BEHIND: (&str, Severity) = ("chain.behind", Severity::Medium);
const EMPTY_JOB: (&str, Severity) = ("chain.empty_job", Severity::Info);

/// The block before may have had another target, but a retarget changes it by a factor of four at most
/// (Bitcoin Core, `CalculateNextWorkRequired`).
pub(super) const MAX_RETARGET_FACTOR: f64 = 4.0;
/// Blocks come every 600 s on average; that none comes for so long happens once in 6.6e7 blocks, which
/// is once in 1,200 years.
const STUCK_SECONDS: f64 = 18.0 * 600.0;
/// A block reaches every pool within seconds; a pool that still sends work on the old one so long after
/// another had the new one is behind.
const BEHIND_SECONDS: f64 = 60.0;
/// Pools send an empty job first, and the full one as soon as they have chosen transactions.
const EMPTY_SECONDS: f64 = 60.0;
/// A pool that says nothing for so long is silent, which other rules tell; where it stood is not known.
const MAX_SILENCE_SECONDS: f64 = 600.0;
/// The mean time between blocks while the hash rate grows by a quarter between two retargets, in seconds.
const FAST_BLOCK_SECONDS: f64 = 480.0;
/// Blocks that were left behind are remembered, about half a day of them.
const MAX_PAST_BLOCKS: usize = 64;
/// A node that was cut off hears of so many blocks at once.
const MAX_BURST_BLOCKS: f64 = 4.0;

/// The newest blocks. There are as many as upstreams were listed and references are configured.
#[derive(Debug, Default)]
pub(super) struct BestBlocks {
    upstreams: BTreeMap<usize, BestBlock>,
    references: BTreeMap<Arc<str>, BestBlock>,
    /// What upstreams worked on before, with the height of the block that was to be found.
    past: VecDeque<(PrevHash, u32)>,
}

/// What a state was seen in: its jobs are counted, the ticks of the clock are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    Job,
    Tick,
}

impl Trigger {
    fn raise(
        self,
        context: &mut AlertContext<'_>,
        kind: (&'static str, Severity),
        upstream: &str,
        at: NtpTime,
        describe: impl FnOnce() -> (String, Value),
    ) {
        match self {
            Trigger::Job => context.raise(kind, upstream, at, describe),
            Trigger::Tick => context.raise_uncounted(kind, upstream, at, describe),
        }
    }
}

/// Somebody's newest block.
#[derive(Debug, Clone, Copy)]
struct BestBlock {
    height: u32,
    prevhash: PrevHash,
    since: NtpTime,
    /// When the newest job came.
    last_job: NtpTime,
    empty_since: Option<NtpTime>,
    /// Of mainnet, and worked for: others have blocks as they like.
    is_mainnet: bool,
    /// Another block that work comes on, and since when none came on this one.
    rival: Option<(u32, PrevHash, NtpTime)>,
}

impl BestBlocks {
    /// A job came from the upstream at this place.
    pub(super) fn job(
        &mut self,
        place: usize,
        job: &JobSeen,
        (height, is_mainnet): (u32, bool),
        at: NtpTime,
        context: &mut AlertContext<'_>,
    ) {
        let tip = self.upstreams.entry(place).or_insert_with(|| BestBlock::new(height, job.prevhash, at));
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
        self.empty_job(place, at, context);
        self.stuck_job(place, at, context);
        if is_mainnet {
            self.behind(place, Some(job), at, context);
        }
    }

    /// A reference works on this. One that is no mainnet's, or was not worked for, says nothing.
    pub(super) fn reference(&mut self, news: &reference::Tip, at: NtpTime) {
        let difficulty = network_difficulty(news.nbits).unwrap_or(0.0);
        let worth = share_difficulty(&parent_hash(&news.prevhash));
        if difficulty < MAINNET_FLOOR || worth * MAX_RETARGET_FACTOR < difficulty {
            return;
        }
        let height = news.height.0;
        let new = || BestBlock { is_mainnet: true, ..BestBlock::new(height, news.prevhash, at) };
        self.references.entry(news.source.clone()).or_insert_with(new).follow(height, news.prevhash, at);
    }

    /// Time has passed.
    pub(super) fn tick(&self, sessions: &[SessionSample<'_>], now: NtpTime, context: &mut AlertContext<'_>) {
        for (place, tip) in &self.upstreams {
            let upstream = context.upstream(Some(*place));
            let silence = seconds_between(tip.last_job, now);
            // A pool that nobody is with says nothing of its blocks; nor is what it said before somebody
            // came a word about now.
            let has_heard = |one: &&SessionSample<'_>| one.upstream == Some(*place) && one.watched >= silence;
            let mut listeners = sessions.iter().filter(has_heard).peekable();
            if listeners.peek().is_none() {
                for id in [STUCK.0, EMPTY_JOB.0, BEHIND.0] {
                    context.resolve(id, upstream, now);
                }
                continue;
            }
            let is_current = silence < MAX_SILENCE_SECONDS;
            tip.stuck(upstream, is_current, Trigger::Tick, now, context);
            tip.empty(upstream, is_current, Trigger::Tick, now, context);
            if is_current && tip.is_mainnet && listeners.any(|one| one.watched > BEHIND_SECONDS) {
                self.behind(*place, None, now, context);
            }
        }
    }

    fn empty_job(&self, place: usize, at: NtpTime, context: &mut AlertContext<'_>) {
        let upstream = context.upstream(Some(place));
        if let Some(tip) = self.upstreams.get(&place) {
            tip.empty(upstream, true, Trigger::Job, at, context);
        }
    }

    fn stuck_job(&self, place: usize, at: NtpTime, context: &mut AlertContext<'_>) {
        let upstream = context.upstream(Some(place));
        if let Some(tip) = self.upstreams.get(&place) {
            tip.stuck(upstream, true, Trigger::Job, at, context);
        }
    }

    fn behind(&self, place: usize, job: Option<&JobSeen>, at: NtpTime, context: &mut AlertContext<'_>) {
        let upstream = context.upstream(Some(place));
        let Some(own) = self.upstreams.get(&place) else { return };
        let ahead = self.ahead_of(place, own, context);
        if ahead.is_empty() {
            context.resolve(BEHIND.0, upstream, at);
            return;
        }
        // One that makes heights up must not hide another that does not.
        let is_telling = |tip: &BestBlock| {
            seconds_between(tip.since, at) > BEHIND_SECONDS
                && are_blocks_likely(tip.height - own.height, seconds_between(own.since, at))
        };
        // Of those who are equally far, the one that was first.
        let furthest = ahead
            .into_iter()
            .filter(|(_, tip)| is_telling(tip))
            .max_by_key(|(_, tip)| (tip.height, std::cmp::Reverse(tip.since)));
        let Some((name, ahead)) = furthest else { return };
        let delay = seconds_between(ahead.since, at);
        let trigger = if job.is_some() { Trigger::Job } else { Trigger::Tick };
        trigger.raise(context, BEHIND, upstream, at, || {
            let description = format!(
                "{upstream}: work on block {} although {name} has had {} for {delay:.0} s",
                own.height, ahead.height
            );
            let mut evidence = job.map_or_else(|| own.evidence(), job_evidence);
            evidence["ahead"] = json!(name);
            evidence["ahead_height"] = json!(ahead.height);
            evidence["ahead_prevhash"] = json!(parent_hash(&ahead.prevhash).to_string());
            evidence["delay_seconds"] = json!(delay);
            (description, evidence)
        });
    }

    /// Who has a newer block. One that gives an old block another height has not.
    fn ahead_of<'a>(
        &'a self,
        place: usize,
        own: &BestBlock,
        context: &AlertContext<'a>,
    ) -> Vec<(&'a str, &'a BestBlock)> {
        let others = self.upstreams.iter().filter(|(other, _)| **other != place);
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

    /// One miner's late copy of an older job does not bring the old block back, and one job with a height
    /// that is made up does not hide where the others are: what is odd must last. Another block of the
    /// same height is no progress.
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

    fn stuck(
        &self,
        upstream: &str,
        is_current: bool,
        trigger: Trigger,
        now: NtpTime,
        context: &mut AlertContext<'_>,
    ) {
        let age = seconds_between(self.since, now);
        if !(self.is_mainnet && is_current && age > STUCK_SECONDS) {
            context.resolve(STUCK.0, upstream, now);
            return;
        }
        trigger.raise(context, STUCK, upstream, now, || {
            let description = format!("{upstream}: work on the same block for {:.1} hours", age / 3600.0);
            let mut evidence = self.evidence();
            evidence["seconds"] = json!(age);
            (description, evidence)
        });
    }

    fn empty(
        &self,
        upstream: &str,
        is_current: bool,
        trigger: Trigger,
        now: NtpTime,
        context: &mut AlertContext<'_>,
    ) {
        match self.empty_since {
            Some(since) if is_current && seconds_between(since, now) > EMPTY_SECONDS => {
                trigger.raise(context, EMPTY_JOB, upstream, now, || {
                    let description = format!("{upstream}: work on a block without transactions");
                    (description, json!({ "height": self.height, "since": since.to_string() }))
                });
            }
            Some(_) => {}
            None => context.resolve(EMPTY_JOB.0, upstream, now),
        }
    }

    fn evidence(&self) -> Value {
        json!({ "height": self.height, "prevhash": parent_hash(&self.prevhash).to_string() })
    }
}

/// Whether the network can have found so many blocks in so many seconds.
pub(super) fn are_blocks_likely(blocks: u32, seconds: f64) -> bool {
    let blocks = f64::from(blocks);
    blocks <= MAX_BURST_BLOCKS
        || poisson_at_least(blocks, (seconds / FAST_BLOCK_SECONDS).max(0.01)) >= FALSE_ALARM_CHANCE
}
