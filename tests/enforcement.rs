//! `payout.on_mismatch = "block"` and `chain.on_wrong = "block"`: a pool that does not pay its miner, or
//! mines another coin, is left, and a person can clear it.

use std::net::SocketAddr;

use crate::common::binary::Sluice;
use crate::common::wait_for;
use serde_json::Value;
use sluice::sim::{MinerModel, MinerOptions, OpeningOrder, PoolOptions, SimMiner, SimPayout, SimPool};
use sluice::stratum::Nbits;

const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const STRANGER: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
const MAINNET: Nbits = Nbits(0x1702_3a04);

fn pool(seed: u64, payout: SimPayout, nbits: Nbits) -> SimPool {
    let options =
        PoolOptions { seed, payout, nbits, opening: OpeningOrder::PublicPool, ..PoolOptions::default() };
    SimPool::start(options).unwrap()
}

fn run(pools: &[&SimPool], more: &str) -> (Sluice, SocketAddr) {
    let pools: String = pools.iter().map(|pool| crate::common::upstream(pool.addr())).collect();
    let text = format!(
        "[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\ntoken = \"open\"\n{more}{pools}"
    );
    let sluice = Sluice::run(&text);
    let line = sluice.wait_line("the page is at ");
    let page = line.rsplit("http://").next().unwrap().trim_end_matches('/').parse().unwrap();
    (sluice, page)
}

fn mine(sluice: &Sluice) -> SimMiner {
    let mut options = MinerOptions::new(sluice.address(), MinerModel::Bitaxe, format!("{ADDRESS}.one"));
    options.retry_wait = Some(std::time::Duration::from_millis(100));
    SimMiner::start(options).unwrap()
}

fn upstreams(page: SocketAddr) -> Vec<Value> {
    let url = format!("http://{page}/api/upstreams");
    let mut answer = ureq::get(&url).header("Authorization", "Bearer open").call().unwrap();
    let document: Value = answer.body_mut().read_json().unwrap();
    document["upstreams"].as_array().unwrap().clone()
}

/// Waits, because the page is up to half a second old.
fn wait_standing(page: SocketAddr, standing: &str) {
    wait_for(standing, || upstreams(page)[0]["standing"] == standing);
}

fn clear(page: SocketAddr, number: usize, token: Option<&str>) -> u16 {
    let mut request = ureq::post(format!("http://{page}/api/upstreams/{number}/clear"));
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    match request.send_empty() {
        Ok(answer) => answer.status().as_u16(),
        Err(ureq::Error::StatusCode(status)) => status,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_pool_that_pays_a_stranger_is_left_until_a_person_clears_it() {
    let bad = pool(1, SimPayout::Address(STRANGER.to_owned()), MAINNET);
    let good = pool(2, SimPayout::default(), MAINNET);
    let (sluice, page) = run(&[&bad, &good], "[payout]\non_mismatch = \"block\"\n");
    let miner = mine(&sluice);
    wait_for("a share at the good pool", || good.stats().accepted() > 0);
    wait_standing(page, "blocked");
    let states = upstreams(page);
    assert!(states[0]["blocked"].as_str().unwrap().contains(ADDRESS), "{states:?}");
    assert_eq!((&states[1]["standing"], &states[1]["blocked"]), (&Value::from("up"), &Value::Null));
    assert_eq!(sluice.lines_with("taken out of rotation").len(), 1);

    // Nobody without the token, nothing that is not there.
    assert_eq!(clear(page, 1, None), 401);
    assert_eq!(clear(page, 1, Some("wrong")), 401);
    assert_eq!(clear(page, 3, Some("open")), 404);
    assert_eq!(upstreams(page)[0]["standing"], "blocked");
    bad.stop();
    assert_eq!(clear(page, 1, Some("open")), 200);
    wait_for("the end of the block", || upstreams(page)[0]["standing"] != "blocked");
    miner.stop();
}

#[test]
fn with_no_other_pool_nobody_mines_for_the_stranger() {
    let bad = pool(3, SimPayout::Address(STRANGER.to_owned()), MAINNET);
    let more = "[payout]\non_mismatch = \"block\"\n[failover]\nconnect_deadline = \"1s\"\n";
    let (sluice, page) = run(&[&bad], more);
    let miner = mine(&sluice);
    wait_standing(page, "blocked");
    wait_for("the end of its session", || upstreams(page)[0]["sessions"] == 0);
    let connections = bad.stats().connections_ever;
    let tries = miner.stats().connections;
    wait_for("more tries of the miner", || miner.stats().connections > tries);
    assert_eq!(bad.stats().connections_ever, connections);
    miner.stop();
}

#[test]
fn another_coin_is_left_where_that_is_asked_for() {
    let other_coin = pool(4, SimPayout::default(), Nbits(0x1801_3ce9));
    let bitcoin = pool(5, SimPayout::default(), MAINNET);
    let (sluice, page) = run(&[&other_coin, &bitcoin], "[chain]\non_wrong = \"block\"\n");
    let miner = mine(&sluice);
    wait_for("a share on Bitcoin", || bitcoin.stats().accepted() > 0);
    wait_standing(page, "blocked");
    miner.stop();
}

#[test]
fn by_default_there_is_an_alert_and_mining_goes_on() {
    let bad = pool(6, SimPayout::Address(STRANGER.to_owned()), MAINNET);
    let (sluice, page) = run(&[&bad], "");
    let miner = mine(&sluice);
    sluice.wait_line("payout.mismatch");
    wait_for("shares all the same", || bad.stats().accepted() > 3);
    wait_standing(page, "up");
    miner.stop();
}
