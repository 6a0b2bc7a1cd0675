//! Counts and best shares of all sessions, which stay when sessions end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::hashrate::{HashRates, WorkMeter};
use super::latency::Latency;
use super::session_event::JobSeen;
use super::share::{JudgedShare, PendingShare};
use crate::clock::NtpTime;
use crate::net::Stamp;
use crate::record::{BestShare, SavedState, ShareOutcome};
use crate::tap::Direction;

/// The most reject reasons that are counted separately. The rest count as [`OTHER`].
const MAX_REASONS: usize = 64;
/// The most reject reasons of one worker that are counted separately, and the characters of each.
const MAX_WORKER_REASONS: usize = 8;
const MAX_REASON_CHARS: usize = 80;
/// The most workers that are counted separately.
const MAX_WORKERS: usize = 8192;
const OTHER: &str = "(other)";
/// If the share difficulty is not below the network's, as on regtest, every share meets the network's target.
/// Then only a share after a pause of this length counts as a block. A network finds a block in ten minutes on
/// average, so a miner that finds them faster is alone on it.
const ROUTINE_SECONDS: f64 = 600.0;

/// Counts of messages since the start. A message is a line.
#[derive(Debug, Clone, Default)]
pub struct AnalyzerCounts {
    pub messages_up: u64,
    pub messages_down: u64,
    /// Lines that are not Stratum messages.
    pub unreadable: u64,
    /// Lines that were skipped because they are too long.
    pub too_long: u64,
    /// The number of gaps that lost copies have left.
    pub gaps: u64,
    pub shares: u64,
    pub latency_up: Latency,
    pub latency_down: Latency,
}

impl AnalyzerCounts {
    pub(super) fn message(&mut self, direction: Direction) {
        match direction {
            Direction::Up => self.messages_up += 1,
            Direction::Down => self.messages_down += 1,
        }
    }

    /// The delay that forwarding added in one direction.
    pub fn latency(&mut self, direction: Direction) -> &mut Latency {
        match direction {
            Direction::Up => &mut self.latency_up,
            Direction::Down => &mut self.latency_down,
        }
    }
}

/// Counts of shares and jobs since the start.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    pub submitted: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub unanswered: u64,
    pub unknown: u64,
    /// Shares for a job that a later clean job had ended.
    pub stale: u64,
    /// Shares that met the network's target on a chain where not every share does.
    pub blocks: u64,
    pub near_misses: u64,
    /// Submits whose params could not be read.
    pub unreadable_submits: u64,
    /// Rejected shares by the pool's reason.
    pub reasons: BTreeMap<String, u64>,
    /// The sum of the assigned difficulties of accepted shares.
    pub accepted_difficulty: f64,
    /// The same sum over all shares whose hash proves the work.
    pub proven_difficulty: f64,
    pub jobs: u64,
    /// From a submit to its answer.
    pub answers: Latency,
    /// The age of a share's job when the share came.
    pub job_ages: Latency,
    /// The newest job's height and network difficulty.
    pub height: Option<u32>,
    pub network_difficulty: Option<f64>,
    /// The time of the newest job.
    pub last_job: Option<NtpTime>,
    /// The newest job's ntime less NTP time, in seconds.
    pub job_time_difference: Option<f64>,
    pub workers: BTreeMap<String, WorkerTotals>,
    pub(super) meter: WorkMeter,
}

/// The counts of one worker over all its connections.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WorkerTotals {
    pub accepted: u64,
    pub rejected: u64,
    pub unanswered: u64,
    pub unknown: u64,
    /// The sum of the assigned difficulties of accepted shares.
    pub accepted_difficulty: f64,
    /// The highest difficulty of a hash.
    pub best_difficulty: f64,
    pub proven_difficulty: f64,
    /// The number of answered shares.
    pub answered: u64,
    /// The sum of the times to the answers.
    pub answers_took: Duration,
    /// The time of the first share.
    pub first: Option<Stamp>,
    /// The time of the newest share.
    pub newest: Option<Stamp>,
    /// The number of shares.
    pub sent: u64,
    /// Shares for a job that a later clean job had ended.
    pub stale: u64,
    /// Rejected shares by the pool's reason.
    pub reasons: BTreeMap<String, u64>,
}

impl WorkerTotals {
    /// The mean time from a share to its answer, over all of its sessions.
    pub fn mean_answer_time(&self) -> Option<Duration> {
        let count = u32::try_from(self.answered).ok().filter(|count| *count > 0)?;
        Some(self.answers_took / count)
    }

    /// The mean time between two of its shares, over all of its sessions.
    pub fn mean_share_interval(&self) -> Option<Duration> {
        let gaps = u32::try_from(self.sent).ok()?.checked_sub(1).filter(|gaps| *gaps > 0)?;
        Some(self.newest?.since(self.first?)? / gaps)
    }

    /// Counts the times of a share and of its answer.
    fn count_timing(&mut self, judged: &JudgedShare) {
        let at = judged.share.at;
        self.sent += 1;
        self.first.get_or_insert(at);
        self.newest = self.newest.max(Some(at));
        if let Some(time) = judged.answered_after {
            self.answered += 1;
            self.answers_took += time;
        }
    }
}

impl Totals {
    pub(super) fn new(now: Stamp) -> Totals {
        Totals { job_ages: Latency::of_ages(), meter: WorkMeter::new(now), ..Totals::default() }
    }

    /// The counts of a worker, by its name in the form of [`SavedState::worker_key`].
    pub fn of_worker(&self, key: &str) -> Option<&WorkerTotals> {
        // Nearly every name is its own key.
        let by_key = || self.workers.iter().find(|(name, _)| *SavedState::worker_key(name) == *key);
        self.workers.get(key).or_else(|| by_key().map(|(_, totals)| totals))
    }

    /// The hash rates that shares prove, in hashes per second.
    pub fn hash_rates(&self, now: Stamp) -> HashRates {
        self.meter.rates(now)
    }

    /// The mean time from a submit to its answer.
    pub fn mean_answer_time(&self) -> Option<Duration> {
        let count = u32::try_from(self.answers.count()).ok().filter(|count| *count > 0)?;
        Some(self.answers.total() / count)
    }

    pub(super) fn add_job(&mut self, job: &JobSeen, at: NtpTime) {
        self.jobs += 1;
        self.height = job.height.map(|height| height.0).or(self.height);
        self.network_difficulty = job.network_difficulty.or(self.network_difficulty);
        self.job_time_difference = Some(job.time_difference(at));
        self.last_job = Some(at);
    }

    /// Counts the time to a share's answer, if it has one.
    pub(super) fn add_answer(&mut self, judged: &JudgedShare) {
        if let Some(time) = judged.answered_after {
            self.answers.record(time);
        }
    }

    /// Counts a share. Returns whether it is a near miss: not a block, but worth `near_miss` of one, on a chain where
    /// not every share is.
    pub(super) fn add_share(&mut self, judged: &JudgedShare, counts_as_block: bool, near_miss: f64) -> bool {
        let share = &judged.share;
        let proven = share.proven().map_or(0.0, |difficulty| difficulty.value());
        let Totals { accepted, rejected, unanswered, unknown, workers, .. } = self;
        count_outcome(&judged.outcome, [accepted, rejected, unanswered, unknown]);
        let worker = entry(workers, &share.worker, MAX_WORKERS);
        let WorkerTotals { accepted, rejected, unanswered, unknown, .. } = worker;
        count_outcome(&judged.outcome, [accepted, rejected, unanswered, unknown]);
        if let ShareOutcome::Rejected { reason, .. } = &judged.outcome {
            let reason = reason.as_deref().unwrap_or("(no reason)");
            *entry(&mut self.reasons, reason, MAX_REASONS) += 1;
            let short: String = reason.chars().take(MAX_REASON_CHARS).collect();
            *entry(&mut worker.reasons, &short, MAX_WORKER_REASONS) += 1;
        }
        let credited = judged.credited();
        worker.stale += u64::from(share.stale);
        worker.accepted_difficulty += credited;
        self.accepted_difficulty += credited;
        let difficulty = share.difficulty().filter(|difficulty| difficulty.is_finite()).unwrap_or(0.0);
        worker.best_difficulty = worker.best_difficulty.max(difficulty);
        worker.proven_difficulty += proven;
        self.proven_difficulty += proven;
        self.stale += u64::from(share.stale);
        self.unreadable_submits += u64::from(share.submit.is_none());
        let is_near = share.network_difficulty.is_some_and(|network| difficulty >= network * near_miss);
        let is_near = is_near && !share.is_block() && !share.is_every_share_worth(near_miss);
        self.blocks += u64::from(counts_as_block);
        self.near_misses += u64::from(is_near);
        if let Some(proven) = share.proven() {
            self.meter.add(proven, share.at);
        }
        worker.count_timing(judged);
        if let Some(age) = share.job_age {
            self.job_ages.record(age);
        }
        is_near
    }
}

/// The best shares of this run and of this day. The best ever are in [`SavedState`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BestShares {
    pub run: Option<BestShare>,
    /// Since midnight, UTC.
    pub day: Option<BestShare>,
}

impl BestShares {
    /// The best shares after a restart: shares found earlier today still count for the day.
    pub(super) fn since_restart(state: &SavedState, now: NtpTime) -> BestShares {
        BestShares { run: None, day: best_of_day(state, now) }
    }

    pub(super) fn take(&mut self, share: &BestShare, state: &SavedState) {
        if self.day.as_ref().is_none_or(|best| day_of(best.at) != day_of(share.at)) {
            // A new day has begun, or the clock was corrected and the state already has this day's best.
            self.day = best_of_day(state, share.at);
        }
        for best in [&mut self.run, &mut self.day] {
            if best.as_ref().is_none_or(|best| share.difficulty > best.difficulty) {
                *best = Some(share.clone());
            }
        }
    }
}

/// The best share of this day, if it is among the best ever.
fn best_of_day(state: &SavedState, day: NtpTime) -> Option<BestShare> {
    state.best().iter().find(|best| day_of(best.at) == day_of(day)).cloned()
}

/// The number of the day in UTC, counted from 1970.
fn day_of(at: NtpTime) -> i64 {
    at.unix_seconds().div_euclid(86_400)
}

/// Decides which shares count as blocks.
#[derive(Debug, Default)]
pub(super) struct BlockCounter {
    /// When a share last met the network's target.
    last: Option<NtpTime>,
}

impl BlockCounter {
    /// Returns whether the share counts as a block: it meets the network's target, and is not one of many that
    /// do because the network's difficulty is not above the pool's.
    pub(super) fn counts(&mut self, share: &PendingShare, at: NtpTime) -> bool {
        let counts = share.is_block() && !(share.is_every_share_worth(1.0) && self.is_routine(at));
        if share.is_block() {
            self.last = Some(at);
        }
        counts
    }

    /// Returns whether another share met the network's target within [`ROUTINE_SECONDS`].
    pub(super) fn is_routine(&self, at: NtpTime) -> bool {
        let since = |last: NtpTime| at.timestamp().duration_since(last.timestamp()).as_secs_f64();
        self.last.is_some_and(|last| since(last) < ROUTINE_SECONDS)
    }
}

/// Adds one to the count of this outcome, among those of accepted, rejected, unanswered and unknown shares.
pub(super) fn count_outcome(outcome: &ShareOutcome, counts: [&mut u64; 4]) {
    let [accepted, rejected, unanswered, unknown] = counts;
    *match outcome {
        ShareOutcome::Accepted => accepted,
        ShareOutcome::Rejected { .. } => rejected,
        ShareOutcome::Unanswered => unanswered,
        ShareOutcome::Unknown => unknown,
    } += 1;
}

/// The entry of this name, or [`OTHER`] if there are too many.
fn entry<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str, max: usize) -> &'a mut T {
    let name = if map.len() < max || map.contains_key(name) { name } else { OTHER };
    map.entry(name.to_owned()).or_default()
}
