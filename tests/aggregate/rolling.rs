//! Version rolling: what is granted before the pool is known, and what is put right afterwards (wire
//! reference, sections 2.4, 2.5 and 3.3).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice::proxy::aggregate::Limits;

use crate::aggregate::opened::one_pool;
use crate::aggregate::scripted::{PoolEnd, Scripted};
use crate::aggregate::site::{Line, Site};
use crate::common::{upstream, wait_for};

/// The time for which a miner may go on rolling what was taken from it.
const GRACE: Duration = Duration::from_secs(2);

/// The pool's answer to configure.
#[derive(Debug, Clone, Copy)]
enum Pool {
    Grants(&'static str),
    Refuses,
    Answers(&'static str),
}

/// Asks for these bits; what was granted, if anything.
fn configure(miner: &mut Line, mask: &str) -> Option<String> {
    miner.ask(1, "mining.configure", json!([["version-rolling"], { "version-rolling.mask": mask }]));
    let answer = miner.next();
    assert_eq!((&answer["id"], &answer["error"]), (&json!(1), &Value::Null), "{answer}");
    granted(&answer["result"])
}

fn granted(result: &Value) -> Option<String> {
    (result["version-rolling"] == true)
        .then(|| result["version-rolling.mask"].as_str().expect("a mask").to_owned())
}

fn answer_configure(end: &mut PoolEnd, how: Pool) {
    let request = end.request("mining.configure");
    match how {
        Pool::Grants(mask) => {
            end.answer(&request, json!({ "version-rolling": true, "version-rolling.mask": mask }));
        }
        Pool::Refuses => end.answer(&request, json!({ "version-rolling": false })),
        Pool::Answers(text) => end.line.write(&text.replace("ID", &request["id"].to_string())),
    }
}

fn answer_subscribe(end: &mut PoolEnd) {
    let request = end.request("mining.subscribe");
    end.answer(&request, json!([[["mining.notify", "s"]], "0a0b0c0d", 8]));
    // Each hash is a share.
    end.set_difficulty(1e-10);
}

/// Subscribes and authorizes; the lines up to the first job.
fn join(miner: &mut Line, end: &mut PoolEnd) -> Vec<Value> {
    miner.ask(2, "mining.subscribe", json!(["bitaxe/BM1370/v2.15.1"]));
    miner.ask(3, "mining.authorize", json!(["w", "x"]));
    miner.worker = "w".to_owned();
    answer_subscribe(end);
    end.authorize();
    end.notify(true);
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &Value| line["method"] != "mining.notify") {
        let line = miner.next();
        if line["id"] == 2 {
            miner.take_search_space(&line);
        }
        lines.push(line);
    }
    lines
}

fn wait_mask(miner: &mut Line) -> String {
    let message = miner.wait("a mask", |message| message["method"] == "mining.set_version_mask");
    message["params"][0].as_str().unwrap().to_owned()
}

#[test]
fn before_the_pool_is_up_the_usual_bits_are_granted_and_corrected_later() {
    for (asked, first, how, corrected) in [
        ("ffffffff", Some("1fffe000"), Pool::Grants("1fffe000"), None),
        ("00fff000", Some("00ffe000"), Pool::Grants("1fffe000"), None),
        ("00000000", None, Pool::Grants("1fffe000"), None),
        ("00000fff", None, Pool::Grants("1fffe000"), None),
        ("ffffffff", Some("1fffe000"), Pool::Grants("18000000"), Some("18000000")),
        ("ffffffff", Some("1fffe000"), Pool::Grants("1fffffe0"), Some("1fffffe0")),
        ("ffffffff", Some("1fffe000"), Pool::Refuses, Some("00000000")),
        (
            "ffffffff",
            Some("1fffe000"),
            Pool::Answers("{\"id\":ID,\"result\":null,\"error\":[20,\"?\",null]}\n"),
            Some("00000000"),
        ),
        (
            "ffffffff",
            Some("1fffe000"),
            Pool::Answers("{\"id\":ID,\"result\":{\"version-rolling\":true}}\n"),
            None,
        ),
        (
            "ffffffff",
            Some("1fffe000"),
            Pool::Answers(
                "{\"id\":ID,\"result\":{\"version-rolling\":true,\"version-rolling.mask\":\"e000\"}}\n",
            ),
            Some("0000e000"),
        ),
    ] {
        let (pool, site) = one_pool("");
        let mut miner = site.connect();
        assert_eq!(configure(&mut miner, asked).as_deref(), first, "{how:?}");
        miner.ask(2, "mining.subscribe", json!(["x"]));
        let mut end = pool.accept();
        answer_configure(&mut end, how);
        let lines = join(&mut miner, &mut end);
        assert_eq!(lines[0]["id"], 2, "nothing comes before the answer to subscribe");
        let masks: Vec<&str> = lines
            .iter()
            .filter(|line| line["method"] == "mining.set_version_mask")
            .map(|line| line["params"][0].as_str().unwrap())
            .collect();
        assert_eq!(masks, corrected.into_iter().collect::<Vec<_>>(), "{how:?}");
        // The next one is told at once what the pool has said.
        let mut second = site.connect();
        let known = corrected.or(first).filter(|mask| *mask != "00000000");
        assert_eq!(configure(&mut second, asked).as_deref(), known, "{how:?}");
    }
}

#[test]
fn a_late_answer_to_configure_corrects_what_miners_roll() {
    let (pool, site) = one_pool("");
    let mut miner = site.connect();
    assert_eq!(configure(&mut miner, "ffffffff").as_deref(), Some("1fffe000"));
    miner.ask(9, "mining.subscribe", json!(["x"]));
    let mut end = pool.accept();
    let asked = end.request("mining.configure");
    let lines = join(&mut miner, &mut end);
    assert!(lines.iter().all(|line| line["method"] != "mining.set_version_mask"), "{lines:?}");
    // Rolled while nobody knows: the bits are part of the work, and reach the pool.
    submit_rolled(&mut miner, "00002000");
    let share = end.share();
    assert_eq!(share["params"][5], "00002000");
    end.answer(&share, json!(true));
    end.answer(&asked, json!({ "version-rolling": true, "version-rolling.mask": "00006000" }));
    assert_eq!(wait_mask(&mut miner), "00006000");
    end.line.say(&json!({ "id": null, "method": "mining.set_version_mask", "params": ["00002000"] }));
    assert_eq!(wait_mask(&mut miner), "00002000");
    end.line.say(&json!({ "id": null, "method": "mining.set_version_mask", "params": ["00000000"] }));
    assert_eq!(wait_mask(&mut miner), "00000000");
    end.line.say(&json!({ "id": null, "method": "mining.set_version_mask", "params": ["1fffe000"] }));
    assert_eq!(wait_mask(&mut miner), "1fffe000");
}

#[test]
fn silence_is_no_version_rolling_until_the_pool_says_otherwise() {
    let pool = Scripted::start();
    let more = "[failover]\nanswer_timeout = \"600ms\"\n";
    let site = Site::start(&[pool.address()], more);
    let mut miner = site.connect();
    assert_eq!(configure(&mut miner, "ffffffff").as_deref(), Some("1fffe000"));
    miner.ask(9, "mining.subscribe", json!(["x"]));
    let mut end = pool.accept();
    let asked = end.request("mining.configure");
    join(&mut miner, &mut end);
    assert_eq!(wait_mask(&mut miner), "00000000");
    // Some send the sixth param even so.
    submit_rolled(&mut miner, "00000000");
    let share = end.share();
    assert_eq!(share["params"].as_array().unwrap().len(), 5, "{share}");
    end.answer(&share, json!(true));
    end.answer(&asked, json!({ "version-rolling": true, "version-rolling.mask": "1fffe000" }));
    assert_eq!(wait_mask(&mut miner), "1fffe000");
}

#[test]
fn a_miner_that_configures_after_subscribe_gets_the_pools_mask() {
    let (pool, site) = one_pool("");
    let opening = std::thread::spawn(move || {
        let mut end = pool.accept();
        answer_configure(&mut end, Pool::Grants("00006000"));
        answer_subscribe(&mut end);
        (end, pool)
    });
    let mut miner = site.connect();
    miner.ask(5, "mining.subscribe", json!(["bitaxe v2.1"]));
    miner.answer(5);
    let _opened = opening.join().unwrap();
    assert_eq!(configure(&mut miner, "ffffffff").as_deref(), Some("00006000"));
}

#[test]
fn other_extensions_are_answered_each() {
    let (_pool, site) = one_pool("");
    let mut miner = site.connect();
    miner.ask(
        "x",
        "mining.configure",
        json!([
            ["minimum-difficulty", "version-rolling", "subscribe-extranonce", "info", "unheard-of"],
            { "version-rolling.mask": "1fffe000", "version-rolling.min-bit-count": "00000005",
              "minimum-difficulty.value": 2048, "info.hw-id": "x" }
        ]),
    );
    let answer = miner.next();
    assert_eq!(answer["id"], "x");
    assert_eq!(granted(&answer["result"]).as_deref(), Some("1fffe000"));
    assert_eq!(answer["result"]["subscribe-extranonce"], true);
    for (id, params) in
        [json!([]), json!({}), Value::Null, json!("x"), json!([[]]), json!([5, 5])].iter().enumerate()
    {
        miner.ask(id, "mining.configure", params.clone());
        let answer = miner.next();
        assert_eq!((&answer["id"], &answer["error"]), (&json!(id), &Value::Null), "{params}");
        assert!(answer["result"].is_object(), "{answer}");
    }
}

#[test]
fn a_configure_about_something_else_leaves_the_mask() {
    let (pool, site) = one_pool("");
    let mut miner = site.connect();
    assert_eq!(configure(&mut miner, "ffffffff").as_deref(), Some("1fffe000"));
    miner.ask(8, "mining.configure", json!([["subscribe-extranonce"], {}]));
    assert_eq!(miner.answer(8)["result"], json!({ "subscribe-extranonce": true }));
    miner.ask(9, "mining.subscribe", json!(["x"]));
    let mut end = pool.accept();
    answer_configure(&mut end, Pool::Grants("1fffe000"));
    join(&mut miner, &mut end);
    submit_rolled(&mut miner, "00002000");
    let share = end.share();
    assert_eq!(share["params"][5], "00002000");
    end.answer(&share, json!(true));
    assert_eq!(miner.answer(1000)["result"], true);
}

#[test]
fn a_miner_that_goes_on_rolling_at_a_pool_without_it_must_reconnect_and_is_no_abuser() {
    let (pool, limits) = (Scripted::start(), Limits { mask_grace: GRACE, ..Limits::default() });
    let limited = "[ratelimit]\nmax_connections_per_minute = 100\n";
    let site = Site::with_limits(&format!("{limited}{}", upstream(pool.address())), limits);
    let mut miner = site.connect();
    let asked = json!([["version-rolling", "subscribe-extranonce"], { "version-rolling.mask": "1fffe000" }]);
    miner.ask(1, "mining.configure", asked);
    miner.answer(1);
    miner.ask(9, "mining.subscribe", json!(["x"]));
    let mut end = pool.accept();
    answer_configure(&mut end, Pool::Grants("1fffe000"));
    join(&mut miner, &mut end);
    drop(end);
    let mut end = pool.accept();
    answer_configure(&mut end, Pool::Refuses);
    answer_subscribe(&mut end);
    end.authorize();
    end.notify(true);
    assert_eq!(wait_mask(&mut miner), "00000000");
    miner.wait_job();
    miner.forget();
    let began = Instant::now();
    // What it has begun, and far more of it than anybody is forgiven otherwise.
    (0..150).for_each(|_| submit_rolled(&mut miner, "00002000"));
    for _ in 0..150 {
        assert_eq!(miner.answer(1000)["error"][0], 20);
    }
    wait_for("the end of the grace", || began.elapsed() > GRACE);
    submit_rolled(&mut miner, "00002000");
    assert_eq!(miner.answer(1000)["error"][0], 20);
    miner.wait_end();
    let mut again = site.connect();
    assert_eq!(configure(&mut again, "1fffe000"), None);
}

fn submit_rolled(miner: &mut Line, bits: &str) {
    let job = miner.job.clone().unwrap();
    let extranonce2 = "00".repeat(miner.extranonce2_size);
    let params = json!(["w", job.job_id.as_str(), extranonce2, job.ntime.to_string(), "00000001", bits]);
    miner.ask(1000, "mining.submit", params);
}
