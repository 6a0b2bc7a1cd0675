//! The end: of a connection that the pool or an operator wants ended, and of the program.

use std::time::{Duration, Instant};

use serde_json::json;
use sluice::analyzer::Offence;
use sluice::serving::enforcement;

use crate::opened::{EASY, QUIET, code, expect_credited, expect_moved, first, follow_extranonces, share};
use crate::scripted::Scripted;
use crate::site::Site;

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
    let mut next = pool.accept();
    next.open("bb000001", 8);
    next.authorize();
    next.set_difficulty(EASY);
    next.notify(true);
    expect_moved(&mut line, "bb000001");
    expect_credited(&mut line, &mut next, "acct");
    end.wait_closed();
    assert!(foreign.accept_within(QUIET).is_none());
}

#[test]
fn a_pool_that_did_wrong_is_left_at_once() {
    let (pool, backup) = (Scripted::start(), Scripted::start());
    let site = Site::start(&[pool.address(), backup.address()], "");
    let (offend, offences) = enforcement::channel();
    site.running().enforce(offences).unwrap();
    let (mut line, mut end) = first(&site, &pool, "aa000001", "acct.one");
    follow_extranonces(&mut line);
    let waiting = share(&mut line);
    let id = line.submit(&waiting);
    end.share();
    offend.send(Offence { upstream: 0, description: "it pays somebody else".to_owned() }).unwrap();
    assert_eq!(code(&line.answer(id)), 20);
    end.wait_closed();
    let mut spare = backup.accept();
    spare.open("bb000001", 8);
    spare.authorize();
    spare.set_difficulty(EASY);
    spare.notify(true);
    expect_moved(&mut line, "bb000001");
    assert!(pool.accept_within(QUIET).is_none());
}

#[test]
fn a_connection_in_the_making_to_a_pool_that_did_wrong_is_given_up() {
    let (pool, backup) = (Scripted::start(), Scripted::start());
    let site = Site::start(&[pool.address(), backup.address()], "");
    let (offend, offences) = enforcement::channel();
    site.running().enforce(offences).unwrap();
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!(["first"]));
    let mut end = pool.accept();
    let configure = end.request("mining.configure");
    offend.send(Offence { upstream: 0, description: "it pays somebody else".to_owned() }).unwrap();
    crate::common::wait_for("the block", || {
        site.running().observer().upstreams()[0].standing == sluice::upstream::Standing::Blocked
    });
    end.answer(&configure, json!({}));
    let subscribe = end.request("mining.subscribe");
    end.answer(&subscribe, json!([[], "aa000001", 8]));
    end.wait_closed();
    let mut spare = backup.accept();
    spare.open("bb000001", 8);
    let answer = line.answer(1);
    line.seated(&answer);
    assert!(crate::opened::is_within(&line, "bb000001"));
}

#[test]
fn the_end_waits_for_what_is_in_flight() {
    let pool = Scripted::start();
    let mut site = Site::start(&[pool.address()], "");
    let (mut line, mut end) = first(&site, &pool, "aa000001", "acct.one");
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
        end.answer(&arrived, json!(true));
        assert_eq!(line.answer(id)["result"], true);
        line.wait_end();
        end.wait_closed();
        let ended = ending.join().unwrap();
        assert!(ended.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let pool = Scripted::start();
    let mut site = Site::start(&[pool.address()], "");
    let (mut line, mut end) = first(&site, &pool, "aa000001", "acct.one");
    // One whose subscribe waits for another pool connection, too.
    let mut waiting = site.connect();
    waiting.write(
        "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n\
         {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"bob\",\"x\"]}\n",
    );
    let _second = pool.accept();
    let swallowed = share(&mut line);
    let id = line.submit(&swallowed);
    end.share();
    let began = Instant::now();
    site.shut_down();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(code(&line.answer(id)), 20);
    line.wait_end();
    waiting.wait_end();
    end.wait_closed();
}
