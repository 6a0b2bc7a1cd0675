//! The log on a terminal: lines that fit, short addresses, and nothing twice.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::binary::Sluice;
use crate::common::shown::{ADDRESS, EASY};
use crate::common::{DEADLINE, refusing_address, upstream, wait_for};
use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPool};

const COLUMNS: usize = 100;

/// `sluice run` on a terminal of its own, by util-linux's `script`. Its log comes on stderr, as that of the others.
fn on_a_terminal(text: &str) -> Sluice {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("exec script -qec \"exec $0 $*\" /dev/null 1>&2").arg(env!("CARGO_BIN_EXE_sluice"));
    Sluice::run_by(shell, text)
}

/// With the first pool dead, miners with long names, a report each second, and the end of the second pool.
fn every_line_fits(mode: &str) {
    let pool = SimPool::start(PoolOptions::with_difficulty(EASY).unwrap()).unwrap();
    let dead = format!("[[upstream]]\nurl = \"stratum+tcp://{}\"\n", refusing_address());
    let more = "[listen]\nstratum = [\"127.0.0.1:0\"]\n[report]\nconsole = 1\n[failover]\nconnect_deadline = \"1s\"\n";
    let sluice = on_a_terminal(&format!("mode = \"{mode}\"\n{more}{dead}{}", upstream(pool.addr())));
    let address = sluice.address();
    let miners =
        [MinerModel::Bitaxe, MinerModel::Cgminer, MinerModel::Cpuminer, MinerModel::Bitaxe].map(|model| {
            let name = format!("{ADDRESS}.the-{model:?}-in-the-garage-{}", "x7".repeat(40));
            let options = MinerOptions {
                hash_rate_limit: Some(SimHashRate(50_000.0)),
                retry_wait: Some(Duration::from_millis(300)),
                ..MinerOptions::new(address, model, name)
            };
            SimMiner::start(options).unwrap()
        });
    for miner in &miners {
        assert!(miner.wait_until(Instant::now() + DEADLINE, |stats| stats.accepted > 3), "{}", sluice.log());
    }
    // A report with all of them.
    wait_for("the miners in the report", || !sluice.lines_with("the-Cgminer-in-the-garage").is_empty());
    wait_for("the miners that are not listed", || !sluice.lines_with("1 more miner").is_empty());
    pool.stop();
    wait_for("the second pool's end", || !sluice.lines_with("FAILED").is_empty());
    miners.iter().for_each(SimMiner::stop);
    sluice.signal("TERM");
    let (_, log) = sluice.wait();

    let lines: Vec<&str> = log.lines().map(str::trim_end).collect();
    let long: Vec<_> = lines.iter().filter(|line| line.chars().count() > COLUMNS).collect();
    assert!(long.is_empty(), "{long:#?}");
    assert!(!log.contains(ADDRESS), "addresses are shortened: {log}");
    // A warning is not repeated while its cause lasts. Its time is not a part of it.
    let warnings: Vec<&str> =
        lines.iter().filter(|line| line.contains(" WARN ")).filter_map(|line| line.get(25..)).collect();
    for (place, warning) in warnings.iter().enumerate() {
        let before = warnings[..place].iter().filter(|before| *before == warning).count();
        assert_eq!(before, 0, "{warning} is logged twice: {log}");
    }
}

#[test]
fn in_passthrough_mode_every_line_fits_a_terminal() {
    every_line_fits("passthrough");
}

#[test]
fn in_aggregate_mode_every_line_fits_a_terminal() {
    every_line_fits("aggregate");
}
