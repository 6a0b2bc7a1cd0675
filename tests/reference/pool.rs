//! Pools that are watched.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sluice::reference::{ReferenceKind, ReferenceTimings};
use sluice::sim::{Misbehaviour, OpeningOrder, PoolOptions, SimPool};
use sluice::stratum::Nbits;
use sluice::work::parent_hash;

use crate::common::{BarePool, DEADLINE, read_line, wait_for};
use crate::reference::{WatchedReference, hurried};

const MAINNET: Nbits = Nbits(0x1702_3a04);
const SUBSCRIBED: &[u8] = b"{\"id\":1,\"result\":[[],\"d1e54072\",4],\"error\":null}\n";

fn pool(options: PoolOptions) -> SimPool {
    SimPool::start(PoolOptions { nbits: MAINNET, ..options }).unwrap()
}

fn section(address: impl std::fmt::Display) -> String {
    format!("[[reference]]\nurl = \"stratum+tcp://{address}\"\n")
}

/// A job for this block on a parent of these bytes.
pub fn job(height: u32, parent: u8) -> String {
    let push: String = height.to_le_bytes()[..3].iter().map(|byte| format!("{byte:02x}")).collect();
    let coinb1 = format!("0100000001{}ffffffff0c03{push}", "00".repeat(32));
    let coinb2 = "ffffffff0100f2052a01000000015100000000";
    let prevhash = format!("{parent:02x}").repeat(32);
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"a\",\"{prevhash}\",\"{coinb1}\",\"{coinb2}\",[],\
         \"20000000\",\"17023a04\",\"68596192\",true]}}\n"
    )
}

/// Up to the authorize.
pub fn open(mut stream: &TcpStream) -> String {
    let mut lines = read_line(stream);
    stream.write_all(SUBSCRIBED).unwrap();
    lines.push_str(&read_line(stream));
    stream.write_all(b"{\"id\":2,\"result\":true,\"error\":null}\n").unwrap();
    lines
}

#[test]
fn each_change_is_told_once_and_nothing_is_ever_submitted() {
    for opening in [OpeningOrder::Ckpool, OpeningOrder::Ocean, OpeningOrder::PublicPool, OpeningOrder::F2Pool]
    {
        let pool = pool(PoolOptions { opening, seed: 7, ..PoolOptions::default() });
        let reference = WatchedReference::start(&section(pool.addr()), &hurried());
        let first = reference.wait(1)[0].clone();
        assert_eq!(&*first.source, pool.addr().to_string());
        assert_eq!((Some(first.height), first.nbits), (pool.stats().height, MAINNET));
        for _ in 0..3 {
            pool.refresh_job();
        }
        pool.new_block();
        let tips = reference.wait(2);
        assert_eq!(tips[1].height.0, first.height.0 + 1);
        assert_ne!(tips[1].prevhash, first.prevhash);
        assert!(tips[1].at > first.at);
        let view = reference.see("the new block", |view| view.tip.as_ref() == Some(&tips[1]));
        assert_eq!((view.kind, view.is_connected, view.error), (ReferenceKind::Pool, true, None));
        assert_eq!(reference.tips().len(), 2, "{opening:?}");
        let stats = pool.stats();
        assert_eq!((stats.accepted() + stats.rejected(), stats.authorized_ever), (0, 1));
        // A subscribe, an authorize, and nothing else.
        assert_eq!(stats.lines_received, 2);
        assert!(stats.user_agents[0].starts_with("sluice-watch/"));
    }
}

#[test]
fn a_method_beside_an_answer_makes_it_no_request() {
    let bare = BarePool::start();
    let reference = WatchedReference::start(&section(bare.address()), &hurried());
    let mut stream = bare.accept();
    read_line(&stream);
    stream
        .write_all(
            b"{\"id\":1,\"method\":\"mining.subscribe\",\"result\":[[],\"d1e54072\",4],\"error\":null}\n",
        )
        .unwrap();
    let next = read_line(&stream);
    assert!(next.contains("mining.authorize"), "{next}");
    stream.write_all(job(970_000, 0x66).as_bytes()).unwrap();
    assert_eq!(reference.wait(1)[0].height.0, 970_000);
}

#[test]
fn what_stays_is_told_again_and_only_while_it_is_heard() {
    let pool = pool(PoolOptions::default());
    let pace = ReferenceTimings { repeat_after: Duration::from_millis(20), ..hurried() };
    let reference = WatchedReference::start(&section(pool.addr()), &pace);
    let tips = reference.wait(3);
    assert!(tips.iter().all(|tip| tip.prevhash == tips[0].prevhash) && tips[2].at > tips[0].at);
    // The view keeps the first.
    assert_eq!(reference.view().tip.unwrap().at, tips[0].at);
    pool.stop();
    reference.fails("connect");
    let count = reference.tips().len();
    pool.restart().unwrap();
    reference.wait(count + 1);
}

#[test]
fn questions_are_answered_in_turn_and_the_user_is_named() {
    let bare = BarePool::start();
    let text = format!("{}user = \"me.there\"\n", section(bare.address()));
    let reference = WatchedReference::start(&text, &hurried());
    let mut stream = bare.accept();
    let opening = open(&stream);
    assert!(opening.contains("mining.subscribe") && opening.contains("[\"me.there\",\"x\"]"), "{opening}");
    stream.write_all(b"{\"id\":\"v\",\"method\":\"client.get_version\",\"params\":[]}\n").unwrap();
    assert!(read_line(&stream).starts_with("{\"id\":\"v\",\"result\":\"sluice-watch/"));
    stream.write_all(b"{\"id\":9,\"method\":\"mining.ping\",\"params\":[]}\n").unwrap();
    assert_eq!(read_line(&stream), "{\"id\":9,\"result\":\"pong\",\"error\":null}\n");
    // Nobody goes there.
    let elsewhere = BarePool::start();
    let to = elsewhere.address();
    let line = format!(
        "{{\"id\":null,\"method\":\"client.reconnect\",\"params\":[\"{}\",{},0]}}\n",
        to.ip(),
        to.port()
    );
    stream.write_all(line.as_bytes()).unwrap();
    stream.write_all(job(970_000, 0x11).as_bytes()).unwrap();
    let tip = reference.wait(1)[0].clone();
    assert_eq!((tip.height.0, parent_hash(&tip.prevhash).to_string()), (970_000, "11".repeat(32)));
    assert!(elsewhere.accept_within(Duration::from_millis(200)).is_none());
}

#[test]
fn an_empty_error_beside_an_answer_is_none() {
    for error in ["[]", "{}", "\"\"", "false"] {
        let bare = BarePool::start();
        let reference = WatchedReference::start(&section(bare.address()), &hurried());
        let mut stream = bare.accept();
        read_line(&stream);
        let subscribed = format!("{{\"id\":1,\"result\":[[],\"d1e54072\",4],\"error\":{error}}}\n");
        stream.write_all(subscribed.as_bytes()).unwrap();
        read_line(&stream);
        stream.write_all(format!("{{\"id\":2,\"result\":true,\"error\":{error}}}\n").as_bytes()).unwrap();
        stream.write_all(job(970_000, 0x11).as_bytes()).unwrap();
        assert_eq!(reference.wait(1)[0].height.0, 970_000, "{error}");
    }
}

#[test]
fn a_pool_that_closes_at_once_is_not_hammered() {
    let pool = pool(PoolOptions {
        misbehaviour: Misbehaviour { close_on_accept: true, ..Misbehaviour::default() },
        ..PoolOptions::default()
    });
    let pace = ReferenceTimings { min_backoff: Duration::from_millis(50), ..hurried() };
    let began = Instant::now();
    let reference = WatchedReference::start(&section(pool.addr()), &pace);
    reference.fails("");
    assert!(
        pool.wait_until(Instant::now() + DEADLINE, |stats| stats.connections_ever >= 5),
        "{:?}",
        pool.stats()
    );
    // 50, and then 80 ms: the longest pause less what jitter may add.
    assert!(began.elapsed() >= Duration::from_millis(50 + 3 * 80), "{:?}", began.elapsed());
    pool.set_misbehaviour(Misbehaviour::default());
    reference.wait(1);
    assert!(reference.see("a connection", |view| view.is_connected).error.is_none());
}

#[test]
fn a_pool_that_closes_after_each_job_is_not_hammered() {
    let bare = BarePool::start();
    let pace = ReferenceTimings {
        min_backoff: Duration::from_millis(50),
        max_backoff: Duration::from_secs(60),
        ..hurried()
    };
    let reference = WatchedReference::start(&section(bare.address()), &pace);
    let began = Instant::now();
    for step in 0..4 {
        let mut stream = bare.accept();
        open(&stream);
        stream.write_all(job(970_000 + step, 0x22).as_bytes()).unwrap();
        reference.wait(step as usize + 1);
    }
    assert!(began.elapsed() >= Duration::from_millis(50 + 100 + 200), "{:?}", began.elapsed());
    reference.fails("closed the connection");
}

#[test]
fn garbage_is_read_past_and_a_silent_pool_has_failed() {
    let bare = BarePool::start();
    let pace = ReferenceTimings { silence_timeout: Duration::from_millis(300), ..hurried() };
    let reference = WatchedReference::start(&section(bare.address()), &pace);
    let mut stream = bare.accept();
    stream.write_all(b"GET / HTTP/1.1\r\n\x16\x03\x01\n[1]\n{\"method\":5}\n\n").unwrap();
    open(&stream);
    for line in [
        "{\"id\":null,\"method\":\"mining.notify\",\"params\":{}}\n".to_owned(),
        job(970_000, 0x33).replace("0100000001", "01000000ff"),
        "{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"zz\",99]}\n".to_owned(),
        // Nobody knows in which search space: it doesn't count.
        job(970_001, 0x33),
        "{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"d1e54072\",4]}\n".to_owned(),
        job(970_002, 0x33),
    ] {
        stream.write_all(line.as_bytes()).unwrap();
    }
    assert_eq!(reference.wait(1)[0].height.0, 970_002);
    reference.fails("it has sent nothing for 300ms");
    // The next one never says a word that counts: nonsense is silence, too.
    let mut stream = bare.accept();
    open(&stream);
    let began = Instant::now();
    while stream
        .write_all(b"nonsense\n{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1]}\n")
        .is_ok()
    {
        assert!(began.elapsed() < DEADLINE, "listened to for ever");
        std::thread::yield_now();
    }
    reference.fails("no job");
}

#[test]
fn an_endless_line_and_a_flood_of_jobs_stay_bounded() {
    let bare = BarePool::start();
    let pace = ReferenceTimings { min_gap: Duration::from_millis(200), ..hurried() };
    let reference = WatchedReference::start(&section(bare.address()), &pace);
    let mut stream = bare.accept();
    open(&stream);
    while stream.write_all(&[b'x'; 16 * 1024]).is_ok() {}
    reference.fails("more than 1 MiB");
    let mut stream = bare.accept();
    open(&stream);
    let many = format!("{}{}", job(970_000, 0x44), job(970_001, 0x55)).repeat(50);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) || reference.tips().len() < 2 {
        stream.write_all(many.as_bytes()).unwrap();
    }
    let most = began.elapsed().as_millis() / 200 + 2;
    assert!((2..=most).contains(&(reference.tips().len() as u128)), "{} tips", reference.tips().len());
}

#[test]
fn refusals_say_what_to_do() {
    let bare = BarePool::start();
    let reference = WatchedReference::start(&section(bare.address()), &hurried());
    let mut stream = bare.accept();
    read_line(&stream);
    stream.write_all(b"{\"id\":1,\"result\":null,\"error\":[20,\"go\\u001b[2J away\",null]}\n").unwrap();
    let error = reference.fails("mining.subscribe").error.unwrap();
    assert!(error.contains("go\\u{1b}[2J away"), "{error}");
    let mut stream = bare.accept();
    read_line(&stream);
    stream.write_all(SUBSCRIBED).unwrap();
    assert!(read_line(&stream).contains("sluice-watch"));
    stream.write_all(b"{\"id\":2,\"result\":null,\"error\":[24,\"who?\",null]}\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    reference.fails(
        "before its first job; it refuses a user that it does not know (\"who?\"): set reference.user",
    );
    // Nothing was said after that.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(rest, b"");
}

#[test]
fn a_stop_ends_the_connection() {
    let pool = pool(PoolOptions::default());
    let reference = WatchedReference::start(&section(pool.addr()), &hurried());
    reference.wait(1);
    drop(reference);
    wait_for("the end of the connection", || pool.stats().connections_now == 0);
}
