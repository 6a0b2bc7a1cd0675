//! Memory of many sessions with large jobs, and what is left of it when they have gone.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::common::binary::Sluice;
use crate::common::{DEADLINE, resources, upstream, wait_for};

const MINERS: usize = 60;
/// Fewer than a session keeps.
const JOBS: usize = 40;
/// Their copies may wait together: 22 MB.
const AT_ONCE: usize = 10;
/// Outputs of a pool that pays its members in the coinbase: 28 KB.
const OUTPUTS: usize = 900;

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
