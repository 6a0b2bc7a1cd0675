//! Sessions that flood lose copies and rows of their own, and nobody else's.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use sluice::analyzer::{Analyzer, Setup};
use sluice::clock::Clock;
use sluice::record::Recorder;
use sluice::tap::Conversation;

use crate::common::recorded::{Recorded, judged, rows, setup};
use crate::common::{BarePool, accepted, exchange, expect, submit, wait_for};

const SUBMIT: &str =
    "{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"flood\",\"1\",\"00\",\"5\",\"7\"]}\n";
const SUGGEST: &str = "{\"id\":7,\"method\":\"mining.suggest_difficulty\",\"params\":[0.001]}\n";
const GARBAGE: &str = "nonsense of some length, as a port scanner sends it\n";

/// Sends one line after the other, each a copy of its own, until no more of them find room.
fn fill(from: &mut TcpStream, to: &TcpStream, line: &str, conversation: &Arc<Conversation>) {
    let (mut before, mut without_change) = (dropped(conversation), 0);
    while without_change < 20 {
        from.write_all(line.as_bytes()).unwrap();
        expect(to, line.as_bytes());
        let now = dropped(conversation);
        without_change = if now > before { without_change + 1 } else { 0 };
        before = now;
    }
}

fn dropped(conversation: &Arc<Conversation>) -> u64 {
    conversation.dropped_copies.load(Ordering::Relaxed)
}

/// The newest session's.
fn newest(recorded: &Recorded) -> Arc<Conversation> {
    recorded.proxy.running().conversations().into_iter().max_by_key(|one| one.id).unwrap()
}

/// The results of `count` shares that an honest miner sends while nobody takes copies out of the queue, which
/// `floods` sessions have filled as far as they could.
fn results(path: &str, floods: usize, from_the_pool: bool, count: u32) -> Vec<String> {
    let pool = BarePool::start();
    let (mut recorded, copies, config) = Recorded::stalled(&format!(
        "[analysis]\nqueue = 4096\n[ratelimit]\nexempt = [\"127.0.0.0/8\"]\n[forward]\npath = \"{path}\"\n{}",
        pool.upstream()
    ));
    let mut flooding = Vec::new();
    for number in 0..floods {
        let (mut miner, mut at_pool) = (recorded.connect(), pool.accept());
        let conversation = newest(&recorded);
        // It is a miner, by its first byte.
        miner.write_all(SUGGEST.as_bytes()).unwrap();
        expect(&at_pool, SUGGEST.as_bytes());
        let line = [SUBMIT, SUGGEST, GARBAGE][number % 3];
        if from_the_pool {
            fill(&mut at_pool, &miner, line, &conversation);
        } else {
            fill(&mut miner, &at_pool, line, &conversation);
        }
        flooding.push((miner, at_pool));
    }
    let (miner, at_pool) = (recorded.connect(), pool.accept());
    for nonce in 1..=count {
        exchange(&miner, &at_pool, &submit("honest", 4, nonce), &accepted(4));
    }
    let honest = newest(&recorded);
    recorded.proxy.late_analyzer =
        Some(Analyzer::start_on(copies.clone(), setup(&config, recorded.directory.path())).unwrap());
    wait_for("the queue to be read", || copies.is_empty());
    assert_eq!(dropped(&honest), 0, "{path}, {floods} floods");
    drop((miner, at_pool, honest, flooding));
    let rows = recorded.finish().rows;
    let own = rows.iter().filter(|row| row["worker"] == "honest");
    own.map(|row| row["result"].clone()).collect()
}

#[test]
fn a_session_that_floods_loses_its_own_copies_only() {
    for path in ["copy", "splice"] {
        assert_eq!(results(path, 1, false, 50), vec!["accepted"; 50]);
        assert_eq!(results(path, 30, false, 5), vec!["accepted"; 5]);
        assert_eq!(results(path, 3, true, 40), vec!["accepted"; 40]);
    }
}

/// A pool's flood must not hide its own miner's shares.
#[test]
fn a_pool_that_floods_does_not_hide_the_shares_of_its_own_miner() {
    let pool = BarePool::start();
    let (mut recorded, copies, config) =
        Recorded::stalled(&format!("[analysis]\nqueue = 4096\n{}", pool.upstream()));
    let (mut miner, mut at_pool) = (recorded.connect(), pool.accept());
    let conversation = newest(&recorded);
    miner.write_all(SUGGEST.as_bytes()).unwrap();
    expect(&at_pool, SUGGEST.as_bytes());
    let news = "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1]}\n";
    fill(&mut at_pool, &miner, news, &conversation);
    for nonce in 1..=40 {
        let submit = submit("honest", nonce, nonce);
        miner.write_all(submit.as_bytes()).unwrap();
        expect(&at_pool, submit.as_bytes());
    }
    recorded.proxy.late_analyzer =
        Some(Analyzer::start_on(copies.clone(), setup(&config, recorded.directory.path())).unwrap());
    wait_for("the queue to be read", || copies.is_empty());
    drop((miner, at_pool, conversation));
    assert_eq!(recorded.finish().rows.len(), 40);
}

/// The program ends before the backlog of a flood can be read: what others have in it is read all the same.
#[test]
fn a_flood_takes_nobody_elses_shares_at_the_end_of_the_program() {
    let pool = BarePool::start();
    let (recorded, copies, config) =
        Recorded::stalled(&format!("[analysis]\nqueue = 4096\n{}", pool.upstream()));
    let (mut flood, at_pool) = (recorded.connect(), pool.accept());
    let conversation = newest(&recorded);
    // Copies that take long to read: 45 shares each.
    let much = SUBMIT.repeat(45);
    while dropped(&conversation) == 0 {
        flood.write_all(much.as_bytes()).unwrap();
        expect(&at_pool, much.as_bytes());
    }
    let (miner, honest_at_pool) = (recorded.connect(), pool.accept());
    for nonce in 1..=20 {
        exchange(&miner, &honest_at_pool, &submit("honest", 4, nonce), &accepted(4));
    }
    let directory = recorded.directory.path().to_owned();
    let analyzer = Analyzer::start_on(copies, setup(&config, &directory)).unwrap();
    drop(analyzer.finish_within(Duration::from_millis(1500)));
    let rows = rows(&directory);
    let honest: Vec<&str> =
        rows.iter().filter(|row| row["worker"] == "honest").map(|row| row["result"].as_str()).collect();
    assert_eq!(honest, ["accepted"; 20], "of {} rows", rows.len());
}

/// Reads everything that comes.
fn drain(mut stream: TcpStream) -> JoinHandle<()> {
    std::thread::spawn(move || while stream.read(&mut [0; 65_536]).is_ok_and(|read| read > 0) {})
}

/// While copies are taken out: the flood is as fast as the machine can forward it, and most of it has rows.
#[test]
fn an_honest_miners_shares_have_rows_while_others_flood() {
    let pool = BarePool::start();
    // While it is full, each direction of a session may have 128 copies waiting: more than the miner sends.
    let recorded = Recorded::start(&format!("[analysis]\nqueue = 8192\n{}", pool.upstream()));
    let sent = Arc::new(AtomicU64::new(0));
    let (mut streams, mut threads) = (Vec::new(), Vec::new());
    for line in [SUBMIT, SUGGEST, GARBAGE, SUGGEST] {
        let (mut miner, at_pool) = (recorded.connect(), pool.accept());
        miner.write_all(SUGGEST.as_bytes()).unwrap();
        streams.push(miner.try_clone().unwrap());
        threads.push(drain(at_pool));
        let (text, sent) = (line.repeat(100), sent.clone());
        threads.push(std::thread::spawn(move || {
            while miner.write_all(text.as_bytes()).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let (miner, at_pool) = (recorded.connect(), pool.accept());
    for nonce in 1..=60_u32 {
        // The flood goes on between two shares.
        let before = sent.load(Ordering::Relaxed);
        wait_for("the flood", || sent.load(Ordering::Relaxed) > before + 2);
        exchange(&miner, &at_pool, &submit("honest", 4, nonce), &accepted(4));
    }
    for stream in &streams {
        let _ = stream.shutdown(Shutdown::Both);
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let own = newest(&recorded);
    // The end of the program does not wait for an analyzer that is far behind.
    recorded.wait("the honest miner's shares", |snapshot| {
        snapshot.miners.iter().any(|miner| miner.accepted == 60)
    });
    drop((miner, at_pool));
    let records = recorded.finish();
    let lost = (own.up.dropped.load(Ordering::Relaxed), own.down.dropped.load(Ordering::Relaxed));
    let honest = records.rows.iter().filter(|row| row["worker"] == "honest");
    let results: Vec<&str> = honest.map(|row| row["result"].as_str()).collect();
    assert_eq!(lost, (0, 0), "copies of an honest session");
    let health = records.snapshot.recording.clone();
    println!("{} rows, {health:?}", records.rows.len());
    assert_eq!(results, ["accepted"; 60], "{health:?}");
}

/// The disk takes nothing for a while. What waits for it is bounded, and no session has all of it.
#[test]
fn a_session_that_floods_a_slow_disk_loses_its_own_rows_only() {
    let pool = BarePool::start();
    let (mut recorded, copies, config) = Recorded::stalled(&pool.upstream());
    let disk = Arc::new(Mutex::new(()));
    let (waits, busy) = (disk.clone(), disk.lock().unwrap());
    let is_ready = Arc::new(AtomicBool::new(false));
    let is_started = is_ready.clone();
    let now = move || {
        // The recorder asks for the time with each row.
        if is_started.load(Ordering::Relaxed) {
            drop(waits.lock());
        }
        Clock::system().now()
    };
    let directory = recorded.directory.path();
    let (recorder, saved) = Recorder::start(&config.record, directory, now).unwrap();
    is_ready.store(true, Ordering::Relaxed);
    let plain = Setup::plain(&config.analysis);
    let setup = Setup { recorder: Some(recorder), saved, ..plain };
    recorded.proxy.late_analyzer = Some(Analyzer::start_on(copies, setup).unwrap());
    let shares = |name: &str, count: u32| {
        let (miner, at_pool) = (recorded.connect(), pool.accept());
        let before = judged(&recorded.snapshot());
        for first in (0..count).step_by(50) {
            let (mut asked, mut answers) = (String::new(), String::new());
            for nonce in first..(first + 50).min(count) {
                asked += &submit(name, nonce, nonce);
                answers += &accepted(nonce);
            }
            exchange(&miner, &at_pool, &asked, &answers);
        }
        recorded.wait_judged(before + u64::from(count));
    };
    shares("flood", 6000);
    shares("honest", 40);
    let dropped = |recorded: &Recorded| recorded.snapshot().recording.as_ref().map(|health| health.dropped);
    wait_for("what was lost to be told", || dropped(&recorded).is_some_and(|dropped| dropped > 1900));
    drop(busy);
    let rows = recorded.finish().rows;
    assert_eq!(rows.iter().filter(|row| row["worker"] == "honest").count(), 40, "of {} rows", rows.len());
    assert!(rows.len() >= 2048, "{}", rows.len());
}
