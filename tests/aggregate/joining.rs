//! Late joiners have everything within one round trip, in the right order.

use std::io::Read;

use serde_json::{Value, json};

use crate::aggregate::opened::{expect_credited, is_within, kind, mining, one_pool};
use crate::aggregate::scripted::Scripted;
use crate::aggregate::site::{Line, Site};

const BURST: &str = "{\"id\":1,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],\
    {\"version-rolling.mask\":\"ffffffff\"}]}\n\
    {\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"bitaxe/BM1370/v2.15.1\"]}\n\
    {\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"acct.late\",\"x\"]}\n";

#[test]
fn a_burst_is_answered_in_order_with_difficulty_and_job() {
    let (_pool, site, _first, mut end) = mining("", "acct.one");
    let newest = end.notify(false);
    end.notify(false);
    assert_ne!(newest, "");
    let mut late = site.connect();
    late.write(BURST);
    let lines: Vec<Value> = (0..5).map(|_| late.next()).collect();
    let kinds: Vec<String> = lines.iter().map(kind).collect();
    let expected = ["answer 1", "answer 2", "answer 3", "mining.set_difficulty", "mining.notify"];
    assert_eq!(kinds, expected);
    assert_eq!(lines[4]["params"][8], true, "the first job is clean");
    late.take_search_space(&lines[1]);
    late.worker = "acct.late".to_owned();
    expect_credited(&mut late, &mut end, "acct");
}

#[test]
fn the_subscribe_answer_is_one_write_that_a_probe_can_read() {
    let (_pool, site, _first, _end) = mining("", "acct.one");
    let mut probe = site.connect();
    probe.ask(1, "mining.subscribe", json!(["bitaxe"]));
    // A Bitaxe reads once, 1023 bytes at most (wire reference, section 1.6).
    let mut text = [0; 1023];
    let length = probe.raw().read(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text[..length]).into_owned();
    assert!(text.ends_with('\n') && text.contains("mining.notify") && text.contains("\"id\":1,"), "{text}");
}

#[test]
fn a_miner_that_authorizes_before_it_subscribes_is_served_as_well() {
    let (_pool, site, _first, mut end) = mining("[aggregate]\nuser = \"{user}.{worker}\"\n", "acct.one");
    let mut late = site.connect();
    late.ask(1, "mining.authorize", json!(["acct.early", "x"]));
    late.ask(2, "mining.subscribe", json!(["early"]));
    let kinds: Vec<String> = (0..4).map(|_| kind(&late.next())).collect();
    assert_eq!(kinds, ["answer 1", "answer 2", "mining.set_difficulty", "mining.notify"]);
    assert_eq!(end.authorize(), "acct.early");
}

#[test]
fn a_miner_may_authorize_first_where_the_pool_judges_names() {
    let (pool, site) = one_pool("[aggregate]\nlocal_authorize = false\n");
    let mut line = site.connect();
    line.ask(1, "mining.authorize", json!(["acct.early", "secret"]));
    line.ask(2, "mining.subscribe", json!(["early"]));
    let mut end = pool.accept();
    end.open("aa000001", 8);
    let authorize = end.request("mining.authorize");
    assert_eq!(authorize["params"], json!(["acct.early", "secret"]));
    end.notify(true);
    end.answer(&authorize, json!(true));
    let kinds: Vec<String> = (0..4).map(|_| kind(&line.next())).collect();
    assert_eq!(kinds, ["answer 1", "answer 2", "mining.set_difficulty", "mining.notify"]);
}

/// Reads until this job, and sees that nothing is missing or mixed.
fn check_until(line: &mut Line, last: &str) {
    let mut seen = Vec::new();
    loop {
        let message = line.next();
        let kind = kind(&message);
        if kind == "mining.notify" {
            assert!(seen.iter().any(|kind| kind == "mining.set_difficulty"), "{seen:?}");
            assert_eq!(message["params"][8], !seen.contains(&kind), "only the first job is clean: {seen:?}");
        }
        seen.push(kind);
        // The number of the pool's job is in its coinbase.
        let is_last = message["params"][2].as_str().is_some_and(|coinb1| coinb1.ends_with(last));
        if is_last {
            break;
        }
    }
    assert_eq!(seen[0], "answer 2", "{seen:?}");
    assert_eq!(seen[1], "answer 3", "{seen:?}");
}

#[test]
fn a_hundred_at_once_while_jobs_come_miss_none() {
    const MINERS: usize = 100;
    const JOBS: u32 = 300;
    let (_pool, site, _first, mut end) = mining("", "acct.one");
    let (_, burst) = BURST.split_once('\n').unwrap();
    std::thread::scope(|scope| {
        let jobs = scope.spawn(|| {
            for _ in 1..JOBS {
                end.notify(false);
                std::thread::yield_now();
            }
        });
        let last = format!("{JOBS:08x}");
        let mut lines: Vec<Line> = (0..MINERS)
            .map(|_| {
                let mut line = site.connect();
                line.write(burst);
                line
            })
            .collect();
        jobs.join().unwrap();
        let mut extranonces = std::collections::HashSet::new();
        for line in &mut lines {
            check_until(line, &last);
        }
        for line in &mut lines {
            line.ask(9, "mining.subscribe", json!(["who am I"]));
            line.wait_subscribed(9);
            assert!(is_within(line, "aa000001") && extranonces.insert(line.extranonce1.clone()));
        }
    });
}

#[test]
fn a_connection_that_is_kept_ready_is_taken_by_the_first_miner() {
    let pool = Scripted::start();
    let site = Site::with(&format!("{}warm = 1\n", crate::common::upstream(pool.address())));
    // Before anybody has come.
    let mut end = pool.accept();
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!(["first"]));
    end.open("aa000001", 8);
    line.wait_subscribed(1);
    assert!(is_within(&line, "aa000001"));
    // The stock is filled up again.
    let _next = pool.accept();
}
