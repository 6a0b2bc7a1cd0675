//! Every request is answered, once, with its id to the letter, in the order in which it was asked,
//! whatever the pool does.

use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::aggregate::opened::{expect_accepted, one_pool, resident};
use crate::aggregate::scripted::{PoolEnd, Scripted};
use crate::aggregate::site::{Line, Site};
use crate::common::wait_for;

/// Below what 2^256 allows: each hash is a share.
const EVERY_HASH: f64 = 1e-10;

/// A pool, and a miner that works there and can be moved.
fn opened(more: &str) -> (Scripted, PoolEnd, Site, Line) {
    let (pool, site) = one_pool(more);
    let mut miner = site.connect();
    miner.ask(1, "mining.subscribe", json!(["flood/1"]));
    let mut end = pool.accept();
    end.open("0a0b0c0d", 8);
    end.set_difficulty(EVERY_HASH);
    end.notify(true);
    miner.wait_subscribed(1);
    miner.ask(2, "mining.extranonce.subscribe", json!([]));
    miner.worker = "w".to_owned();
    miner.ask(3, "mining.authorize", json!(["w", "x"]));
    end.authorize();
    miner.wait_job();
    miner.forget();
    (pool, end, site, miner)
}

/// Shares of the miner's job, each with its number as the id.
fn flood(miner: &Line, count: u64) -> String {
    flood_of(miner, count, 0)
}

/// As [`flood`], in the search space's part of this number.
fn flood_of(miner: &Line, count: u64, part: u8) -> String {
    let job = miner.job.as_ref().unwrap();
    let line = |id| {
        format!(
            "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"w\",\"{}\",\"{}\",\"{}\",\"{id:08x}\"]}}\n",
            job.job_id.as_str(),
            format!("{part:02x}").repeat(miner.extranonce2_size),
            job.ntime
        )
    };
    (0..count).map(line).collect()
}

/// Sends the text while the answers are read: how many there were for the ids from 0 on without a gap,
/// and how many of them were `true`. Both ends are closed by the reader's end.
fn ask_and_count(miner: &Line, text: String, count: u64) -> (u64, u64) {
    let mut writer = miner.raw().try_clone().unwrap();
    // Everything the harness has read before was asked for by it.
    let mut reader = BufReader::new(miner.raw().try_clone().unwrap());
    let sending = std::thread::spawn(move || writer.write_all(text.as_bytes()));
    let (mut next, mut accepted, mut line) = (0, 0, String::new());
    while next < count {
        line.clear();
        if reader.read_line(&mut line).unwrap() == 0 {
            break;
        }
        let message: Value = serde_json::from_str(&line).unwrap();
        if message.get("method").is_some() {
            continue;
        }
        assert_eq!(message["id"], next, "{line}");
        assert_eq!(message["result"] == true, message["error"].is_null(), "{line}");
        accepted += u64::from(message["result"] == true);
        next += 1;
    }
    sending.join().unwrap().unwrap();
    (next, accepted)
}

/// Answers everything; `hold` many submits are collected first, and answered as `order` has them.
fn answer_all(mut end: PoolEnd, hold: usize, order: impl Fn(&mut Vec<Value>) + Send + 'static) {
    std::thread::spawn(move || {
        let mut held = Vec::new();
        while let Some(message) = end.line.read() {
            held.push(message["id"].clone());
            if held.len() < hold {
                continue;
            }
            order(&mut held);
            let text: String = held
                .drain(..)
                .map(|id| format!("{{\"id\":{id},\"result\":true,\"error\":null}}\n"))
                .collect();
            end.line.write(&text);
        }
    });
}

#[test]
fn a_hundred_thousand_shares_and_a_pool_that_answers_at_once() {
    const COUNT: u64 = 100_000;
    let (_pool, end, _site, miner) = opened("");
    let text = flood(&miner, COUNT);
    let began = Instant::now();
    answer_all(end, 1, |_| ());
    assert_eq!(ask_and_count(&miner, text, COUNT), (COUNT, COUNT));
    println!("{COUNT} shares forwarded and answered in {:.1?}", began.elapsed());
}

#[test]
fn a_pool_that_answers_late_and_from_the_last_to_the_first() {
    const COUNT: u64 = 12_800;
    let (_pool, end, _site, miner) = opened("");
    let text = flood(&miner, COUNT);
    // 512 is what may wait: the next are not read before some of these are answered.
    answer_all(end, 512, |held| held.reverse());
    assert_eq!(ask_and_count(&miner, text, COUNT), (COUNT, COUNT));
}

#[test]
fn shares_in_flight_are_bounded_and_none_is_refused_for_it() {
    let (_pool, mut end, _site, mut miner) = opened("");
    let text = flood(&miner, 600);
    miner.write(&text);
    let shares: Vec<Value> = (0..512).map(|_| end.share()).collect();
    assert!(end.line.is_quiet_for(Duration::from_millis(50)), "more than 512 wait for the pool");
    shares.iter().for_each(|share| end.answer(share, json!(true)));
    for _ in 512..600 {
        end.accept_share();
    }
    for id in 0..600 {
        assert_eq!(miner.answer(id), json!({ "id": id, "result": true, "error": null }));
    }
}

#[test]
fn shares_that_the_pool_accepts_late_count_as_accepted() {
    const COUNT: u64 = 1536;
    let (_pool, end, site, miner) = opened("");
    let mut second = site.connect();
    second.join("second", "w");
    let texts = [flood(&miner, COUNT), flood_of(&second, COUNT, 1)];
    // A slow pool: all that may wait waits, on both sides.
    answer_all(end, 1024, |_| std::thread::sleep(Duration::from_millis(40)));
    std::thread::scope(|scope| {
        let [text, other] = texts;
        let (miner, second) = (&miner, &second);
        let asking = scope.spawn(move || ask_and_count(second, other, COUNT));
        assert_eq!(ask_and_count(miner, text, COUNT), (COUNT, COUNT));
        assert_eq!(asking.join().unwrap(), (COUNT, COUNT));
    });
    let totals = || {
        site.snapshot().totals.as_ref().map(|totals| (totals.submitted, totals.accepted)).unwrap_or_default()
    };
    wait_for("the figures", || totals().0 == 2 * COUNT);
    let pools = || site.snapshot().shared.iter().map(|shared| shared.accepted).sum::<u64>();
    wait_for("each of them to count", || (totals().1, pools()) == (2 * COUNT, 2 * COUNT));
}

#[test]
fn a_share_that_the_pool_never_answers_is_answered_after_the_share_timeout() {
    let (_pool, mut end, _site, mut miner) = opened("[analysis]\nshare_timeout = \"1s\"\n");
    let began = Instant::now();
    let text = flood(&miner, 3);
    miner.write(&text);
    let shares: Vec<Value> = (0..3).map(|_| end.share()).collect();
    end.answer(&shares[1], json!(true));
    // Asked after, and not to be answered before.
    miner.ask(3, "mining.ping", json!([]));
    for id in 0..4 {
        let answer = miner.next_answer();
        let expected = match id {
            1 => json!({ "id": 1, "result": true, "error": null }),
            3 => json!({ "id": 3, "result": "pong", "error": null }),
            _ => json!({ "id": id, "result": null, "error": [20, "The pool does not answer", null] }),
        };
        assert_eq!(answer, expected);
    }
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    // Too late: nobody is answered twice.
    end.answer(&shares[0], json!(true));
    miner.ask(4, "mining.ping", json!([]));
    assert_eq!(miner.next_answer()["id"], 4);
}

#[test]
fn a_lost_pool_leaves_nobody_without_an_answer() {
    let (pool, mut end, _site, mut miner) = opened("");
    let text = flood(&miner, 300);
    miner.write(&text);
    let shares: Vec<Value> = (0..300).map(|_| end.share()).collect();
    end.answer(&shares[7], json!(true));
    end.answer(&shares[0], json!(true));
    miner.answer(0);
    drop(end);
    for id in 1..300 {
        let answer = miner.next_answer();
        assert_eq!(answer["id"], id);
        if id != 7 {
            assert_eq!(answer["error"], json!([20, "The connection to the pool was lost", null]));
        }
    }
    // And life goes on.
    let mut end = pool.open("11223344", 8, EVERY_HASH);
    miner.wait("its new extranonce", |message| message["method"] == "mining.set_extranonce");
    miner.wait_job();
    let share = miner.mine(EVERY_HASH, f64::MAX);
    expect_accepted(&mut miner, &mut end, &share);
}

#[test]
fn a_pool_lost_in_the_middle_of_a_flood_costs_no_answer_and_no_miner() {
    const COUNT: u64 = 20_000;
    let (pool, mut end, _site, miner) = opened("");
    let text = flood(&miner, COUNT);
    let pools = std::thread::spawn(move || {
        for _ in 0..5000 {
            end.accept_share();
        }
        drop(end);
        let end = pool.open("11223344", 8, EVERY_HASH);
        answer_all(end, 1, |_| ());
        pool
    });
    let (answered, accepted) = ask_and_count(&miner, text, COUNT);
    assert_eq!(answered, COUNT);
    assert!((4000..COUNT).contains(&accepted), "{accepted}");
    drop(pools.join().unwrap());
}

#[test]
fn a_miner_that_is_disconnected_gets_its_answers_first() {
    let (pool, site) = one_pool("");
    // It can't be told of another extranonce.
    let (mut miner, mut end) = resident(&site, &pool, "NerdMinerV2", EVERY_HASH);
    let text = flood(&miner, 20);
    miner.write(&text);
    (0..20).for_each(|_| drop(end.share()));
    drop(end);
    let _next = pool.open("11223344", 8, EVERY_HASH);
    let rest = miner.wait_end();
    let answers: Vec<&Value> = rest.iter().filter(|message| message.get("method").is_none()).collect();
    assert_eq!(answers.len(), 20);
    assert!(answers.iter().enumerate().all(|(place, answer)| answer["id"] == place), "{answers:?}");
}

#[test]
fn ids_come_back_to_the_letter() {
    let (_pool, mut end, _site, mut miner) = opened("");
    let job = miner.job.clone().unwrap();
    let ids = [
        "7",
        "-3",
        "1.0",
        "1e2",
        "0.10",
        "\"x\"",
        "\"\\u00e9\\\"\"",
        "\"\"",
        "null",
        "true",
        "[1, 2]",
        "{}",
        "18446744073709551616",
        "99999999999999999999999999999999999999",
        "4",
        "4",
        "4",
    ];
    let mut reader = BufReader::new(miner.raw().try_clone().unwrap());
    for (nonce, id) in ids.iter().enumerate() {
        // Half to the pool, half answered here.
        let id = *id;
        miner.write(&format!(
            "{{\"params\":[\"w\",\"{}\",\"0000000000000000\",\"{}\",\"{nonce:x}\"],\"id\": {id} ,\"method\":\
             \"mining.submit\"}}\n{{\"id\":{id},\"method\":\"mining.ping\"}}\n",
            job.job_id.as_str().to_owned(),
            job.ntime
        ).replace("0000000000000000", &"00".repeat(miner.extranonce2_size)));
        end.accept_share();
        for result in ["true", "\"pong\""] {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert_eq!(line, format!("{{\"id\":{id},\"result\":{result},\"error\":null}}\n"));
        }
    }
    miner.write("{\"method\":\"mining.ping\",\"params\":[]}\n");
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"id\":null,\"result\":\"pong\",\"error\":null}\n");
}

#[test]
fn the_pools_refusals_come_in_the_one_form_that_every_miner_shows() {
    let (_pool, mut end, _site, mut miner) = opened("");
    for (words, expected) in [
        ("\"result\":null,\"error\":[21,\"Job not found\",null]", json!([21, "Job not found", null])),
        ("\"result\":null,\"error\":[22,\"Duplicate share\",\"\"]", json!([22, "Duplicate share", null])),
        ("\"result\":null,\"error\":[23,\"Difficulty too low\"]", json!([23, "Difficulty too low", null])),
        ("\"result\":false,\"error\":[20,null,\"Traceback\\nx\"]", json!([20, "Refused by the pool", null])),
        (
            "\"reject-reason\":\"Above target\",\"result\":false,\"error\":null",
            json!([20, "Above target", null]),
        ),
        ("\"result\":false,\"error\":\"Invalid worker name\"", json!([20, "Invalid worker name", null])),
        (
            "\"result\":null,\"error\":{\"code\":21,\"message\":\"Stale \\\"x\\\"\",\"traceback\":null}",
            json!([21, "Stale \"x\"", null]),
        ),
        ("\"result\":false,\"error\":null", json!([20, "Refused by the pool", null])),
        ("\"result\":false", json!([20, "Refused by the pool", null])),
        ("\"result\":null,\"error\":null", json!([20, "Refused by the pool", null])),
        ("\"result\":null,\"error\":[-2,\"odd code\",null]", json!([20, "odd code", null])),
        ("\"result\":true,\"error\":[24,\"Unauthorized\",null]", json!([24, "Unauthorized", null])),
    ] {
        let share = miner.mine(EVERY_HASH, f64::MAX);
        let id = miner.submit(&share);
        let share = end.share();
        end.line.write(&format!("{{\"id\":{},{words}}}\n", share["id"]));
        assert_eq!(miner.answer(id), json!({ "id": id, "result": null, "error": expected }), "{words}");
    }
    // Form 7: words, and the end.
    let share = miner.mine(EVERY_HASH, f64::MAX);
    let id = miner.submit(&share);
    end.share();
    end.line.write("Invalid JSON, disconnecting\n");
    drop(end);
    let lost = json!([20, "The connection to the pool was lost", null]);
    assert_eq!(miner.answer(id), json!({ "id": id, "result": null, "error": lost }));
}
