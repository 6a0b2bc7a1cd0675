//! SIGHUP: sections that can change at run time do, others are named, and an unchanged file changes nothing.

use std::net::SocketAddr;

use crate::common::binary::Sluice;
use crate::common::{upstream, wait_for};
use serde_json::Value;
use sluice::sim::{MinerModel, MinerOptions, OpeningOrder, PoolOptions, SimMiner, SimPool};
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
    get(page, "/status")
}

fn get(page: SocketAddr, path: &str) -> Value {
    ureq::get(format!("http://{page}{path}")).call().unwrap().body_mut().read_json().unwrap()
}

fn url(pool: &SimPool) -> String {
    format!("url = \"stratum+tcp://{}\"", pool.addr())
}

/// The numbers of the pools, in the order in which they are shown.
fn shown(page: SocketAddr) -> Vec<u64> {
    let upstreams = get(page, "/api/upstreams")["upstreams"].clone();
    upstreams.as_array().unwrap().iter().map(|one| one["upstream"].as_u64().unwrap()).collect()
}

fn mine(sluice: &Sluice) -> SimMiner {
    let options = MinerOptions::new(sluice.address(), MinerModel::Bitaxe, format!("{ADDRESS}.one"));
    SimMiner::start(MinerOptions { extranonce_subscribe: true, ..options }).unwrap()
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
        sluice.wait_line("configuration unchanged; nothing to reload");
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
    sluice.wait_line("applied the new [payout]");
    wait_for("another verdict", || status(page)["payout"]["state"] == "mismatch");
    assert_eq!(status(page)["payout"]["address"], OTHER);
    pool.refresh_job();
    wait_for("an alert", || status(page)["alerts"]["active"]["high"] == 1);
    sluice.edit("[payout]", "[rules]\noff = [\"payout.mismatch\"]\n[payout]");
    sluice.signal("HUP");
    sluice.wait_line("applied the new [rules]");
    wait_for("the end of the alert", || status(page)["alerts"]["active"]["high"] == 0);
    assert_eq!(miner.stats().reconnects, 0);
}

#[test]
fn a_reload_names_what_can_not_change_and_a_wrong_one_changes_nothing() {
    let pool = pool();
    let (mut sluice, page) = run(&pool, "mode = \"aggregate\"");
    sluice.edit("target = \"15s\"", "target = \"30s\"");
    sluice.edit("[http]", "[ratelimit]\nban = \"1h\"\n[http]");
    sluice.signal("HUP");
    sluice.wait_line("applied the new [vardiff]");
    sluice.wait_line("[ratelimit] changed; this takes effect at the next start");
    wait_for("the new target", || status(page)["vardiff"]["target_seconds"] == 30.0);
    sluice.edit("target = \"30s\"", "target = \"30 parsecs\"");
    sluice.signal("HUP");
    sluice.wait_line("the old configuration stays in effect");
    assert!(sluice.is_running());
    assert_eq!(status(page)["vardiff"]["target_seconds"], 30.0);
}

#[test]
fn another_pool_takes_the_place_of_one_that_is_not_listed_any_more() {
    for mode in ["passthrough", "aggregate"] {
        let (old, new) = (pool(), pool());
        let (sluice, page) = run(&old, &format!("mode = \"{mode}\""));
        let miner = mine(&sluice);
        wait_for("shares", || miner.stats().accepted > 2);
        sluice.edit(&url(&old), &url(&new));
        sluice.signal("HUP");
        sluice.wait_line("applied the new [[upstream]]");
        wait_for("the new pool", || new.stats().connections_now == 1 && old.stats().connections_now == 0);
        let accepted = miner.stats().accepted;
        wait_for("shares there", || miner.stats().accepted > accepted + 2);
        // Where miners share a connection, the new one was there first, and they were told.
        assert_eq!(miner.stats().reconnects, u64::from(mode == "passthrough"), "{mode}");
        wait_for("one pool in the status", || shown(page) == [2]);
        let one = get(page, "/api/upstreams")["upstreams"][0].clone();
        assert_eq!(one["pool"], new.addr().to_string());
        wait_for("its miner", || get(page, "/api/upstreams")["upstreams"][0]["sessions"] == 1);
        wait_for("its shares", || get(page, "/api/upstreams")["upstreams"][0]["accepted"] != 0);
        let share = get(page, "/api/shares?upstream=2&limit=1")["shares"][0].clone();
        assert_eq!(share["pool"], new.addr().to_string());
        let ready = ureq::get(format!("http://{page}/readyz")).call();
        assert!(ready.is_ok(), "{ready:?}");
    }
}

#[test]
fn a_pool_more_touches_nobody_and_is_returned_to_when_it_is_preferred() {
    for mode in ["passthrough", "aggregate"] {
        let (old, new) = (pool(), pool());
        let failback = "[failover]\nfailback_after = \"1s\"";
        let (sluice, page) = run(&old, &format!("mode = \"{mode}\"\n{failback}"));
        let miner = mine(&sluice);
        wait_for("shares", || miner.stats().accepted > 2);
        let before = (old.stats().subscribed_ever, miner.stats().extranonce1);
        sluice.edit(&url(&old), &format!("{}\n[[upstream]]\n{}", url(&old), url(&new)));
        sluice.signal("HUP");
        wait_for("two pools in the status", || shown(page) == [1, 2]);
        let accepted = miner.stats().accepted;
        wait_for("more shares", || miner.stats().accepted > accepted + 2);
        assert_eq!((old.stats().subscribed_ever, miner.stats().extranonce1), before, "{mode}");
        let later = mine(&sluice);
        wait_for("shares of another miner", || later.stats().accepted > 0);
        sluice.edit(&url(&old), "url = \"the other\"");
        sluice.edit(&url(&new), &url(&old));
        sluice.edit("url = \"the other\"", &url(&new));
        sluice.signal("HUP");
        wait_for("the other order", || shown(page) == [2, 1]);
        wait_for("the move", || new.stats().jobs_sent > 0 && old.stats().connections_now == 0);
        assert!(miner.stats().reconnects <= u64::from(mode == "passthrough"), "{mode}");
    }
}

#[test]
fn who_is_left_with_no_pool_stays_until_one_works() {
    for mode in ["passthrough", "aggregate"] {
        let old = pool();
        // Nobody listens there.
        let nowhere = crate::common::refusing_address();
        let (sluice, page) = run(&old, &format!("mode = \"{mode}\""));
        let miner = mine(&sluice);
        wait_for("shares", || miner.stats().accepted > 2);
        sluice.edit(&url(&old), &format!("url = \"stratum+tcp://{nowhere}\""));
        sluice.signal("HUP");
        wait_for("the news of it", || get(page, "/api/upstreams")["upstreams"][0]["standing"] == "failed");
        let accepted = miner.stats().accepted;
        wait_for("more shares", || miner.stats().accepted > accepted + 2);
        let shown = get(page, "/api/upstreams")["upstreams"].clone();
        assert_eq!((&shown[0]["is_listed"], &shown[1]["is_listed"]), (&true.into(), &false.into()));
        sluice.edit(&nowhere.to_string(), &old.addr().to_string());
        sluice.signal("HUP");
        wait_for("the first list", || self::shown(page) == [1]);
        let accepted = miner.stats().accepted;
        wait_for("more shares", || miner.stats().accepted > accepted + 2);
        assert!(miner.stats().reconnects <= u64::from(mode == "passthrough"), "{mode}");
    }
}

#[test]
fn a_list_that_can_not_be_used_changes_nothing() {
    let (old, new) = (pool(), pool());
    let (sluice, page) = run(&old, "");
    let miner = mine(&sluice);
    wait_for("a verdict", || status(page)["payout"]["address"] == ADDRESS);
    let tls = format!("url = \"stratum+ssl://{}\"\nca_file = \"/nowhere/ca.pem\"", new.addr());
    sluice.edit(&url(&old), &tls);
    sluice.edit(ADDRESS, OTHER);
    sluice.signal("HUP");
    sluice.wait_line("the old configuration stays in effect");
    sluice.edit(&tls, &url(&old));
    sluice.signal("HUP");
    sluice.wait_line("applied the new [payout]");
    assert_eq!(sluice.lines_with("applied the new").len(), 1, "{}", sluice.log());
    wait_for("the new address", || status(page)["payout"]["address"] == OTHER);
    assert_eq!((shown(page), miner.stats().reconnects), (vec![1], 0));
}

#[test]
fn who_may_not_share_a_connection_any_more_gets_another() {
    let pool = pool();
    let (sluice, page) = run(&pool, "mode = \"aggregate\"");
    sluice.edit(&url(&pool), &format!("{}\nuser = \"{ADDRESS}\"", url(&pool)));
    sluice.signal("HUP");
    wait_for("the pool by its new terms", || shown(page) == [2]);
    let mine_for = |account: &str| {
        let options = MinerOptions::new(sluice.address(), MinerModel::Bitaxe, format!("{account}.one"));
        SimMiner::start(MinerOptions { extranonce_subscribe: true, ..options }).unwrap()
    };
    let (one, other) = (mine_for(ADDRESS), mine_for(OTHER));
    wait_for("shares", || one.stats().accepted > 0 && other.stats().accepted > 0);
    assert_eq!(pool.stats().connections_now, 1);
    let next = self::pool();
    sluice.edit(&format!("user = \"{ADDRESS}\""), "user = \"{user}\"");
    sluice.edit(&url(&pool), &url(&next));
    sluice.signal("HUP");
    wait_for("a connection each", || next.stats().connections_now == 2);
    wait_for("the other's shares, credited to it", || next.stats().worker(OTHER).accepted > 0);
}

#[test]
fn without_analysis_each_reload_is_taken_however_many_there_are() {
    let pool = pool();
    let more = "[analysis]\nenabled = false\n[rules]\nmin_extranonce2_size = 1";
    let (sluice, page) = run(&pool, more);
    let process = nix::unistd::Pid::from_raw(sluice.id() as i32);
    // More than wait for the analyzer where there is one.
    let reloads = 260;
    for number in 1..=reloads {
        let (from, to) = if number % 2 == 1 { (1, 2) } else { (2, 1) };
        sluice.edit(&format!("min_extranonce2_size = {from}"), &format!("min_extranonce2_size = {to}"));
        nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGHUP).unwrap();
        let began = std::time::Instant::now();
        while sluice.lines_with("applied the new [rules]").len() < number {
            assert!(began.elapsed() < crate::common::DEADLINE, "reload {number} was not taken");
            std::thread::sleep(std::time::Duration::from_micros(500));
        }
    }
    assert_eq!(status(page)["mode"], "passthrough");
}

#[test]
fn a_new_list_of_pools_is_confirmed() {
    let (first, second) = (pool(), pool());
    for mode in ["passthrough", "aggregate"] {
        let (sluice, _) = run(&first, &format!("mode = \"{mode}\""));
        sluice.edit(&url(&first), &format!("{}\n[[upstream]]\n{}", url(&second), url(&first)));
        sluice.signal("HUP");
        let (first, second) = (first.addr(), second.addr());
        sluice
            .wait_line(&format!("the list of pools: added {second}; kept {first}; from now on in the order"));
        sluice.edit(&format!("[[upstream]]\nurl = \"stratum+tcp://{first}\""), "");
        sluice.signal("HUP");
        sluice.wait_line(&format!("the list of pools: removed {first}; kept {second}"));
    }
}
