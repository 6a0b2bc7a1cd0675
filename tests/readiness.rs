//! `/readyz` and `/servingz`: whether Sluice is mining, and whether it could.

use std::io::Write;
use std::net::SocketAddr;

use crate::common::binary::Sluice;
use crate::common::pool::Port;
use crate::common::{BarePool, EchoPool, exchange, expect, expect_end, refusing_address, upstream, wait_for};

/// A running program and the address of its page.
fn run(pools: &[SocketAddr], more: &str) -> (Sluice, SocketAddr) {
    let pools: String = pools.iter().map(|pool| upstream(*pool)).collect();
    let failover =
        "[failover]\nconnect_deadline = \"500ms\"\nbackoff_min = \"50ms\"\nbackoff_max = \"100ms\"\n";
    let sluice = Sluice::run(&format!(
        "{more}[listen]\nstratum = [\"127.0.0.1:0\"]\nmax_miners = 2\n[http]\nlisten = \"127.0.0.1:0\"\n{failover}{pools}"
    ));
    let line = sluice.wait_line("the page is at http://");
    let page = line.rsplit("http://").next().unwrap().trim_end_matches('/').parse().unwrap();
    (sluice, page)
}

/// Status code and body.
fn get(page: SocketAddr, path: &str) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.get(format!("http://{page}{path}")).call().unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

const SUBSCRIBE: &str = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n";
const SUBSCRIBED: &str = "{\"id\":1,\"result\":[[],\"ae6812eb\",4],\"error\":null}\n";
const AUTHORIZE: &str = "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n";
const AUTHORIZED: &str = "{\"id\":2,\"result\":true,\"error\":null}\n";

/// A job of a real pool.
fn job() -> String {
    let row = include_str!("data/real_notifies.jsonl").lines().next().unwrap();
    let row: serde_json::Value = serde_json::from_str(row).unwrap();
    format!("{}\n", row["line"].as_str().unwrap())
}

#[test]
fn a_failed_connection_does_not_end_the_mining_of_others() {
    for analysis in ["true", "false"] {
        let pool = BarePool::start();
        let (sluice, page) = run(&[pool.address()], &format!("[analysis]\nenabled = {analysis}\n"));
        assert_eq!(get(page, "/readyz"), (503, String::from("no miner is connected, so no pool is\n")));
        let miner = sluice.connect();
        let mut at_pool = pool.accept();
        exchange(&miner, &at_pool, SUBSCRIBE, SUBSCRIBED);
        exchange(&miner, &at_pool, AUTHORIZE, AUTHORIZED);
        at_pool.write_all(job().as_bytes()).unwrap();
        expect(&miner, job().as_bytes());
        wait_for("a miner that mines", || get(page, "/readyz") == (200, String::from("ready\n")));
        // The pool takes nobody else from now on.
        drop(pool);
        let other = sluice.connect();
        expect_end(&other);
        sluice.wait_line("next try in");
        wait_for("a failed pool", || get(page, "/servingz").1.starts_with("no pool can be used: "));
        assert_eq!(get(page, "/readyz"), (200, String::from("ready\n")), "analysis = {analysis}");
        drop(at_pool);
        expect_end(&miner);
        drop(miner);
        wait_for("a pool that is gone", || get(page, "/readyz").0 == 503);
    }
}

#[test]
fn it_can_serve_without_a_miner_and_not_without_a_pool() {
    let port = Port::reserve();
    let (sluice, page) = run(&[refusing_address(), port.address()], "");
    // Nobody has asked so far, and nobody has been dialled.
    assert!(sluice.lines_with("next try in").is_empty());
    wait_for("two pools that were tried", || {
        get(page, "/servingz").1.matches("nothing listens there").count() == 2
    });
    assert_eq!(get(page, "/servingz").0, 503);
    let pool = EchoPool::on(port.open());
    wait_for("a pool", || get(page, "/servingz") == (200, String::from("serving\n")));
    assert_eq!(get(page, "/readyz").0, 503);
    let miners = [sluice.connect(), sluice.connect()];
    wait_for("all miners", || get(page, "/servingz").1.contains("listen.max_miners = 2"));
    drop(miners);
    wait_for("room for a miner", || get(page, "/servingz").0 == 200);
    drop(pool);
}
