//! The real program is killed under load and started again.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPool};

use crate::common::binary::Sluice;
use crate::common::recorded::rows;
use crate::common::site::ADDRESS;
use crate::common::{BarePool, upstream, wait_for};

/// No faster than a busy machine's analyzer and disk can follow: what they drop is another test's concern.
const PAUSE_EVERY: u32 = 32;

fn start(pool: &BarePool, directory: &Path) -> Sluice {
    Sluice::run(&format!(
        "data_dir = {directory:?}\n[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"\"\n[ntp]\n\
         servers = []\n[report]\nconsole = \"off\"\n[record]\nflush = \"100ms\"\n{}",
        pool.upstream()
    ))
}

/// Shares, each answered, for as long as `go_on` wants and the program lives. Gives the last one's
/// nonce.
fn load(sluice: &Sluice, pool: &BarePool, first: u32, go_on: impl Fn() -> bool) -> u32 {
    let mut miner = sluice.connect();
    let mut at_pool = pool.accept();
    let mut nonce = first;
    while go_on() {
        let submit = format!(
            "{{\"id\":{nonce},\"method\":\"mining.submit\",\"params\":[\"w\",\"1\",\"00\",\"5\",\"{nonce:08x}\"]}}\n"
        );
        let answer = format!("{{\"id\":{nonce},\"result\":true,\"error\":null}}\n");
        if !through(&mut miner, &mut at_pool, &submit) || !through(&mut at_pool, &mut miner, &answer) {
            break;
        }
        nonce += 1;
        if nonce % PAUSE_EVERY == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    nonce - 1
}

fn through(from: &mut TcpStream, to: &mut TcpStream, text: &str) -> bool {
    from.write_all(text.as_bytes()).is_ok() && to.read_exact(&mut vec![0; text.len()]).is_ok()
}

fn shares(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("shares.csv")).unwrap_or_default()
}

#[test]
fn after_kill_9_the_records_go_on_where_they_ended() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let pool = BarePool::start();
    let mut kept = 0;
    let mut first = 1;
    for _ in 0..2 {
        let sluice = start(&pool, directory);
        let begun = Instant::now();
        let last = std::thread::scope(|scope| {
            let loading = scope.spawn(|| load(&sluice, &pool, first, || true));
            // In the middle of the load, with rows on the disk and others on their way.
            wait_for("rows", || shares(directory).lines().count() > kept + 1000);
            sluice.signal("KILL");
            loading.join().unwrap()
        });
        println!("{} shares in {:?}", last - first, begun.elapsed());
        let (status, _) = sluice.wait();
        assert_eq!(status.code(), None, "it was not killed");
        kept = shares(directory).lines().count() - 1;
        first = last + 1;
    }
    // The third ends as it should.
    let sluice = start(&pool, directory);
    let until = Instant::now() + Duration::from_millis(300);
    let last = load(&sluice, &pool, first, || Instant::now() < until);
    sluice.signal("TERM");
    let (status, log) = sluice.wait();
    assert_eq!(status.code(), Some(0), "{log}");

    let text = shares(directory);
    assert_eq!(text.matches("timestamp,").count(), 1, "the header is there once");
    assert!(text.starts_with("timestamp,") && text.ends_with('\n'));
    // Every row has all its columns, or the reader would have said so.
    let mut results: BTreeMap<u32, String> = BTreeMap::new();
    for row in rows(directory) {
        let nonce = u32::from_str_radix(&row["nonce"], 16).unwrap();
        assert!(results.insert(nonce, row["result"].clone()).is_none(), "{nonce} is there twice");
    }
    assert!(results.values().all(|result| result == "accepted"), "{results:?}");
    assert!(results.len() >= kept, "rows of before the restart are gone");
    for nonce in first..=last {
        assert!(results.contains_key(&nonce), "share {nonce} of the last run is missing");
    }
    let leftovers: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    println!("{} rows, files: {leftovers:?}", results.len());
}

/// The best share ever comes in the minute after the state was written, and then the program is killed.
#[test]
fn after_kill_9_the_best_share_ever_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let pool = SimPool::start(PoolOptions::with_difficulty(0.000_001).unwrap()).unwrap();
    let start = || {
        Sluice::run(&format!(
            "data_dir = {:?}\n[listen]\nstratum = [\"127.0.0.1:0\"]\n[report]\nconsole = \"off\"\n{}",
            directory.path(),
            upstream(pool.addr())
        ))
    };
    let state = || -> Value {
        std::fs::read(directory.path().join("state.json"))
            .map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap())
    };
    let sluice = start();
    let miner = |rate: f64| {
        let options = MinerOptions {
            hash_rate_limit: Some(SimHashRate(rate)),
            ..MinerOptions::new(sluice.address(), MinerModel::NerdMiner, ADDRESS)
        };
        SimMiner::start(options).unwrap()
    };
    // The state is written, and some shares later there is a better one.
    let first = miner(100_000.0);
    wait_for("a state", || state()["best"][0]["hash"].is_string());
    let before = state()["best"][0]["difficulty"].as_f64().unwrap();
    let best = || {
        let stats = pool.stats();
        stats.accepted_shares.iter().map(|share| share.difficulty).fold(0.0, f64::max)
    };
    drop(first);
    let second = miner(2_000_000.0);
    wait_for("a better share", || best() > before);
    drop(second);
    // Everything that the pool has accepted has come to the analyzer when its rows are written.
    wait_for("its row", || {
        let found = rows(directory.path());
        let difficulties = found.iter().filter_map(|row| row["share_difficulty"].parse::<f64>().ok());
        difficulties.fold(0.0, f64::max) >= best()
    });
    sluice.signal("KILL");
    sluice.wait();
    let sluice = start();
    sluice.wait_line("miners can connect to ");
    sluice.signal("TERM");
    sluice.wait();
    // The JSON reader may be off by the last bit.
    let kept = state()["best"][0]["difficulty"].as_f64().unwrap();
    assert!((kept / best() - 1.0).abs() < 1e-12, "{kept}, {}", best());
}

#[test]
fn a_data_directory_that_is_deleted_gets_its_lock_and_its_files_back() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let pool = BarePool::start();
    let mut sluice = start(&pool, &data);
    load(&sluice, &pool, 1, || shares(&data).is_empty());
    std::fs::remove_dir_all(&data).unwrap();
    wait_for("the lock", || data.join("lock").exists());
    sluice.wait_line("its lock was deleted while Sluice runs; it is made and locked again");
    load(&sluice, &pool, 100_000, || shares(&data).is_empty());
    assert!(sluice.is_running());
    // A second one is kept away.
    let (status, log) = start(&pool, &data).wait();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("another Sluice writes to"), "{log}");
    sluice.signal("TERM");
    let (status, log) = sluice.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    for name in ["shares.csv", "sluice.log", "state.json", "lock"] {
        assert!(data.join(name).exists(), "{name}");
    }
}

#[test]
fn a_full_disk_raises_an_alert_that_ends_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let file = data.join("shares.csv");
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    let pool = BarePool::start();
    let sluice = start(&pool, data);
    load(&sluice, &pool, 1, || sluice.lines_with("record.failing").is_empty());
    let line = sluice.wait_line("record.failing");
    assert!(line.contains("shares.csv can't be written: No space left on device"), "{line}");
    let alerts = || std::fs::read_to_string(data.join("alerts.log")).unwrap_or_default();
    wait_for("the record of the alert", || alerts().contains("MEDIUM: record.failing"));
    std::fs::remove_file(&file).unwrap();
    wait_for("rows", || !shares(data).is_empty());
    sluice.signal("TERM");
    let (status, log) = sluice.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}
