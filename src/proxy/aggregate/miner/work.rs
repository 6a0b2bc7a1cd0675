//! The state of one miner: its jobs and their difficulty, its search space, and the replies that it waits
//! for. One lock guards all of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::device_class::DeviceClass;
use super::replies::OrderedReplies;
use super::share_verdict::RejectKind;
use super::vardiff::VardiffState;
use crate::config;
use crate::proxy::aggregate::jobs::MAX_JOB_BYTES;
use crate::proxy::aggregate::{MinerJob, PoolJob, Prefix, SpaceId, WorkerName, difficulty_line};
use crate::stratum::{Difficulty, Extranonce1, Extranonce2Size, JobId, VersionMask};
use crate::work::RecentHashes;

/// Caps the jobs that a miner may still send shares for: half an hour of them at the shortest interval seen
/// (Braiins, 3 s; wire reference, section 2.9), and all since the last clean one elsewhere.
const MAX_ASSIGNED_JOBS: usize = 600;

/// Caps the jobs kept that were dead before the last clean one, for the rare block on one.
const MAX_DEAD_JOBS: usize = 16;

/// The time that a miner may go on with its former jobs: a block takes 2 s to reach the slowest (wire
/// reference, section 5.4, 35), and a NerdMiner finishes its queue (section 3.6).
const STALE_GRACE: Duration = Duration::from_secs(5);

/// The time after a move to another search space in which shares for the former one may still arrive.
const MOVE_GRACE: Duration = Duration::from_secs(30);

/// The part of the pool's search space that belongs to one miner alone.
#[derive(Debug, Clone)]
pub(crate) struct ExtranonceLease {
    pub(crate) space_id: SpaceId,
    pub(crate) prefix: Arc<Prefix>,
    pub(crate) extranonce1: Arc<Extranonce1>,
    pub(crate) extranonce2_size: Extranonce2Size,
}

/// The origin of a miner's wish for a difficulty to begin with. The stronger one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WishSource {
    /// `mining.suggest_difficulty` or `mining.suggest_target`: set by the firmware.
    Suggested,
    /// `d=512` in the password: set by a person.
    Password,
}

/// A job as one miner has it.
#[derive(Debug, Clone)]
pub(crate) struct AssignedJob {
    pub(crate) miner_job: Arc<MinerJob>,
    /// The miner's difficulty with this job.
    pub(crate) difficulty: Difficulty,
    pub(crate) lease: ExtranonceLease,
    /// The version bits the miner was allowed to roll when it got this job.
    pub(crate) mask: Option<VersionMask>,
}

/// The state of one miner.
#[derive(Debug, Default)]
pub(crate) struct MinerWork {
    /// Replies that can't be sent yet.
    pub(crate) replies: OrderedReplies,
    settings: Arc<config::VardiffConfig>,
    user_agent: String,
    /// The class of hardware that the user agent names.
    device_class: DeviceClass,
    /// The difficulty that it would like to begin with, and where it asked for that.
    wish: Option<(Difficulty, WishSource)>,
    /// The miner accepts new extranonces.
    pub(crate) wants_extranonce: bool,
    /// The version bits that it can roll. `None` before it has sent `mining.configure`.
    pub(crate) asked_mask: Option<VersionMask>,
    /// The version bits that it may roll.
    pub(crate) mask: Option<VersionMask>,
    /// The version bits that the pool lets anyone roll, as of the last check.
    pub(crate) pool_mask: Option<VersionMask>,
    /// When the miner last lost version bits that it had been granted, or had rolled without asking.
    pub(crate) narrowed_at: Option<Instant>,
    pub(crate) lease: Option<ExtranonceLease>,
    /// When it moved to another search space than its first.
    pub(crate) moved_at: Option<Instant>,
    /// Its subscribe was answered. Nothing else is sent to it before.
    pub(crate) is_subscribed: bool,
    /// The miner subscribed once more, and may have forgotten the rest (wire reference, section 3.6).
    pub(crate) starts_over: bool,
    /// The names that it has authorized.
    pub(crate) workers: Vec<WorkerName>,
    /// The miner has authorized, and was not refused.
    pub(crate) is_authorized: bool,
    /// The pool's refusals of its names since the last check.
    pub(crate) refusals: u32,
    assigned: VecDeque<AssignedJob>,
    /// The memory of these, roughly. Miners share the same ones, so that it is hardly more for all of them.
    assigned_bytes: usize,
    vardiff: Option<VardiffState>,
    /// The last difficulty of a miner that was connected before.
    pub(crate) remembered: Option<Difficulty>,
    /// The hashes of its latest shares.
    pub(crate) hashes: RecentHashes,
    /// When its jobs until then died last.
    cleaned_at: Option<Instant>,
    /// When its difficulty was last raised.
    raised_at: Option<Instant>,
}

impl MinerWork {
    pub(crate) fn new(settings: Arc<config::VardiffConfig>) -> MinerWork {
        MinerWork { settings, ..MinerWork::default() }
    }

    /// Sets the user agent of its subscribe.
    pub(crate) fn set_user_agent(&mut self, user_agent: String) {
        self.device_class = DeviceClass::of(&user_agent);
        self.user_agent = user_agent;
    }

    /// The user agent of its subscribe; empty before, and if it sent none.
    pub(crate) fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// Sets other bounds, and another target.
    pub(crate) fn set_config(&mut self, settings: Arc<config::VardiffConfig>) {
        if let Some(vardiff) = &mut self.vardiff {
            vardiff.set_config(&settings);
        }
        self.settings = settings;
    }

    /// Assigns the job, at the right difficulty, and returns the lines to send, in one write. `None` when the
    /// miner is not ready, or has this job or a later one already. `most`: the pool's present difficulty,
    /// which is 1 before the pool has set one (wire reference, section 3.6).
    pub(crate) fn assign(
        &mut self,
        miner_job: &Arc<MinerJob>,
        most: Difficulty,
        now: Instant,
    ) -> Option<Arc<str>> {
        let lease = self
            .lease
            .clone()
            .filter(|lease| self.is_ready() && lease.space_id == miner_job.pool_job.space.space_id)?;
        if self.has(miner_job) {
            return None;
        }
        let newest = self.assigned.back();
        let is_first = newest.is_none_or(|newest| newest.lease.space_id != lease.space_id);
        // Also when it is the clean job issued again, which was faster here than the first one.
        let is_of_later = newest
            .is_some_and(|newest| newest.miner_job.pool_job.generation != miner_job.pool_job.generation);
        let has_had_others = newest.is_some();
        // Work on the former block is worthless, whatever the pool says (wire reference, section 3.7); the
        // pool judges its late shares.
        let parent = &miner_job.pool_job.notify().prevhash;
        let is_of_other_block =
            newest.is_some_and(|newest| newest.miner_job.pool_job.notify().prevhash != *parent);
        let most = most.min(miner_job.pool_job.difficulty());
        let before = self.difficulty();
        if let Some(vardiff) = self.vardiff.as_mut().filter(|_| is_first) {
            // Shares that were not found without a pool show nothing about the miner.
            vardiff.resume(now);
        }
        let difficulty = self.settle(most, now);
        let begins = is_first | std::mem::take(&mut self.starts_over);
        let is_the_end = miner_job.clean || is_first || is_of_later || is_of_other_block;
        if is_the_end {
            self.forget_dead(miner_job);
            self.cleaned_at = has_had_others.then_some(now);
        }
        if is_first || is_of_later {
            // Shares of the dead jobs are rejected before they are checked for duplicates.
            self.hashes = RecentHashes::default();
        }
        if before.is_some_and(|before| before.value() < difficulty.value()) {
            self.raised_at = Some(now);
        }
        let line = miner_job.line(is_the_end || begins);
        let lines = if before != Some(difficulty) || begins {
            [difficulty_line(difficulty).as_str(), line].concat().into()
        } else {
            line.clone()
        };
        self.assigned_bytes += miner_job.bytes();
        self.assigned.push_back(AssignedJob {
            miner_job: miner_job.clone(),
            difficulty,
            lease,
            mask: self.mask,
        });
        while self.assigned.len() > MAX_ASSIGNED_JOBS
            || (self.assigned_bytes > MAX_JOB_BYTES && self.assigned.len() > 1)
        {
            self.drop_oldest();
        }
        Some(lines)
    }

    /// Whether it has this job, or a later one. Numbers of two connections can't be compared.
    pub(crate) fn has(&self, miner_job: &MinerJob) -> bool {
        self.assigned.back().is_some_and(|newest| {
            newest.lease.space_id == miner_job.pool_job.space.space_id
                && newest.miner_job.number >= miner_job.number
        })
    }

    /// Whether an honest miner sends shares of this kind at this time: stale ones after a block, and low ones
    /// after its difficulty has risen.
    pub(crate) fn is_excused(&self, fault: RejectKind, now: Instant) -> bool {
        let since = match fault {
            RejectKind::Stale => self.cleaned_at,
            RejectKind::LowDifficulty => self.raised_at,
            RejectKind::Rolled | RejectKind::Other => None,
        };
        since.is_some_and(|since| now.saturating_duration_since(since) < STALE_GRACE)
    }

    /// Notes that its answer to subscribe is on its way. Everything else comes after that.
    pub(crate) fn note_subscribed(&mut self) {
        self.is_subscribed = true;
        self.starts_over = !self.assigned.is_empty();
    }

    /// Whether it can get work and the pool's messages.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_subscribed && self.is_authorized
    }

    /// Whether its search space can change: it accepts new extranonces, or has none yet.
    pub(crate) fn can_move(&self) -> bool {
        !self.is_subscribed || self.wants_extranonce
    }

    /// Whether shares for jobs that it no longer has are to be expected: after a move, and after jobs of
    /// other blocks in quick succession.
    pub(crate) fn may_be_late(&self, now: Instant) -> bool {
        let has_moved = self.moved_at.is_some_and(|at| now.saturating_duration_since(at) < MOVE_GRACE);
        has_moved || self.is_excused(RejectKind::Stale, now)
    }

    /// The job that a share names.
    pub(crate) fn find(&self, id: &JobId) -> Option<&AssignedJob> {
        self.assigned.iter().rev().find(|assigned| assigned.miner_job.id == *id)
    }

    /// Whether its difficulty is above the pool's present one, so that it must get a job at once.
    pub(crate) fn is_above(&self, most: Difficulty) -> bool {
        self.difficulty().is_some_and(|difficulty| difficulty.value() > most.value())
    }

    /// Its difficulty with its last job.
    pub(crate) fn difficulty(&self) -> Option<Difficulty> {
        self.assigned.back().and(self.vardiff.as_ref()).map(VardiffState::difficulty)
    }

    /// The difficulty that is right for its hash rate, whatever the pool asks for; 0 before its first job.
    pub(crate) fn right_difficulty(&self) -> f64 {
        self.vardiff.as_ref().map_or(0.0, |vardiff| vardiff.right)
    }

    /// Counts a good share of a job with this difficulty. `true` when it must get a job with another
    /// difficulty at once.
    pub(crate) fn count(&mut self, worth: Difficulty, now: Instant) -> bool {
        self.vardiff
            .as_mut()
            .and_then(|vardiff| vardiff.share(worth, now))
            .is_some_and(|wanted| wanted.urgent)
    }

    /// Lets time pass. Returns as [`MinerWork::count`] does.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        let device_class = self.device_class;
        let here = self.lease.as_ref().map(|lease| lease.space_id);
        if self.assigned.back().map(|assigned| assigned.lease.space_id) != here {
            // It has no work.
            return false;
        }
        let Some(vardiff) = &mut self.vardiff else { return false };
        if let Some(floor) = device_class.lower_floor(vardiff.silence(), vardiff.work) {
            vardiff.lower_floor(floor);
        }
        vardiff.tick(now).is_some_and(|wanted| wanted.urgent)
    }

    /// Notes the difficulty that the miner would like to begin with. `true` when it is to get a job with
    /// another difficulty at once.
    ///
    /// The first wish counts, and one in the password more than a suggestion, which ESP-Miner sends by
    /// itself; and only until the first share, because shares decide what follows. A NerdMiner repeats its
    /// wish every 30 s to keep the connection alive, which means nothing (wire reference, section 2.8). Its
    /// first one is the firmware's constant, so it does not change the start.
    pub(crate) fn wish(&mut self, difficulty: Difficulty, source: WishSource, now: Instant) -> bool {
        if self.wish.is_some_and(|(_, before)| before >= source) {
            return false;
        }
        self.wish = Some((difficulty, source));
        let device_class = self.device_class;
        let (floor, start) =
            (device_class.floor(Some(difficulty.value())), device_class.start(Some(difficulty.value())));
        let is_heeded = self.remembered.is_none() && device_class != DeviceClass::Nerd;
        self.vardiff
            .as_mut()
            .filter(|vardiff| is_heeded && vardiff.work == 0.0)
            .is_some_and(|vardiff| vardiff.restart(floor, start, now))
    }

    /// The difficulty that its shares have proven.
    pub(crate) fn proven_difficulty(&self) -> Option<Difficulty> {
        self.vardiff.as_ref().filter(|vardiff| vardiff.work > 0.0).map(VardiffState::difficulty)
    }

    /// A line that says nothing new, for a miner that must get something: its difficulty once more, or a ping
    /// while there is no job.
    pub(crate) fn reminder(&self) -> Option<String> {
        let ping = || "{\"id\":42,\"method\":\"mining.ping\",\"params\":[]}\n".to_owned();
        self.difficulty().map(difficulty_line).or_else(|| self.is_ready().then(ping))
    }

    /// Sets the difficulty from now on.
    fn settle(&mut self, most: Difficulty, now: Instant) -> Difficulty {
        let (device_class, suggested) = (self.device_class, self.wish.map(|(wish, _)| wish.value()));
        let vardiff = self.vardiff.get_or_insert_with(|| {
            let start = self.remembered.unwrap_or_else(|| device_class.start(suggested));
            let floor = device_class.floor(suggested);
            // A former session showed that it takes fractions.
            let floor = if device_class == DeviceClass::Unknown { floor.min(start.value()) } else { floor };
            VardiffState::new(&self.settings, floor, start, now)
        });
        // A retarget goes out with the next job, whichever it is.
        let wanted = vardiff.cap(most, now).map(|retarget| retarget.difficulty);
        let next = wanted.unwrap_or_else(|| vardiff.difficulty()).min(most);
        vardiff.sent(next, now);
        next
    }

    /// Drops jobs that died before the last clean one, but for the last few: a clean job need not mean a new
    /// block, and a block is a block.
    fn forget_dead(&mut self, miner_job: &MinerJob) {
        let life = |job: &PoolJob| (job.space.space_id, job.generation);
        let newest = self.assigned.back().map(|assigned| life(&assigned.miner_job.pool_job));
        let is_recent = |assigned: &AssignedJob| {
            let of_given = life(&assigned.miner_job.pool_job);
            Some(of_given) == newest || of_given == life(&miner_job.pool_job)
        };
        // Jobs are in the order of their lives, so that the dead ones are at the front.
        let recent = self.assigned.iter().rev().take_while(|assigned| is_recent(assigned)).count();
        while self.assigned.len() > recent + MAX_DEAD_JOBS {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        self.assigned_bytes -= self.assigned.pop_front().map_or(0, |assigned| assigned.miner_job.bytes());
    }
}

#[cfg(test)]
mod tests;
