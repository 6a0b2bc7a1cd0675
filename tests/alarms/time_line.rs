//! The time line: `events.jsonl`, `/api/events` and `/events`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use serde_json::Value;
use sluice::app::AppOptions;

use super::{WRONG, alert, has_event, kinds, known_miner};
use crate::common::job_pool::JobPool;
use crate::common::recorded::config;
use crate::common::site::PageServer;
use crate::common::{Proxy, wait_for};

fn start(pool: &JobPool, directory: &Path) -> Proxy {
    let record_to = Some(directory.to_owned());
    Proxy::with_options(&config(&pool.upstream()), AppOptions { record_to, ..AppOptions::default() })
}

fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn lines(directory: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.join("events.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn events_are_recorded_shown_and_read_back_after_a_restart() {
    let (pool, directory) = (JobPool::start(true), tempfile::tempdir().unwrap());
    let mut proxy = start(&pool, directory.path());
    let _miner = known_miner(&proxy, "w.kitchen<b>");
    let _wrong = known_miner(&proxy, WRONG);
    wait_for("the pool", || has_event(&proxy, "pool.connected"));
    wait_for("the alert", || {
        alert(&proxy, "payout.address_typo").is_some() && has_event(&proxy, "alert.begun")
    });
    wait_for("the miner", || has_event(&proxy, "miner.first_seen"));
    let page = PageServer::start(proxy.app().snapshots.clone(), None);
    wait_for("the newest snapshot", || get(page.address(), "/api/events").1.contains("miner.first_seen"));
    let json = |query: &str| -> Value {
        let (head, body) = get(page.address(), &format!("/api/events{query}"));
        assert!(head.contains("application/json"), "{head}");
        serde_json::from_str(&body).unwrap()
    };
    let all = json("");
    let events = all["events"].as_array().unwrap();
    assert_eq!(events.last().unwrap()["kind"], "program.start");
    let keys: Vec<&String> = events[0].as_object().unwrap().keys().collect();
    for key in ["at", "kind", "severity", "subject", "worker", "upstream", "text", "data"] {
        assert!(keys.iter().any(|known| *known == key), "{key}");
    }
    let of_pools = json("?kind=pool");
    assert!(
        of_pools["events"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["kind"].as_str().unwrap().starts_with("pool."))
    );
    assert_eq!(json("?worker=w.kitchen%3Cb%3E&kind=miner.first_seen")["total"], 1);
    assert_eq!(json("?limit=1")["events"].as_array().unwrap().len(), 1);
    assert!(get(page.address(), "/api/events?limit=501").0.contains("400"));
    let (head, html) = get(page.address(), "/events");
    assert!(head.contains("text/html") && head.contains("Content-Security-Policy"), "{head}");
    assert!(html.contains("Sluice") && html.contains("w.kitchen&lt;b&gt;") && !html.contains("w.kitchen<b>"));
    let (_, filtered) = get(page.address(), "/events?kind=program");
    assert!(filtered.contains("started") && !filtered.contains("miner.first_seen"));
    drop(page);
    proxy.shut_down();
    let written = lines(directory.path());
    assert_eq!(written.first().unwrap()["kind"], "program.start");
    assert_eq!(written.last().unwrap()["kind"], "program.stop");
    // The next run has them, too, and begins with its own start.
    let mut proxy = start(&pool, directory.path());
    let again = kinds(&proxy);
    let before = written.iter().rev().map(|event| event["kind"].as_str().unwrap().to_owned());
    assert_eq!(again[again.len() - written.len()..], before.collect::<Vec<_>>());
    assert_eq!(again[again.len() - written.len() - 1], "program.start");
    let start = proxy.snapshot().events.iter().find(|event| event.kind == "program.start").cloned().unwrap();
    assert_eq!(start.data["after_crash"], false);
    proxy.shut_down();
}
