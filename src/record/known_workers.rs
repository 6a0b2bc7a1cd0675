//! The miners that work here, in `state.json`: who they are, and when each was last connected.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::json;
use crate::clock::NtpTime;

/// Caps the known workers, for farms of 5,000 machines. A stranger that invents names costs memory only up to here.
const MAX_KNOWN_WORKERS: usize = 8192;

/// Caps the characters of a user agent.
const MAX_USER_AGENT: usize = 64;

/// The known workers by their names, in the form of [`SavedState::worker_key`](super::SavedState::worker_key). Clones
/// share them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, KnownWorker>", into = "BTreeMap<String, KnownWorker>")]
pub struct KnownWorkers(Arc<BTreeMap<String, KnownWorker>>);

/// A worker that has had an accepted share or ten minutes here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownWorker {
    #[serde(with = "json::time")]
    pub first_seen: NtpTime,
    /// When it was last connected. While it is, up to a minute old.
    #[serde(with = "json::time")]
    pub last_seen: NtpTime,
    /// The address of its newest connection.
    pub address: String,
    /// The program that it says it is.
    pub user_agent: Option<String>,
}

impl KnownWorkers {
    /// The number of workers that are kept.
    pub const MAX: usize = MAX_KNOWN_WORKERS;

    /// Applies the limits to what another program may have written. A time in the future, from a clock that was wrong,
    /// becomes `now`.
    pub(super) fn bounded(self, now: NtpTime) -> KnownWorkers {
        let mut workers: BTreeMap<String, KnownWorker> = self.into();
        while workers.len() > MAX_KNOWN_WORKERS {
            workers.pop_last();
        }
        for worker in workers.values_mut() {
            worker.last_seen = worker.last_seen.min(now);
            worker.user_agent = worker.user_agent.take().map(|agent| KnownWorker::short_agent(&agent));
        }
        KnownWorkers::from(workers)
    }
}

impl KnownWorker {
    /// A user agent, cut if it is very long.
    pub fn short_agent(agent: &str) -> String {
        agent.chars().take(MAX_USER_AGENT).collect()
    }

    /// Whether this is the short form of `agent`. Asked for every miner twice a second, so it allocates nothing.
    pub fn is_short_agent(short: &str, agent: &str) -> bool {
        agent.chars().take(MAX_USER_AGENT).eq(short.chars())
    }
}

impl Deref for KnownWorkers {
    type Target = BTreeMap<String, KnownWorker>;

    fn deref(&self) -> &BTreeMap<String, KnownWorker> {
        &self.0
    }
}

impl From<BTreeMap<String, KnownWorker>> for KnownWorkers {
    fn from(workers: BTreeMap<String, KnownWorker>) -> KnownWorkers {
        KnownWorkers(Arc::new(workers))
    }
}

impl From<KnownWorkers> for BTreeMap<String, KnownWorker> {
    fn from(workers: KnownWorkers) -> BTreeMap<String, KnownWorker> {
        Arc::unwrap_or_clone(workers.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_workers_are_read_back_and_bounded() {
        let time = |text: &str| text.parse::<NtpTime>().unwrap();
        let (now, later) = (time("2026-11-21T01:00:00Z"), time("2030-01-01T00:00:00Z"));
        let worker = KnownWorker {
            first_seen: now,
            last_seen: later,
            address: String::from("10.0.0.7"),
            user_agent: Some("bitaxe/".repeat(100)),
        };
        let many: BTreeMap<String, KnownWorker> =
            (0..MAX_KNOWN_WORKERS + 5).map(|number| (format!("w{number}"), worker.clone())).collect();
        let json = serde_json::to_string(&KnownWorkers::from(many)).unwrap();
        let read: KnownWorkers = serde_json::from_str(&json).unwrap();
        let bounded = read.bounded(now);
        assert_eq!(bounded.len(), MAX_KNOWN_WORKERS);
        assert_eq!(bounded["w7"].last_seen, now);
        assert_eq!(bounded["w7"].user_agent.as_ref().map(String::len), Some(MAX_USER_AGENT));
    }
}
