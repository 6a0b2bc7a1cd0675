//! SIGHUP: what can change does, what can't is named, and a file that says the same touches nothing.

mod common;

use std::net::SocketAddr;

use common::binary::Sluice;
use common::{upstream, wait_for};
use serde_json::Value;
use sluice::sim::{Habit, MinerOptions, OpeningOrder, PoolOptions, SimMiner, SimPool};
use sluice::stratum::Nbits;

const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const OTHER: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";

fn pool() -> SimPool {
    let (nbits, opening) = (Nbits(0x1702_3a04), OpeningOrder::PublicPool);
    SimPool::start(PoolOptions { nbits, opening, ..PoolOptions::default() }).unwrap()
}

fn run(pool: &SimPool, more: &str) -> (Sluice, SocketAddr) {
    let sluice = Sluice::run(&format!(
        "{more}\n[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [payout]\naddress = \"{ADDRESS}\"\n[vardiff]\ntarget = \"15s\"\n{}",
        upstream(pool.addr())
    ));
    let line = sluice.wait_line("the page is at http://");
    let page = line.rsplit("http://").next().unwrap().trim_end_matches('/').parse().unwrap();
    (sluice, page)
}

fn status(page: SocketAddr) -> Value {
    ureq::get(format!("http://{page}/status")).call().unwrap().body_mut().read_json().unwrap()
}

fn mine(sluice: &Sluice) -> SimMiner {
    let options = MinerOptions::new(sluice.address(), Habit::Bitaxe, format!("{ADDRESS}.one"));
    SimMiner::start(options).unwrap()
}

#[test]
fn a_file_that_says_the_same_touches_nothing() {
    let pool = pool();
    for mode in ["passthrough", "aggregate"] {
        let (sluice, page) = run(&pool, &format!("mode = \"{mode}\""));
        let miner = mine(&sluice);
        wait_for("shares", || miner.stats().accepted > 2);
        let before = (pool.stats().subscribed_ever, miner.stats().extranonce1);
        sluice.edit("target = \"15s\"", "target = \"15000ms\" # as before");
        sluice.signal("HUP");
        sluice.wait_line("nothing is touched");
        let accepted = miner.stats().accepted;
        wait_for("more shares", || miner.stats().accepted > accepted + 2);
        assert_eq!((pool.stats().subscribed_ever, miner.stats().extranonce1), before, "{mode}");
        assert_eq!(miner.stats().reconnects, 0);
        assert_eq!(status(page)["mode"], mode);
    }
}

#[test]
fn who_is_to_be_paid_can_change() {
    let pool = pool();
    let (sluice, page) = run(&pool, "");
    let miner = mine(&sluice);
    wait_for("a verified payout", || status(page)["payout"]["state"] == "verified");
    sluice.edit(ADDRESS, OTHER);
    sluice.signal("HUP");
    sluice.wait_line("from now on with the new [payout]");
    wait_for("another verdict", || status(page)["payout"]["state"] == "mismatch");
    assert_eq!(status(page)["payout"]["address"], OTHER);
    pool.refresh_job();
    wait_for("an alert", || status(page)["alerts"]["active"]["high"] == 1);
    sluice.edit("[payout]", "[rules]\noff = [\"payout.mismatch\"]\n[payout]");
    sluice.signal("HUP");
    sluice.wait_line("from now on with the new [rules]");
    wait_for("the end of the alert", || status(page)["alerts"]["active"]["high"] == 0);
    assert_eq!(miner.stats().reconnects, 0);
}

#[test]
fn what_can_not_change_is_named_and_what_is_wrong_changes_nothing() {
    let pool = pool();
    let (mut sluice, page) = run(&pool, "mode = \"aggregate\"");
    sluice.edit("target = \"15s\"", "target = \"30s\"");
    sluice.edit("[http]", "[ratelimit]\nban = \"1h\"\n[http]");
    sluice.signal("HUP");
    sluice.wait_line("from now on with the new [vardiff]");
    sluice.wait_line("[ratelimit] changed; that takes effect at the next start");
    wait_for("the new target", || status(page)["vardiff"]["target_seconds"] == 30.0);
    sluice.edit("target = \"30s\"", "target = \"30 parsecs\"");
    sluice.signal("HUP");
    sluice.wait_line("the configuration stays as it was");
    assert!(sluice.is_running());
    assert_eq!(status(page)["vardiff"]["target_seconds"], 30.0);
}
