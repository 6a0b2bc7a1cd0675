//! Other pools are listed while miners mine.

use std::time::{Duration, Instant};

use serde_json::json;
use sluice::config::{Config, Overrides};

use crate::aggregate::opened::{
    EASY, expect_credited, expect_moved, first, follow_extranonces, is_within, upstream,
};
use crate::aggregate::scripted::Scripted;
use crate::aggregate::site::Site;
use crate::common::pool::Port;

/// As SIGHUP does it.
fn relist(site: &Site, text: &str) {
    let config = Config::parse(text, &Overrides::default()).unwrap();
    site.running().relist(&config.upstreams, |_| ()).unwrap();
}

#[test]
fn a_miner_that_stays_keeps_its_name_when_accounts_are_told_apart() {
    let pool = Scripted::start();
    let site = Site::with(&upstream(&pool, "farm"));
    let (mut one, _end) = first(&site, &pool, "aa000001", "a.rig1");
    follow_extranonces(&mut one);
    relist(&site, &upstream(&pool, "{user}"));
    let mut end = pool.accept_opening();
    end.open("bb000001", 8);
    end.set_difficulty(EASY);
    assert_eq!(end.authorize(), "a");
    end.notify(true);
    expect_moved(&mut one, "bb000001");
    for worker in ["a.rig1", "a.rig2"] {
        one.ask(9, "mining.authorize", json!([worker, "x"]));
        assert_eq!(one.answer(9)["result"], true, "{worker}");
    }
    one.ask(10, "mining.authorize", json!(["b.rig1", "x"]));
    assert_eq!(one.answer(10)["error"][0], 24);
}

#[test]
fn nobody_has_to_reconnect_before_another_pool_works() {
    let pool = Scripted::start();
    let site = Site::with(&upstream(&pool, "farm"));
    let (mut one, mut end) = first(&site, &pool, "aa000001", "a.rig1");
    let mut two = site.miner("two", "b.rig2");
    // Nobody listens there yet.
    let port = Port::reserve();
    relist(&site, &crate::common::upstream(port.address()));
    for _ in 0..3 {
        expect_credited(&mut one, &mut end, "farm");
        expect_credited(&mut two, &mut end, "farm");
    }
    let next = Scripted::listening(port.open());
    let mut end = next.accept_opening();
    end.open("bb000001", 8);
    end.set_difficulty(EASY);
    // The other's name is no business of this connection's any more.
    assert_eq!(end.authorize(), "a");
    end.notify(true);
    // Neither can be told, and each has a connection of its own then.
    one.wait_end();
    two.wait_end();
}

#[test]
fn a_pool_that_is_not_listed_any_more_is_no_reason_to_wait_for() {
    let (old, pool) = (Scripted::start(), Scripted::start());
    let site = Site::start(&[old.address()], "[failover]\nconnect_deadline = \"60s\"\n");
    relist(&site, &crate::common::upstream(pool.address()));
    let mut line = site.connect();
    let began = Instant::now();
    line.ask(1, "mining.subscribe", json!(["x"]));
    let mut end = pool.accept_opening();
    // Too little to share.
    end.open("aa000001", 2);
    let answer = line.answer(1);
    assert_eq!(answer["error"][0], 20);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(!is_within(&line, "aa000001"));
}

#[test]
fn a_pool_that_refuses_us_is_no_better_than_one_that_is_not_listed_any_more() {
    let (pool, next) = (Scripted::start(), Scripted::start());
    let site = Site::with(&upstream(&pool, "farm"));
    let (mut one, mut end) = first(&site, &pool, "aa000001", "a.rig1");
    relist(&site, &upstream(&next, "frm"));
    let mut refusing = next.accept_opening();
    refusing.open("bb000001", 8);
    let authorize = refusing.request("mining.authorize");
    // Its refusal last: it is left for that at once.
    refusing.first_job();
    refusing.refuse(&authorize, 24, "never heard of it");
    refusing.wait_closed();
    for _ in 0..3 {
        expect_credited(&mut one, &mut end, "farm");
    }
}
