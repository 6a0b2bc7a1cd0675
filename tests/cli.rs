//! The real binary: exit codes, and what a person reads.

mod environment;
mod init;
mod machine;
mod online;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::binary::Sluice;

const FREE_PORTS: [&str; 4] = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
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

/// As [`check`], with ports that are free whatever else runs on this machine.
fn check_beside_others(config: &str) -> (tempfile::TempDir, Output) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("sluice.toml"), config).unwrap();
    let output = sluice(dir.path(), &[&["check", "--config", "sluice.toml"], &FREE_PORTS[..]].concat());
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
    let (dir, output) = check_beside_others(include_str!("../config.toml.example"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    for part in
        ["stratum+tcp://127.0.0.1:0", "1. stratum+tcp://solo.ckpool.org:3333", "private networks", "in order"]
    {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("Note") && !said.contains("Warning"), "{said}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "only the file itself");
}

#[test]
fn a_pool_on_the_command_line_needs_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let args =
        ["check", "--pool", "stratum+ssl://one:1", "--pool", "stratum+tcp://two:2", "--http", "127.0.0.1:0"];
    let args = [&args[..], &["--listen", "127.0.0.1:0"]].concat();
    let output = sluice(dir.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.contains("1. stratum+ssl://one:1") && said.contains("2. stratum+tcp://two:2"), "{said}");
    assert!(said.contains("The page: http://127.0.0.1:0/"), "{said}");
    let output = sluice(dir.path(), &["check", "--pool", "two:2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--pool = \"two:2\" must be a URL"), "{}", stderr(&output));
}

#[test]
fn a_missing_resource_is_exit_code_1() {
    let (_dir, output) = check(&format!("data_dir = \"sluice.toml/data\"\n{POOL}"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("data_dir: cannot write to sluice.toml"), "{}", stderr(&output));
    let (_dir, output) = check(&format!("{POOL}[listen.tls]\ncert = \"gone.pem\"\nkey = \"gone.key\"\n"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("listen.tls.cert: gone.pem: no such file"), "{}", stderr(&output));
}

#[test]
fn no_secret_is_printed() {
    let secret =
        "[http]\ntoken = \"hunter2\"\n[[notify]]\nkind = \"telegram\"\nchat = \"1\"\ntoken = \"hunter2\"\n";
    let socks5 = "socks5 = \"socks5://me:hunter2@127.0.0.1:9050\"\npass = \"hunter2\"\n";
    for extra in ["", "max_miner = 5\n", "token = \"hunter2\"\n", "token = \"hunter2\n"] {
        let (_dir, output) = check_beside_others(&format!("{POOL}{socks5}{secret}{extra}"));
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

#[test]
fn check_says_what_every_section_means() {
    let (_dir, output) = check_beside_others(
        r#"
mode = "aggregate"
network = "mainnet"
data_dir = "kept"
[listen]
handshake_timeout = "45s"
idle_timeout = "2h"
[[upstream]]
url = "stratum+tcp://pool.example:3333"
user = "me.{worker}"
warm = 1
[failover]
connect_deadline = "7s"
answer_timeout = "3s"
first_job_timeout = "83s"
backoff_max = "90s"
[analysis]
share_timeout = "50s"
near_miss = 0.02
[payout]
address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
min_percent = 97.5
on_mismatch = "block"
[rules]
max_drift = "100m"
off = ["share.rapid", "chain.empty_job"]
[[reference]]
url = "stratum+tcp://second.example:3333"
user = "watcher"
[[reference]]
node = "http://me:hunter2@node.example:8332/path?hunter2"
[ntp]
servers = ["time.example"]
interval = "2h"
[record]
geek = true
keep_days = 1
[http]
token = "hunter2"
hosts = ["miner.example.org"]
[ratelimit]
max_connections_per_minute = 1
exempt = ["192.168.7.0/24"]
[aggregate]
user = "{user}"
grace = "90s"
local_authorize = false
[vardiff]
target = "20s"
[pool_stats]
kind = "ocean"
url = "https://hunter2.example/hunter2"
token = "hunter2"
interval = "5m"
[[notify]]
kind = "ntfy"
url = "https://ntfy.example/hunter2"
min_severity = "medium"
[report]
console = "77s"
"#,
    );
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    let said = stdout(&output);
    for part in [
        "Mode: aggregate",
        "Network: mainnet",
        "Data directory: kept",
        "authorized within 45s is disconnected, a silent miner after 2h",
        "1. stratum+tcp://pool.example:3333 as me.{worker}, 1 connection kept ready",
        "connecting may take 7s in all; if a pool does not answer within 3s",
        "a pool that sends no job after 83s",
        "every 1s to 90s",
        "unanswered after 50s, as a near miss from 2 %",
        "must pay bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 at least 97.5 %",
        "an alert, and miners leave the pool",
        "off by 100m",
        "off: share.rapid, chain.empty_job",
        "1. the pool stratum+tcp://second.example:3333 as watcher",
        "2. the node at http://node.example:8332, with a user and password",
        "by NTP from time.example, every 2h",
        "shares.csv, timing.csv, geek.log",
        "for 1 day ",
        "for everybody with the token, also as miner.example.org",
        "1 new connection a minute",
        "192.168.7.0/24",
        "outlives the last miner by 90s",
        "authorized by the pool",
        "a share every 20s",
        "every 5m in the format of ocean, from https://hunter2.example",
        "1. by ntfy: alerts from medium up, outages, good news",
        "on the console: every 77s",
        "Everything is in order.",
    ] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    assert!(!said.replace("https://hunter2.example", "").contains("hunter2"), "{said}");
}

#[test]
fn a_busy_port_is_named_with_who_has_it_and_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let pool = ["--pool", "stratum+tcp://pool.example:3333"];
    let miners = ["--listen", address.as_str(), "--http", ""];
    let page = ["--listen", "127.0.0.1:0", "--http", address.as_str()];
    for (ports, key, flag) in [(&miners, "listen.stratum", "--listen"), (&page, "http.listen", "--http")] {
        for command in ["check", "run"] {
            let output = sluice(dir.path(), &[&[command], &pool[..], &ports[..]].concat());
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{command}: {said}");
            assert!(said.contains(&format!("{key}: can't listen on {address}: ")), "{command}: {said}");
            assert!(said.contains("uses this port already"), "{command}: {said}");
            assert!(said.contains(&format!("with {key} or {flag}")), "{command}: {said}");
            assert!(!said.contains("os error"), "{command}: {said}");
            assert!(!stdout(&output).contains("Everything is in order"), "{command}: {}", stdout(&output));
        }
    }
}

#[test]
fn a_running_sluice_is_no_fault_of_its_own_configuration() {
    let running = Sluice::run(
        "[listen]\nstratum = [\"127.0.0.1:0\"]\n[[upstream]]\nurl = \"stratum+tcp://127.0.0.1:1\"\n",
    );
    let address = running.address().to_string();
    running.edit("127.0.0.1:0", &address);
    let file = running.directory().join("config.toml");
    let output = sluice(running.directory(), &["check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(
        said.contains("Warning: data_dir: a Sluice runs with") && !said.contains("Everything is in order"),
        "{said}"
    );
}

#[test]
fn what_may_come_to_be_is_a_warning() {
    let text = format!(
        "{POOL}[[reference]]\nnode = \"http://127.0.0.1:8332\"\ncookie = \"gone/.cookie\"\n\
         [[notify]]\nkind = \"exec\"\ncommand = [\"/gone/tell\", \"hunter2\"]\n\
         [payout]\naddress = \"tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx\"\n"
    );
    let (_dir, output) = check_beside_others(&text);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    for part in [
        "Warning: reference[1].cookie: can't read gone/.cookie: no such file",
        "Warning: notify[1].command: its program does not exist, or this user may not run it",
        "Warning: payout.address belongs to a test network",
        "No error, 3 warnings.",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("Everything is in order") && !said.contains("hunter2"), "{said}");
}

#[test]
fn contradictory_options_are_exit_code_2() {
    let testnet = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx";
    let ckpool = "[[upstream]]\nurl = \"stratum+tcp://solo.ckpool.org:3333\"\n";
    for (text, words) in [
        (
            format!("{ckpool}[payout]\naddress = \"{testnet}\"\n"),
            "line 4: payout.address is an address of a test network, but solo.ckpool.org mines mainnet",
        ),
        (
            format!("network = \"testnet4\"\n{ckpool}"),
            "line 1: network is testnet4, but solo.ckpool.org mines mainnet",
        ),
        (
            format!("{POOL}[http]\nlisten = \"127.0.0.1:3334\"\n"),
            "http.listen is 127.0.0.1:3334, but miners connect to 0.0.0.0:3334",
        ),
        (
            format!("{POOL}[listen]\nstratum = [\"0.0.0.0:3334\", \"127.0.0.1:3334\"]\n"),
            "names 127.0.0.1:3334, which is a part of 0.0.0.0:3334",
        ),
        (String::from("[[upstream]]\nurl = \"stratum2+tcp://pool.example:3333\"\n"), "Stratum V2"),
    ] {
        let (_dir, output) = check(&text);
        assert_eq!(output.status.code(), Some(2), "{words}: {}", stdout(&output));
        assert!(stderr(&output).contains(words), "{words}: {}", stderr(&output));
    }
    let args = ["check", "--pool", "stratum+tcp://solo.ckpool.org:3333", "--address", testnet];
    let output = sluice(tempfile::tempdir().unwrap().path(), &args);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(stderr(&output).contains("--address is an address of a test network"), "{}", stderr(&output));
}

#[test]
fn an_encrypted_key_is_called_one() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed([String::from("proxy.example")]).unwrap();
    fs::write(dir.path().join("cert.pem"), made.cert.pem()).unwrap();
    let key =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIFHDBOBgkqhkiG\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(dir.path().join("key.pem"), key).unwrap();
    let text = format!("{POOL}[listen.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n");
    fs::write(dir.path().join("sluice.toml"), text).unwrap();
    for command in ["check", "run"] {
        let output = sluice(dir.path(), &[command, "--config", "sluice.toml"]);
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(said.contains("listen.tls.key: key.pem: its private key is encrypted"), "{said}");
        assert!(said.contains("openssl pkey -in key.pem"), "{said}");
    }
}
