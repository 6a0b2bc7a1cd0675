//! One miner's work: what it was given, at which difficulty, in which search space.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::difficulty_line;
use super::identity::Worker;
use super::kind::Kind;
use super::slots::Prefix;
use super::vardiff::Vardiff;
use super::work::{Epoch, Task};
use crate::config;
use crate::stratum::{Difficulty, Extranonce1, Extranonce2Size, JobId, VersionMask};
use crate::work::{BlockHash, RecentHashes};

/// The most jobs a miner may still answer: half an hour of them at the fastest cadence seen (Braiins,
/// 3 s; wire reference, section 2.9), and all since the last clean one elsewhere.
const MOST_GIVEN: usize = 600;

/// The part of the pool's search space that is one miner's alone.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) epoch: Epoch,
    pub(super) prefix: Arc<Prefix>,
    pub(super) extranonce1: Arc<Extranonce1>,
    pub(super) extranonce2_size: Extranonce2Size,
}

/// A job as one miner has it.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) task: Arc<Task>,
    /// What was asked for with it.
    pub(super) difficulty: Difficulty,
    pub(super) seat: Seat,
}

/// The state of one miner's work.
#[derive(Debug)]
pub(super) struct Desk {
    settings: Arc<config::Vardiff>,
    pub(super) user_agent: String,
    /// What it asked for with `mining.suggest_difficulty`.
    suggested: Option<Difficulty>,
    /// It is told of new extranonces.
    pub(super) wants_extranonce: bool,
    /// The version bits that it can roll; `None` before it has asked.
    pub(super) asked_mask: Option<VersionMask>,
    /// Those that it may roll.
    pub(super) mask: Option<VersionMask>,
    pub(super) seat: Option<Seat>,
    /// It has been told its search space. Nothing is sent to it before.
    pub(super) is_subscribed: bool,
    /// Who it has said it is.
    pub(super) workers: Vec<Worker>,
    /// It has said who it is, and was not refused.
    pub(super) is_authorized: bool,
    given: VecDeque<Given>,
    vardiff: Option<Vardiff>,
    /// The last difficulty, of a miner that was here before.
    remembered: Option<Difficulty>,
    hashes: RecentHashes,
}

impl Desk {
    pub(super) fn new(settings: Arc<config::Vardiff>) -> Desk {
        Desk {
            settings,
            user_agent: String::new(),
            suggested: None,
            wants_extranonce: false,
            asked_mask: None,
            mask: None,
            seat: None,
            is_subscribed: false,
            workers: Vec::new(),
            is_authorized: false,
            given: VecDeque::new(),
            vardiff: None,
            remembered: None,
            hashes: RecentHashes::default(),
        }
    }

    /// Gives the job, at the right difficulty: what is to be sent, in one write. Nothing when the
    /// miner is not ready, or has this job or a later one already. Nothing is given to a miner before
    /// the pool's difficulty `most` is known to hold for it.
    pub(super) fn give(&mut self, task: &Arc<Task>, most: Difficulty, now: Instant) -> Option<String> {
        let seat = self.seat.clone().filter(|seat| self.is_ready() && seat.epoch == task.job.epoch)?;
        let newest = self.given.back();
        if newest.is_some_and(|newest| newest.task.number >= task.number) {
            return None;
        }
        let is_first = newest.is_none_or(|newest| newest.seat.epoch != seat.epoch);
        // The clean one itself may have been overtaken by a later form of the same job.
        let is_past = newest.is_some_and(|newest| newest.task.job.generation != task.job.generation);
        let clean = task.clean || is_first || is_past;
        let most = most.min(task.job.difficulty);
        let before = self.difficulty();
        let difficulty = self.settle(most, now);
        if clean {
            self.forget_dead(task);
        }
        let mut lines = String::new();
        if before != Some(difficulty) || is_first {
            lines.push_str(&difficulty_line(difficulty));
        }
        lines.push_str(task.line(clean));
        self.given.push_back(Given { task: task.clone(), difficulty, seat });
        if self.given.len() > MOST_GIVEN {
            self.given.pop_front();
        }
        Some(lines)
    }

    /// Whether it can get work.
    fn is_ready(&self) -> bool {
        self.is_subscribed && self.is_authorized
    }

    /// Whether its search space can change: it is told, or was told of none yet.
    pub(super) fn can_move(&self) -> bool {
        !self.is_subscribed || self.wants_extranonce
    }

    /// The job that a share names.
    pub(super) fn find(&self, id: &JobId) -> Option<&Given> {
        self.given.iter().rev().find(|given| given.task.id == *id)
    }

    /// Whether it works at more than the pool asks for now, and must have a job at once.
    pub(super) fn is_above(&self, most: Difficulty) -> bool {
        self.difficulty().is_some_and(|difficulty| difficulty.value() > most.value())
    }

    /// What it was asked for last.
    pub(super) fn difficulty(&self) -> Option<Difficulty> {
        self.given.back().and(self.vardiff.as_ref()).map(Vardiff::difficulty)
    }

    /// Whether this hash is new. It is remembered.
    pub(super) fn is_new(&mut self, hash: BlockHash) -> bool {
        self.hashes.is_new(hash)
    }

    /// A good share, of a job with this difficulty. `true`: it must have a job with another difficulty
    /// at once.
    pub(super) fn count(&mut self, worth: Difficulty, now: Instant) -> bool {
        self.vardiff
            .as_mut()
            .and_then(|vardiff| vardiff.share(worth, now))
            .is_some_and(|wanted| wanted.urgent)
    }

    /// Time has passed. As [`Desk::count`].
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        let kind = self.kind();
        let Some(vardiff) = &mut self.vardiff else { return false };
        if let Some(floor) = kind.lower_floor(vardiff.silence(), vardiff.work()) {
            vardiff.lower_floor(floor);
        }
        vardiff.tick(now).is_some_and(|wanted| wanted.urgent)
    }

    /// What the miner would like to begin with. A NerdMiner says so every 30 s, which means nothing
    /// (wire reference, section 2.8).
    pub(super) fn suggest(&mut self, difficulty: Difficulty) {
        self.suggested.get_or_insert(difficulty);
    }

    /// Where it begins when it is known from before.
    pub(super) fn recall(&mut self, difficulty: Option<Difficulty>) {
        self.remembered = difficulty;
    }

    /// The difficulty that its shares have shown to be right.
    pub(super) fn proven_difficulty(&self) -> Option<Difficulty> {
        self.vardiff.as_ref().filter(|vardiff| vardiff.work() > 0.0).map(Vardiff::difficulty)
    }

    /// Repeats the difficulty: nothing new, for a miner that must hear something.
    pub(super) fn reminder(&self) -> Option<String> {
        self.difficulty().map(difficulty_line)
    }

    fn kind(&self) -> Kind {
        Kind::of(&self.user_agent)
    }

    /// The difficulty from now on.
    fn settle(&mut self, most: Difficulty, now: Instant) -> Difficulty {
        let (kind, suggested) = (self.kind(), self.suggested.map(Difficulty::value));
        let vardiff = self.vardiff.get_or_insert_with(|| {
            let start = self.remembered.unwrap_or_else(|| kind.start(suggested));
            Vardiff::new(&self.settings, kind.floor(suggested), start, now)
        });
        // A retarget goes out with whichever job comes first.
        let wanted = vardiff.cap(most, now).map(|retarget| retarget.difficulty);
        let next = wanted.unwrap_or_else(|| vardiff.difficulty()).min(most);
        vardiff.sent(next, now);
        next
    }

    /// Jobs of an earlier block, and those of an earlier connection, are kept only as long as a late
    /// share may name them: what was sent just before.
    fn forget_dead(&mut self, task: &Task) {
        let newest = self.given.back().map(|given| given.task.job.generation);
        self.given.retain(|given| {
            let generation = given.task.job.generation;
            let is_recent = Some(generation) == newest || generation == task.job.generation;
            given.seat.epoch == task.job.epoch && is_recent
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::slots::Slots;
    use super::super::split::Split;
    use super::super::work::{PoolJob, TaskNumbers};
    use super::*;
    use crate::net::Stamp;
    use crate::stratum::{Nbits, Notify, Ntime, PrevHash, Version};

    fn job(generation: u64) -> Arc<PoolJob> {
        let notify = Notify {
            job_id: JobId::from_text("bf").unwrap(),
            prevhash: PrevHash::from_wire_bytes([generation as u8; 32]),
            coinb1: vec![1; 60],
            coinb2: vec![2; 90],
            branches: Vec::new(),
            version: Version(0x2000_0000),
            nbits: Nbits(0x1d00_ffff),
            ntime: Ntime(1000),
            clean_jobs: Some(true),
        };
        let (difficulty, readable_at) = (Difficulty::ONE, Stamp::from_nanos(1));
        let (epoch, received) = (Epoch(1), Instant::now());
        Arc::new(PoolJob { epoch, notify, difficulty, generation, readable_at, received })
    }

    #[test]
    fn a_new_block_is_clean_also_in_a_later_form_that_overtakes_it() {
        let mut desk = Desk::new(Arc::new(config::Vardiff::default()));
        let split = Split::of(Extranonce2Size::new(8).unwrap()).unwrap();
        let prefix = Arc::new(Slots::new(split).take().unwrap());
        let (extranonce1, extranonce2_size) = (Arc::new(Extranonce1::default()), split.miner_size());
        desk.seat = Some(Seat { epoch: Epoch(1), prefix, extranonce1, extranonce2_size });
        (desk.is_subscribed, desk.is_authorized) = (true, true);
        let (numbers, now) = (TaskNumbers::default(), Instant::now());
        let is_clean = |lines: Option<String>| lines.map(|lines| lines.trim_end().ends_with("true]}"));
        let before = numbers.first(job(1), true);
        assert_eq!(is_clean(desk.give(&before, Difficulty::ONE, now)), Some(true));
        let (block, late) = (numbers.first(job(2), true), numbers.again(&before, now));
        let again = numbers.again(&block, now);
        assert_eq!(is_clean(desk.give(&again, Difficulty::ONE, now)), Some(true));
        assert_eq!(is_clean(desk.give(&block, Difficulty::ONE, now)), None);
        assert_eq!(is_clean(desk.give(&late, Difficulty::ONE, now)), None);
        assert_eq!(is_clean(desk.give(&numbers.again(&again, now), Difficulty::ONE, now)), Some(false));
    }
}
