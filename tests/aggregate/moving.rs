//! Nobody works on a dead extranonce: after a reconnect, at failover and failback, when the pool gives
//! another one, and after a rest.

use std::time::Duration;

use serde_json::json;

use crate::aggregate::opened::{
    QUIET, code, expect_credited, expect_credited_soon, expect_moved, first, follow_extranonces, is_within,
    mining, send, share, two_pools, upstream,
};
use crate::aggregate::scripted::Scripted;
use crate::aggregate::site::Site;

#[test]
fn a_transient_drop_leads_to_the_same_pool_again() {
    let (pool, backup, site) = two_pools("[aggregate]\nuser = \"{user}.{worker}\"\n");
    let (mut follows, mut end) = first(&site, &pool, "aa000001", "acct.one");
    follow_extranonces(&mut follows);
    let mut plain = site.miner("plain", "acct.two");
    assert_eq!(end.authorize(), "acct.two");
    let (late, lost) = (share(&mut follows), share(&mut plain));
    let (late_id, lost_id) = (follows.submit(&late), plain.submit(&lost));
    end.share();
    end.share();
    drop(end);
    // What was in flight is answered, whatever becomes of the miner: as lost, or as stale if the thread that sent it
    // notices the end before it has returned from the send.
    assert!([20, 21].contains(&code(&follows.answer(late_id))));
    assert!([20, 21].contains(&code(&plain.answer(lost_id))));
    let mut end = pool.accept();
    assert!(backup.accept_within(QUIET).is_none(), "one drop is no failure");
    end.open("bb000001", 8);
    let mut names = [end.authorize(), end.authorize()];
    names.sort();
    assert_eq!(names, ["acct.one", "acct.two"], "each worker is authorised again");
    end.first_job();
    expect_moved(&mut follows, "bb000001");
    assert!(plain.wait_end().iter().all(|line| line["method"] != "mining.notify"));
    // A late share of the old extranonce.
    assert_eq!(follows.verdict(&late), Some(21));
    expect_credited(&mut follows, &mut end, "acct.one");
    assert!(end.line.is_quiet_for(QUIET), "the late share did not reach the pool");
    // Who had to leave reconnects, and is right.
    let mut plain = site.miner("plain", "acct.two");
    assert!(is_within(&plain, "bb000001"));
    expect_credited(&mut plain, &mut end, "acct.two");
}

#[test]
fn the_pools_own_new_extranonce_moves_the_miners() {
    let (_pool, site, mut follows, mut end) = mining("", "acct.one");
    follow_extranonces(&mut follows);
    let mut plain = site.miner("plain", "acct.two");
    end.set_extranonce("cc000001", 7);
    // Nothing changes before the next job.
    expect_credited(&mut plain, &mut end, "acct");
    let late = share(&mut follows);
    let in_flight = send(&mut plain);
    let arrived = end.share();
    end.notify(false);
    expect_moved(&mut follows, "cc000001");
    assert_eq!(follows.extranonce2_size, 4);
    assert_eq!(follows.verdict(&late), Some(21));
    // Who is sent away still waits for the pool's word, and what it sends meanwhile is answered.
    let late = share(&mut plain);
    let late_id = plain.submit(&late);
    end.answer(&arrived, json!(true));
    assert_eq!(plain.answer(in_flight)["result"], true);
    assert_eq!(code(&plain.answer(late_id)), 21);
    plain.wait_end();
    expect_credited(&mut follows, &mut end, "acct");
    assert!(is_within(&site.miner("plain", "acct.two"), "cc000001"));
}

#[test]
fn failover_and_failback_use_each_pools_own_name() {
    let (pool, backup) = (Scripted::start(), Scripted::start());
    let pools = format!("{}{}", upstream(&pool, "first"), upstream(&backup, "second"));
    let site = Site::with(&format!(
        "[aggregate]\nuser = \"{{user}}.{{worker}}\"\n[failover]\nfailback_after = \"0s\"\n\
         backoff_min = \"100ms\"\nbackoff_max = \"100ms\"\n{pools}"
    ));
    let address = pool.address();
    let (mut old, end) = first(&site, &pool, "aa000001", "x.old");
    follow_extranonces(&mut old);
    drop((pool, end));
    let mut spare = backup.accept();
    spare.open("bb000001", 8);
    assert_eq!(spare.authorize(), "second.old");
    spare.first_job();
    expect_moved(&mut old, "bb000001");
    expect_credited(&mut old, &mut spare, "second.old");
    let mut new = site.miner("new", "x.new");
    assert_eq!(spare.authorize(), "second.new");
    expect_credited_soon(&mut new, &mut spare, "second.new");
    // Two shares are on their way when the preferred pool is back.
    let ids = [send(&mut old), send(&mut new)];
    let arrived = [spare.share(), spare.share()];
    let pool = Scripted::on(address);
    let mut end = pool.accept_opening();
    end.open("dd000001", 8);
    assert_eq!([end.authorize(), end.authorize()], ["first.old", "first.new"]);
    assert!(old.is_quiet_for(QUIET), "nobody moves before the new pool gives work");
    end.first_job();
    expect_moved(&mut old, "dd000001");
    // What comes late is still for the pool that is left.
    let late = send(&mut new);
    let arrived_late = spare.share();
    for share in arrived.iter().chain([&arrived_late]) {
        spare.answer(share, json!(true));
    }
    assert_eq!(old.answer(ids[0])["result"], true);
    assert_eq!(new.answer(ids[1])["result"], true);
    assert_eq!(new.answer(late)["result"], true);
    new.wait_end();
    spare.wait_closed();
    expect_credited(&mut old, &mut end, "first.old");
}

#[test]
fn after_a_rest_a_miner_gets_a_living_extranonce() {
    let (pool, site, line, mut end) = mining("[aggregate]\ngrace = \"50ms\"\n", "acct.one");
    drop(line);
    end.wait_closed();
    let (mut line, mut end) = first(&site, &pool, "bb000001", "acct.one");
    assert!(is_within(&line, "bb000001"));
    expect_credited(&mut line, &mut end, "acct");
}

#[test]
fn the_connection_outlives_the_last_miner_for_the_grace() {
    let (pool, site, line, mut end) = mining("[aggregate]\ngrace = \"30s\"\n", "acct.one");
    drop(line);
    let mut line = site.miner("again", "acct.one");
    assert!(is_within(&line, "aa000001"));
    expect_credited(&mut line, &mut end, "acct");
    assert!(pool.accept_within(Duration::from_millis(20)).is_none());
}

#[test]
fn miners_that_must_reconnect_find_room_when_they_come_back() {
    // One byte of prefix: room for 255.
    const MINERS: usize = 140;
    let pool = Scripted::start();
    let site = Site::with(&upstream(&pool, "farm"));
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!(["first"]));
    let mut end = pool.accept();
    end.open("aa000001", 3);
    end.authorize();
    end.notify(true);
    let mut miners: Vec<_> = (0..MINERS).map(|_| site.miner("plain", "x")).collect();
    drop(end);
    let mut end = pool.accept();
    end.open("bb000001", 3);
    end.authorize();
    end.notify(true);
    for miner in &mut miners {
        miner.wait_end();
    }
    let back: Vec<_> = (0..MINERS).map(|_| site.miner("plain", "x")).collect();
    assert!(back.iter().all(|miner| is_within(miner, "bb000001")));
    assert!(pool.accept_within(QUIET).is_none(), "all of them have room on one connection");
}
