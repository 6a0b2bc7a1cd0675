//! `chain.stuck`, `chain.behind`, `chain.empty_job`: who has which newest block, and since when.
//!
//! References are heard beside the upstreams. A pool's withheld block shows in both ways: as a job of
//! an old block, and as none at all, after others have moved on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::verdicts::MAINNET_FLOOR;
use super::payout::job_evidence;
use super::poisson::{CHANCE, poisson_at_least};
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
pub(super) const RETARGET: f64 = 4.0;
/// Blocks come every 600 s on average; that none comes for so long happens once in 6.6e7 blocks, which
/// is once in 1,200 years.
const STUCK_SECONDS: f64 = 18.0 * 600.0;
/// A block reaches every pool within seconds; a pool that still sends work on the old one so long after
/// another had the new one is behind.
const BEHIND_SECONDS: f64 = 60.0;
/// Pools send an empty job first, and the full one as soon as they have chosen transactions.
const EMPTY_SECONDS: f64 = 60.0;
/// A pool that says nothing for so long is silent, which other rules tell; where it stood is not known.
const HEARD_SECONDS: f64 = 600.0;
/// The mean time between blocks while the hash rate grows by a quarter between two retargets, in seconds.
const FAST_BLOCKS: f64 = 480.0;
/// Blocks that were left behind are remembered, about half a day of them.
const PAST: usize = 64;
/// A node that was cut off hears of so many blocks at once.
const AT_ONCE: f64 = 4.0;

/// The newest blocks. There are as many as upstreams were listed and references are configured.
#[derive(Debug, Default)]
pub(super) struct Tips {
    upstreams: BTreeMap<usize, SourceTip>,
    references: BTreeMap<Arc<str>, SourceTip>,
    /// What upstreams worked on before, with the height of the block that was to be found.
    past: VecDeque<(PrevHash, u32)>,
}

/// What a state was seen in: its jobs are counted, the ticks of the clock are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StateSeen {
    InAJob,
    AsTimePasses,
}

impl StateSeen {
    fn tell(
        self,
        tongue: &mut AlertContext<'_>,
        kind: (&'static str, Severity),
        upstream: &str,
        at: NtpTime,
        describe: impl FnOnce() -> (String, Value),
    ) {
        match self {
            StateSeen::InAJob => tongue.lasts(kind, upstream, at, describe),
            StateSeen::AsTimePasses => tongue.persists(kind, upstream, at, describe),
        }
    }
}

/// Somebody's newest block.
#[derive(Debug, Clone, Copy)]
struct SourceTip {
    height: u32,
    prevhash: PrevHash,
    since: NtpTime,
    /// When the newest job came.
    heard: NtpTime,
    empty_since: Option<NtpTime>,
    /// Of mainnet, and worked for: others have blocks as they like.
    is_mainnet: bool,
    /// Another block that work comes on, and since when none came on this one.
    rival: Option<(u32, PrevHash, NtpTime)>,
}

impl Tips {
    /// A job came from the upstream at this place.
    pub(super) fn job(
        &mut self,
        place: usize,
        job: &JobSeen,
        (height, is_mainnet): (u32, bool),
        at: NtpTime,
        tongue: &mut AlertContext<'_>,
    ) {
        let tip = self.upstreams.entry(place).or_insert_with(|| SourceTip::new(height, job.prevhash, at));
        tip.is_mainnet = is_mainnet;
        let before = (tip.prevhash, tip.height);
        tip.follow(height, job.prevhash, at);
        if tip.prevhash != before.0 && !self.past.contains(&before) {
            self.past.truncate(PAST - 1);
            self.past.push_front(before);
        }
        if tip.prevhash == job.prevhash {
            tip.empty_since = if job.branches == 0 { tip.empty_since.or(Some(at)) } else { None };
        }
        self.empty_job(place, at, tongue);
        self.stuck_job(place, at, tongue);
        if is_mainnet {
            self.behind(place, Some(job), at, tongue);
        }
    }

    /// A reference works on this. One that is no mainnet's, or was not worked for, says nothing.
    pub(super) fn reference(&mut self, news: &reference::Tip, at: NtpTime) {
        let difficulty = network_difficulty(news.nbits).unwrap_or(0.0);
        let worth = share_difficulty(&parent_hash(&news.prevhash));
        if difficulty < MAINNET_FLOOR || worth * RETARGET < difficulty {
            return;
        }
        let height = news.height.0;
        let new = || SourceTip { is_mainnet: true, ..SourceTip::new(height, news.prevhash, at) };
        self.references.entry(news.source.clone()).or_insert_with(new).follow(height, news.prevhash, at);
    }

    /// Time has passed.
    pub(super) fn tick(&self, sessions: &[SessionSample<'_>], now: NtpTime, tongue: &mut AlertContext<'_>) {
        for (place, tip) in &self.upstreams {
            let upstream = tongue.upstream(Some(*place));
            let silence = seconds_between(tip.heard, now);
            // A pool that nobody is with says nothing of its blocks; nor is what it said before somebody
            // came a word about now.
            let has_heard = |one: &&SessionSample<'_>| one.upstream == Some(*place) && one.watched >= silence;
            let mut listeners = sessions.iter().filter(has_heard).peekable();
            if listeners.peek().is_none() {
                for id in [STUCK.0, EMPTY_JOB.0, BEHIND.0] {
                    tongue.ends(id, upstream, now);
                }
                continue;
            }
            let is_heard = silence < HEARD_SECONDS;
            tip.stuck(upstream, is_heard, StateSeen::AsTimePasses, now, tongue);
            tip.empty(upstream, is_heard, StateSeen::AsTimePasses, now, tongue);
            if is_heard && tip.is_mainnet && listeners.any(|one| one.watched > BEHIND_SECONDS) {
                self.behind(*place, None, now, tongue);
            }
        }
    }

    fn empty_job(&self, place: usize, at: NtpTime, tongue: &mut AlertContext<'_>) {
        let upstream = tongue.upstream(Some(place));
        if let Some(tip) = self.upstreams.get(&place) {
            tip.empty(upstream, true, StateSeen::InAJob, at, tongue);
        }
    }

    fn stuck_job(&self, place: usize, at: NtpTime, tongue: &mut AlertContext<'_>) {
        let upstream = tongue.upstream(Some(place));
        if let Some(tip) = self.upstreams.get(&place) {
            tip.stuck(upstream, true, StateSeen::InAJob, at, tongue);
        }
    }

    fn behind(&self, place: usize, job: Option<&JobSeen>, at: NtpTime, tongue: &mut AlertContext<'_>) {
        let upstream = tongue.upstream(Some(place));
        let Some(own) = self.upstreams.get(&place) else { return };
        let ahead = self.ahead_of(place, own, tongue);
        if ahead.is_empty() {
            tongue.ends(BEHIND.0, upstream, at);
            return;
        }
        // One that makes heights up must not hide another that does not.
        let is_telling = |tip: &SourceTip| {
            seconds_between(tip.since, at) > BEHIND_SECONDS
                && are_likely(tip.height - own.height, seconds_between(own.since, at))
        };
        // Of those who are equally far, the one that was first.
        let furthest = ahead
            .into_iter()
            .filter(|(_, tip)| is_telling(tip))
            .max_by_key(|(_, tip)| (tip.height, std::cmp::Reverse(tip.since)));
        let Some((name, ahead)) = furthest else { return };
        let delay = seconds_between(ahead.since, at);
        let seen = if job.is_some() { StateSeen::InAJob } else { StateSeen::AsTimePasses };
        seen.tell(tongue, BEHIND, upstream, at, || {
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
        own: &SourceTip,
        tongue: &AlertContext<'a>,
    ) -> Vec<(&'a str, &'a SourceTip)> {
        let others = self.upstreams.iter().filter(|(other, _)| **other != place);
        let others = others.map(|(other, tip)| (tongue.upstream(Some(*other)), tip));
        let references = self.references.iter().map(|(name, tip)| (&**name, tip));
        others
            .chain(references)
            .filter(|(_, tip)| tip.is_mainnet && tip.height > own.height && tip.prevhash != own.prevhash)
            .filter(|(_, tip)| !self.is_made_up(tip))
            .collect()
    }

    fn is_made_up(&self, tip: &SourceTip) -> bool {
        self.past.iter().any(|(prevhash, height)| *prevhash == tip.prevhash && *height != tip.height)
    }
}

impl SourceTip {
    fn new(height: u32, prevhash: PrevHash, at: NtpTime) -> SourceTip {
        SourceTip {
            height,
            prevhash,
            since: at,
            heard: at,
            empty_since: None,
            is_mainnet: false,
            rival: None,
        }
    }

    /// One miner's late copy of an older job does not bring the old block back, and one job with a height
    /// that is made up does not hide where the others are: what is odd must last. Another block of the
    /// same height is no progress.
    fn follow(&mut self, height: u32, prevhash: PrevHash, at: NtpTime) {
        self.heard = at;
        if self.prevhash == prevhash && self.height == height {
            self.rival = None;
            return;
        }
        let is_odd = height < self.height
            || !are_likely(height - self.height, seconds_between(self.since, at))
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
        is_heard: bool,
        seen: StateSeen,
        now: NtpTime,
        tongue: &mut AlertContext<'_>,
    ) {
        let age = seconds_between(self.since, now);
        if !(self.is_mainnet && is_heard && age > STUCK_SECONDS) {
            tongue.ends(STUCK.0, upstream, now);
            return;
        }
        seen.tell(tongue, STUCK, upstream, now, || {
            let description = format!("{upstream}: work on the same block for {:.1} hours", age / 3600.0);
            let mut evidence = self.evidence();
            evidence["seconds"] = json!(age);
            (description, evidence)
        });
    }

    fn empty(
        &self,
        upstream: &str,
        is_heard: bool,
        seen: StateSeen,
        now: NtpTime,
        tongue: &mut AlertContext<'_>,
    ) {
        match self.empty_since {
            Some(since) if is_heard && seconds_between(since, now) > EMPTY_SECONDS => {
                seen.tell(tongue, EMPTY_JOB, upstream, now, || {
                    let description = format!("{upstream}: work on a block without transactions");
                    (description, json!({ "height": self.height, "since": since.to_string() }))
                });
            }
            Some(_) => {}
            None => tongue.ends(EMPTY_JOB.0, upstream, now),
        }
    }

    fn evidence(&self) -> Value {
        json!({ "height": self.height, "prevhash": parent_hash(&self.prevhash).to_string() })
    }
}

/// Whether the network can have found so many blocks in so many seconds.
pub(super) fn are_likely(blocks: u32, seconds: f64) -> bool {
    let blocks = f64::from(blocks);
    blocks <= AT_ONCE || poisson_at_least(blocks, (seconds / FAST_BLOCKS).max(0.01)) >= CHANCE
}
