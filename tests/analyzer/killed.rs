//! The real program is killed under load and started again.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPool};
use sluice::stratum::Difficulty;

use crate::common::binary::Sluice;
use crate::common::recorded::rows;
use crate::common::site::ADDRESS;
use crate::common::{BarePool, DEADLINE, accepted, submit, upstream, wait_for, wait_within};

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
        if !through(&mut miner, &mut at_pool, &submit("w", nonce, nonce))
            || !through(&mut at_pool, &mut miner, &accepted(nonce))
        {
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

/// The best difficulty among the rows of accepted shares. Only these count: a share without an answer has
/// a row too.
fn best_accepted_row(directory: &Path) -> f64 {
    let accepted = rows(directory).into_iter().filter(|row| row["result"] == "accepted");
    accepted.filter_map(|row| row["share_difficulty"].parse().ok()).fold(0.0, f64::max)
}

/// The best share ever comes in the minute after the state was written, and then the program is killed.
#[test]
fn after_kill_9_the_best_share_ever_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let pool = SimPool::start(PoolOptions::with_difficulty(0.000_000_1).unwrap()).unwrap();
    let start = || {
        Sluice::run(&format!(
            "data_dir = {:?}\n[listen]\nstratum = [\"127.0.0.1:0\"]\n[report]\nconsole = \"off\"\n\
             [record]\nflush = \"100ms\"\n{}",
            directory.path(),
            upstream(pool.addr())
        ))
    };
    let best_in_state = || -> Option<f64> {
        let text = std::fs::read(directory.path().join("state.json")).ok()?;
        let state: Value = serde_json::from_slice(&text).unwrap();
        state["best"][0]["difficulty"].as_f64()
    };
    let sluice = start();
    let miner = SimMiner::start(MinerOptions {
        hash_rate_limit: Some(SimHashRate(200_000.0)),
        ..MinerOptions::new(sluice.address(), MinerModel::NerdMiner, ADDRESS)
    })
    .unwrap();
    wait_for("a state", || best_in_state().is_some());
    let in_first_state = best_in_state().unwrap();
    // A share that is a hundred times as hard is nearly always better.
    pool.set_difficulty(Difficulty::new(0.000_01).unwrap());
    wait_within(3 * DEADLINE, "the row of a better share", &mut || {
        best_accepted_row(directory.path()) > in_first_state
    });
    sluice.signal("KILL");
    sluice.wait();
    drop(miner);
    // Whatever was on the disk when the program died must be known afterwards, and nothing else can be.
    let on_disk = best_accepted_row(directory.path()).max(best_in_state().unwrap());
    let sluice = start();
    sluice.wait_line("miners can connect to ");
    sluice.signal("TERM");
    sluice.wait();
    // The JSON reader may be off by the last bit.
    let known = best_in_state().unwrap();
    assert!((known / on_disk - 1.0).abs() < 1e-12, "{known}, {on_disk}");
}

#[test]
fn a_data_directory_that_is_deleted_gets_its_lock_and_its_files_back() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let pool = BarePool::start();
    let mut sluice = start(&pool, &data);
    load(&sluice, &pool, 1, || shares(&data).is_empty());
    // The program may make a file just then.
    wait_for("the deletion", || std::fs::remove_dir_all(&data).is_ok());
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
