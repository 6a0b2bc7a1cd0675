//! One share counts the same wherever it is shown.

use std::io::Write;

use serde_json::Value;
use sluice::status::json::{api, status};
use sluice::status::metrics::metrics;
use sluice::status::page::PageRequest;
use sluice::status::snapshot::StatusSnapshot;
use sluice::status::{console, page};

use crate::common::prometheus::{read, value};
use crate::common::recorded::Recorded;
use crate::common::shown::empty;
use crate::common::{BarePool, expect, submit};

/// Caps the shares that are followed while they wait for their answers; the results of others are unknown.
const FOLLOWED: u64 = 512;
const SENT: u64 = 600;

#[test]
fn shares_whose_answers_nobody_followed_are_unknown_everywhere_and_not_unanswered() {
    let pool = BarePool::start();
    let recorded = Recorded::start(&format!("[analysis]\nshare_timeout = \"4s\"\n{}", pool.upstream()));
    let mut miner = recorded.connect();
    let mut at_pool = pool.accept();
    let authorize = "{\"id\":1,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n";
    miner.write_all(authorize.as_bytes()).unwrap();
    expect(&at_pool, authorize.as_bytes());
    at_pool.write_all(b"{\"id\":1,\"result\":true,\"error\":null}\n").unwrap();
    let submits: Vec<String> = (1..=SENT).map(|nonce| submit("w", nonce + 1, nonce as u32)).collect();
    for some in submits.chunks(50) {
        miner.write_all(some.concat().as_bytes()).unwrap();
        expect(&at_pool, some.concat().as_bytes());
    }
    let unknown = SENT - FOLLOWED;
    recorded.wait("what is not followed", |snapshot| {
        snapshot.totals.as_ref().is_some_and(|totals| totals.unknown == unknown)
    });
    check(&recorded, unknown, 0);
    recorded.wait_judged(SENT);
    check(&recorded, unknown, FOLLOWED);
}

/// Everything that shows counts of shares.
fn check(recorded: &Recorded, unknown: u64, unanswered: u64) {
    let mut moment: StatusSnapshot = empty("");
    moment.snapshot = recorded.snapshot();
    let shown: Value = serde_json::from_str(&status(&moment)).unwrap();
    let miners = api("/api/miners", |_| None, &moment).unwrap().body;
    let miners: Value = serde_json::from_slice(&miners).unwrap();
    let families = read(&metrics(&moment));
    let pool = &moment.snapshot.pools[0];
    for (result, count) in [("unknown", unknown), ("unanswered", unanswered)] {
        assert_eq!(shown["shares"][result], count, "{result}");
        assert_eq!(shown["lifetime"][result], count, "{result}");
        assert_eq!(shown["clients"][0][result], count, "{result}");
        assert_eq!(miners["miners"][0][result], count, "{result}");
        let counted = |family: &str, label| value(&families, family, &[label, ("result", result)]);
        assert_eq!(value(&families, "sluice_shares_total", &[("result", result)]), count as f64);
        assert_eq!(counted("sluice_worker_shares_total", ("worker", "w")), count as f64, "{result}");
    }
    assert_eq!((pool.unknown, pool.unanswered), (unknown, unanswered));
    let report = console::report(&moment.snapshot, &moment.runtime).join("\n");
    assert!(report.contains(&format!("{unanswered} unanswered | {unknown} unknown")), "{report}");
    assert!(report.contains(&format!("0 accepted of {}", unknown + unanswered)), "{report}");
    let page = page::page(&moment, &PageRequest::default()).html;
    let tile = |name: &str, count: u64| page.contains(&format!("<dt>{name}</dt><dd>{count}<small>"));
    assert!(tile("unanswered", unanswered) && tile("unknown", unknown), "{page}");
}
