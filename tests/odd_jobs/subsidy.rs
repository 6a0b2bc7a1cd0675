//! A job that pays the owner all of almost nothing is no promise of a block's reward.

use serde_json::Value;

use super::job::Job;
use super::miner::Miner;
use super::owner::{Owner, Seen};
use super::pool::{Pool, Script};
use super::verify::check_all;

/// The subsidy of a block of the height 967,017.
const SUBSIDY: u64 = 312_500_000;

/// A job whose only output pays the owner so much.
fn paying(number: u32, sats: u64) -> Job {
    let job = Job::honest(number);
    let value: String = sats.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Job { coinb2: format!("ffffffff01{value}{}", &job.coinb2[26..]), ..job }
}

/// The same with another height, of 3 bytes as they are written.
fn at_height(job: &Job, height: &str) -> Job {
    Job { coinb1: job.coinb1.replacen("0369c10e", &format!("03{height}"), 1), ..job.clone() }
}

/// Jobs that throw away most of the reward: of one satoshi, and with heights whose subsidy would be small.
fn wasteful() -> [(&'static str, Job); 3] {
    let one = paying(1, 1);
    [
        ("1 sat", one.clone()),
        ("a height of the year 2140", at_height(&one, "50be69")),
        ("a height of the year 2036, and its subsidy", at_height(&paying(1, SUBSIDY / 4), "a04e13")),
    ]
}

#[test]
fn a_reward_that_is_thrown_away_is_told() {
    for (name, job) in wasteful() {
        let pool = Pool::start(Script::saying(job.line().as_bytes()));
        let owner = Owner::start("", &pool.upstream());
        let _miner = Miner::join(owner.sluice.address());
        let check = |seen: &Seen| {
            let payout = &seen.status["payout"];
            let evidence = &seen.alerts["alerts"][0]["evidence"];
            let lost = SUBSIDY - payout["total_sats"].as_u64().unwrap_or(SUBSIDY);
            let is_told = payout["state"] == "short"
                && payout["reward_sats"] == SUBSIDY
                && payout["wasted_sats"] == lost
                && seen.lasting() == ["payout.short"]
                && evidence["wasted_sats"] == lost
                && seen.page.contains("the job throws away");
            if is_told { Ok(()) } else { Err(format!("{name}: {payout}, {}", seen.alerts)) }
        };
        owner.wait("a reward that is thrown away", check).unwrap();
    }
}

#[test]
fn verify_calls_no_wasted_reward_good() {
    let scripts = wasteful().map(|(name, job)| (name, Script::saying(job.line().as_bytes())));
    check_all(&scripts, |_, report| {
        let findings = report["findings"].as_array().unwrap();
        let is_told = |finding: &Value| {
            finding["id"] == "payout.short" && finding["text"].as_str().unwrap().contains("throws away")
        };
        match report["exit_code"].as_i64() {
            Some(1) if findings.iter().any(is_told) => Ok(()),
            code => Err(format!("exit code {code:?}")),
        }
    });
}

#[test]
fn the_whole_subsidy_is_verified() {
    let job = paying(1, SUBSIDY);
    let pool = Pool::start(Script::saying(job.line().as_bytes()));
    let owner = Owner::start("", &pool.upstream());
    let _miner = Miner::join(owner.sluice.address());
    owner.wait_verified().unwrap();
    let payout = &owner.look().status["payout"];
    assert_eq!((&payout["percent"], &payout["wasted_sats"]), (&100.0.into(), &0.into()), "{payout}");
}
