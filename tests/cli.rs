//! The real binary: exit codes, and what a person reads.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const POOL: &str = "[[upstream]]\nurl = \"stratum+tcp://pool.example:3333\"\n";

/// In `dir`, so that no `config.toml` and no `data` of this project is met.
fn sluice(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(args)
        .current_dir(dir)
        .env_remove("RUST_LOG")
        .output()
        .expect("the binary starts")
}

fn check(config: &str) -> (tempfile::TempDir, Output) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("sluice.toml"), config).unwrap();
    let output = sluice(dir.path(), &["check", "--config", "sluice.toml"]);
    (dir, output)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_unknown_key_is_exit_code_2_with_key_line_and_suggestion() {
    let (_dir, output) = check(&format!("{POOL}[listen]\nmax_miner = 5\n"));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        stderr(&output),
        "sluice: sluice.toml: line 4: unknown key listen.max_miner; did you mean listen.max_miners?\n"
    );
}

#[test]
fn a_wrong_type_and_an_impossible_range_are_exit_code_2_and_both_told() {
    let (_dir, output) = check(&format!("{POOL}warm = 65\n[listen]\nhandshake_timeout = 5\n"));
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("line 3: upstream[1].warm = 65 must be a whole number from 0 to 64"), "{said}");
    assert!(said.contains("line 5: listen.handshake_timeout is 5, a whole number"), "{said}");
}

#[test]
fn without_file_and_pool_it_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let output = sluice(dir.path(), &["check"]);
    // A machine may have one in /etc.
    if !Path::new("/etc/sluice/config.toml").exists() {
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("--pool stratum+tcp://HOST:PORT"), "{}", stderr(&output));
    }
    fs::write(dir.path().join("config.toml"), "[listen]\n").unwrap();
    let output = sluice(dir.path(), &["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("config.toml: upstream is missing"), "{}", stderr(&output));
    let output = sluice(dir.path(), &["check", "--config", "gone.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot read the configuration gone.toml"), "{}", stderr(&output));
}

#[test]
fn the_example_is_in_order_and_nothing_is_left_behind() {
    let (dir, output) = check(include_str!("../config.toml.example"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    for part in [
        "stratum+tcp://0.0.0.0:3334",
        "1. stratum+tcp://solo.ckpool.org:3333",
        "private networks",
        "in order",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("Note") && !said.contains("Warning"), "{said}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "only the file itself");
}

#[test]
fn a_pool_on_the_command_line_needs_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let args =
        ["check", "--pool", "stratum+ssl://one:1", "--pool", "stratum+tcp://two:2", "--http", "127.0.0.1:1"];
    let output = sluice(dir.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.contains("1. stratum+ssl://one:1") && said.contains("2. stratum+tcp://two:2"), "{said}");
    assert!(said.contains("The page: http://127.0.0.1:1/"), "{said}");
    let output = sluice(dir.path(), &["check", "--pool", "two:2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--pool = \"two:2\" must be a URL"), "{}", stderr(&output));
}

#[test]
fn what_the_machine_lacks_is_exit_code_1() {
    let (_dir, output) = check(&format!("data_dir = \"sluice.toml/data\"\n{POOL}"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("data_dir: cannot write to sluice.toml"), "{}", stderr(&output));
    let (_dir, output) = check(&format!("{POOL}[listen.tls]\ncert = \"gone.pem\"\nkey = \"gone.key\"\n"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("listen.tls.cert: gone.pem: No such file"), "{}", stderr(&output));
}

#[test]
fn no_secret_is_printed() {
    let secret =
        "[http]\ntoken = \"hunter2\"\n[[notify]]\nkind = \"telegram\"\nchat = \"1\"\ntoken = \"hunter2\"\n";
    let socks5 = "socks5 = \"socks5://me:hunter2@127.0.0.1:9050\"\npass = \"hunter2\"\n";
    for extra in ["", "max_miner = 5\n", "token = \"hunter2\"\n", "token = \"hunter2\n"] {
        let (_dir, output) = check(&format!("{POOL}{socks5}{secret}{extra}"));
        assert_eq!(output.status.code(), Some(if extra.is_empty() { 0 } else { 2 }));
        assert!(!stdout(&output).contains("hunter2") && !stderr(&output).contains("hunter2"));
    }
    let dir = tempfile::tempdir().unwrap();
    let output = sluice(dir.path(), &["check", "--pool", "stratum+tcp://me:hunter2@pool:1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!stderr(&output).contains("hunter2"), "{}", stderr(&output));
}

#[test]
fn help_has_examples_and_a_wrong_flag_is_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["--help"][..], &["run", "--help"], &["check", "--help"]] {
        let output = sluice(dir.path(), args);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("sluice run --pool stratum+tcp://"), "{args:?}");
    }
    let output = sluice(dir.path(), &["--version"]);
    assert_eq!(stdout(&output), format!("sluice {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(sluice(dir.path(), &["run", "--pol", "x"]).status.code(), Some(2));
    assert_eq!(sluice(dir.path(), &[]).status.code(), Some(2));
}
