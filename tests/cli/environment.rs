//! The environment of the real program: variables, secrets in files, a reload.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::{POOL, stderr, stdout};
use crate::common::binary::Sluice;
use crate::common::{BarePool, upstream};

/// `sluice check` with a file and these variables.
fn check(directory: &Path, file: &str, variables: &[(&str, &str)]) -> Output {
    fs::write(directory.join("config.toml"), file).unwrap();
    run(directory, &["check", "--config", "config.toml"], variables)
}

fn run(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(arguments)
        .current_dir(directory)
        .env("SLUICE__LISTEN__STRATUM", "127.0.0.1:0")
        .env("SLUICE__HTTP__LISTEN", "127.0.0.1:0")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn the_environment_stands_between_the_file_and_the_flags() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("data_dir = \"of-the-file\"\n{POOL}");
    let variables = [
        ("SLUICE__DATA_DIR", "of-the-environment"),
        ("SLUICE__UPSTREAM__2__URL", "stratum+ssl://second.example:443"),
    ];
    let output = check(directory.path(), &file, &variables);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for part in [
        "Configuration from config.toml and 4 environment variables",
        "Data directory: of-the-environment",
        "1. stratum+tcp://pool.example:3333",
        "2. stratum+ssl://second.example:443",
    ] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    let flags = ["check", "--config", "config.toml", "--data-dir", "of-the-flag"];
    assert!(stdout(&run(directory.path(), &flags, &variables)).contains("Data directory: of-the-flag"));
    // Without a file, if this machine has none.
    fs::remove_file(directory.path().join("config.toml")).unwrap();
    if !Path::new("/etc/sluice/config.toml").exists() {
        let alone = [("SLUICE__UPSTREAM__1__URL", "stratum+tcp://only.example:1")];
        let said = stdout(&run(directory.path(), &["check"], &alone));
        assert!(said.starts_with("Configuration from 3 environment variables"), "{said}");
        assert!(said.contains("1. stratum+tcp://only.example:1"), "{said}");
    }
}

#[test]
fn a_wrong_variable_is_exit_code_2_and_its_value_is_no_secret_told() {
    let directory = tempfile::tempdir().unwrap();
    for (variable, value, words) in [
        ("SLUICE__LISTEN__MAX_MINERS", "0", "sluice: SLUICE__LISTEN__MAX_MINERS = 0 must be a whole number"),
        (
            "SLUICE__LISTEN__MAX_MINER",
            "5",
            "unknown variable SLUICE__LISTEN__MAX_MINER; did you mean SLUICE__LISTEN__MAX_MINERS?",
        ),
        (
            "SLUICE__UPSTREAM__1__SOCKS5",
            "socks5://u:hunter2",
            "SLUICE__UPSTREAM__1__SOCKS5 = *** must be a host",
        ),
        (
            "SLUICE__UPSTREAM__1__URL",
            "stratum+tcp://u:hunter2@h:1",
            "SLUICE__UPSTREAM__1__URL = \"stratum+tcp://***@h:1\"",
        ),
    ] {
        let output = check(directory.path(), POOL, &[(variable, value)]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_secret_that_can_not_be_read_is_a_fault_of_the_machine() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("token");
    let secret = secret.to_str().unwrap();
    let output = check(directory.path(), POOL, &[("SLUICE__HTTP__TOKEN_FILE", secret)]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("can't be read: no such file or directory"), "{}", stderr(&output));
    fs::write(secret, "hunter2\n").unwrap();
    let output = check(directory.path(), POOL, &[("SLUICE__HTTP__TOKEN_FILE", secret)]);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(said.contains("for everybody with the token") && !said.contains("hunter2"), "{said}");
    fs::write(secret, "").unwrap();
    let output = check(directory.path(), POOL, &[("SLUICE__HTTP__TOKEN_FILE", secret)]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("must be a file that holds a text, not an empty one"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_reload_reads_secret_files_again_and_keeps_the_environment() {
    let pool = BarePool::start();
    let secrets = tempfile::tempdir().unwrap();
    let password = secrets.path().join("password");
    fs::write(&password, "first").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.env("SLUICE__UPSTREAM__1__PASS_FILE", &password).env("SLUICE__LISTEN__STRATUM", "127.0.0.1:0");
    let text = format!("mode = \"aggregate\"\n{}", upstream(pool.address()));
    let mut sluice = Sluice::run_by(command, &text);
    sluice.address();
    sluice.signal("HUP");
    sluice.wait_line("configuration unchanged; nothing to reload");
    fs::write(&password, "second").unwrap();
    sluice.signal("HUP");
    sluice.wait_line("applied the new [[upstream]]");
    fs::remove_file(&password).unwrap();
    sluice.signal("HUP");
    let line = sluice.wait_line("the old configuration stays in effect");
    assert!(line.contains("SLUICE__UPSTREAM__1__PASS_FILE"), "{line}");
    assert!(sluice.is_running() && !sluice.log().contains("second"), "{}", sluice.log());
}
