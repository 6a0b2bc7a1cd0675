//! Messages of pools beside jobs and answers, and jobs in all the forms that were seen (wire reference,
//! sections 2.7 to 2.12).

use std::time::Duration;

use serde_json::{Value, json};

use crate::aggregate::opened::{one_pool, resident};
use crate::aggregate::scripted::PoolEnd;
use crate::aggregate::site::{Line, Site};

fn world(more: &str) -> (PoolEnd, Site, Line) {
    let (pool, site) = one_pool(more);
    let (miner, end) = resident(&site, &pool, "cpuminer/2.5.1", 1e-10);
    (end, site, miner)
}

const PARENT: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A job with these params before and after what all have.
fn job(id: &Value, tail: &[Value]) -> Value {
    let coinb1 = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff2003a4bc0eaabbccdd";
    let coinb2 = "ffffffff0100f2052a01000000160014751e76e8199196d454941c45d1b3a323f1433bd600000000";
    let mut params = vec![id.clone(), json!(PARENT), json!(coinb1), json!(coinb2), json!([])];
    params.extend([json!("20000000"), json!("17023a04"), json!("68596192")]);
    params.extend_from_slice(tail);
    json!({ "id": null, "method": "mining.notify", "params": params })
}

#[test]
fn jobs_of_every_form_reach_the_miner_and_their_shares_the_pool() {
    let (mut end, _site, mut miner) = world("");
    for (id, tail) in [
        (json!("a"), vec![json!(true)]),
        (json!("b"), vec![]),
        (json!("c"), vec![json!("68596192"), json!(true)]),
        (json!("d"), vec![json!(1)]),
        (json!("e"), vec![json!("true")]),
        (json!(17), vec![json!(true)]),
        (json!("17170203186668293"), vec![json!(false), json!("more"), json!({})]),
        (json!("0"), vec![json!(false)]),
    ] {
        end.line.say(&job(&id, &tail));
        let given = miner.wait_job();
        assert_eq!(given.branches.len(), 0);
        let share = miner.mine(1e-10, f64::MAX);
        let own = miner.submit(&share);
        let share = end.share();
        let name = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        assert_eq!(share["params"][1], name, "{id}");
        end.answer(&share, json!(true));
        assert_eq!(miner.answer(own)["result"], true, "{id}");
    }
    // One that can't be read does no harm.
    end.line
        .write("{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"x\",\"short\"]}\nnonsense\n\n\r\n");
    end.line.say(&job(&json!("f"), &[json!(true)]));
    miner.wait_job();
}

#[test]
fn a_pool_may_give_its_job_before_it_answers_the_subscribe() {
    let (pool, site) = one_pool("");
    let opening = std::thread::spawn(move || {
        let mut end = pool.accept();
        let subscribe = end.request("mining.subscribe");
        // As text, as some have it.
        end.line
            .write("{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[\"0.0625\", null]}\r\n");
        end.notify(true);
        let configure = end.request("mining.configure");
        end.answer(&subscribe, json!([[["mining.notify", "s"]], "0a0b0c0d", 8, "more"]));
        end.answer(&configure, json!({ "version-rolling": true, "version-rolling.mask": "1fffe000" }));
        end.authorize();
        end
    });
    let mut miner = site.connect();
    miner.ask(1, "mining.subscribe", json!(["bitaxe/BM1370/v2.15.1"]));
    assert_eq!(miner.next()["id"], 1);
    miner.ask(2, "mining.authorize", json!(["w", "x"]));
    assert_eq!(miner.next()["id"], 2);
    miner.wait_job();
    assert_eq!(miner.difficulty, 0.0625);
    drop(opening.join().unwrap());
}

#[test]
fn unknown_notifications_are_passed_on_unless_that_is_forbidden() {
    let odd = "{\"id\":null,\"method\":\"mining.set_goal\",\"params\":[\"a  b\", 1.50]}";
    for strict in [false, true] {
        let (mut end, _site, mut miner) = world(&format!("[aggregate]\nstrict_broadcast = {strict}\n"));
        end.line.write(&format!(
            "{odd}\n{}\n{}\n",
            "{\"id\":null,\"method\":\"other.thing\",\"params\":[]}",
            "{\"method\":\"client.show_message\",\"params\":[\"hello\"]}",
        ));
        let mut methods = Vec::new();
        while methods.last().is_none_or(|last| last != "client.show_message") {
            let message = miner.wait("a message", |message| message.get("method").is_some());
            methods.push(message["method"].as_str().unwrap().to_owned());
            if methods.last().is_some_and(|last| last == "mining.set_goal") {
                assert_eq!(message, serde_json::from_str::<Value>(odd).unwrap());
            }
        }
        let expected: &[&str] =
            if strict { &["client.show_message"] } else { &["mining.set_goal", "client.show_message"] };
        assert_eq!(methods, expected);
    }
}

#[test]
fn no_message_reaches_a_miner_before_it_is_authorized() {
    let (mut end, site, mut resident) = world("");
    let mut opening = site.connect();
    opening.ask(1, "mining.subscribe", json!(["cgminer/4.13.6"]));
    assert_eq!(opening.next()["id"], 1);
    end.line.write("{\"id\":null,\"method\":\"client.show_message\",\"params\":[\"hello\"]}\n");
    resident.wait("the message", |message| message["method"] == "client.show_message");
    opening.ask(2, "mining.authorize", json!(["w", "x"]));
    assert_eq!(opening.next()["id"], 2);
}

#[test]
fn the_pools_questions_are_answered() {
    let (mut end, _site, mut miner) = world("");
    let version = format!("sluice/{}", env!("CARGO_PKG_VERSION"));
    for (id, method, expected) in [
        (json!(42), "mining.ping", json!({ "id": 42, "result": "pong", "error": null })),
        (json!("v"), "client.get_version", json!({ "id": "v", "result": version, "error": null })),
        (json!(7), "client.show_message", json!({ "id": 7, "result": true, "error": null })),
        (
            json!(8),
            "mining.unheard_of",
            json!({ "id": 8, "result": null, "error": [20, "Not supported.", null] }),
        ),
        (json!(9), "odd", json!({ "id": 9, "result": null, "error": [20, "Not supported.", null] })),
    ] {
        end.line.say(&json!({ "id": id, "method": method, "params": ["x"] }));
        let answer = end.line.next_answer();
        assert_eq!(answer, expected);
    }
    // What asks for an answer is not for the miners, but for a message.
    let message = miner.wait("a message", |message| message.get("method").is_some());
    assert_eq!(message["method"], "client.show_message");
    assert!(miner.is_quiet_for(Duration::from_millis(30)));
}

#[test]
fn answers_to_nothing_are_nobodys() {
    let (mut end, _site, mut miner) = world("");
    for line in [
        "{\"id\":99999,\"result\":true,\"error\":null}",
        "{\"id\":\"5\",\"result\":true,\"error\":null}",
        "{\"id\":null,\"result\":true,\"error\":null}",
        "{\"result\":true}",
        "{\"id\":1,\"method\":null,\"result\":[[],\"ffff\",4],\"error\":null}",
        "[1,2,3]",
        "{\"id\":-1,\"result\":[],\"error\":null}",
    ] {
        end.line.write(&format!("{line}\n"));
    }
    let share = miner.mine(1e-10, f64::MAX);
    let id = miner.submit(&share);
    let share = end.share();
    // In the way of libraries that write a null method into answers.
    end.line.write(&format!("{{\"id\":{},\"method\":null,\"result\":true,\"error\":null}}\n", share["id"]));
    assert_eq!(miner.answer(id)["result"], true);
}

/// Some miners take a method by its beginning, and don't mind capitals (wire reference, section 5.2, 16).
#[test]
fn a_message_that_a_miner_could_mistake_is_not_passed_on() {
    let (mut end, _site, mut miner) = world("");
    for method in
        ["mining.notifyx", "mining.Set_Extranonce2", "MINING.SET_DIFFICULTY_NOW", "mining.set_version_masks"]
    {
        end.line.say(&json!({ "id": null, "method": method, "params": [1_000_000] }));
    }
    let long = "x".repeat(100_000);
    end.line.say(&json!({ "id": null, "method": "mining.set_goal", "params": [long] }));
    end.line.say(&json!({ "id": null, "method": "Mining.Set_Difficulty", "params": [1e-11] }));
    end.line.say(&json!({ "id": null, "method": "mining.set_goal", "params": [] }));
    let mut methods = Vec::new();
    while methods.last().is_none_or(|last| last != "mining.set_goal") {
        let message = miner.wait("a message", |message| message.get("method").is_some());
        methods.push(message["method"].as_str().unwrap().to_owned());
    }
    // A known one is understood, however it is written.
    assert_eq!(methods, ["mining.set_difficulty", "mining.notify", "mining.set_goal"]);
    assert_eq!(miner.difficulty, 1e-11);
}
