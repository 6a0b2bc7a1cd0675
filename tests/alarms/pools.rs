//! `pool.unreachable` and `pool.failed_over`.

use std::io::Write;
use std::time::Duration;

use super::{QUICK, alert, has_event};
use crate::common::job_pool::{JobMiner, JobPool};
use crate::common::pool::Port;
use crate::common::{Proxy, expect_end, wait_for, wait_within};

/// Takes half a minute, since an outage is reported after that.
#[test]
fn that_no_pool_is_left_is_reported_though_no_miner_waits() {
    let port = Port::reserve();
    let address = port.address();
    let proxy = Proxy::to(&[address], QUICK);
    let mut miner = proxy.connect();
    let _ = miner.write_all(b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n");
    expect_end(&miner);
    drop(miner);
    wait_for("the failure", || has_event(&proxy, "pool.failed"));
    proxy.wait_sessions(0);
    wait_within(Duration::from_secs(90), "the alert", &mut || alert(&proxy, "pool.unreachable").is_some());
    let found = alert(&proxy, "pool.unreachable").unwrap();
    assert_eq!(found.severity.as_str(), "high");
    assert!(found.ended.is_none());
    // The reason is in the text.
    let (text, name) = (&found.description, address.to_string());
    assert!(text.contains(&name) && text.contains("refused"), "{text}");
    let _pool = JobPool::on(port.open(), true);
    wait_for("the return", || has_event(&proxy, "pool.returned"));
    let failed = proxy.snapshot().events.iter().find(|event| event.kind == "pool.failed").cloned().unwrap();
    assert_eq!(failed.upstream.as_deref(), Some(name.as_str()));
}

#[test]
fn a_less_preferred_pool_in_use_is_reported_and_the_return_is_an_event() {
    let (port, second) = (Port::reserve(), JobPool::start(true));
    let address = port.address();
    let proxy = Proxy::to(&[address, second.address()], QUICK);
    let miner = JobMiner::join(proxy.address(), "w.one");
    miner.expect_job();
    wait_for("the alert", || alert(&proxy, "pool.failed_over").is_some());
    let found = alert(&proxy, "pool.failed_over").unwrap();
    assert_eq!(found.severity.as_str(), "medium");
    assert_eq!(found.evidence["upstream"], second.address().to_string());
    assert_eq!(found.evidence["preferred"], address.to_string());
    assert!(has_event(&proxy, "pool.failed_over"));
    let _first = JobPool::on(port.open(), true);
    expect_end(&miner.0);
    let miner = JobMiner::join(proxy.address(), "w.one");
    miner.expect_job();
    wait_for("the event of the return", || has_event(&proxy, "pool.failed_back"));
    assert_eq!(proxy.snapshot().alerts.counts.get("pool.failed_over"), Some(&1));
}

#[test]
fn a_pool_that_works_raises_nothing() {
    let (first, second) = (JobPool::start(true), JobPool::start(true));
    let proxy = Proxy::to(&[first.address(), second.address()], QUICK);
    let miner = super::known_miner(&proxy, "w.one");
    wait_for("the connection", || has_event(&proxy, "pool.connected"));
    for id in ["pool.failed_over", "pool.unreachable", "miner.gone", "payout.address_typo"] {
        assert!(alert(&proxy, id).is_none(), "{id}");
    }
    drop(miner);
}
