//! A thread that serves everybody panics or hangs: forwarding goes on, the loss is seen, and what can be
//! started again is.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::binary::Sluice;
use crate::common::{BarePool, expect, expect_end, upstream, wait_for};
use serde_json::Value;
use sluice::sim::{MinerModel, MinerOptions, OpeningOrder, PoolOptions, SimMiner, SimPool};
use sluice::stratum::Nbits;

const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// The program, and the directory in which a file makes a thread of its name fail.
struct Site {
    sluice: Sluice,
    faults: tempfile::TempDir,
    page: SocketAddr,
}

impl Site {
    fn start(pool: SocketAddr, more: &str) -> Site {
        Site::with_env(pool, more, &[])
    }

    fn with_env(pool: SocketAddr, more: &str, env: &[(&str, &str)]) -> Site {
        let faults = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.env("SLUICE_TEST_FAULTS", faults.path()).envs(env.iter().copied());
        let text = format!(
            "{more}\n[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [record]\nflush = \"200ms\"\n[payout]\naddress = \"{ADDRESS}\"\n{}",
            upstream(pool)
        );
        let sluice = Sluice::run_by(command, &text);
        let line = sluice.wait_line("the page is at http://");
        let page = line.rsplit("http://").next().unwrap().trim_end_matches('/').parse().unwrap();
        Site { sluice, faults, page }
    }

    /// From now on the thread of this name fails in this way.
    fn fail(&self, thread: &str, how: &str) -> PathBuf {
        let file = self.faults.path().join(thread);
        // In one step: nobody reads half of it.
        let aside = self.faults.path().join(".new");
        std::fs::write(&aside, how).unwrap();
        std::fs::rename(aside, &file).unwrap();
        file
    }

    /// Status code and body.
    fn get(&self, path: &str) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.get(format!("http://{}{path}", self.page)).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).1).unwrap()
    }

    fn wait_healthy(&self) {
        wait_for("a program whose threads all run", || self.get("/healthz") == (200, "ok\n".to_owned()));
    }

    fn restarts(&self) -> u64 {
        self.json("/status")["threads"]["restarts"].as_u64().unwrap()
    }

    fn mine(&self, name: &str) -> SimMiner {
        let address = self.sluice.address();
        SimMiner::start(MinerOptions::new(address, MinerModel::Bitaxe, format!("{ADDRESS}.{name}"))).unwrap()
    }
}

fn pool() -> SimPool {
    let (nbits, opening) = (Nbits(0x1702_3a04), OpeningOrder::PublicPool);
    SimPool::start(PoolOptions { nbits, opening, ..PoolOptions::default() }).unwrap()
}

/// Shares go on being accepted, in the session that there is.
fn expect_mining(miner: &SimMiner) {
    let before = miner.stats().accepted;
    wait_for("more shares", || miner.stats().accepted > before + 1);
    assert_eq!(miner.stats().reconnects, 0);
}

#[test]
fn a_panic_over_one_session_costs_that_session_its_analysis_and_nobody_else_anything() {
    let pool = pool();
    let site = Site::start(pool.addr(), "");
    let unlucky = site.mine("unlucky");
    wait_for("shares", || site.json("/status")["shares_ok"].as_u64().unwrap() > 0);
    site.fail("analyzer-session", "panic");
    site.sluice.wait_line("that session is not analysed any more");
    expect_mining(&unlucky);
    // The next one is followed as ever.
    let next = site.mine("next");
    wait_for("its shares", || {
        let miners = site.json("/api/miners");
        let all = miners["miners"].as_array().unwrap();
        all.iter().any(|one| one["worker"] == format!("{ADDRESS}.next") && one["ok"].as_u64() > Some(0))
    });
    expect_mining(&next);
    let alerts = site.json("/api/alerts");
    let all = alerts["alerts"].as_array().unwrap();
    let alert = all.iter().find(|alert| alert["id"] == "internal.restarted").expect("no alert");
    assert_eq!(alert["severity"], "high");
    assert!(alert["description"].as_str().unwrap().contains("thread analyzer"), "{alert}");
    site.wait_healthy();
    assert_eq!(site.restarts(), 1);
    assert!(site.get("/metrics").1.contains("sluice_thread_restarts_total 1"));
}

#[test]
fn threads_that_can_be_started_again_are_and_nobody_who_mines_notices() {
    let pool = pool();
    let reference = upstream(pool.addr()).replace("[[upstream]]", "[[reference]]");
    let site = Site::start(
        pool.addr(),
        &format!("[[notify]]\nkind = \"exec\"\ncommand = [\"true\"]\n{reference}user = \"{ADDRESS}\"\n"),
    );
    let miner = site.mine("one");
    wait_for("shares", || miner.stats().accepted > 0);
    let threads = [
        "analyzer",
        "survey",
        "record",
        "probe-1",
        "failback",
        "enforcement",
        "http",
        "log",
        "signals",
        "reload",
        "notify-1",
    ];
    let files: Vec<PathBuf> = threads.iter().map(|thread| site.fail(thread, "panic")).collect();
    wait_for("every thread's fault", || {
        // What waits for a visitor, a signal or a line gets one.
        let _ = TcpStream::connect(site.page);
        site.sluice.signal("HUP");
        files.iter().all(|file| !file.exists())
    });
    site.wait_healthy();
    wait_for("their restarts", || site.restarts() >= threads.len() as u64);
    expect_mining(&miner);
    // Each does its work again.
    let before = site.json("/status")["shares_ok"].as_u64().unwrap();
    wait_for("analysis", || site.json("/status")["shares_ok"].as_u64().unwrap() > before);
    let shares = site.sluice.directory().join("data").join("shares.csv");
    let rows = std::fs::read_to_string(&shares).unwrap_or_default().lines().count();
    wait_for("records", || std::fs::read_to_string(&shares).is_ok_and(|text| text.lines().count() > rows));
    site.sluice.signal("TERM");
    let (status, log) = site.sluice.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("internal.restarted"), "{log}");
}

#[test]
fn a_thread_that_fails_again_and_again_stays_off_and_is_named() {
    let pool = pool();
    let site = Site::start(pool.addr(), "");
    let miner = site.mine("one");
    wait_for("shares", || miner.stats().accepted > 0);
    site.fail("analyzer", "always");
    site.sluice.wait_line("thread analyzer panicked: on purpose, and again; it stays off");
    let (code, text) = site.get("/healthz");
    assert_eq!((code, text.contains("thread analyzer")), (503, true), "{text}");
    let (code, text) = site.get("/readyz");
    assert_eq!((code, text.contains("thread analyzer")), (503, true), "{text}");
    expect_mining(&miner);
    wait_for("the metric", || site.get("/metrics").1.contains("sluice_threads_unwell 1"));
    assert_eq!(site.json("/status")["threads"]["unwell"][0]["thread"], "analyzer");
}

#[test]
fn a_thread_that_hangs_is_named_until_it_moves_again() {
    let pool = pool();
    let site = Site::with_env(pool.addr(), "", &[("SLUICE_TEST_STALE_MS", "1500")]);
    // As when the disk hangs, which a restart does not cure.
    let disk = site.fail("record", "hang");
    let miner = site.mine("one");
    wait_for("shares", || miner.stats().accepted > 0);
    let is_named = || site.get("/healthz").1.contains("thread analyzer has not moved");
    let file = site.fail("analyzer", "hang");
    wait_for("the name of the thread", is_named);
    assert_eq!(site.get("/healthz").0, 503);
    expect_mining(&miner);
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        assert!(!site.get("/healthz").1.contains("thread record"));
    }
    std::fs::remove_file(disk).unwrap();
    std::fs::remove_file(file).unwrap();
    wait_for("an analyzer that moves", || !is_named());
}

#[test]
fn without_its_listener_the_program_answers_what_is_in_flight_and_ends_with_an_error() {
    let pool = BarePool::start();
    let site = Site::start(pool.address(), "");
    let mut miner = site.sluice.connect();
    let submit: &[u8] =
        b"{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"w\",\"1\",\"00\",\"5\",\"00000001\"]}\n";
    let answer: &[u8] = b"{\"id\":4,\"result\":true,\"error\":null}\n";
    miner.write_all(b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n").unwrap();
    let mut at_pool = pool.accept();
    expect(&at_pool, b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n");
    at_pool.write_all(b"{\"id\":1,\"result\":[[],\"ae6812eb\",4],\"error\":null}\n").unwrap();
    expect(&miner, b"{\"id\":1,\"result\":[[],\"ae6812eb\",4],\"error\":null}\n");
    miner.write_all(submit).unwrap();
    expect(&at_pool, submit);
    site.fail(&format!("listen-{}", site.sluice.address().port()), "panic");
    let _visitor = TcpStream::connect(site.sluice.address()).unwrap();
    site.sluice.wait_line("shares in flight still get their answers");
    at_pool.write_all(answer).unwrap();
    expect(&miner, answer);
    expect_end(&miner);
    let (status, log) = site.sluice.wait();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("sluice could not go on without it"), "{log}");
}

#[test]
fn without_its_connection_manager_aggregate_mode_answers_what_is_in_flight_and_ends_with_an_error() {
    let pool = pool();
    let site = Site::start(pool.addr(), "mode = \"aggregate\"\n[vardiff]\ntarget = \"1s\"");
    let miner = site.mine("one");
    wait_for("shares", || miner.stats().accepted > 2);
    site.fail("vardiff", "panic");
    site.sluice.wait_line("thread vardiff panicked");
    site.fail("group-1", "panic");
    site.sluice.wait_line("thread group-1 panicked");
    let (status, log) = site.sluice.wait();
    miner.stop();
    assert_eq!(status.code(), Some(1), "{log}");
    let stats = miner.stats();
    assert_eq!((stats.accepted, stats.rejected), (pool.stats().accepted(), 0), "{log}");
}
