//! The messages of each kind of miner, line by line, to a pool that is played by the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use sluice::sim::{MinerModel, MinerOptions, SimMiner};

use super::{EASY, SLOW, soon, worker};

#[test]
fn a_bitaxe_opens_with_one_burst_and_answers_with_requests() {
    let (mut stream, mut lines, _miner, _listener) = fake_pool(MinerModel::Bitaxe);
    let burst: Vec<Value> = (0..3).map(|_| next(&mut lines)).collect();
    let methods: Vec<&str> = burst.iter().map(|request| request["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["mining.configure", "mining.subscribe", "mining.authorize"]);
    assert_eq!(burst.iter().map(|request| request["id"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    // Out of order, as OCEAN does it.
    writeln!(stream, r#"{{"id":2,"result":[[],"00112233",8],"error":null}}"#).unwrap();
    writeln!(stream, r#"{{"id":1,"result":{{"version-rolling":false}},"error":null}}"#).unwrap();
    writeln!(stream, r#"{{"id":3,"result":true,"error":null}}"#).unwrap();
    let suggested = next(&mut lines);
    assert_eq!(suggested, json!({ "id": 4, "method": "mining.suggest_difficulty", "params": [1000] }));
    writeln!(stream, r#"{{"id":42,"method":"mining.ping","params":[]}}"#).unwrap();
    assert_eq!(next(&mut lines), json!({ "id": 42, "method": "pong", "params": [] }));
    give_work(&mut stream);
    let share = next(&mut lines);
    assert_eq!(share["params"].as_array().unwrap().len(), 6, "always");
    assert_eq!(share["params"][5], "00000000", "no rolling was granted");
    assert!(share["params"][2].as_str().unwrap().ends_with("000000000000"), "counts little-endian: {share}");
}

#[test]
fn cgminer_waits_for_each_answer() {
    let (mut stream, mut lines, _miner, _listener) = fake_pool(MinerModel::Cgminer);
    assert_eq!(next(&mut lines)["method"], "mining.configure");
    writeln!(stream, r#"{{"id":0,"result":{{"version-rolling":true,"version-rolling.mask":"1fffe000"}}}}"#)
        .unwrap();
    assert_eq!(
        next(&mut lines),
        json!({ "id": 1, "method": "mining.subscribe", "params": ["cgminer/4.13.6"] })
    );
    writeln!(stream, r#"{{"id":1,"result":[[],"00112233",8],"error":null}}"#).unwrap();
    assert_eq!(next(&mut lines)["method"], "mining.authorize");
    // What it knows may come before the answer.
    give_work(&mut stream);
    writeln!(stream, r#"{{"id":7,"method":"client.get_version","params":[]}}"#).unwrap();
    writeln!(stream, r#"{{"id":42,"method":"mining.ping","params":[]}}"#).unwrap();
    let mut answers = Vec::new();
    while answers.len() < 2 {
        let line = next(&mut lines);
        if line.get("method").is_none() {
            answers.push((line["id"].clone(), line["result"].clone()));
        }
    }
    assert_eq!(answers, [(json!(7), json!("cgminer/4.13.6")), (json!(42), json!("pong"))]);
    writeln!(stream, r#"{{"id":2,"result":true,"error":null}}"#).unwrap();
    let line = raw(&mut lines, "mining.submit");
    assert!(line.starts_with("{\"params\""), "{line}");
}

#[test]
fn a_nerdminer_reads_one_line_and_goes_on() {
    let (mut stream, mut lines, miner, _listener) = fake_pool(MinerModel::NerdMiner);
    let subscribe = next(&mut lines);
    assert_eq!((&subscribe["id"], &subscribe["method"]), (&json!(1), &json!("mining.subscribe")));
    writeln!(stream, r#"{{"id":1,"result":[[],"00112233",4],"error":null}}"#).unwrap();
    let line = raw(&mut lines, "mining.authorize");
    assert!(line.starts_with("{\"params\""), "{line}");
    let suggested = next(&mut lines);
    assert_eq!(suggested, json!({ "id": 3, "method": "mining.suggest_difficulty", "params": [0.00015] }));
    writeln!(stream, r#"{{"id":null,"method":"mining.set_extranonce","params":["ffffffff",8]}}"#).unwrap();
    give_work(&mut stream);
    let share = next(&mut lines);
    assert_eq!(share["params"].as_array().unwrap().len(), 5);
    assert_eq!(share["params"][2], "00000001");
    assert!(share["params"][4].as_str().unwrap().starts_with("da5"), "{share}");
    // A string for an error is none, to a NerdMiner.
    writeln!(stream, r#"{{"id":{},"result":false,"error":"Stale"}}"#, share["id"]).unwrap();
    assert!(miner.wait_until(soon(), |stats| stats.accepted == 1));
    assert_eq!(miner.stats().extranonce1.unwrap().to_string(), "00112233");

    // A job it cannot make sense of makes it start again.
    writeln!(stream, r#"{{"id":null,"method":"mining.notify","params":["1"]}}"#).unwrap();
    let mut rest = Vec::new();
    lines.read_to_end(&mut rest).ok();
    assert!(miner.wait_until(soon(), |stats| stats.connections >= 2), "{:?}", miner.stats());
}

#[test]
fn all_shares_of_a_cpuminer_have_one_id() {
    let (mut stream, mut lines, miner, _listener) = fake_pool(MinerModel::Cpuminer);
    assert_eq!(next(&mut lines)["id"], 1);
    writeln!(stream, r#"{{"id":1,"result":[[],"00112233",8],"error":null}}"#).unwrap();
    assert_eq!(next(&mut lines)["id"], 2);
    give_work(&mut stream);
    writeln!(stream, r#"{{"id":2,"result":true,"error":null}}"#).unwrap();
    for _ in 0..3 {
        let share: Value = serde_json::from_str(&raw(&mut lines, "mining.submit")).unwrap();
        assert_eq!((&share["id"], share["params"].as_array().unwrap().len()), (&json!(4), 5));
    }
    for accepted in [true, false, true] {
        writeln!(stream, r#"{{"id":4,"result":{accepted},"error":null}}"#).unwrap();
    }
    assert!(miner.wait_until(soon(), |stats| (stats.accepted, stats.rejected) == (2, 1)));
}

/// The connection of a miner, and no pool behind it. Connections made later wait at the listener.
fn fake_pool(habit: MinerModel) -> (TcpStream, BufReader<TcpStream>, SimMiner, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = MinerOptions::new(listener.local_addr().unwrap(), habit, worker(habit));
    options.hash_rate_limit = Some(SLOW);
    options.retry_wait = Some(Duration::from_millis(50));
    let miner = SimMiner::start(options).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let lines = BufReader::new(stream.try_clone().unwrap());
    (stream, lines, miner, listener)
}

fn next(lines: &mut BufReader<TcpStream>) -> Value {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// The next line with this method, as it is written.
fn raw(lines: &mut BufReader<TcpStream>, method: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the miner closed the connection");
        let message: Value = serde_json::from_str(&line).unwrap();
        if message["method"] == method {
            return line;
        }
    }
}

/// A difficulty and a job.
fn give_work(stream: &mut TcpStream) {
    writeln!(stream, r#"{{"id":null,"method":"mining.set_difficulty","params":[{EASY}]}}"#).unwrap();
    let hash = "11".repeat(32);
    let params = json!(["ab", hash, "01", "02", [hash], "20000000", "1d00ffff", "6b009800", true]);
    writeln!(stream, r#"{{"id":null,"method":"mining.notify","params":{params}}}"#).unwrap();
}
