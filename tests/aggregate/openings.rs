//! The openings of real miners, word for word (wire reference, section 1.4), and the order of answers
//! that each of them needs.

use std::io::Read;
use std::time::Duration;

use serde_json::{Value, json};

use crate::aggregate::opened::{kind, resident};
use crate::aggregate::scripted::{PoolEnd, Scripted};
use crate::aggregate::site::{Line, Site};
use crate::common::{DEADLINE, upstream};

/// A pool that has given a job, and a miner that stays, so that the pool does.
fn world() -> (PoolEnd, Site, Line) {
    let pool = Scripted::start();
    // One account, whatever names the miners have.
    let site = Site::with(&format!("{}user = \"us\"\n", upstream(pool.address())));
    let (miner, end) = resident(&site, &pool, "resident", 1024.0);
    (end, site, miner)
}

/// The next line, as it comes.
fn next(miner: &mut Line) -> String {
    kind(&miner.next())
}

fn kinds(miner: &mut Line, count: usize) -> Vec<String> {
    (0..count).map(|_| next(miner)).collect()
}

const JOB: [&str; 2] = ["mining.set_difficulty", "mining.notify"];

/// Writes a burst in one segment, and expects these lines.
fn burst(text: &str, expected: &[&str]) {
    let (_end, site, _resident) = world();
    let mut miner = site.connect();
    miner.write(text);
    assert_eq!(kinds(&mut miner, expected.len()), expected, "{text}");
    assert!(miner.is_quiet_for(Duration::from_millis(30)));
}

/// Writes each request when the line before was answered, and expects nothing but its answer; then the
/// job.
fn one_by_one(requests: &[&str]) {
    let (_end, site, _resident) = world();
    let mut miner = site.connect();
    let mut rest = vec![];
    for (place, request) in requests.iter().enumerate() {
        miner.write(&format!("{request}\n"));
        let id = &serde_json::from_str::<Value>(request).unwrap()["id"];
        let mut line = next(&mut miner);
        // Once it is authorized, the job may come at any time.
        let is_open = requests[..place].iter().any(|earlier| earlier.contains("mining.authorize"));
        while is_open && JOB.contains(&line.as_str()) {
            rest.push(line);
            line = next(&mut miner);
        }
        assert_eq!(line, format!("answer {id}"), "{request}");
    }
    while rest.len() < JOB.len() {
        rest.push(next(&mut miner));
    }
    assert_eq!(rest, JOB);
}

#[test]
fn a_nerdminer_reads_one_line_and_needs_the_answer_to_subscribe() {
    let (_end, site, _resident) = world();
    let mut miner = site.connect();
    miner.write("{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"NerdMinerV2/V1.8.3\"]}\n");
    let answer = miner.next();
    assert_eq!((&answer["id"], &answer["error"]), (&json!(1), &Value::Null));
    assert!(!answer["result"][1].as_str().unwrap().is_empty());
    assert!([2, 4, 8].contains(&answer["result"][2].as_u64().unwrap()), "{answer}");
    assert!(miner.is_quiet_for(Duration::from_millis(30)), "before authorize there is nothing to say");
    miner.write(
        "{\"params\": [\"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.nerd\", \"x\"], \"id\": 2, \"method\": \
         \"mining.authorize\"}\n",
    );
    assert_eq!(miner.next(), json!({ "id": 2, "result": true, "error": null }));
    assert_eq!(kinds(&mut miner, 2), JOB);
    assert!(miner.difficulty < 1.0, "{}", miner.difficulty);
    // Every 30 s, for ever: neither a difficulty nor a job comes of it.
    for _ in 0..3 {
        miner.write("{\"id\": 3, \"method\": \"mining.suggest_difficulty\", \"params\": [0.00015]}\n");
        assert_eq!(miner.next(), json!({ "id": 3, "result": true, "error": null }));
    }
    assert!(miner.is_quiet_for(Duration::from_millis(30)));
}

#[test]
fn a_bitaxe_asks_everything_at_once() {
    burst(
        "{\"id\": 1, \"method\": \"mining.configure\", \"params\": [[\"version-rolling\"], {\"version-rolling.mask\": \"ffffffff\"}]}\n\
         {\"id\": 2, \"method\": \"mining.subscribe\", \"params\": [\"bitaxe/BM1370/v2.15.1\"]}\n\
         {\"id\": 3, \"method\": \"mining.authorize\", \"params\": [\"a.b\", \"x\"]}\n",
        &["answer 1", "answer 2", "answer 3", JOB[0], JOB[1]],
    );
}

#[test]
fn an_old_bitaxe_asks_in_another_order_and_may_wait_for_each() {
    let requests = [
        "{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"bitaxe v2.1\"]}",
        "{\"id\": 2, \"method\": \"mining.configure\", \"params\": [[\"version-rolling\"], {\"version-rolling.mask\": \"ffffffff\"}]}",
        "{\"id\": 3, \"method\": \"mining.suggest_difficulty\", \"params\": [1000]}",
        "{\"id\": 4, \"method\": \"mining.authorize\", \"params\": [\"a.b\", \"x\"]}",
    ];
    one_by_one(&requests);
    burst(
        &format!("{}\n", requests.join("\n")),
        &["answer 1", "answer 2", "answer 3", "answer 4", JOB[0], JOB[1]],
    );
}

#[test]
fn a_nerdqaxe_also_asks_for_extranonces_in_its_burst() {
    burst(
        "{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"NerdQAxe++/BM1370/v1.0.30\"]}\n\
         {\"id\": 2, \"method\": \"mining.configure\", \"params\": [[\"version-rolling\"], {\"version-rolling.mask\": \"ffffffff\"}]}\n\
         {\"id\": 3, \"method\": \"mining.authorize\", \"params\": [\"a.b\", \"x\"]}\n\
         {\"id\": 4, \"method\": \"mining.suggest_difficulty\", \"params\": [1000]}\n\
         {\"id\": 5, \"method\": \"mining.extranonce.subscribe\", \"params\": []}\n",
        &["answer 1", "answer 2", "answer 3", JOB[0], JOB[1], "answer 4", "answer 5"],
    );
}

#[test]
fn cgminer_waits_for_each_answer_as_the_next_line() {
    one_by_one(&[
        "{\"id\": 0, \"method\": \"mining.configure\", \"params\": [[\"version-rolling\"], {\"version-rolling.mask\": \"ffffffff\"}]}",
        "{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"cgminer/4.13.6\"]}",
        "{\"params\": [\"a.b\", \"x\"], \"id\": 2, \"method\": \"mining.authorize\"}",
        "{\"id\": 3, \"method\": \"mining.suggest_difficulty\", \"params\": [512]}",
    ]);
    // Its second try, after a subscribe that failed, and the form that stock pools have seen.
    one_by_one(&[
        "{\"id\": 0, \"method\": \"mining.subscribe\", \"params\": []}",
        "{\"params\": [\"a.b\", null], \"id\": 1, \"method\": \"mining.authorize\"}",
        "{\"id\": 2, \"method\": \"mining.suggest_difficulty(512)\", \"params\": []}",
    ]);
}

#[test]
fn cpuminer_bosminer_and_the_machines_of_bitmain_and_microbt() {
    one_by_one(&[
        "{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"cpuminer/2.5.1\", \"resumed\"]}",
        "{\"id\": 2, \"method\": \"mining.authorize\", \"params\": [\"a.b\", \"\"]}",
    ]);
    one_by_one(&[
        "{\"id\":0,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],{\"version-rolling.mask\":\"1fffe000\",\"version-rolling.min-bit-count\":16}]}",
        "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"bosminer-plus-tuner 0.2.0\",null,\"stratum+tcp://pool:3333\",null]}",
        "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"a.b\",\"x\"]}",
    ]);
    one_by_one(&[
        "{\"id\":1,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\",\"minimum-difficulty\",\"subscribe-extranonce\"],{\"version-rolling.mask\":\"1fffe000\",\"version-rolling.min-bit-count\":\"16\",\"minimum-difficulty.value\":2048}]}",
        "{\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"Antminer S21/x\"]}",
        "{\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"a.b\",123]}",
    ]);
}

#[test]
fn nicehash_subscribes_to_extranonces_before_it_says_its_name() {
    let requests = [
        "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"NiceHash/1.0.0\"]}",
        "{\"id\":2,\"method\":\"mining.extranonce.subscribe\",\"params\":[]}",
        "{\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"a.b\",\"x\"]}",
    ];
    one_by_one(&requests);
    burst(&format!("{}\n", requests.join("\n")), &["answer 1", "answer 2", "answer 3", JOB[0], JOB[1]]);
}

#[test]
fn the_pools_own_set_extranonce_reaches_a_miner_before_the_job_it_is_for() {
    let (mut end, site, _resident) = world();
    let mut miner = site.connect();
    miner.write(
        "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"NiceHash/1.0.0\"]}\n\
         {\"id\":2,\"method\":\"mining.extranonce.subscribe\",\"params\":[]}\n\
         {\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"a.b\",\"x\"]}\n",
    );
    kinds(&mut miner, 5);
    end.line.say(&json!({ "id": null, "method": "mining.set_extranonce", "params": ["ffeeddcc", 8] }));
    end.notify(true);
    let message = miner.next();
    assert_eq!(kind(&message), "mining.set_extranonce");
    assert!(message["params"][0].as_str().unwrap().starts_with("ffeeddcc"), "{message}");
    let rest = kinds(&mut miner, 2);
    assert_eq!(rest, JOB);
}

#[test]
fn a_miner_that_authorizes_first_is_served() {
    let (mut end, site, _resident) = world();
    let mut miner = site.connect();
    miner.write("{\"id\":1,\"method\":\"mining.authorize\",\"params\":[\"bc1qearly.x\",\"x\"]}\n");
    assert_eq!(next(&mut miner), "answer 1");
    assert!(miner.is_quiet_for(Duration::from_millis(30)));
    miner.write("{\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"odd\"]}\n");
    assert_eq!(kinds(&mut miner, 3), ["answer 2", JOB[0], JOB[1]]);
    // Its shares would be refused otherwise.
    let _ = &mut end;
}

#[test]
fn a_second_subscribe_is_answered_with_the_same_search_space() {
    let (_end, _site, mut resident) = world();
    resident.ask(9, "mining.subscribe", json!(["resident"]));
    let again = resident.answer(9);
    assert_eq!(again["result"][1], resident.extranonce1.to_string());
}

#[test]
fn a_bitaxe_on_its_fallback_finds_the_text_that_it_looks_for_in_one_read() {
    let (_end, site, _resident) = world();
    for _ in 0..5 {
        let mut probe = site.connect();
        probe.write(
            "{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"bitaxe/BM1370/v2.15.1\"]}\n\
             {\"id\": 2, \"method\": \"mining.authorize\", \"params\": [\"a.b\", \"x\"]}\n",
        );
        let mut buffer = [0; 1023];
        probe.raw().set_read_timeout(Some(DEADLINE)).unwrap();
        let length = (&mut probe.raw()).read(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(text.contains("mining.notify"), "{text}");
    }
}

#[test]
fn a_health_checker_comes_and_goes_and_nobody_notices() {
    let (mut end, site, mut resident) = world();
    for _ in 0..20 {
        let mut checker = site.connect();
        checker.write(
            "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"stratum-speed-test\"]}\n\
             {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"a.b\",\"x\"]}\n",
        );
        assert_eq!(kinds(&mut checker, 4), ["answer 1", "answer 2", JOB[0], JOB[1]]);
    }
    end.notify(false);
    assert_eq!(resident.wait_job().clean_jobs, Some(false));
}

/// Jobs come all the time while miners open: none may overtake an answer.
#[test]
fn no_job_overtakes_the_answers_of_an_opening() {
    let (mut end, site, _resident) = world();
    // It talks for as long as the other end of this lives, also when the test fails.
    let (talking, stop) = std::sync::mpsc::channel::<()>();
    let pool = std::thread::spawn(move || {
        while stop.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            end.notify(false);
            for mask in ["1fffe000", "00ffe000"] {
                end.line.say(&json!({ "id": null, "method": "mining.set_version_mask", "params": [mask] }));
            }
        }
    });
    for _ in 0..60 {
        let mut miner = site.connect();
        miner.write(
            "{\"id\":1,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],{}]}\n\
             {\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"cgminer/4.13.6\"]}\n\
             {\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"a.b\",\"x\"]}\n",
        );
        let mut lines = vec![next(&mut miner)];
        while lines.last().is_none_or(|line| line != "mining.notify") {
            lines.push(next(&mut miner));
        }
        let masks = lines.iter().filter(|line| *line == "mining.set_version_mask").count();
        assert_eq!(&lines[..2], ["answer 1", "answer 2"], "{lines:?}");
        lines.retain(|line| line != "mining.set_version_mask");
        assert_eq!(lines, ["answer 1", "answer 2", "answer 3", JOB[0], JOB[1]], "and {masks} masks");
    }
    drop(talking);
    pool.join().unwrap();
}
