//! JSON, the table, several pools, and an early end.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;
use sluice::sim::{Misbehaviour, PoolOptions, SimPayout};

use super::{ADDRESS, STRANGER, command, options, pool, run, url};
use crate::common::DEADLINE;

/// Every name of a report, and its JSON type; `?` for one that may be null.
const FIELDS: &str = "pool s, address s, worker s, verdict s, exit_code n, at s, seconds n, ended s, findings a, \
    payout.state s, payout.percent n, payout.paid_sats n, payout.total_sats n, payout.min_percent n, \
    payout.job n, payout.outputs a, payout.outputs.0.address s, payout.outputs.0.kind s, \
    payout.outputs.0.sats n, payout.outputs.0.percent n, payout.outputs.0.is_expected b, \
    chain.state s, chain.network s, chain.height n, chain.network_difficulty n, chain.nbits s, \
    chain.prevhash s, chain.prevhash_meets_target b, chain.tag s, timing.resolve_ms n, timing.connect_ms n, \
    timing.socks5_ms ?, timing.tls_ms ?, timing.subscribe_ms n, timing.authorize_ms n, \
    timing.first_job_ms n, timing.first_job_after_authorize_ms n, timing.job_interval_seconds n, \
    timing.longest_gap_seconds n, timing.clock s, timing.ntime_offset_seconds n, difficulty.asked n, \
    difficulty.newest n, difficulty.suggested n, difficulty.suggestion s, difficulty.extranonce1 s, \
    difficulty.extranonce2_size n, difficulty.extranonce2_seconds_at_1_ths n, difficulty.version_mask s, \
    authorize.state s, authorize.code ?, authorize.reason ?, nerdminer.fits b, nerdminer.obstacles a, \
    nerdminer.nuisances a, nerdminer.coinbase_bytes n, nerdminer.longest_line_bytes n, \
    nerdminer.memory_bytes n, nerdminer.seconds_per_share n, nerdminer.best_difficulty_per_day n, \
    reconnect ?, messages a, jobs.count n, jobs.telling n, jobs.clean n, jobs.empty n, jobs.unreadable n, \
    jobs.list a, jobs.list.0.number n, jobs.list.0.at s, jobs.list.0.seconds n, jobs.list.0.job_id s, \
    jobs.list.0.clean b, jobs.list.0.after_authorize b, jobs.list.0.payout s, jobs.list.0.percent n, \
    jobs.list.0.chain s, jobs.list.0.height n, jobs.list.0.prevhash s, \
    jobs.list.0.prevhash_meets_target b, jobs.list.0.nbits s, jobs.list.0.ntime n, \
    jobs.list.0.ntime_offset_seconds n, jobs.list.0.branches n, jobs.list.0.coinbase_bytes n";

#[test]
fn json_has_every_field() {
    let pool = pool(options());
    let output = run(&[&url(&pool), "--address", ADDRESS, "--json"]).expect(0);
    let document: Value = serde_json::from_str(&output.out).unwrap();
    let report = &document[0];
    for field in FIELDS.split(',') {
        let (path, kind) = field.trim().split_once(' ').unwrap();
        let found = report.pointer(&format!("/{}", path.replace('.', "/")));
        let found = found.unwrap_or_else(|| panic!("no {path} in {}", output.out));
        let is_right = match kind {
            "s" => found.is_string(),
            "n" => found.is_number(),
            "b" => found.is_boolean(),
            "a" => found.is_array(),
            _ => true,
        };
        assert!(is_right, "{path} is {found}");
    }
    assert_eq!(report["verdict"], "good");
    assert_eq!(report["exit_code"], 0);
    assert_eq!(report["payout"]["outputs"][0]["address"], ADDRESS);
    assert_eq!(report["timing"]["clock"], "system");
    assert_eq!(report["chain"]["network"], "mainnet");
    for time in [&report["at"], &report["jobs"]["list"][0]["at"]] {
        assert!(time.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{time}");
    }
}

#[test]
fn several_pools_make_a_table_and_the_worst_decides() {
    let good = pool(options());
    let bad = pool(PoolOptions { payout: SimPayout::Address(STRANGER.to_owned()), ..options() });
    let misbehaviour = Misbehaviour { silent: true, ..Misbehaviour::default() };
    let silent = pool(PoolOptions { misbehaviour, ..options() });
    let (good, bad, silent) = (url(&good), url(&bad), url(&silent));
    let output = run(&[&good, &bad, &silent, "--address", ADDRESS, "--seconds", "3"]).expect(1);
    let table = output.out.rsplit("\n\n\n").next().unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(lines[0].starts_with("pool ") && lines[0].ends_with("NerdMiner"), "{table}");
    for (line, url, words) in [
        (lines[1], &good, &["GOOD", "98.00 %", "mainnet", "fits"][..]),
        (lines[2], &bad, &["BAD", "0.00 %"]),
        (lines[3], &silent, &["CAN'T TELL", "–"]),
    ] {
        assert!(line.starts_with(url.as_str()) && words.iter().all(|word| line.contains(word)), "{table}");
    }
    assert!(!output.out.contains('\x1b'), "colour without a terminal");
    // Not to know is worse than good, and better than bad.
    run(&[&good, &silent, "--address", ADDRESS, "--seconds", "3"]).expect(2);
}

#[test]
fn ctrl_c_ends_it_with_what_is_known() {
    let pool = pool(options());
    let start = Instant::now();
    let mut child = command(&[&url(&pool), "--address", ADDRESS, "--seconds", "600"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(pool.wait_until(start + DEADLINE, |stats| stats.jobs_sent >= 3));
    let kill = format!("kill -INT {}", child.id());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let out = BufReader::new(child.stdout.take().unwrap());
    let out: Vec<String> = out.lines().map_while(Result::ok).collect();
    let code = child.wait().unwrap().code();
    let out = out.join("\n");
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("GOOD") && out.contains("stopped before its time was over"), "{out}");
    assert!(start.elapsed() < DEADLINE);
}
