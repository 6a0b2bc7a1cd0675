//! What is counted over all sessions, and stays when they end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::hashrate::{HashRates, WorkMeter};
use super::session_event::JobSeen;
use super::share::JudgedShare;
use super::summary::Latency;
use crate::clock::NtpTime;
use crate::net::Stamp;
use crate::record::ShareOutcome;

/// The most reasons of refusals, and workers, that are told apart; the rest is "other".
const MAX_REASONS: usize = 64;
const MAX_WORKERS: usize = 8192;
const OTHER: &str = "(other)";

/// Counts of shares and jobs since the start.
#[derive(Debug, Clone)]
pub struct Totals {
    pub submitted: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub unanswered: u64,
    pub unknown: u64,
    /// Shares for a job that a clean one had ended.
    pub stale: u64,
    /// Shares that met the network's target, where that is news.
    pub blocks: u64,
    pub near_misses: u64,
    /// Submits whose params could not be read.
    pub unreadable_submits: u64,
    /// By the pool's words.
    pub reasons: BTreeMap<String, u64>,
    /// Sum of what was asked for, over accepted shares.
    pub accepted_difficulty: f64,
    /// The same over all shares whose hash proves it.
    pub proven_difficulty: f64,
    pub jobs: u64,
    /// From a submit to its answer.
    pub answers: Latency,
    /// How old its job was when a share came.
    pub job_ages: Latency,
    /// The newest job's height and network difficulty.
    pub height: Option<u32>,
    pub network_difficulty: Option<f64>,
    /// When the newest job came.
    pub last_job: Option<NtpTime>,
    /// The newest job's ntime less NTP time, in seconds.
    pub job_time_difference: Option<f64>,
    pub workers: BTreeMap<String, WorkerTotals>,
    pub(super) meter: WorkMeter,
}

/// A worker's counts, whatever connections it had.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WorkerTotals {
    pub accepted: u64,
    pub rejected: u64,
    pub unanswered: u64,
    pub unknown: u64,
    /// Sum of what was asked for, over accepted shares.
    pub accepted_difficulty: f64,
    /// By the hash.
    pub best_difficulty: f64,
    pub proven_difficulty: f64,
    /// Its shares' answers, and the time that all of them took.
    pub answered: u64,
    pub answers_took: Duration,
    /// When its first and its newest share were sent, and how many there were.
    pub first: Option<Stamp>,
    pub newest: Option<Stamp>,
    pub sent: u64,
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
        Totals {
            submitted: 0,
            accepted: 0,
            rejected: 0,
            unanswered: 0,
            unknown: 0,
            stale: 0,
            blocks: 0,
            near_misses: 0,
            unreadable_submits: 0,
            reasons: BTreeMap::new(),
            accepted_difficulty: 0.0,
            proven_difficulty: 0.0,
            jobs: 0,
            answers: Latency::default(),
            job_ages: Latency::of_ages(),
            height: None,
            network_difficulty: None,
            last_job: None,
            job_time_difference: None,
            workers: BTreeMap::new(),
            meter: WorkMeter::new(now),
        }
    }

    /// Hashes per second that shares prove.
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

    /// The pool has answered a share, or has not.
    pub(super) fn add_answer(&mut self, judged: &JudgedShare) {
        if let Some(time) = judged.answered_after {
            self.answers.record(time);
        }
    }

    /// True for a near miss: a share that is no block, but worth so much of one, where not every share is.
    pub(super) fn add_share(&mut self, judged: &JudgedShare, counts_as_block: bool, near_miss: f64) -> bool {
        let share = &judged.share;
        let proven = share.proven().map_or(0.0, |difficulty| difficulty.value());
        let worker = entry(&mut self.workers, &share.worker, MAX_WORKERS);
        match &judged.outcome {
            ShareOutcome::Accepted => {
                self.accepted += 1;
                let asked = share.assigned.map_or(0.0, |difficulty| difficulty.value());
                worker.accepted += 1;
                worker.accepted_difficulty += asked;
                self.accepted_difficulty += asked;
            }
            ShareOutcome::Rejected { reason, .. } => {
                self.rejected += 1;
                worker.rejected += 1;
                let reason = reason.as_deref().unwrap_or("(no reason)");
                *entry(&mut self.reasons, reason, MAX_REASONS) += 1;
            }
            ShareOutcome::Unanswered => {
                self.unanswered += 1;
                worker.unanswered += 1;
            }
            ShareOutcome::Unknown => {
                self.unknown += 1;
                worker.unknown += 1;
            }
        }
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

/// The entry of this name, or the common one when there are too many.
fn entry<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str, most: usize) -> &'a mut T {
    let name = if map.len() < most || map.contains_key(name) { name } else { OTHER };
    map.entry(name.to_owned()).or_default()
}
