//! Messages of miners that are odd, wrong or not Stratum at all (wire reference, sections 1.1, 2.11, 2.12
//! and 5.1).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::aggregate::opened::{one_pool, resident};
use crate::aggregate::scripted::PoolEnd;
use crate::aggregate::site::{Line, Site};
use crate::common::DEADLINE;

fn world() -> (PoolEnd, Site, Line) {
    let (pool, site) = one_pool("");
    let (miner, end) = resident(&site, &pool, "odd/1", 1e-10);
    (end, site, miner)
}

fn refusal(id: &Value, code: i64, words: &str) -> Value {
    json!({ "id": id, "result": null, "error": [code, words, null] })
}

#[test]
fn an_unsupported_request_is_refused_with_its_id() {
    let (_end, _site, mut miner) = world();
    for method in [
        "mining.get_transactions",
        "mining.get_txnhashes",
        "mining.suggest_nonce2_size",
        "mining.passthrough",
        "mining.Subscribe",
        "",
        "x",
    ] {
        let id = json!(format!("for {method}"));
        miner.ask(id.clone(), method, json!(["x"]));
        assert_eq!(miner.next(), refusal(&id, 20, "Not supported."));
    }
    let long = "m".repeat(10_000);
    miner.ask(5, &long, Value::Null);
    assert_eq!(miner.next(), refusal(&json!(5), 20, "Not supported."));
}

#[test]
fn harmless_requests_are_granted() {
    let (_end, _site, mut miner) = world();
    let version = format!("sluice/{}", env!("CARGO_PKG_VERSION"));
    for (method, params, result) in [
        ("mining.ping", json!([]), json!("pong")),
        ("client.get_version", json!([]), json!(version)),
        ("mining.multi_version", json!([1]), json!(true)),
        ("mining.suggest_target", json!(["00000000ffff"]), json!(true)),
        ("mining.suggest_difficulty", json!([512]), json!(true)),
        ("mining.suggest_difficulty", json!(["0.5"]), json!(true)),
        ("mining.suggest_difficulty", json!([]), json!(true)),
        ("mining.suggest_difficulty", json!([-1]), json!(true)),
        ("mining.suggest_difficulty", Value::Null, json!(true)),
        ("mining.suggest_difficulty(512)", json!([]), json!(true)),
        ("mining.extranonce.subscribe", json!({}), json!(true)),
    ] {
        miner.ask(5, method, params);
        assert_eq!(miner.next(), json!({ "id": 5, "result": result, "error": null }), "{method}");
    }
}

#[test]
fn answers_and_the_request_that_is_one_are_not_answered() {
    let (_end, _site, mut miner) = world();
    miner.write(
        "{\"id\":42,\"method\":\"pong\",\"params\":[]}\n{\"id\":42,\"result\":\"pong\",\"error\":null}\n\
         {\"id\":7,\"error\":null,\"result\":true}\n{\"id\":8,\"result\":null,\"error\":[20,\"?\",null]}\n",
    );
    miner.ask(9, "mining.ping", json!([]));
    assert_eq!(miner.next()["id"], 9);
}

#[test]
fn a_request_without_a_method_is_told_so() {
    let (_end, _site, mut miner) = world();
    for text in [
        "{\"id\":\"n\",\"method\":null,\"params\":[]}",
        "{\"id\":\"n\",\"method\":5,\"params\":[]}",
        "{\"id\":\"n\",\"params\":[\"w\"]}",
        "{\"id\":\"n\"}",
    ] {
        miner.write(&format!("{text}\n"));
        assert_eq!(miner.next(), refusal(&json!("n"), 20, "There is no method"), "{text}");
    }
}

#[test]
fn submits_with_odd_params_are_refused_and_the_pool_never_sees_them() {
    let (mut end, _site, mut miner) = world();
    let job = miner.job.clone().unwrap().job_id.as_str().to_owned();
    for params in [
        Value::Null,
        json!({}),
        json!([]),
        json!("x"),
        json!(["w", job, "0000000000000000", "68596192"]),
        json!(["w", job, null, "68596192", "00000000"]),
        json!(["w", job, "000000000000000g", "68596192", "00000000"]),
        json!(["w", job, "0000000000000000", "6859619200", "00000000"]),
        json!([null, job, "0000000000000000", "68596192", "00000000"]),
        json!(["w", {}, "0000000000000000", "68596192", "00000000"]),
    ] {
        miner.ask(6, "mining.submit", params.clone());
        let answer = miner.next();
        assert_eq!((&answer["id"], &answer["error"][0]), (&json!(6), &json!(20)), "{params} {answer}");
        assert!(answer["error"][2].is_null() && answer["error"][1].is_string(), "{answer}");
    }
    miner.write("{\"id\":6,\"method\":\"mining.submit\"}\n");
    assert_eq!(miner.next()["error"][0], 20);
    assert!(end.line.is_quiet_for(Duration::from_millis(30)));
}

#[test]
fn subscribe_and_authorize_take_whatever_params_there_are() {
    let (_end, site, _resident) = world();
    for params in
        [Value::Null, json!({}), json!([]), json!([null, null]), json!([5]), json!("x"), json!([[]])]
    {
        let mut miner = site.connect();
        miner.ask(1, "mining.subscribe", params.clone());
        let answer = miner.next();
        assert!(answer["result"][1].is_string(), "{params} {answer}");
    }
    let mut miner = site.connect();
    miner.write("{\"id\":1,\"method\":\"mining.subscribe\"}\n{\"id\":2,\"method\":\"mining.authorize\",\"params\":null}\n");
    assert_eq!((miner.next()["id"].clone(), miner.next()["id"].clone()), (json!(1), json!(2)));
}

#[test]
fn nonsense_is_told_so_and_does_not_end_the_conversation() {
    let (_end, _site, mut miner) = world();
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let deep_params = format!("{{\"id\":1,\"method\":\"mining.ping\",\"params\":{deep}}}");
    let lines: Vec<Vec<u8>> = vec![
        b"hello".to_vec(),
        b"[]".to_vec(),
        b"[{\"id\":1,\"method\":\"mining.ping\"}]".to_vec(),
        b"\"text\"".to_vec(),
        b"{\"id\":1,\"method\":\"mining.ping\"".to_vec(),
        b"{\"id\":1,\"id\":2,\"method\":\"mining.ping\"}".to_vec(),
        b"{\"id\":1,\"method\":\"mining.\xff\xfe\"}".to_vec(),
        b"\0\0\0".to_vec(),
        b"{\"id\":1,\0\"method\":\"mining.ping\"}".to_vec(),
        b"\xef\xbb\xbf{\"id\":1,\"method\":\"mining.ping\"}".to_vec(),
        deep.clone().into_bytes(),
    ];
    for line in lines {
        let mut raw = miner.raw();
        raw.write_all(&line).unwrap();
        raw.write_all(b"\n").unwrap();
        let answer = miner.next();
        assert_eq!(answer, refusal(&Value::Null, 20, "Not a Stratum message"), "{}", line.escape_ascii());
    }
    // Deep in what nobody looks at, or refused: answered in any case, and nothing falls over.
    miner.write(&format!("{deep_params}\n"));
    assert!(miner.next().get("error").is_some());
    miner.ask(2, "mining.ping", json!([]));
    assert_eq!(miner.next()["id"], 2);
}

#[test]
fn the_framing_is_free() {
    let (_end, _site, mut miner) = world();
    miner.write("\n\r\n  \n\t\r\n{\"id\":1,\"method\":\"mining.ping\"}\r\n{\"id\":2,\"method\":\"mining.ping\"}\n\n{\"id\":3,\"meth");
    for id in [1, 2] {
        assert_eq!(miner.next()["id"], id);
    }
    for byte in "od\":\"mining.ping\"}\r\n".bytes() {
        miner.raw().write_all(&[byte]).unwrap();
    }
    assert_eq!(miner.next()["id"], 3);
    miner.write("  { \"extra\" : {} , \"jsonrpc\":\"2.0\", \"method\" : \"mining.ping\" , \"id\" : 4 }  \n");
    assert_eq!(miner.next()["id"], 4);
    // Escapes in a method's name are part of JSON.
    miner.write("{\"id\":5,\"method\":\"mining\\u002eping\"}\n");
    assert_eq!(miner.next()["result"], "pong");
}

#[test]
fn a_miner_for_another_coin_is_told_so_once_and_closed() {
    let (_end, site, _resident) = world();
    for line in [
        "{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"login\",\"params\":{\"login\":\"4A\",\"pass\":\"x\",\"agent\":\"XMRig/6.21\"}}",
        "{\"id\":1,\"method\":\"eth_submitLogin\",\"params\":[\"0xabc\"]}",
        "{\"id\":1,\"method\":\"eth_getWork\",\"params\":[]}",
    ] {
        let mut miner = site.connect();
        miner.write(&format!("{line}\n{{\"id\":2,\"method\":\"mining.ping\"}}\n"));
        let all = miner.wait_end();
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!((&all[0]["id"], &all[0]["error"][0]), (&json!(1), &json!(20)));
    }
}

#[test]
fn a_line_without_end_costs_no_more_than_the_connection() {
    let (_end, site, mut resident) = world();
    let mut endless = TcpStream::connect(site.address()).unwrap();
    endless.set_read_timeout(Some(DEADLINE)).unwrap();
    endless.write_all(&[b'x'; 200_000]).unwrap();
    assert_eq!(endless.read(&mut [0]).unwrap(), 0, "it is to be closed without a word");
    resident.ask(1, "mining.ping", json!([]));
    assert_eq!(resident.next()["id"], 1);
}

#[test]
fn other_protocols_are_closed() {
    let (_end, site, mut resident) = world();
    for text in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    ] {
        let mut stranger = TcpStream::connect(site.address()).unwrap();
        stranger.set_read_timeout(Some(DEADLINE)).unwrap();
        stranger.write_all(text).unwrap();
        let mut answer = Vec::new();
        // A reset is an end too.
        let _ = stranger.read_to_end(&mut answer);
        let is_http = text.starts_with(b"GET");
        assert_eq!(answer.starts_with(b"HTTP/1.1 400"), is_http, "{}", answer.escape_ascii());
    }
    resident.ask(1, "mining.ping", json!([]));
    assert_eq!(resident.next()["id"], 1);
}
