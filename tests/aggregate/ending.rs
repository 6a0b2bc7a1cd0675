//! The end: of a connection that the pool or an operator wants ended, and of the program.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice::analyzer::EnforcementRequest;
use sluice::proxy::enforcement;
use sluice::util::stop::Stop;

use crate::aggregate::opened::{
    QUIET, code, expect_credited, expect_moved, first, follow_extranonces, is_within, mining, opening, share,
    two_pools,
};
use crate::aggregate::scripted::{PoolEnd, Scripted};
use crate::aggregate::site::{Line, Site};

#[test]
fn the_pool_may_ask_us_to_connect_again_and_to_nobody_else() {
    let (pool, foreign) = (Scripted::start(), Scripted::start());
    let site = Site::start(&[pool.address()], "");
    let (mut line, mut end) = first(&site, &pool, "aa000001", "acct.one");
    follow_extranonces(&mut line);
    let port = foreign.address().port();
    let hijack = json!({ "id": null, "method": "client.reconnect", "params": ["127.0.0.2", port, 0] });
    end.line.say(&hijack);
    expect_credited(&mut line, &mut end, "acct");
    let own = json!({ "id": null, "method": "client.reconnect", "params": ["127.0.0.1"] });
    end.line.say(&own);
    let mut next = pool.accept_and_give_work("bb000001");
    expect_moved(&mut line, "bb000001");
    expect_credited(&mut line, &mut next, "acct");
    end.wait_closed();
    assert!(foreign.accept_within(QUIET).is_none());
}

#[test]
fn a_pool_that_did_wrong_is_left_at_once() {
    let (pool, backup, site) = two_pools("");
    let (offend, requests) = enforcement::channel();
    enforcement::start(site.running(), requests, &Stop::new()).unwrap();
    let (mut line, mut end) = first(&site, &pool, "aa000001", "acct.one");
    follow_extranonces(&mut line);
    let waiting = share(&mut line);
    let id = line.submit(&waiting);
    end.share();
    offend.send(EnforcementRequest { upstream: 0, description: "it pays somebody else".to_owned() }).unwrap();
    assert_eq!(code(&line.answer(id)), 20);
    end.wait_closed();
    let _spare = backup.accept_and_give_work("bb000001");
    expect_moved(&mut line, "bb000001");
    assert!(pool.accept_within(QUIET).is_none());
}

#[test]
fn a_connection_in_the_making_to_a_pool_that_did_wrong_is_given_up() {
    let (pool, backup, site) = two_pools("");
    let (offend, requests) = enforcement::channel();
    enforcement::start(site.running(), requests, &Stop::new()).unwrap();
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!(["first"]));
    let mut end = pool.accept();
    let configure = end.request("mining.configure");
    offend.send(EnforcementRequest { upstream: 0, description: "it pays somebody else".to_owned() }).unwrap();
    crate::common::wait_for("the block", || {
        site.running().stats().upstreams[0].standing == sluice::upstream::PoolStatus::Blocked
    });
    end.answer(&configure, json!({}));
    let subscribe = end.request("mining.subscribe");
    end.answer(&subscribe, json!([[], "aa000001", 8]));
    end.wait_closed();
    let mut spare = backup.accept();
    spare.open("bb000001", 8);
    line.wait_subscribed(1);
    assert!(is_within(&line, "bb000001"));
}

#[test]
fn the_end_waits_for_what_is_in_flight() {
    let (_pool, mut site, mut line, mut end) = mining("", "acct.one");
    let mut idle = site.miner("idle", "acct.two");
    let waiting = share(&mut line);
    let id = line.submit(&waiting);
    let arrived = end.share();
    std::thread::scope(|scope| {
        let ending = scope.spawn(|| {
            site.shut_down();
            Instant::now()
        });
        idle.wait_end();
        let answered = Instant::now();
        end.answer(&arrived, json!(true));
        assert_eq!(line.answer(id)["result"], true);
        line.wait_end();
        end.wait_closed();
        assert!(ending.join().unwrap() > answered);
    });
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let (pool, mut site, mut line, mut end) = mining("", "acct.one");
    // One whose subscribe waits for another pool connection, too.
    let mut waiting = site.connect();
    waiting.write(&opening("bob"));
    let _second = pool.accept();
    let swallowed = share(&mut line);
    let id = line.submit(&swallowed);
    end.share();
    let began = Instant::now();
    site.shut_down();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(code(&line.answer(id)), 20);
    line.wait_end();
    waiting.wait_end();
    end.wait_closed();
}

/// A miner that sends a share before the one before it is answered, until its connection ends: the nonce
/// of each share, and whether it was accepted, if it was answered.
fn mine_without_pause(line: &mut Line) -> Vec<(String, Option<bool>)> {
    let mut raw = line.raw().try_clone().unwrap();
    let mut sent: Vec<(String, Option<bool>)> = Vec::new();
    let mut submit = |line: &mut Line, sent: &mut Vec<(String, Option<bool>)>| {
        let share = share(line);
        let params = json!([
            share.worker,
            share.job_id.as_str(),
            share.extranonce2.to_string(),
            share.ntime.to_string(),
            share.nonce.to_string()
        ]);
        let request = json!({ "id": 1000 + sent.len(), "method": "mining.submit", "params": params });
        sent.push((share.nonce.to_string(), None));
        // The end is seen by reading.
        let _ = raw.write_all(format!("{request}\n").as_bytes());
    };
    submit(line, &mut sent);
    submit(line, &mut sent);
    while let Some(message) = line.read() {
        if let Some(place) = message["id"].as_u64().and_then(|id| (id as usize).checked_sub(1000)) {
            sent[place].1 = Some(message["result"] == true);
            submit(line, &mut sent);
        }
    }
    sent
}

/// Accepts each share when the next one is there, or when none comes; the nonces.
fn accept_late(end: &mut PoolEnd) -> Vec<String> {
    let (mut accepted, mut held): (Vec<String>, Option<Value>) = (Vec::new(), None);
    end.line.raw().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    loop {
        let next = match end.line.read_or_timeout() {
            Ok(Some(message)) if message["method"] == "mining.submit" => Some(message),
            Ok(Some(_)) => continue,
            Ok(None) => return accepted,
            Err(()) => None,
        };
        if let Some(share) = std::mem::replace(&mut held, next) {
            accepted.push(share["params"][4].as_str().unwrap().to_owned());
            end.answer(&share, json!(true));
        }
    }
}

fn expect_every_accepted_share_told(accepted: &[String], sent: &[(String, Option<bool>)]) {
    assert!(!accepted.is_empty());
    for nonce in accepted {
        let verdict = sent.iter().find(|(sent, _)| sent == nonce).and_then(|(_, verdict)| *verdict);
        assert_eq!(verdict, Some(true), "the pool accepted share {nonce}");
    }
    let refused = sent.iter().filter(|(_, verdict)| *verdict == Some(false)).count();
    assert_eq!(refused, 0, "of {} shares", sent.len());
}

#[test]
fn a_miner_that_always_has_a_share_in_flight_is_told_of_every_accepted_one_at_the_end() {
    let (_pool, mut site, mut line, mut end) = mining("", "acct.one");
    std::thread::scope(|scope| {
        let mining = scope.spawn(|| mine_without_pause(&mut line));
        let judging = scope.spawn(|| accept_late(&mut end));
        crate::common::wait_for("shares", || site.snapshot().summary.shares > 5);
        let began = Instant::now();
        site.shut_down();
        let took = began.elapsed();
        let (sent, accepted) = (mining.join().unwrap(), judging.join().unwrap());
        expect_every_accepted_share_told(&accepted, &sent);
        // The drain ends after 5 s, whatever is in flight.
        assert!(took < Duration::from_millis(4500), "{took:?}");
    });
}

#[test]
fn a_miner_that_must_leave_and_always_has_a_share_in_flight_is_told_of_every_accepted_one() {
    let (pool, backup) = (Scripted::start(), Scripted::start());
    let address = pool.address();
    drop(pool);
    let more = "[failover]\nfailback_after = \"0s\"\nbackoff_min = \"100ms\"\nbackoff_max = \"100ms\"\n";
    let site = Site::start(&[address, backup.address()], more);
    let (mut line, mut end) = first(&site, &backup, "aa000001", "acct.one");
    std::thread::scope(|scope| {
        let mining = scope.spawn(|| mine_without_pause(&mut line));
        let judging = scope.spawn(|| accept_late(&mut end));
        crate::common::wait_for("shares", || site.snapshot().summary.shares > 5);
        // The preferred pool is back; the miner can't be told of another extranonce.
        let pool = Scripted::on(address);
        let mut preferred = pool.accept_opening();
        preferred.give_work("bb000001");
        let began = Instant::now();
        let sent = mining.join().unwrap();
        let took = began.elapsed();
        expect_every_accepted_share_told(&judging.join().unwrap(), &sent);
        // `disconnect_wait` is 2 s.
        assert!(took < Duration::from_millis(1900), "{took:?}");
    });
}
