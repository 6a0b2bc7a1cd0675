//! Pools that fail in all their ways, and what becomes of the miners meanwhile.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::aggregate::opened::{
    QUIET, code, expect_credited, expect_moved, first, follow_extranonces, is_within, one_pool, send,
    two_pools, upstream,
};
use crate::aggregate::scripted::Scripted;
use crate::aggregate::site::{Line, Site};
use crate::common::{DEADLINE, refusing_address, wait_for};

/// Opens the backup and sees the miner come over.
fn expect_failover(line: &mut Line, backup: &Scripted) {
    let mut end = backup.accept_and_give_work("bbbbbbbb");
    expect_moved(line, "bbbbbbbb");
    expect_credited(line, &mut end, "acct");
}

#[test]
fn a_pool_that_closes_every_connection_is_left_after_a_few() {
    let (pool, backup, site) = two_pools("");
    let (mut line, mut end) = first(&site, &pool, "aa000000", "acct.one");
    follow_extranonces(&mut line);
    let mut closed = 0;
    drop(end);
    while closed < 2 {
        let again = pool.accept();
        assert!(backup.accept_within(Duration::ZERO).is_none(), "it is tried again first");
        end = again;
        end.give_work(&format!("aa00000{}", closed + 1));
        expect_moved(&mut line, &format!("aa00000{}", closed + 1));
        closed += 1;
        drop(end);
    }
    expect_failover(&mut line, &backup);
}

#[test]
fn a_subscribe_outlives_a_pool_that_closes_before_it_answers() {
    let (pool, site) = one_pool("[failover]\nbackoff_min = \"30s\"\nbackoff_max = \"30s\"\n");
    let mut line = site.connect();
    line.ask("waits", "mining.subscribe", json!(["first"]));
    let began = Instant::now();
    let mut end = pool.accept();
    end.request("mining.subscribe");
    drop(end);
    let mut end = pool.accept_opening();
    end.open("bb000001", 8);
    line.wait_subscribed("waits");
    assert!(is_within(&line, "bb000001"));
    // Without a pause: a NerdMiner waits for 1.2 s (wire reference, section 1.6).
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_pool_that_falls_silent_has_failed() {
    let (pool, backup, site) = two_pools("[failover]\nsilence_timeout = \"1s\"\n");
    let (mut line, mut end) = first(&site, &pool, "aa000001", "acct.one");
    follow_extranonces(&mut line);
    expect_failover(&mut line, &backup);
    end.wait_closed();
}

#[test]
fn a_pool_that_never_ends_a_line_is_as_silent() {
    let (pool, backup, site) = two_pools("[failover]\nsilence_timeout = \"1s\"\n");
    let (_line, end) = first(&site, &pool, "aa000001", "acct.one");
    let mut spare = None;
    wait_for("the other pool", || {
        // Until it is not listened to any more.
        let _ = end.line.raw().write_all(b" ");
        spare = backup.accept_within(Duration::from_millis(20));
        spare.is_some()
    });
}

#[test]
fn a_pool_that_never_answers_is_left_for_the_next() {
    let (pool, backup, site) = two_pools("[failover]\nanswer_timeout = \"200ms\"\n");
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!(["first"]));
    let mut silent = pool.accept();
    let mut spare = backup.accept();
    spare.open("bb000001", 8);
    line.wait_subscribed(1);
    assert!(is_within(&line, "bb000001"));
    silent.wait_closed();
}

#[test]
fn without_a_pool_miners_are_disconnected() {
    let pool = Scripted::start();
    let more = "[failover]\nconnect_deadline = \"300ms\"\n";
    let site = Site::start(&[pool.address(), refusing_address()], more);
    let (mut working, end) = first(&site, &pool, "aa000001", "acct.one");
    follow_extranonces(&mut working);
    drop((pool, end));
    let mut waiting = site.connect();
    waiting.ask(1, "mining.subscribe", json!(["waits"]));
    let began = Instant::now();
    working.wait_end();
    waiting.wait_end();
    let took = began.elapsed();
    assert!((Duration::from_millis(100)..Duration::from_secs(20)).contains(&took), "{took:?}");
}

/// Takes connections, waits for the first words, and closes.
fn closing_pool() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 512]);
        }
    });
    address
}

#[test]
fn pools_that_only_take_connections_do_not_keep_miners() {
    let pool = Scripted::start();
    let more = "[failover]\nconnect_deadline = \"500ms\"\nbackoff_min = \"10ms\"\nbackoff_max = \"10ms\"\n";
    let site = Site::start(&[pool.address(), closing_pool(), closing_pool()], more);
    let (mut working, end) = first(&site, &pool, "aa000001", "acct.one");
    follow_extranonces(&mut working);
    drop((pool, end));
    let began = Instant::now();
    working.wait_end();
    assert!(began.elapsed() < DEADLINE / 4, "{:?}", began.elapsed());
}

#[test]
fn a_pool_that_accepts_and_credits_nobody_is_left() {
    let (pool, backup, site) = two_pools("");
    let (mut line, mut end) = first(&site, &pool, "aa000001", "acct.one");
    follow_extranonces(&mut line);
    for _ in 0..10 {
        let id = send(&mut line);
        let arrived = end.share();
        end.refuse(&arrived, 24, "Unauthorized worker");
        assert_eq!(code(&line.answer(id)), 24);
    }
    expect_failover(&mut line, &backup);
}

#[test]
fn a_pool_that_refuses_everybody_is_left_by_them_alone() {
    let (pool, backup, site) = two_pools("");
    let (mut known, mut end) = first(&site, &pool, "aa000001", "acct.one");
    // Another account has a connection of its own.
    let mut line = site.connect();
    line.ask(1, "mining.configure", json!([["subscribe-extranonce"], {}]));
    line.ask(2, "mining.subscribe", json!(["stranger"]));
    line.ask(3, "mining.authorize", json!(["stranger.x", "x"]));
    let mut other = pool.accept();
    other.open("aa000002", 8);
    let authorize = other.request("mining.authorize");
    assert_eq!(authorize["params"][0], "stranger");
    other.refuse(&authorize, 24, "who?");
    let mut spare = backup.accept();
    spare.open("bb000001", 8);
    assert_eq!(spare.authorize(), "stranger");
    spare.first_job();
    line.worker = "stranger.x".to_owned();
    line.wait("a job", |message| message["method"] == "mining.notify");
    assert!(is_within(&line, "bb000001"));
    expect_credited(&mut line, &mut spare, "stranger");
    // Nothing of it concerns those whom the pool knows.
    expect_credited(&mut known, &mut end, "acct");
    assert!(pool.accept_within(QUIET).is_none());
}

#[test]
fn refused_by_every_pool_a_miner_hears_it() {
    let (pool, backup) = (Scripted::start(), Scripted::start());
    // No probe comes to the first pool while the test looks.
    let failover = "[failover]\nconnect_deadline = \"60s\"\nanswer_timeout = \"30s\"\nbackoff_min = \"1h\"\nbackoff_max = \"1h\"\n";
    let site = Site::with(&format!("{failover}{}{}", upstream(&pool, "farm"), upstream(&backup, "farm")));
    let mut line = site.connect();
    line.ask(1, "mining.configure", json!([["subscribe-extranonce"], {}]));
    line.ask(2, "mining.subscribe", json!(["first"]));
    let refuse = |pool: &Scripted, extranonce1| {
        let mut end = pool.accept();
        end.open(extranonce1, 8);
        end.refuse_authorize(24, "not here");
        end
    };
    refuse(&pool, "aa000001").wait_closed();
    let mut end = refuse(&backup, "bb000001");
    end.first_job();
    let mut miner = site.asking("again", "x.y");
    assert_eq!(miner.answer(2)["error"], json!([24, "not here", null]));
    miner.wait_job();
    let id = send(&mut miner);
    assert_eq!(miner.answer(id)["error"], json!([24, "not here", null]));
    assert!(is_within(&miner, "bb000001"));
    // The group may try the first pool again now: the miner has logged in with a name that it has not refused.
}
