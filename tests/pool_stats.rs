//! The pool's own figures, from a server of the test's own.

use crate::notify::server;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::common::binary::Sluice;
use crate::common::wait_for;
use serde_json::Value;
use sluice::clock::Clock;
use sluice::config::{PoolStatsConfig as Settings, PoolStatsKind, Secret};
use sluice::pool_stats::{PublishedStats, StatsHealth};
use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimMiner, SimPool};
use sluice::util::stop::Stop;

use server::{Answer, Server, status};

const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

fn settings(kind: PoolStatsKind, url: String) -> Settings {
    let interval = Duration::from_millis(20);
    Settings { kind, url: Some(url), address: None, token: None, interval }
}

fn start(settings: &Settings) -> (PublishedStats, Stop) {
    let stop = Stop::new();
    (PublishedStats::start(settings, Some(ADDRESS), Clock::system(), |_| (), &stop).unwrap(), stop)
}

fn json(body: &str) -> Answer {
    Answer::Status(200, String::new(), body.to_owned())
}

#[test]
fn ckpool_is_asked_again_and_again() {
    let server =
        Server::start(|n| json(&format!(r#"{{"hashrate1hr": "1.5T", "shares": {n}, "workers": 1}}"#)));
    let (stats, stop) = start(&settings(PoolStatsKind::Ckpool, server.url("/")));
    wait_for("the third figures", || {
        stats.newest().and_then(|figures| figures.accepted_difficulty_total).is_some_and(|total| total >= 2.0)
    });
    stop.stop();
    let figures = stats.newest().unwrap();
    assert_eq!(figures.hash_rate.unwrap().per_second, 1.5e12);
    let asked = &server.asked()[0];
    assert_eq!(asked.line, format!("GET /users/{ADDRESS} HTTP/1.1"));
    assert!(asked.header("user-agent").starts_with("sluice/"));
    assert_eq!(stats.health().last_error, None);
}

#[test]
fn ocean_is_asked_two_questions() {
    let server = Server::start(|n| match n % 2 {
        0 => json(r#"{"result": {"hashrate_3600s": "5000", "active_worker_count": "1"}}"#),
        _ => json(r#"{"result": {"lastest_share_ts": "1700000000"}}"#),
    });
    let (stats, stop) = start(&settings(PoolStatsKind::Ocean, server.url("/v1")));
    wait_for("figures", || stats.newest().is_some());
    stop.stop();
    assert_eq!(stats.newest().unwrap().last_share, Some(1_700_000_000));
    let lines: Vec<_> = server.asked().into_iter().take(2).map(|asked| asked.line).collect();
    let path = |name: &str| format!("GET /v1/{name}/{ADDRESS} HTTP/1.1");
    assert_eq!(lines, [path("user_hashrate"), path("statsnap")]);
}

#[test]
fn braiins_gets_its_token() {
    let server = Server::start(|_| json(r#"{"btc": {"workers": {}}}"#));
    let token = Some(Secret::new("s3cret"));
    let with_token = Settings { token, ..settings(PoolStatsKind::Braiins, server.url("")) };
    let stop = Stop::new();
    // It needs no address.
    let stats = PublishedStats::start(&with_token, None, Clock::system(), |_| (), &stop).unwrap();
    wait_for("figures", || stats.newest().is_some());
    stop.stop();
    assert_eq!(server.asked()[0].header("pool-auth-token"), "s3cret");
    assert!(!format!("{stats:?} {with_token:?}").contains("s3cret"));
}

#[test]
fn an_address_is_needed() {
    let kind = settings(PoolStatsKind::Ckpool, String::from("http://127.0.0.1:1"));
    let error = PublishedStats::start(&kind, None, Clock::system(), |_| (), &Stop::new()).unwrap_err();
    assert!(error.to_string().contains("pool_stats.address"), "{error}");
}

/// The health after the first failure.
fn failing(answer: fn(usize) -> Answer) -> StatsHealth {
    let server = Server::start(answer);
    let (stats, stop) = start(&settings(PoolStatsKind::Ckpool, server.url("/s3cret")));
    wait_for("a failure", || stats.health().failed >= 1);
    stop.stop();
    assert!(stats.newest().is_none());
    stats.health()
}

#[test]
fn strange_answers_are_no_figures() {
    for (answer, error) in [
        ((|_| status(404)) as fn(usize) -> Answer, "the pool answered 404"),
        (|_| json("<html>"), "the answer is not a JSON object"),
        (|_| json(r#"{"hashrate1hr": "9e99"}"#), "hashrate1hr has a value that can't be"),
        (|_| Answer::HugeBody(200), "the answer is too long or broken off"),
        (|_| Answer::HugeHeader, "its answer is not valid HTTP"),
        (|_| Answer::Garbage, "its answer is not valid HTTP"),
        (|_| Answer::Close, "connection: "),
    ] {
        let said = failing(answer).last_error.unwrap();
        assert!(said.starts_with(error) && !said.contains("s3cret"), "{said} instead of {error}");
    }
}

#[test]
fn failures_make_the_pauses_longer_and_an_answer_ends_that() {
    let server = Server::start(|n| if n < 4 { status(500) } else { json(r#"{"workers": 1}"#) });
    let began = Instant::now();
    let (stats, stop) = start(&settings(PoolStatsKind::Ckpool, server.url("")));
    wait_for("figures", || stats.newest().is_some());
    // 40 + 80 + 160 + 320 ms, a tenth more or less.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(540), "{took:?}");
    assert_eq!(stats.health().failed, 4);
    server.wait(7);
    stop.stop();
    assert_eq!(stats.health().last_error, None);
}

#[test]
fn one_that_asks_for_a_pause_gets_it() {
    let server = Server::start(|n| match n {
        0 => Answer::Status(429, String::from("Retry-After: 1\r\n"), String::new()),
        _ => json(r#"{"workers": 1}"#),
    });
    let began = Instant::now();
    let (stats, stop) = start(&settings(PoolStatsKind::Ckpool, server.url("")));
    wait_for("figures", || stats.newest().is_some());
    assert!(began.elapsed() >= Duration::from_millis(900));
    stop.stop();
}

/// The real program asks, compares, and shows both what it was told and how its messages fare.
#[test]
fn the_figures_are_shown() {
    let pool = SimPool::start(PoolOptions::with_difficulty(1e-6).unwrap()).unwrap();
    let server = Server::start(|_| json(r#"{"hashrate1hr": "1.5M", "shares": 7, "workers": 3}"#));
    let sluice = Sluice::run(&format!(
        "[listen]\nstratum = [\"127.0.0.1:0\"]\n[[upstream]]\nurl = \"stratum+tcp://{}\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[payout]\naddress = \"{ADDRESS}\"\n\
         [pool_stats]\nkind = \"ckpool\"\nurl = \"{}\"\n\
         [[notify]]\nkind = \"webhook\"\nurl = \"{}\"\n",
        pool.addr(),
        server.url("/s3cret"),
        server.url("/s3cret")
    ));
    let line = sluice.wait_line("the page is at http://");
    let address: SocketAddr = line.rsplit("http://").next().unwrap().trim_end_matches('/').parse().unwrap();
    wait_for("the pool's figures in the status", || get(address, "/status")["pool_stats"]["workers"] == 3);
    let status = get(address, "/status");
    let stats = &status["pool_stats"];
    assert_eq!((&stats["hashrate"], &stats["hashrate_window_seconds"]), (&1.5e6.into(), &3600.into()));
    assert_eq!((&stats["credited_total"], &stats["verdict"]), (&7.0.into(), &"unknown".into()));
    assert_eq!((&stats["answered"], &stats["failed"]), (&1.into(), &0.into()));
    let recipient = &status["notify"][0];
    assert_eq!((&recipient["name"], &recipient["sent"]), (&"notify[1] (webhook)".into(), &0.into()));
    // Before the first miner the page only says how to connect one.
    let options = MinerOptions::new(sluice.address(), MinerModel::Bitaxe, format!("{ADDRESS}.one"));
    let _miner = SimMiner::start(options).unwrap();
    wait_for("a share", || get(address, "/status")["shares_ok"].as_u64() > Some(0));
    let page = text(address, "/");
    assert!(page.contains("too little proven work yet to compare"), "{page}");
    assert!(page.contains("notify[1] (webhook)") && !page.contains("s3cret"), "{page}");
    assert!(sluice.lines_with("pool_stats").is_empty(), "{}", sluice.log());
}

fn get(address: SocketAddr, path: &str) -> Value {
    serde_json::from_str(&text(address, path)).unwrap()
}

fn text(address: SocketAddr, path: &str) -> String {
    ureq::get(format!("http://{address}{path}")).call().unwrap().body_mut().read_to_string().unwrap()
}
