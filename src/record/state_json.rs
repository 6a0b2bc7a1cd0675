//! Best shares and counters over all runs: `state.json`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::csv::csv_field;
use super::json;
use super::known_workers::KnownWorkers;
use super::persisted_json::PersistedJson;
use super::saved_alerts::SavedAlerts;
use super::shown_names::ShownNames;
use crate::clock::NtpTime;
use crate::stratum::Difficulty;
use crate::work::BlockHash;

/// The file's name in the data directory.
pub const STATE_FILE: &str = "state.json";

/// Version of the format.
const VERSION: u32 = 1;

/// Number of shares in [`SavedState::best`].
const MAX_BEST: usize = 10;
/// Caps the remembered workers; the one with the worst share is evicted.
const MAX_WORKERS: usize = 1000;
/// Caps the remembered pools.
const MAX_POOLS: usize = 64;

/// The data kept from run to run. Unknown fields of later versions are preserved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedState {
    pub version: u32,
    /// The best shares ever, best first.
    #[serde(default)]
    best: Vec<BestShare>,
    /// Each worker's best share ever.
    #[serde(default)]
    best_by_worker: BTreeMap<String, BestShare>,
    #[serde(default)]
    pub lifetime: LifetimeCounts,
    /// A fingerprint of each pool, whose content is opaque here.
    #[serde(default)]
    fingerprints: BTreeMap<String, Value>,
    /// The miners that work here, whether they are connected or not.
    #[serde(default)]
    pub known_workers: KnownWorkers,
    /// The names that people have given to workers.
    #[serde(default)]
    pub shown_names: ShownNames,
    /// The alerts that last, and the number of alerts of each rule.
    #[serde(default)]
    pub alerts: SavedAlerts,
    #[serde(flatten)]
    unknown: BTreeMap<String, Value>,
}

/// One of the best shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestShare {
    pub worker: String,
    /// The difficulty of its hash.
    #[serde(with = "json::difficulty")]
    pub difficulty: Difficulty,
    #[serde(with = "json::hash")]
    pub hash: BlockHash,
    #[serde(with = "json::time")]
    pub at: NtpTime,
}

/// Counters over all runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LifetimeCounts {
    pub accepted: u64,
    pub rejected: u64,
    pub unanswered: u64,
    pub unknown: u64,
    /// Shares that met the network's target.
    pub blocks: u64,
    /// The sum of the assigned difficulties of accepted shares.
    pub accepted_difficulty: f64,
    /// Total running time of Sluice, in seconds.
    pub seconds: u64,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

impl Default for SavedState {
    fn default() -> SavedState {
        SavedState {
            version: VERSION,
            best: Vec::new(),
            best_by_worker: BTreeMap::new(),
            lifetime: LifetimeCounts::default(),
            fingerprints: BTreeMap::new(),
            known_workers: KnownWorkers::default(),
            shown_names: ShownNames::default(),
            alerts: SavedAlerts::default(),
            unknown: BTreeMap::new(),
        }
    }
}

impl SavedState {
    /// The best shares ever, best first; at most ten.
    pub fn best(&self) -> &[BestShare] {
        &self.best
    }

    /// The form of a worker's name by which it is remembered: without characters that can't be seen, and cut if it is
    /// very long.
    pub fn worker_key(worker: &str) -> Cow<'_, str> {
        csv_field(worker)
    }

    /// A worker's best share ever.
    pub fn best_of(&self, worker: &str) -> Option<&BestShare> {
        self.best_by_worker.get(&*csv_field(worker))
    }

    /// Every remembered worker's best share, in the order of their names.
    pub fn best_by_worker(&self) -> impl Iterator<Item = &BestShare> {
        self.best_by_worker.values()
    }

    /// Adds a share if it is good enough. True if it is the best ever.
    pub fn offer(&mut self, mut share: BestShare) -> bool {
        if let Cow::Owned(worker) = csv_field(&share.worker) {
            share.worker = worker;
        }
        let is_best = self.best.first().is_none_or(|best| share.difficulty > best.difficulty);
        let index = self.best.partition_point(|best| best.difficulty >= share.difficulty);
        // A share that is read again after a restart is no new one.
        if index < MAX_BEST && !self.best.iter().any(|best| best.hash == share.hash) {
            self.best.insert(index, share.clone());
            self.best.truncate(MAX_BEST);
        }
        self.offer_of_worker(share);
        is_best
    }

    /// The saved fingerprint of a pool.
    pub fn fingerprint(&self, pool: &str) -> Option<&Value> {
        self.fingerprints.get(&*csv_field(pool))
    }

    /// Saves the fingerprint of a pool. False if there are too many pools already.
    pub fn set_fingerprint(&mut self, pool: &str, fingerprint: Value) -> bool {
        let pool = csv_field(pool);
        let has_room = self.fingerprints.len() < MAX_POOLS || self.fingerprints.contains_key(&*pool);
        if has_room {
            self.fingerprints.insert(pool.into_owned(), fingerprint);
        }
        has_room
    }

    fn offer_of_worker(&mut self, share: BestShare) {
        if let Some(known) = self.best_by_worker.get_mut(&share.worker) {
            if share.difficulty > known.difficulty {
                *known = share;
            }
            return;
        }
        if self.best_by_worker.len() >= MAX_WORKERS {
            let workers = self.best_by_worker.values();
            let least = workers.min_by(|a, b| a.difficulty.value().total_cmp(&b.difficulty.value()));
            let least = least.filter(|least| least.difficulty < share.difficulty);
            let Some(least) = least.map(|least| least.worker.clone()) else { return };
            self.best_by_worker.remove(&least);
        }
        self.best_by_worker.insert(share.worker.clone(), share);
    }
}

impl PersistedJson for SavedState {
    const FILE: &'static str = STATE_FILE;
    const SAVE_INTERVAL: Duration = Duration::from_secs(60);
    /// The n-th share is the best so far with a chance of 1 in n, so a million shares cause about 14 urgent
    /// saves, most of them in the first minutes of a fresh start.
    const URGENT_SAVE_INTERVAL: Duration = Duration::from_secs(5);
    const IF_MISSING: &'static str = "best shares and counters start from zero";

    fn bounded(mut self, now: NtpTime) -> SavedState {
        self.known_workers = self.known_workers.bounded(now);
        self.alerts = self.alerts.bounded();
        self.best.sort_by(|a, b| b.difficulty.value().total_cmp(&a.difficulty.value()));
        self.best.truncate(MAX_BEST);
        while self.best_by_worker.len() > MAX_WORKERS {
            self.best_by_worker.pop_last();
        }
        while self.fingerprints.len() > MAX_POOLS {
            self.fingerprints.pop_last();
        }
        if !self.lifetime.accepted_difficulty.is_finite() {
            self.lifetime.accepted_difficulty = 0.0;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(worker: &str, difficulty: f64) -> BestShare {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&difficulty.to_be_bytes());
        BestShare {
            worker: worker.into(),
            difficulty: Difficulty::new(difficulty).unwrap(),
            hash: BlockHash::from_bytes(hash),
            at: "2026-11-21T01:53:42.5Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_best_are_kept_in_order() {
        let mut state = SavedState::default();
        assert!(state.offer(share("a", 5.0)));
        assert!(!state.offer(share("b", 3.0)));
        assert!(state.offer(share("b", 9.0)));
        for difficulty in 10..40 {
            state.offer(share("c", f64::from(difficulty)));
        }
        let values: Vec<f64> = state.best().iter().map(|best| best.difficulty.value()).collect();
        assert_eq!(values, (30..40).rev().map(f64::from).collect::<Vec<_>>());
        assert_eq!(state.best_of("b").unwrap().difficulty.value(), 9.0);
        assert!(!state.offer(share("c", 39.0)));
        assert_eq!(state.best()[1].difficulty.value(), 38.0);
    }

    #[test]
    fn a_flood_of_workers_evicts_no_good_one() {
        let mut state = SavedState::default();
        state.offer(share("good", 1e9));
        for number in 0..3000 {
            state.offer(share(&format!("w{number}"), 1.0 + f64::from(number)));
        }
        assert_eq!(state.best_by_worker().count(), MAX_WORKERS);
        assert!(state.best_of("good").is_some() && state.best_of("w2999").is_some());
        assert!(state.best_of("w0").is_none());
    }

    #[test]
    fn fields_of_a_later_version_survive() {
        let json = r#"{"version":2,"lifetime":{"accepted":7,"later":[1]},"much_later":{"x":1}}"#;
        let state: SavedState = serde_json::from_str(json).unwrap();
        assert_eq!(state.lifetime.accepted, 7);
        let again = serde_json::to_value(&state).unwrap();
        assert_eq!(again["much_later"]["x"], 1);
        assert_eq!(again["lifetime"]["later"][0], 1);
        assert_eq!(again["version"], 2);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut state = SavedState::default();
        state.offer(share("=cmd()\n⛏️\"", 123.456));
        assert!(state.set_fingerprint("pool", serde_json::json!({ "tag": "/x/" })));
        state.lifetime.accepted_difficulty = 0.1;
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<SavedState>(&json).unwrap(), state);
        assert_eq!(state.best()[0].worker, "'=cmd()\\n⛏️\"");
    }
}
