//! `sluice check --online` and `--health`: against pools and pages of the test.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use sluice::sim::{PoolOptions, SimPool};

use super::{sluice, stderr, stdout};
use crate::common::binary::Sluice;
use crate::common::refusing_address;
use crate::common::socks5_server::Socks5Server;

/// With ports that are free, and without time servers.
fn check_online(pools: &str) -> std::process::Output {
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "{pools}[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\n[ntp]\nservers = []\n"
    );
    std::fs::write(directory.path().join("config.toml"), text).unwrap();
    sluice(directory.path(), &["check", "--config", "config.toml", "--online"])
}

#[test]
fn every_pool_is_tried_and_told_with_its_times() {
    let pool = SimPool::start(PoolOptions::default()).unwrap();
    let socks5 = Socks5Server::start(pool.addr(), None);
    let good = format!("[[upstream]]\nurl = \"stratum+tcp://{}\"\n", pool.addr());
    let behind = format!("{good}socks5 = \"socks5://{}\"\n", socks5.address());
    let output = check_online(&format!("{good}{behind}"));
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{said}{}", stderr(&output));
    for part in ["answers: name ", " ms, mining.subscribe ", "SOCKS5 ", "Time: unsynchronised"] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    assert_eq!((pool.stats().subscribed_ever, pool.stats().authorized_ever), (2, 0));
    // One that refuses, and one that is no pool.
    let closing = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = closing.local_addr().unwrap();
    let closer = std::thread::spawn(move || drop(closing.accept()));
    let refusing = refusing_address();
    let bad = |address| format!("[[upstream]]\nurl = \"stratum+tcp://{address}\"\n");
    let output = check_online(&format!("{good}{}{}", bad(refusing), bad(closed)));
    closer.join().unwrap();
    let (said, failed) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(1), "{said}{failed}");
    assert!(said.contains(&format!("1. stratum+tcp://{} answers", pool.addr())), "{said}");
    assert!(said.contains(&format!("2. stratum+tcp://{refusing} does NOT answer: can't connect")), "{said}");
    assert!(failed.contains("upstream[2]: ") && failed.contains("upstream[3]: "), "{failed}");
}

#[test]
fn health_is_asked_without_another_program() {
    let directory = tempfile::tempdir().unwrap();
    let ask = |url: &str| sluice(directory.path(), &["check", "--health", url]);
    let sluice_running = Sluice::run(
        "[listen]\nstratum = [\"127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\ntoken = \"hunter2\"\n\
         [[upstream]]\nurl = \"stratum+tcp://127.0.0.1:1\"\n",
    );
    let line = sluice_running.wait_line("the page is at http://");
    let page = line.rsplit("http://").next().unwrap().trim_end_matches('/').to_owned();
    let output = ask(&page);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "ok\n"), "{}", stderr(&output));
    let output = ask(&format!("http://{page}/readyz"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("503: no miner is connected"), "{}", stderr(&output));
    // By its configuration: the file has the port that it asks for.
    sluice_running.edit("[http]\nlisten = \"127.0.0.1:0\"", &format!("[http]\nlisten = \"{page}\""));
    let file = sluice_running.directory().join("config.toml");
    let output = sluice(directory.path(), &["check", "--config", file.to_str().unwrap(), "--health"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "ok\n"), "{}", stderr(&output));
    // Nobody there, and one that says nothing.
    let output = ask(&refusing_address().to_string());
    assert!(
        output.status.code() == Some(1) && stderr(&output).contains("nothing listens there"),
        "{}",
        stderr(&output)
    );
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let began = Instant::now();
    let output = ask(&silent.local_addr().unwrap().to_string());
    assert!(
        output.status.code() == Some(1) && stderr(&output).contains("no answer in time"),
        "{}",
        stderr(&output)
    );
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let output =
        sluice(directory.path(), &["check", "--pool", "stratum+tcp://p:1", "--http", "", "--health"]);
    assert!(
        output.status.code() == Some(1) && stderr(&output).contains("the page is off"),
        "{}",
        stderr(&output)
    );
    let output = sluice(directory.path(), &["check", "--pool", "wrong", "--health"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
}
