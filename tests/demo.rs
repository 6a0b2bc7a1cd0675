//! The README's first command.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The numbers in a line.
fn numbers(line: &str) -> Vec<u64> {
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Lasts ten seconds, until the first scene: a pool that pays a stranger.
#[test]
fn shares_are_accepted_a_scene_is_reported_and_ctrl_c_ends_it_cleanly_with_none_lost() {
    let directory = tempfile::tempdir().unwrap();
    let records = directory.path().join("records");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_sluice"))
        // It ends by itself should no share come.
        .args(["demo", "--seconds", "60", "--http", "127.0.0.1:0", "--data-dir"])
        .arg(&records)
        .env("RUNTIME_DIRECTORY", directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut all = Vec::new();
    let mut lines =
        BufReader::new(demo.stdout.take().unwrap()).lines().map_while(Result::ok).inspect(|line| {
            assert!(line.chars().count() <= 100, "{line}");
            all.push(line.clone());
        });
    let accepted = lines.by_ref().filter(|line| line.contains("share accepted")).take(5).count();
    assert_eq!(accepted, 5);
    assert!(lines.by_ref().any(|line| line.contains("HIGH") && line.contains("a block would pay nothing")));
    kill(Pid::from_raw(i32::try_from(demo.id()).unwrap()), Signal::SIGINT).unwrap();
    let credited = lines.find(|line| line.contains("pools accepted")).expect("an account at the end");
    let [credited, submitted] = numbers(&credited)[..] else { panic!("{credited}") };
    assert!(credited >= 5);
    assert_eq!(credited, submitted);
    // What was shown, and the rule that reported it.
    assert!(lines.any(|line| line.contains("blocks pay a stranger") && line.ends_with("payout.mismatch")));
    lines.for_each(drop);
    assert_eq!(demo.wait().unwrap().code(), Some(0), "{all:#?}");
    for (file, text) in [("alerts.log", "HIGH: payout.mismatch"), ("events.jsonl", "alert.begun")] {
        let read = fs::read_to_string(records.join(file)).unwrap();
        assert!(read.contains(text), "{file}: {read}");
    }
    let shares = fs::read_to_string(records.join("shares.csv")).unwrap();
    assert!(shares.lines().filter(|row| row.contains(",accepted,")).count() as u64 >= credited, "{shares}");
}
