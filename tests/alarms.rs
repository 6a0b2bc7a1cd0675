//! Alarms about pools, miners and addresses: the rules about the service and the time line, through real
//! sockets.

mod addresses;
mod ends;
mod miners;
mod outage;
mod pools;
mod time_line;

use std::sync::Arc;

use sluice::analyzer::Alert;

use crate::common::Proxy;
use crate::common::job_pool::JobMiner;

/// A pool is left soon, and tried again soon.
const QUICK: &str = "[failover]\nfailback_after = \"100ms\"\nbackoff_min = \"50ms\"\nbackoff_max = \"100ms\"\nconnect_deadline = \"2s\"\n";

/// A valid address, and the same with its last character wrong.
const GOOD: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const WRONG: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5";

/// The newest alert of this rule.
fn alert(proxy: &Proxy, id: &str) -> Option<Arc<Alert>> {
    proxy.snapshot().alerts.alerts.iter().find(|alert| alert.id == id).cloned()
}

/// The kinds of all events, newest first.
fn kinds(proxy: &Proxy) -> Vec<String> {
    proxy.snapshot().events.iter().map(|event| event.kind.to_string()).collect()
}

fn has_event(proxy: &Proxy, kind: &str) -> bool {
    kinds(proxy).iter().any(|known| known == kind)
}

/// A miner that has had an accepted share, so that it is known.
fn known_miner(proxy: &Proxy, worker: &str) -> JobMiner {
    let mut miner = JobMiner::join(proxy.address(), worker);
    miner.expect_job();
    let accepted = |proxy: &Proxy| {
        let snapshot = proxy.snapshot();
        snapshot
            .miners
            .iter()
            .filter(|miner| &*miner.worker == worker)
            .map(|miner| miner.accepted)
            .sum::<u64>()
    };
    let before = accepted(proxy);
    miner.submit();
    // The answer.
    crate::common::read_line(&miner.0);
    crate::common::wait_for("the share's acceptance", || accepted(proxy) > before);
    miner
}
