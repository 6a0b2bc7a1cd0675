//! Memory of many sessions: idle ones, and such with large jobs, and what is left of it when they have gone.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use sluice::analyzer::{Replay, Setup};
use sluice::config::AnalysisConfig;
use sluice::net::Stamp;
use sluice::tap::{Conversation, Direction, SessionId};

use crate::common::allocations::kept_bytes;
use crate::common::binary::Sluice;
use crate::common::own_process::in_own_process;
use crate::common::{DEADLINE, resources, upstream, wait_for};

const MINERS: usize = 60;
/// Fewer than a session keeps.
const JOBS: usize = 40;
/// Their copies may wait together: 22 MB.
const AT_ONCE: usize = 10;
/// Outputs of a pool that pays its members in the coinbase: 28 KB.
const OUTPUTS: usize = 900;

/// Miners that have a job and send nothing. The first ones pay for what all share.
const IDLE: u64 = 400;
/// Nanoseconds between two ticks.
const TICK: i64 = 500_000_000;
/// The bytes that the analyzer may keep for one of them, with its part of the rules, the snapshot and its conversation.
const MAX_IDLE_BYTES: i64 = 5 * 1024;

const SUBSCRIBE: &str = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n";
const SUBSCRIBED: &str =
    "{\"id\":1,\"result\":[[[\"mining.notify\",\"1\"]],\"08000002\",4],\"error\":null}\n";

/// A pool that gives everybody the same work, all of it at once.
fn pool(jobs: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let jobs = jobs.to_owned();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let jobs = jobs.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                if lines.next().is_some_and(|line| line.is_ok()) {
                    let _ = stream
                        .write_all(SUBSCRIBED.as_bytes())
                        .and_then(|()| stream.write_all(jobs.as_bytes()));
                    lines.for_each(drop);
                }
            });
        }
    });
    address
}

fn jobs() -> String {
    let coinb1 = format!("0100000001{}ffffffff0c03a0c50e", "00".repeat(32));
    let outputs = format!("0100000000000000160014{}", "ab".repeat(20)).repeat(OUTPUTS);
    let [low, high] = u16::try_from(OUTPUTS).unwrap().to_le_bytes();
    let coinb2 = format!("fffffffffd{low:02x}{high:02x}{outputs}00000000");
    let mut text = String::new();
    for number in 0..JOBS {
        let ntime = 0x6b01_3ca4 + number;
        writeln!(
            text,
            "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{number:x}\",\"{}\",\"{coinb1}\",\"{coinb2}\",[],\
             \"20000000\",\"17023a04\",\"{ntime:08x}\",false]}}",
            "00".repeat(32)
        )
        .unwrap();
    }
    text
}

/// How many jobs the analyzer has seen.
fn jobs_seen(page: &str) -> usize {
    let mut stream = TcpStream::connect(page).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("sluice_jobs_total "));
    line.map_or(0, |count| count.parse::<f64>().unwrap() as usize)
}

#[test]
fn sessions_share_their_jobs_and_give_their_memory_back() {
    let jobs = jobs();
    let sluice = Sluice::run(&format!(
        "[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\n[report]\nconsole = \"off\"\n\
         [record]\ntiming = false\n{}",
        upstream(pool(&jobs))
    ));
    let line = sluice.wait_line("the page is at http://");
    let page = line.rsplit("http://").next().unwrap().trim_end_matches('/').to_owned();
    let kib = || resources::of(&sluice.id().to_string()).kib;
    sluice.address();
    let before = kib();
    let mut miners = Vec::new();
    for number in 1..=MINERS {
        let mut miner = sluice.connect();
        miner.set_read_timeout(Some(DEADLINE)).unwrap();
        miner.write_all(SUBSCRIBE.as_bytes()).unwrap();
        let expected = SUBSCRIBED.len() + jobs.len();
        assert_eq!(
            std::io::copy(&mut (&miner).take(expected as u64), &mut std::io::sink()).unwrap(),
            expected as u64
        );
        miners.push(miner);
        // No faster than they are analysed: what is dropped is not kept.
        if number % AT_ONCE == 0 {
            wait_for("the jobs", || jobs_seen(&page) >= number * JOBS);
        }
    }
    let with_jobs = kib();
    drop(miners);
    // Each session alone would have kept 1.1 MB.
    let each = with_jobs.saturating_sub(before) / MINERS;
    println!("{before} KiB before, {with_jobs} with {MINERS} miners");
    assert!(each < 800, "{each} KiB a session");
    let mut after = 0;
    wait_for("the memory", || {
        after = kib();
        after < with_jobs - (with_jobs - before) / 4
    });
    println!("{after} KiB after");
}

/// The lines of an opening, with a job of a usual size: 1.4 KB with 12 branches.
fn opening(session: u64) -> Vec<(Direction, String)> {
    let branches = vec![format!("\"{}\"", "22".repeat(32)); 12].join(",");
    let coinb1 = format!("0100000001{}ffffffff2003a4bc0e00000001", "00".repeat(32));
    let commitment = format!("0000000000000000266a24aa21a9ed{}", "5c".repeat(32));
    let coinb2 = format!(
        "2f74686520706f6f6c20202fffffffff0260aaec1200000000160014751e76e8199196d454941c45d1b3a323f1433bd6{commitment}00000000"
    );
    let job = format!(
        "[\"1\",\"5b2f9e31d9d6c1c86f0c2c5e8f3b77a1d4e09b1c000199e10000000000000000\",\"{coinb1}\",\"{coinb2}\",\
         [{branches}],\"20000000\",\"17023a04\",\"6b00f9a4\",true]"
    );
    let answer = format!("[[[\"mining.notify\",\"{session:08x}\"]],\"{session:08x}\",8]");
    let user = format!("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.bitaxe-{session}");
    [
        (
            Direction::Up,
            r#"{"id":1,"method":"mining.subscribe","params":["bitaxe/BM1370/v2.9.0"]}"#.to_owned(),
        ),
        (Direction::Down, format!("{{\"id\":1,\"result\":{answer},\"error\":null}}")),
        (
            Direction::Up,
            format!("{{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"{user}\",\"x\"]}}"),
        ),
        (Direction::Down, r#"{"id":2,"result":true,"error":null}"#.to_owned()),
        (Direction::Down, r#"{"id":null,"method":"mining.set_difficulty","params":[1000]}"#.to_owned()),
        (Direction::Down, format!("{{\"id\":null,\"method\":\"mining.notify\",\"params\":{job}}}")),
    ]
    .map(|(direction, line)| (direction, line + "\n"))
    .into()
}

#[test]
fn an_idle_miner_costs_little_memory() {
    in_own_process(|| {
        let mut now = Stamp::from_nanos(1_795_000_000_000_000_000);
        let mut later = |nanos| {
            now = now.shifted(nanos);
            now
        };
        let mut replay = Replay::new(Setup::plain(&AnalysisConfig::default()), later(0));
        let mut shown = None;
        let mut open = |sessions: std::ops::Range<u64>| {
            for session in sessions {
                later(1);
                let conversation =
                    Arc::new(Conversation::new(SessionId(session), ([127, 0, 0, 1], 1).into(), later(0)));
                conversation.set_upstream(0);
                for (direction, line) in opening(session) {
                    replay.forwarded(&conversation, direction, line.as_bytes(), later(0));
                }
                // The proxy's own reference, which tells that the session goes on.
                std::mem::forget(conversation);
            }
            for _ in 0..4 {
                replay.tick(later(TICK));
                drop(shown.take());
                shown = Some(replay.snapshot(later(0)));
            }
            assert!(shown.iter().all(|shown| shown.miners.iter().all(|miner| miner.payout.is_some())));
        };
        open(1..1 + IDLE);
        let each = kept_bytes(|| open(1 + IDLE..1 + 2 * IDLE)) / IDLE as i64;
        println!("{each} bytes for an idle miner");
        assert!((1..=MAX_IDLE_BYTES).contains(&each), "{each}");
    });
}
