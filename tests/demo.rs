//! The README's first command.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The numbers in a line.
fn numbers(line: &str) -> Vec<u64> {
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[test]
fn shares_are_accepted_and_ctrl_c_ends_it_cleanly_with_none_lost() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_sluice"))
        // It ends by itself should no share come.
        .args(["demo", "--seconds", "30", "--http", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map_while(Result::ok);
    let accepted = lines.by_ref().filter(|line| line.contains("share accepted")).take(5).count();
    assert_eq!(accepted, 5);
    kill(Pid::from_raw(i32::try_from(demo.id()).unwrap()), Signal::SIGINT).unwrap();
    let credited = lines.find(|line| line.contains("pools accepted")).expect("an account at the end");
    let [credited, submitted] = numbers(&credited)[..] else { panic!("{credited}") };
    assert!(credited >= 5);
    assert_eq!(credited, submitted);
    assert_eq!(demo.wait().unwrap().code(), Some(0));
}
