//! A reload whose result is waited for, as `ExecReload=` does it.

use std::path::Path;
use std::process::{Command, Output};

use super::manager::{ADDRESS, Manager, config};
use crate::common::binary::Sluice;
use crate::common::{refusing_address, wait_for};

const OTHER: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";

/// `sluice reload` for this process.
fn reload(directory: &Path, pid: u32) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(["reload", "--pid", &pid.to_string()]).env("RUNTIME_DIRECTORY", directory).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_reload_is_waited_for_and_fails_with_the_reason() {
    let manager = Manager::start();
    let sluice = Sluice::run_by(manager.command(&[]), &config(refusing_address()));
    manager.wait("READY=1");
    let again = || reload(sluice.directory(), sluice.id());
    let expect = |output: &Output, code: i32, said: &str| {
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let all = text(&output.stdout) + &text(&output.stderr);
        assert!(all.contains(said), "no {said:?} in {all}");
    };
    expect(&again(), 0, "configuration unchanged; nothing to reload");
    sluice.edit(ADDRESS, OTHER);
    expect(&again(), 0, "applied the new [payout]");
    sluice.edit("[http]", "[ratelimit]\nban = \"1h\"\n[http]");
    expect(&again(), 0, "[ratelimit] changed; this takes effect at the next start");
    sluice.edit("ban = \"1h\"", "ban = \"1 parsec\"");
    let refused = again();
    expect(&refused, 2, "ratelimit.ban");
    assert!(text(&refused.stderr).contains("the old configuration stays in effect"), "{refused:?}");
    manager.wait_for("a status that says so", |message| {
        message.ends_with("the last reload was not taken, see the log")
    });
    sluice.edit("ban = \"1 parsec\"", "ban = \"1h\"");
    expect(&again(), 0, "[ratelimit] changed");
    // Each is announced and ended.
    wait_for("the end of the last one", || manager.count("READY=1") == 6);
    let messages = manager.messages();
    let of_reloads: Vec<&str> = messages
        .iter()
        .filter(|message| message.starts_with("RELOADING=1\nMONOTONIC_USEC=") || *message == "READY=1")
        .map(|message| message.split('\n').next().unwrap())
        .collect();
    let expected: Vec<&str> =
        std::iter::once("READY=1").chain(["RELOADING=1", "READY=1"].repeat(5)).collect();
    assert_eq!(of_reloads, expected);
}

#[test]
fn a_reload_that_panics_is_over_too() {
    let (manager, faults) = (Manager::start(), tempfile::tempdir().unwrap());
    let env = [("SLUICE_TEST_FAULTS", faults.path().to_str().unwrap())];
    let sluice = Sluice::run_by(manager.command(&env), &config(refusing_address()));
    manager.wait("READY=1");
    std::fs::write(faults.path().join("reload-file"), "panic").unwrap();
    let output = reload(sluice.directory(), sluice.id());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("the reload panicked"), "{output:?}");
    wait_for("the end of the reload", || manager.count("READY=1") == 2);
    assert_eq!(reload(sluice.directory(), sluice.id()).status.code(), Some(0));
}

#[test]
fn nobody_else_is_sent_a_signal() {
    let sluice = Sluice::run(&config(refusing_address()));
    sluice.wait_line("miners can connect to");
    // Another process: this one, which SIGHUP would end.
    let output = reload(sluice.directory(), std::process::id());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("nothing was sent to it"), "{output:?}");
    let without = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["reload", "--pid", &sluice.id().to_string()])
        .env_remove("RUNTIME_DIRECTORY")
        .output()
        .unwrap();
    assert_eq!(without.status.code(), Some(1));
    assert!(text(&without.stderr).contains("send SIGHUP, and read the log"), "{without:?}");
    // 0 and negative numbers would be groups of processes.
    assert_eq!(reload(sluice.directory(), 0).status.code(), Some(2));
    assert!(sluice.lines_with("SIGHUP").is_empty(), "{}", sluice.log());
}
