//! The real program is killed under load and started again.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::binary::Sluice;
use crate::common::recorded::rows;
use crate::common::{BarePool, wait_for};

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
