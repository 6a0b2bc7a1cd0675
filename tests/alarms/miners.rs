//! `miner.gone`, also over a restart.

use std::path::Path;

use serde_json::Value;
use sluice::app::AppOptions;

use super::{alert, has_event, kinds, known_miner};
use crate::common::job_pool::{JobMiner, JobPool};
use crate::common::recorded::config;
use crate::common::{Proxy, wait_for};

const SOON: &str = "[rules]\nminer_gone_after = \"1s\"\n";

fn recording(pool: &JobPool, directory: &Path) -> Proxy {
    let config = config(&format!("{SOON}{}", pool.upstream()));
    let record_to = Some(directory.to_owned());
    Proxy::with_options(&config, AppOptions { record_to, ..AppOptions::default() })
}

fn state(directory: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(directory.join("state.json")).unwrap()).unwrap()
}

#[test]
fn a_known_miner_that_is_gone_is_named_and_others_are_not() {
    let pool = JobPool::start(true);
    let proxy = Proxy::start(&format!("{SOON}{}", pool.upstream()));
    let (kitchen, _garage) = (known_miner(&proxy, "w.kitchen"), known_miner(&proxy, "w.garage"));
    // A visitor without a share is nobody's miner.
    drop(JobMiner::join(proxy.address(), "w.visitor"));
    drop(kitchen);
    wait_for("the alert", || alert(&proxy, "miner.gone").is_some());
    let found = alert(&proxy, "miner.gone").unwrap();
    assert_eq!((found.subject.as_str(), found.severity.as_str()), ("w.kitchen", "medium"));
    assert_eq!(found.evidence["worker"], "w.kitchen");
    assert_eq!(found.evidence["address"], "127.0.0.1");
    assert!(found.description.contains("w.kitchen"), "{}", found.description);
    wait_for("the event", || has_event(&proxy, "miner.gone"));
    let _kitchen = JobMiner::join(proxy.address(), "w.kitchen");
    wait_for("its return", || has_event(&proxy, "miner.back"));
    assert_eq!(proxy.snapshot().alerts.counts.get("miner.gone"), Some(&1), "{:?}", kinds(&proxy));
}

#[test]
fn all_gone_at_once_are_one_alert() {
    let pool = JobPool::start(true);
    let proxy = Proxy::start(&format!("{SOON}{}", pool.upstream()));
    let miners: Vec<JobMiner> = (0..5).map(|number| known_miner(&proxy, &format!("w.rig{number}"))).collect();
    drop(miners);
    wait_for("the alert", || alert(&proxy, "miner.gone").is_some());
    let found = alert(&proxy, "miner.gone").unwrap();
    assert_eq!(found.subject, "all miners");
    assert_eq!(found.evidence["miners"], 5);
    assert!(found.description.contains("none of your 5 miners"), "{}", found.description);
    assert_eq!(proxy.snapshot().alerts.counts.get("miner.gone"), Some(&1));
}

#[test]
fn known_miners_and_open_alerts_are_kept_over_a_restart() {
    let (pool, directory) = (JobPool::start(true), tempfile::tempdir().unwrap());
    let mut proxy = recording(&pool, directory.path());
    let (kitchen, garage) = (known_miner(&proxy, "w.kitchen"), known_miner(&proxy, "w.garage"));
    drop(kitchen);
    wait_for("the alert", || alert(&proxy, "miner.gone").is_some());
    drop(garage);
    proxy.shut_down();
    let saved = state(directory.path());
    assert_eq!(saved["known_workers"].as_object().map(|workers| workers.len()), Some(2), "{saved}");
    let open = saved["alerts"]["open"].as_array().unwrap();
    assert!(open.iter().any(|alert| alert["subject"] == "w.kitchen"), "{saved}");
    // The same alert goes on, and is not told again; the other miner is missed, too.
    let mut proxy = recording(&pool, directory.path());
    let _other = known_miner(&proxy, "w.cellar");
    let open = |proxy: &Proxy| -> Vec<String> {
        let alerts = proxy.snapshot().alerts.alerts.clone();
        let gone = alerts.iter().filter(|alert| alert.id == "miner.gone" && alert.ended.is_none());
        gone.map(|alert| alert.subject.clone()).collect()
    };
    wait_for("the second alert", || open(&proxy).len() == 2);
    assert!(
        open(&proxy).contains(&String::from("w.garage")) && open(&proxy).contains(&String::from("w.kitchen"))
    );
    proxy.shut_down();
    let log = std::fs::read_to_string(directory.path().join("alerts.log")).unwrap();
    assert_eq!(log.matches("\"subject\":\"w.kitchen\"").count(), 1, "{log}");
    let counts = &state(directory.path())["alerts"]["counts"]["miner.gone"];
    assert_eq!(counts.as_u64(), Some(2));
}
