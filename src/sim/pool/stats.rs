//! Statistics of a simulated pool.

use std::collections::{BTreeMap, VecDeque};

use crate::stratum::{Difficulty, JobId, RefusalCode, StratumError};
use crate::work::{BlockHash, Height};

/// Caps each list of received values.
const MAX_KEPT: usize = 10_000;

/// Statistics of a [`SimPool`](super::SimPool) since its first start.
#[derive(Debug, Clone, Default)]
pub struct SimPoolStats {
    pub connections_now: usize,
    pub connections_ever: u64,
    /// Lines of miners, whatever they were.
    pub lines_received: u64,
    pub subscribed_ever: u64,
    pub authorized_ever: u64,
    /// Notifies, one for each connection a job was sent to.
    pub jobs_sent: u64,
    pub blocks: u64,
    pub height: Option<Height>,
    /// By worker name, as it was submitted.
    pub workers: BTreeMap<String, WorkerStats>,
    /// The newest 10 000, oldest first.
    pub accepted_shares: VecDeque<AcceptedShare>,
    pub rejected_by_code: BTreeMap<RefusalCode, u64>,
    /// User agents of `mining.subscribe`; the newest 10 000.
    pub user_agents: VecDeque<String>,
}

/// A worker's shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerStats {
    pub accepted: u64,
    pub rejected: u64,
}

/// A share that was judged good, whatever the pool answered.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptedShare {
    pub worker: String,
    pub job_id: JobId,
    pub hash: BlockHash,
    /// Difficulty of the share's hash.
    pub difficulty: f64,
    /// The assigned difficulty.
    pub required: Difficulty,
    /// True if it met the network's target as well.
    pub is_block: bool,
}

impl SimPoolStats {
    /// Accepted shares of all workers.
    pub fn accepted(&self) -> u64 {
        self.workers.values().map(|worker| worker.accepted).sum()
    }

    /// Rejected shares of all workers.
    pub fn rejected(&self) -> u64 {
        self.workers.values().map(|worker| worker.rejected).sum()
    }

    /// Rejected shares with this code.
    pub fn rejected_with(&self, code: RefusalCode) -> u64 {
        self.rejected_by_code.get(&code).copied().unwrap_or(0)
    }

    /// The statistics of the worker with this name.
    pub fn worker(&self, name: &str) -> WorkerStats {
        self.workers.get(name).copied().unwrap_or_default()
    }

    pub(super) fn record_verdict(&mut self, worker: &str, refusal: Option<&StratumError>) {
        if let Some(refusal) = refusal {
            *self.rejected_by_code.entry(refusal.code).or_default() += 1;
        }
        if self.workers.len() >= MAX_KEPT && !self.workers.contains_key(worker) {
            return;
        }
        let worker = self.workers.entry(worker.to_owned()).or_default();
        match refusal {
            None => worker.accepted += 1,
            Some(_) => worker.rejected += 1,
        }
    }
}

/// Adds to a bounded list.
pub(super) fn keep<T>(list: &mut VecDeque<T>, new: T) {
    if list.len() >= MAX_KEPT {
        list.pop_front();
    }
    list.push_back(new);
}
