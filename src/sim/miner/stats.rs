//! Statistics of a simulated miner.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::stratum::{Difficulty, Extranonce1};

/// Caps each list of received values.
const MAX_KEPT: usize = 1000;

/// Statistics of a [`SimMiner`](super::SimMiner) since its start.
#[derive(Debug, Clone, Default)]
pub struct MinerStats {
    /// True if there is a connection now.
    pub connected: bool,
    /// True if subscribe was answered on it.
    pub subscribed: bool,
    /// True if authorize was answered `true` on it; a NerdMiner does not look.
    pub authorized: bool,
    /// Connections that were made.
    pub connections: u64,
    /// Connections after the first one.
    pub reconnects: u64,
    pub extranonce1: Option<Extranonce1>,
    /// The present difficulty.
    pub difficulty: Option<Difficulty>,
    pub jobs_seen: u64,
    pub hashes: u64,
    pub submitted: u64,
    /// Shares accepted in this miner's view: a NerdMiner counts some rejections as accepted.
    pub accepted: u64,
    pub rejected: u64,
    /// By what the miner shows of the reason.
    pub reasons: BTreeMap<String, u64>,
    /// The best difficulty of all hashes, submitted or not.
    pub best_difficulty: f64,
    /// From a submit to its answer; the newest 1000, oldest first.
    pub round_trips: VecDeque<Duration>,
    /// Why the last connection ended or could not be made.
    pub last_error: Option<String>,
    /// `client.show_message`, for miners that show it.
    pub last_message: Option<String>,
}

impl MinerStats {
    pub(super) fn record_answer(&mut self, accepted: bool, reason: Option<String>, round_trip: Duration) {
        if accepted {
            self.accepted += 1;
        } else {
            self.rejected += 1;
            let reason = reason.unwrap_or_else(|| "(no reason)".to_owned());
            if self.reasons.len() < MAX_KEPT || self.reasons.contains_key(&reason) {
                *self.reasons.entry(reason).or_default() += 1;
            }
        }
        if self.round_trips.len() >= MAX_KEPT {
            self.round_trips.pop_front();
        }
        self.round_trips.push_back(round_trip);
    }

    pub(super) fn record_end(&mut self, reason: String) {
        (self.connected, self.subscribed, self.authorized) = (false, false, false);
        self.last_error = Some(reason);
    }
}
