//! What a simulated miner has seen.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::stratum::{Difficulty, Extranonce1};

/// The most that is kept of anything that comes from outside.
const MAX_KEPT: usize = 1000;

/// What a [`SimMiner`](super::SimMiner) has seen since it was started.
#[derive(Debug, Clone, Default)]
pub struct MinerStats {
    /// Whether there is a connection now.
    pub connected: bool,
    /// Whether subscribe was answered on it.
    pub subscribed: bool,
    /// Whether authorize was answered `true` on it; a NerdMiner does not look.
    pub authorized: bool,
    /// Connections that were made.
    pub connections: u64,
    /// Connections after the first one.
    pub reconnects: u64,
    pub extranonce1: Option<Extranonce1>,
    /// What it mines at now.
    pub difficulty: Option<Difficulty>,
    pub jobs_seen: u64,
    pub hashes: u64,
    pub submitted: u64,
    /// As this kind of miner understands the answers: a NerdMiner takes some refusals for good.
    pub accepted: u64,
    pub rejected: u64,
    /// By what the miner shows of the reason.
    pub reasons: BTreeMap<String, u64>,
    /// Of all hashes, whether they were submitted or not.
    pub best_difficulty: f64,
    /// From a submit to its answer; the newest 1000, oldest first.
    pub round_trips: VecDeque<Duration>,
    /// Why the last connection ended or could not be made.
    pub last_error: Option<String>,
    /// `client.show_message`, for miners that show it.
    pub last_message: Option<String>,
}

impl MinerStats {
    pub(super) fn record_answer(
        &mut self,
        accepted: bool,
        reason: Option<String>,
        round_trip: Option<Duration>,
    ) {
        if accepted {
            self.accepted += 1;
        } else {
            self.rejected += 1;
            let reason = reason.unwrap_or_else(|| "(no reason)".to_owned());
            if self.reasons.len() < MAX_KEPT || self.reasons.contains_key(&reason) {
                *self.reasons.entry(reason).or_default() += 1;
            }
        }
        if let Some(round_trip) = round_trip {
            if self.round_trips.len() >= MAX_KEPT {
                self.round_trips.pop_front();
            }
            self.round_trips.push_back(round_trip);
        }
    }

    pub(super) fn record_end(&mut self, reason: String) {
        self.connected = false;
        self.subscribed = false;
        self.authorized = false;
        self.last_error = Some(reason);
    }
}
