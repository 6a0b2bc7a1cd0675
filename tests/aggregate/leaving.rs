//! Which pools are left, and how: those that work, and those that only seem to.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use sluice::proxy::aggregate::Limits;

use crate::aggregate::opened::{
    EASY, QUIET, expect_credited, expect_moved, first, follow_extranonces, is_within, mining, send,
    two_pools, upstream,
};
use crate::aggregate::scripted::{PoolEnd, Scripted};
use crate::aggregate::site::{Line, Site};

/// A pool that gives no work is given this time; in the configuration too.
const SOON: &str = "[failover]\nfirst_job_timeout = \"200ms\"\n";
const FIRST_JOB: Duration = Duration::from_millis(200);

fn impatient() -> Limits {
    Limits { first_job: FIRST_JOB, ..Limits::default() }
}

/// A miner whose preferred pool was lost, and that works at the backup.
struct Away {
    site: Site,
    line: Line,
    backup: Scripted,
    spare: PoolEnd,
    /// The preferred pool's.
    address: SocketAddr,
}

fn away(limits: Limits) -> Away {
    let (pool, backup) = (Scripted::start(), Scripted::start());
    let pools = format!("{}{}", upstream(&pool, "first"), upstream(&backup, "second"));
    let failover = "[failover]\nfailback_after = \"0s\"\nbackoff_min = \"100ms\"\nbackoff_max = \"100ms\"\n\
        first_job_timeout = \"200ms\"\nconnect_deadline = \"60s\"\nanswer_timeout = \"40s\"\n";
    let site = Site::with_limits(&format!("{failover}{pools}"), limits);
    let address = pool.address();
    let (mut line, end) = first(&site, &pool, "aa000001", "x.one");
    follow_extranonces(&mut line);
    drop((pool, end));
    let spare = backup.accept_and_give_work("bb000001");
    expect_moved(&mut line, "bb000001");
    Away { site, line, backup, spare, address }
}

/// Opens a connection as a pool that has everything but work.
fn give_no_work(end: &mut PoolEnd, extranonce1: &str) {
    end.open(extranonce1, 8);
    end.authorize();
    end.set_difficulty(EASY);
}

#[test]
fn a_better_pool_without_work_is_not_gone_back_to() {
    let mut away = away(impatient());
    let pool = Scripted::on(away.address);
    let mut end = pool.accept_opening();
    give_no_work(&mut end, "dd000001");
    end.wait_closed();
    expect_credited(&mut away.line, &mut away.spare, "second");
    // As soon as it has some, it is.
    let mut end = pool.accept_opening();
    end.give_work("dd000002");
    expect_moved(&mut away.line, "dd000002");
    expect_credited(&mut away.line, &mut end, "first");
}

#[test]
fn a_backup_without_work_is_left_for_the_next() {
    let (pool, idle, backup) = (Scripted::start(), Scripted::start(), Scripted::start());
    let pools = [&pool, &idle, &backup].map(|pool| upstream(pool, "us")).concat();
    let site = Site::with_limits(&format!("{SOON}{pools}"), impatient());
    let (mut line, end) = first(&site, &pool, "aa000001", "x.one");
    follow_extranonces(&mut line);
    drop((pool, end));
    let mut waiting = idle.accept();
    give_no_work(&mut waiting, "cc000001");
    let began = Instant::now();
    let mut spare = backup.accept();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    spare.give_work("bb000001");
    expect_moved(&mut line, "bb000001");
    expect_credited(&mut line, &mut spare, "us");
}

#[test]
fn a_first_pool_without_work_is_left_for_the_next() {
    let (pool, backup) = (Scripted::start(), Scripted::start());
    let pools = [&pool, &backup].map(|pool| upstream(pool, "us")).concat();
    let site = Site::with_limits(&format!("{SOON}{pools}"), impatient());
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!(["first"]));
    let mut end = pool.accept();
    give_no_work(&mut end, "aa000001");
    // A miner does not wait for a job to learn its search space.
    line.wait_subscribed(1);
    assert!(is_within(&line, "aa000001"));
    follow_extranonces(&mut line);
    line.authorize("x.one");
    assert_eq!(line.answer(2)["result"], true);
    let _spare = backup.accept_and_give_work("bb000001");
    expect_moved(&mut line, "bb000001");
    end.wait_closed();
}

#[test]
fn the_only_pool_may_take_its_time() {
    let pool = Scripted::start();
    let site = Site::with_limits(&format!("{SOON}{}", upstream(&pool, "us")), impatient());
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!(["first"]));
    line.ask(2, "mining.authorize", json!(["x.one", "x"]));
    let mut end = pool.accept();
    give_no_work(&mut end, "aa000001");
    assert!(end.line.is_quiet_for(2 * FIRST_JOB), "the connection stays");
    end.notify(true);
    line.wait_job();
}

#[test]
fn a_pool_owes_no_work_to_whom_it_does_not_know() {
    let (pool, backup) = (Scripted::start(), Scripted::start());
    let pools = [&pool, &backup].map(|pool| crate::common::upstream(pool.address())).concat();
    let site =
        Site::with_limits(&format!("{SOON}[aggregate]\nlocal_authorize = false\n{pools}"), impatient());
    let mut line = site.connect();
    let mut end = pool.open_for(&mut line, "first", "aa000001");
    line.ask(2, "mining.authorize", json!(["x.one", "wrong"]));
    end.refuse_authorize(24, "who?");
    assert_eq!(line.answer(2)["error"][0], 24);
    assert!(end.line.is_quiet_for(4 * FIRST_JOB), "the connection stays");
    assert!(backup.accept_within(Duration::ZERO).is_none());
}

#[test]
fn a_pool_that_closes_every_connection_after_a_while_is_left_too() {
    let (pool, backup, site) = two_pools("");
    let (mut line, mut end) = first(&site, &pool, "aa000000", "acct.one");
    follow_extranonces(&mut line);
    for extranonce1 in ["aa000001", "aa000002"] {
        expect_credited(&mut line, &mut end, "acct");
        drop(end);
        end = pool.accept();
        end.give_work(extranonce1);
        expect_moved(&mut line, extranonce1);
    }
    drop(end);
    let began = Instant::now();
    let mut spare = backup.accept();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    spare.give_work("bb000001");
    expect_moved(&mut line, "bb000001");
}

#[test]
fn losses_that_are_far_apart_are_bad_luck() {
    let apart = Duration::from_millis(40);
    let (pool, backup) = (Scripted::start(), Scripted::start());
    let pools = [&pool, &backup].map(|pool| upstream(pool, "us")).concat();
    let site = Site::with_limits(&pools, Limits { disconnect_window: apart, ..Limits::default() });
    let (mut line, mut end) = first(&site, &pool, "aa000000", "x.one");
    follow_extranonces(&mut line);
    for extranonce1 in ["aa000001", "aa000002", "aa000003", "aa000004"] {
        assert!(line.is_quiet_for(2 * apart));
        drop(end);
        end = pool.accept();
        end.give_work(extranonce1);
        expect_moved(&mut line, extranonce1);
    }
    assert!(backup.accept_within(Duration::ZERO).is_none());
}

#[test]
fn the_loss_of_the_present_pool_is_noticed_while_a_better_one_is_dialled() {
    let mut away = away(Limits::default());
    let pool = Scripted::on(away.address);
    let _silent = pool.accept_opening();
    drop(away.spare);
    let began = Instant::now();
    let mut spare = away.backup.accept_opening();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    spare.give_work("bb000002");
    expect_moved(&mut away.line, "bb000002");
    expect_credited(&mut away.line, &mut spare, "second");
}

#[test]
fn a_better_pools_version_mask_holds_only_when_the_miners_are_there() {
    let away = away(Limits::default());
    let pool = Scripted::on(away.address);
    let mut end = pool.accept_opening();
    let configure = end.request("mining.configure");
    end.answer(&configure, json!({ "version-rolling": false }));
    end.wait_until_read();
    let mut new = away.site.connect();
    new.ask(1, "mining.configure", json!([["version-rolling"], { "version-rolling.mask": "ffffffff" }]));
    assert_eq!(new.answer(1)["result"]["version-rolling.mask"], "1fffe000");
}

#[test]
fn shares_in_flight_are_answered_when_the_pool_asks_us_to_connect_again() {
    let (pool, _site, mut line, mut end) = mining("", "acct.one");
    follow_extranonces(&mut line);
    let id = send(&mut line);
    let arrived = end.share();
    end.line.say(&json!({ "id": null, "method": "client.reconnect", "params": [] }));
    let mut next = pool.accept();
    // Until there is work on the new one, the former one is as good as before.
    let later = send(&mut line);
    let also = end.share();
    next.give_work("bb000001");
    expect_moved(&mut line, "bb000001");
    for (arrived, id) in [(arrived, id), (also, later)] {
        end.answer(&arrived, json!(true));
        assert_eq!(line.answer(id)["result"], true);
    }
    end.wait_closed();
    expect_credited(&mut line, &mut next, "acct");
}

#[test]
fn a_pool_that_asks_us_to_wait_is_given_the_time() {
    let (pool, _site, mut line, mut end) = mining("", "acct.one");
    follow_extranonces(&mut line);
    end.line.say(&json!({ "id": null, "method": "client.reconnect", "params": ["", 0, "1"] }));
    let asked = Instant::now();
    expect_credited(&mut line, &mut end, "acct");
    let mut next = pool.accept();
    assert!(asked.elapsed() >= Duration::from_millis(900), "{:?}", asked.elapsed());
    next.give_work("bb000001");
    expect_moved(&mut line, "bb000001");
}

#[test]
fn a_pool_that_always_asks_us_to_connect_again_is_left() {
    let (pool, backup) = (Scripted::start(), Scripted::start());
    let pools =
        format!("{}{}", crate::common::upstream(pool.address()), crate::common::upstream(backup.address()));
    let site = Site::with_limits(
        &pools,
        Limits { redirect_interval: Duration::from_millis(50), ..Limits::default() },
    );
    let (mut line, mut end) = first(&site, &pool, "aa000000", "acct.one");
    follow_extranonces(&mut line);
    let again = json!({ "id": null, "method": "client.reconnect", "params": [] });
    for number in 1..6 {
        end.line.say(&again);
        end = pool.accept();
        let extranonce1 = format!("aa00000{number}");
        end.give_work(&extranonce1);
        expect_moved(&mut line, &extranonce1);
    }
    end.line.say(&again);
    let _spare = backup.accept_and_give_work("bb000001");
    expect_moved(&mut line, "bb000001");
    assert!(pool.accept_within(QUIET).is_none());
}

#[test]
fn nobody_is_kept_by_an_only_pool_without_work() {
    let pool = Scripted::start();
    let site = Site::start(
        &[pool.address()],
        "[failover]\nconnect_deadline = \"300ms\"\nfirst_job_timeout = \"300ms\"\n",
    );
    let mut line = site.connect();
    let mut end = pool.open_for(&mut line, "one", "aa000001");
    line.ask(2, "mining.authorize", json!(["acct.one", "x"]));
    end.authorize();
    assert_eq!(line.answer(2)["result"], true);
    line.wait_end();
    // The pool may give some yet.
    end.first_job();
    let mut later = site.miner("later", "acct.later");
    expect_credited(&mut later, &mut end, "acct");
}

/// A connection to the configured port is always sent to the other one.
#[test]
fn another_port_of_the_pools_own_host_is_followed() {
    let (pool, other) = (Scripted::start(), Scripted::start());
    let site = Site::start(&[pool.address()], "");
    let (mut line, mut end) = first(&site, &pool, "aa000001", "acct.one");
    follow_extranonces(&mut line);
    let host = format!("stratum+tcp://127.0.0.1:{}", other.address().port());
    end.line.say(&json!({ "id": null, "method": "client.reconnect", "params": [host] }));
    let mut next = other.accept_and_give_work("bb000001");
    expect_moved(&mut line, "bb000001");
    end.wait_closed();
    expect_credited(&mut line, &mut next, "acct");
    // When that one ends, it begins at the configured port.
    drop(next);
    let _end = pool.accept_and_give_work("cc000001");
    expect_moved(&mut line, "cc000001");
}

#[test]
fn a_port_where_nobody_listens_costs_no_work() {
    let (pool, _site, mut line, mut end) = mining("", "acct.one");
    follow_extranonces(&mut line);
    let port = crate::common::refusing_address().port();
    end.line.say(&json!({ "id": null, "method": "client.reconnect", "params": ["127.0.0.1", port] }));
    for _ in 0..3 {
        expect_credited(&mut line, &mut end, "acct");
    }
    assert!(pool.accept_within(QUIET).is_none());
}

#[test]
fn the_only_pool_is_not_connected_to_again_without_end() {
    let pool = Scripted::start();
    let limits = Limits { redirect_interval: Duration::from_millis(20), ..Limits::default() };
    let site = Site::with_limits(&crate::common::upstream(pool.address()), limits);
    let (mut line, mut end) = first(&site, &pool, "aa000000", "acct.one");
    follow_extranonces(&mut line);
    let again = json!({ "id": null, "method": "client.reconnect", "params": [] });
    for number in 1..6 {
        end.line.say(&again);
        end = pool.accept();
        let extranonce1 = format!("aa00000{number}");
        end.give_work(&extranonce1);
        expect_moved(&mut line, &extranonce1);
    }
    for _ in 0..2 {
        end.line.say(&again);
        assert!(pool.accept_within(Duration::from_millis(200)).is_none());
        expect_credited(&mut line, &mut end, "acct");
    }
}
