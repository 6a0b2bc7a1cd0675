//! `sluice init`, and what `sluice config` prints.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use sluice::config::EXAMPLE;

use super::{FREE_PORTS, sluice, stderr, stdout};

const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// `sluice init` by somebody who types this.
fn init(directory: &Path, arguments: &[&str], typed: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .arg("init")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn three_answers_make_a_configuration_that_is_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let typed = format!("{}\n{ADDRESS}\n\nmachine\n", ADDRESS.replace("w508", "w509"));
    let output = init(directory.path(), &[], &typed);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{said}{}", stderr(&output));
    for part in ["its checksum is wrong", "config.toml is written", "sluice run\n", "http://127.0.0.1:8080/"]
    {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    let check = sluice(directory.path(), &[&["check"], &FREE_PORTS[..]].concat());
    let said = stdout(&check);
    assert_eq!(check.status.code(), Some(0), "{said}{}", stderr(&check));
    for part in ["1. stratum+tcp://solo.ckpool.org:3333", "2. stratum+tcp://public-pool.io:3333", ADDRESS] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    // Neither asked nor written again.
    let before = fs::read_to_string(directory.path().join("config.toml")).unwrap();
    let again = init(directory.path(), &[], &typed);
    assert_eq!((again.status.code(), stdout(&again).as_str()), (Some(1), ""));
    assert!(stderr(&again).contains("config.toml exists already"), "{}", stderr(&again));
    assert_eq!(fs::read_to_string(directory.path().join("config.toml")).unwrap(), before);
}

#[test]
fn flags_need_no_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let flags =
        ["--address", ADDRESS, "--pool", "pool.example:3333", "--page", "network", "--output", "my.toml"];
    let output = init(directory.path(), &flags, "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("sluice run --config my.toml"), "{}", stdout(&output));
    let text = fs::read_to_string(directory.path().join("my.toml")).unwrap();
    for part in ["url = \"stratum+tcp://pool.example:3333\"", "listen = \"0.0.0.0:8080\""] {
        assert!(text.contains(part), "{text}");
    }
    // What has a default needs no flag either.
    let output = init(directory.path(), &["--address", ADDRESS], "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let wrong: [(&[&str], i32, &str); 6] = [
        (
            &["--address", "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9"],
            2,
            "--address is an address of another coin (Litecoin)",
        ),
        (&["--address", ADDRESS, "--pool", "http://h"], 2, "--pool can't be used"),
        (&["--address", ADDRESS, "--page", "all"], 2, "--page is none of"),
        (&["--address", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"], 2, "solo.ckpool.org mines mainnet"),
        (&[], 1, "give it with --address"),
        (&["--address", ADDRESS, "--output", "gone/config.toml"], 1, "can't write gone/config.toml"),
    ];
    for (flags, code, words) in wrong {
        let flags = if flags.contains(&"--output") {
            flags.to_vec()
        } else {
            [flags, &["--output", "new.toml"]].concat()
        };
        let output = init(directory.path(), &flags, "");
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{flags:?}: {}", stderr(&output));
        assert!(!directory.path().join("new.toml").exists(), "{flags:?}");
    }
}

#[test]
fn the_keys_are_printed_as_schema_table_and_example() {
    let directory = tempfile::tempdir().unwrap();
    let print = |what: &str| {
        let output = sluice(directory.path(), &["config", what]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    let schema: serde_json::Value = serde_json::from_str(&print("schema")).unwrap();
    assert_eq!(schema["properties"]["listen"]["properties"]["max_miners"]["default"], 1000);
    assert!(print("keys").contains("| `listen.max_miners` | 1 to 65536 | `1000` |"));
    assert_eq!(print("example"), EXAMPLE);
}
