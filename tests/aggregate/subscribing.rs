//! The answer to subscribe: first of all, true when it leaves, and followed by work.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::aggregate::opened::{
    EASY, expect_accepted, expect_credited, follow_extranonces, is_within, mining, one_pool, send, share,
};
use crate::aggregate::site::Line;
use crate::common::wait_for;

/// Difficulty and a clean job, one after the other.
fn expect_work(line: &mut Line) {
    assert_eq!(line.next()["method"], "mining.set_difficulty");
    let job = line.next();
    assert_eq!((&job["method"], &job["params"][8]), (&json!("mining.notify"), &json!(true)), "{job}");
}

#[test]
fn nothing_comes_before_the_first_answer_to_subscribe_and_it_is_true_when_it_comes() {
    let (pool, site) = one_pool("[aggregate]\nlocal_authorize = false\n");
    let mut other = site.connect();
    let mut end = pool.open_for(&mut other, "other", "aa000001");
    let mut line = site.connect();
    line.worker = "acct.rig".to_owned();
    line.ask(1, "mining.authorize", json!(["acct.rig", "x"]));
    let asked = end.request("mining.authorize");
    line.ask(2, "mining.subscribe", json!(["own"]));
    line.ask(3, "mining.extranonce.subscribe", json!([]));
    line.ask(4, "mining.authorize", json!(["acct.second", "x"]));
    // All of that was read when the pool is asked for the second name.
    let second = end.request("mining.authorize");
    end.set_difficulty(EASY);
    end.set_extranonce("bb000001", 8);
    end.notify(true);
    end.line.say(&json!({ "id": null, "method": "mining.news", "params": [] }));
    end.wait_until_read();
    end.answer(&asked, json!(true));
    assert_eq!(line.next(), json!({ "id": 1, "result": true, "error": null }));
    let answer = line.next();
    assert_eq!(answer["id"], 2, "{answer}");
    line.take_search_space(&answer);
    assert!(is_within(&line, "bb000001"), "{}", line.extranonce1);
    assert_eq!(line.next()["id"], 3);
    expect_work(&mut line);
    end.answer(&second, json!(true));
    assert_eq!(line.answer(4)["result"], true);
    expect_credited(&mut line, &mut end, "acct.rig");
}

#[test]
fn a_later_answer_to_subscribe_is_of_the_space_that_holds_by_then() {
    let (_pool, _site, mut line, mut end) = mining("", "acct.one");
    follow_extranonces(&mut line);
    send(&mut line);
    line.ask(77, "mining.subscribe", json!(["again"]));
    send(&mut line);
    let arrived = [end.share(), end.share()];
    line.forget();
    end.set_extranonce("bb000001", 8);
    end.notify(true);
    line.wait("its new extranonce", |message| message["method"] == "mining.set_extranonce");
    line.wait_job();
    let extranonce1 = line.extranonce1.clone();
    line.forget();
    arrived.iter().for_each(|share| end.answer(share, json!(true)));
    line.wait_subscribed(77);
    assert_eq!(line.extranonce1, extranonce1);
    line.forget();
    line.ask("p", "mining.ping", json!([]));
    line.wait("its difficulty", |message| message["method"] == "mining.set_difficulty");
    assert_eq!(line.wait_job().clean_jobs, Some(true));
    expect_credited(&mut line, &mut end, "acct");
}

#[test]
fn each_answer_to_subscribe_brings_difficulty_and_a_clean_job() {
    let (_pool, _site, mut line, mut end) = mining("", "acct.one");
    let (difficulty, before) = (line.difficulty, line.job.clone().unwrap());
    let counted = share(&mut line);
    let id = line.submit(&counted);
    end.accept_share();
    line.answer(id);
    line.forget();
    // Some forget all they were told, and begin at difficulty 1 (wire reference, section 3.6).
    line.ask(50, "mining.subscribe", json!(["cgminer/4.13.6"]));
    assert_eq!(line.next()["id"], 50);
    expect_work(&mut line);
    assert_eq!(line.difficulty, difficulty);
    assert_ne!(line.job.as_ref().unwrap().job_id, before.job_id);
    // What was counted before is not counted again, and what was begun before is still work.
    assert_eq!(line.verdict(&counted), Some(22));
    let late = line.mine_on(&before, EASY, 1.0);
    expect_accepted(&mut line, &mut end, &late);
    expect_credited(&mut line, &mut end, "acct");
}

#[test]
fn waiting_for_a_pool_is_no_delay_of_ours() {
    let (pool, site) = one_pool("");
    let mut line = site.connect();
    line.worker = "acct.one".to_owned();
    line.write(
        "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"x\"]}\n\
         {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"acct.one\",\"x\"]}\n",
    );
    let mut end = pool.accept();
    end.request("mining.configure");
    let subscribe = end.request("mining.subscribe");
    let began = Instant::now();
    let wait = Duration::from_millis(600);
    assert!(line.is_quiet_for(wait));
    end.answer(&subscribe, json!([[["mining.notify", "s"]], "aa000001", 8]));
    line.answer(2);
    assert!(began.elapsed() >= wait);
    let count = || site.snapshot().summary.latency_down.count();
    wait_for("the analyzer", || count() >= 2);
    let longest = site.snapshot().summary.latency_down.max();
    assert!(longest < wait / 2, "{longest:?}");
}
