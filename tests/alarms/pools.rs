//! `pool.unreachable` and `pool.failed_over`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use super::{QUICK, alert, has_event, kinds};
use crate::common::job_pool::{JobMiner, JobPool};
use crate::common::pool::{Mood, Pool, Port, served_by};
use crate::common::{Proxy, expect_end, wait_for, wait_within};

/// [`QUICK`], with frequent checks of pools that no miner uses.
fn quick_checks() -> String {
    format!("{QUICK}idle_check = \"300ms\"\n")
}

/// Takes half a minute, since an outage is reported after that.
#[test]
fn that_no_pool_works_is_reported_though_no_miner_has_ever_come() {
    let port = Port::reserve();
    let address = port.address();
    let proxy = Proxy::to(&[address], &quick_checks());
    wait_for("the failure", || has_event(&proxy, "pool.failed"));
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
fn a_pool_that_dies_while_no_miner_uses_it_is_noticed() {
    let (first, second) = (Pool::start("first", Mood::Answer), Pool::start("second", Mood::Answer));
    let proxy = Proxy::to(&[first.address(), second.address()], &quick_checks());
    let failed = || {
        let events = proxy.snapshot().events.clone();
        let failed = events.iter().filter(|event| event.kind == "pool.failed");
        failed.map(|event| event.subject.to_string()).collect::<Vec<_>>()
    };
    // Both are asked after the start, whether a miner needs them or not.
    wait_for("the checks", || {
        let all = [&first, &second];
        all.iter().all(|pool| pool.received().contains("mining.subscribe"))
    });
    wait_for("the connections", || {
        kinds(&proxy).iter().filter(|kind| *kind == "pool.connected").count() == 2
    });
    // Nothing but that is sent.
    assert!(!first.received().contains("mining.authorize"));
    // It accepts connections, and says nothing.
    first.set_mood(Mood::Silent);
    wait_for("the failure", || failed() == [first.address().to_string()]);
    second.kill();
    wait_for("the next failure", || failed().contains(&second.address().to_string()));
}

/// A port where a web server answers, or one that expects TLS, keeps its connections open in the test.
#[test]
fn another_service_than_a_pool_is_named_and_its_miners_get_the_next_pool() {
    for (answer, said) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "a web server answers"),
        (b"\x15\x03\x01\x00\x02\x02F", "TLS"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept() {
                if stream.read(&mut [0; 512]).is_ok_and(|length| length > 0) {
                    let _ = stream.write_all(answer);
                }
                open.push(stream);
            }
        });
        let pool = Pool::start("pool", Mood::Answer);
        let proxy = Proxy::to(&[address, pool.address()], QUICK);
        assert_eq!(served_by(&proxy.connect()), "pool");
        let reason = || {
            let events = proxy.snapshot().events.clone();
            let failed = events.iter().find(|event| event.kind == "pool.failed")?;
            Some((failed.subject.to_string(), failed.text.to_string()))
        };
        wait_for("the failure", || reason().is_some());
        let (subject, text) = reason().unwrap();
        assert!(subject == address.to_string() && text.contains(said), "{text}");
    }
}

#[test]
fn a_pool_that_miners_use_is_not_asked() {
    let (pool, other) = (Pool::start("used", Mood::Answer), Pool::start("idle", Mood::Answer));
    let proxy = Proxy::to(&[pool.address(), other.address()], &quick_checks());
    let miner = proxy.connect();
    assert_eq!(served_by(&miner), "used");
    // The other one is asked ten times as rarely as the next one, so the used one would have been asked ten times.
    wait_for("two checks of the other pool", || other.received().matches("mining.subscribe").count() >= 2);
    let asked = pool.received().matches("mining.subscribe").count();
    assert!(asked <= 2, "{asked}");
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
