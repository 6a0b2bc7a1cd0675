//! `payout.address_typo`: which worker, and what is wrong.

use std::io::Write;

use serde_json::json;

use super::{GOOD, WRONG, alert};
use crate::common::job_pool::{JobMiner, JobPool};
use crate::common::{Proxy, wait_for};

#[test]
fn a_mistyped_address_is_reported_with_its_worker_and_good_ones_are_not() {
    let pool = JobPool::start(true);
    let proxy = Proxy::to(&[pool.address()], "");
    let _good = JobMiner::join(proxy.address(), &format!("{GOOD}.garage"));
    let _account = JobMiner::join(proxy.address(), "noaddress");
    let worker = format!("{WRONG}.kitchen");
    let _wrong = JobMiner::join(proxy.address(), &worker);
    wait_for("the alert", || alert(&proxy, "payout.address_typo").is_some());
    let found = alert(&proxy, "payout.address_typo").unwrap();
    assert_eq!((found.subject.as_str(), found.severity.as_str()), (worker.as_str(), "high"));
    assert_eq!(
        (found.evidence["worker"].as_str(), found.evidence["address"].as_str()),
        (Some(&*worker), Some(WRONG))
    );
    assert!(found.description.contains("checksum"), "{}", found.description);
    assert_eq!(proxy.snapshot().alerts.counts.get("payout.address_typo"), Some(&1));
}

/// The pool refuses the name, and the miner does not stay.
#[test]
fn an_address_that_the_pool_refuses_is_reported_too() {
    let pool = JobPool::start(true);
    pool.refuse(true);
    let proxy = Proxy::to(&[pool.address()], "");
    let _miner = JobMiner::join(proxy.address(), "0x52908400098527886E0F7030069857D2E4169EE7.rig");
    wait_for("the alert", || alert(&proxy, "payout.address_typo").is_some());
    let found = alert(&proxy, "payout.address_typo").unwrap();
    assert!(found.description.contains("another coin (Ethereum)"), "{}", found.description);
}

#[test]
fn an_address_of_another_network_is_reported_if_the_network_is_configured() {
    let pool = JobPool::start(true);
    let worker = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx.desk";
    let listen = "[listen]\nstratum = [\"127.0.0.1:0\"]\n";
    let of = |network: &str| {
        let proxy = Proxy::start(&format!("{network}{listen}{}", pool.upstream()));
        let _miner = JobMiner::join(proxy.address(), worker);
        wait_for("the miner", || proxy.snapshot().miners.iter().any(|miner| &*miner.worker == worker));
        let at = proxy.snapshot().at;
        wait_for("the next snapshot", || proxy.snapshot().at > at);
        alert(&proxy, "payout.address_typo").map(|alert| alert.description.clone())
    };
    assert_eq!(of(""), None);
    let found = of("network = \"mainnet\"\n").unwrap_or_default();
    assert!(found.contains("test network") && found.contains("mainnet"), "{found}");
}

#[test]
fn aggregate_mode_reports_it_though_the_pool_never_sees_the_name() {
    let pool = JobPool::start(true);
    let listen = "mode = \"aggregate\"\n[listen]\nstratum = [\"127.0.0.1:0\"]\n";
    let user = format!("user = \"{GOOD}\"\n");
    let proxy = Proxy::start(&format!("{listen}{}{user}", pool.upstream()));
    let worker = format!("{WRONG}.kitchen");
    let mut miner = proxy.connect();
    let subscribe = json!({ "id": 1, "method": "mining.subscribe", "params": ["test"] });
    let authorize = json!({ "id": 2, "method": "mining.authorize", "params": [worker, "x"] });
    miner.write_all(format!("{subscribe}\n{authorize}\n").as_bytes()).unwrap();
    wait_for("the alert", || alert(&proxy, "payout.address_typo").is_some());
    assert_eq!(alert(&proxy, "payout.address_typo").unwrap().evidence["worker"], worker.as_str());
}
