//! The program under a service manager such as systemd: what it reports, its watchdog, reload and journal, and restarts
//! with sockets that the service manager holds.

mod manager;
mod reload;
mod restarts;
mod sockets;
mod watchdog;

use std::process::Command;

use crate::common::binary::{Sluice, fails};
use crate::common::{refusing_address, upstream};
use manager::{Manager, mine, pool};

#[test]
fn it_reports_its_start_its_miners_with_their_hash_rate_and_its_end() {
    let (manager, pool) = (Manager::start(), pool());
    let sluice = Sluice::run_by(manager.command(&[]), &manager::config(pool.addr()));
    manager.wait("READY=1");
    assert_eq!(manager.messages()[..2], ["STATUS=0 miners", "READY=1"]);
    assert!(ureq::get(format!("http://{}/healthz", sluice.page())).call().is_ok());
    let miner = mine(sluice.address(), "one");
    manager.wait_for("a status with the hash rate", |message| {
        message.starts_with("STATUS=1 miner, ") && message.ends_with("H/s")
    });
    sluice.signal("TERM");
    let (status, log) = sluice.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    drop(miner);
    let messages = manager.messages();
    let last = &messages[messages.len() - 2..];
    assert_eq!(last, ["STATUS=stopping; shares in flight still get their answers", "STOPPING=1"]);
    assert!(!messages.iter().any(|message| message == "WATCHDOG=1"), "nobody asked for it");
}

#[test]
fn a_program_that_cannot_start_does_not_say_that_it_is_ready() {
    let manager = Manager::start();
    let sluice = Sluice::run_by(manager.command(&[]), "mode = \"neither\"\n");
    assert_eq!(sluice.wait().0.code(), Some(2));
    assert_eq!(manager.messages(), Vec::<String>::new());
}

/// The shell finds out which stream the program's stderr will be, as systemd tells it.
fn with_journal(text: &str) -> Sluice {
    let mut shell = Command::new("sh");
    let stream = "JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2)";
    shell.arg("-c").arg(format!("{stream} exec \"$0\" \"$@\""));
    shell.arg(env!("CARGO_BIN_EXE_sluice"));
    Sluice::run_by(shell, text)
}

#[test]
fn the_journal_gets_priorities_and_no_second_time() {
    let text = manager::config(refusing_address());
    let sluice = with_journal(&text);
    let line = sluice.wait_line("miners can connect to ");
    assert!(line.starts_with("<6>INFO  miners can connect to 127.0.0.1:"), "{line}");
    let file = sluice.directory().join("data").join("sluice.log");
    let logged = std::fs::read_to_string(file).unwrap();
    let logged = logged.lines().find(|line| line.contains("miners can connect to ")).unwrap();
    assert!(logged.starts_with("20") && logged.contains("Z INFO  miners can connect"), "{logged}");
    // What is said before the log starts, too.
    let (status, log) = with_journal("mode = \"neither\"\nbanana = 1\n").wait();
    assert_eq!(status.code(), Some(2));
    assert!(log.lines().count() > 1 && log.lines().all(|line| line.starts_with("<3>")), "{log}");
}

#[test]
fn another_reader_of_stderr_gets_what_it_always_got() {
    // Started in a service's shell, with stderr elsewhere.
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.env("JOURNAL_STREAM", "8:1");
    let sluice = Sluice::run_by(command, &manager::config(refusing_address()));
    let line = sluice.wait_line("miners can connect to ");
    assert!(line.starts_with("20") && line.contains("Z INFO  miners can connect"), "{line}");
    let (_, log) = fails(&format!("banana = 1\n{}", upstream(refusing_address())));
    assert!(log.starts_with("sluice: "), "{log}");
}
