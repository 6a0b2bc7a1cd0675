//! Judges jobs of real pools.

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::analyzer::PayoutAddress;
use crate::clock::NtpTime;
use crate::config::Network;
use crate::net::dial::DialTimes;
use crate::verify::{PoolReport, Timestamp, VerifyClient};

/// An address that no job pays.
const STRANGER: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

struct Real {
    pool: String,
    network: String,
    year: u32,
    extranonce1: String,
    extranonce2_size: u64,
    line: String,
    decoded: Value,
}

/// The recorded jobs whose extranonces are known.
fn real_jobs() -> Vec<Real> {
    let lines = include_str!("../../../tests/data/real_notifies.jsonl").lines();
    let jobs = lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).filter_map(|job| {
        let text = |name: &str| job[name].as_str().map(str::to_owned);
        Some(Real {
            pool: text("pool")?,
            network: text("network")?,
            year: text("date")?[..4].parse().unwrap(),
            extranonce1: text("extranonce1")?,
            extranonce2_size: job["extranonce2_size"].as_u64()?,
            line: text("line")?,
            decoded: job["decoded"].clone(),
        })
    });
    jobs.collect()
}

/// Plays a job to a miner with this address, at the job's own time plus `late`.
fn watched(real: &Real, settings: &VerifySettings, late: i64) -> WatchReport {
    let notify: Value = serde_json::from_str(&real.line).unwrap();
    let ntime = i64::from_str_radix(notify["params"][7].as_str().unwrap(), 16).unwrap();
    let clock = NtpTime::from_timestamp(jiff::Timestamp::from_second(ntime + late).unwrap());
    let at = |milliseconds| Timestamp { since: Duration::from_millis(milliseconds), clock };
    let mut conversation = VerifyClient::new(settings, "pool.example", at(0));
    let subscribed =
        format!(r#"{{"id":2,"result":[[],"{}",{}],"error":null}}"#, real.extranonce1, real.extranonce2_size);
    conversation.take_line(subscribed.as_bytes(), at(10));
    conversation.tick(at(300));
    conversation.take_line(br#"{"id":3,"result":true,"error":null}"#, at(310));
    conversation.take_line(real.line.as_bytes(), at(400));
    WatchReport {
        began: clock,
        dial: Some(DialTimes::default()),
        lasted: Duration::from_secs(1),
        end: WatchEnd::Time,
        observations: conversation.into_observations(at(1000)),
    }
}

fn ids(findings: &[VerifyFinding]) -> Vec<&'static str> {
    findings.iter().filter(|finding| finding.weight >= Weight::Unknown).map(|finding| finding.id).collect()
}

#[test]
fn real_jobs_pay_their_addresses_only() {
    let mut judged = 0;
    for real in real_jobs() {
        let outputs = real.decoded["outputs"].as_array().unwrap();
        let largest = outputs.iter().max_by_key(|output| output["sats"].as_u64()).unwrap();
        let address = largest["address"].as_str().unwrap();
        // Jobs of the test networks pay addresses of those networks.
        let settings =
            VerifySettings { min_percent: 50.0, ..VerifySettings::new(address, Network::Auto).unwrap() };
        let watch = watched(&real, &settings, 0);
        let job = watch.observations.jobs.newest.clone().unwrap();
        assert_eq!(job.height.map(|height| u64::from(height.0)), real.decoded["height"].as_u64());
        assert_eq!(job.parent.to_string(), real.decoded["prevhash_display"], "{}", real.pool);
        assert_eq!(job.coinbase_bytes as u64, real.decoded["coinbase_bytes"].as_u64().unwrap());
        // One of them pays the same address twice.
        let to_it = outputs.iter().filter(|output| output["address"].as_str() == Some(address));
        let to_it: u64 = to_it.filter_map(|output| output["sats"].as_u64()).sum();
        assert_eq!(job.paid.0, to_it, "{}", real.pool);
        let paying = outputs.iter().filter(|output| output["sats"].as_u64() > Some(0)).count();
        assert_eq!(job.outputs.len(), paying, "{}", real.pool);
        assert!(job.tag.is_some(), "{}", real.pool);

        let is_recent = real.network == "mainnet" && real.year >= 2022;
        let (outcome, findings) = judge(&watch, &settings);
        if is_recent {
            assert_eq!((outcome, ids(&findings)), (VerifyOutcome::Good, vec![]), "{}", real.pool);
        } else if real.network == "mainnet" {
            // The difficulty of 2015 and 2019 is that of another coin today.
            assert_eq!(ids(&findings), ["chain.wrong"], "{}", real.pool);
        } else {
            assert_eq!(ids(&findings), Vec::<&str>::new(), "{}", real.pool);
        }

        let stranger = VerifySettings::new(STRANGER, Network::Auto).unwrap();
        let (outcome, findings) = judge(&watched(&real, &stranger, 0), &stranger);
        assert!(
            outcome == VerifyOutcome::Bad && ids(&findings).contains(&"payout.mismatch"),
            "{}",
            real.pool
        );
        judged += 1;
    }
    assert!(judged >= 12, "only {judged}");
}

#[test]
fn real_tags_are_read() {
    let jobs = real_jobs();
    let tag = |pool: &str| {
        let real = jobs.iter().find(|real| real.pool.starts_with(pool)).unwrap();
        let settings = VerifySettings::new(STRANGER, Network::Auto).unwrap();
        let job = watched(real, &settings, 0).observations.jobs.newest.unwrap();
        job.tag.unwrap().to_string()
    };
    assert_eq!(tag("public-pool.io"), "Public-Pool");
    assert!(tag("Braiins Solo").contains("/braiinssolo/"), "{}", tag("Braiins Solo"));
    assert!(tag("solo.ckpool.org").contains("/solo.ckpool.org/"));
}

#[test]
fn a_nerdminer_fits_where_the_wire_reference_says_so() {
    for real in real_jobs() {
        let settings = VerifySettings::new(STRANGER, Network::Auto).unwrap();
        let watch = watched(&real, &settings, 0);
        let nerdminer = crate::verify::NerdMinerCheck::of(&watch.observations).unwrap();
        let is_small = real.decoded["coinbase_bytes"].as_u64().unwrap() <= 255;
        let can_count = matches!(real.extranonce2_size, 2 | 4 | 8) && !real.extranonce1.is_empty();
        assert_eq!(nerdminer.is_fit(), is_small && can_count, "{}: {:?}", real.pool, nerdminer.obstacles);
    }
}

#[test]
fn a_time_too_far_off_is_bad_in_either_direction() {
    let real = real_jobs().into_iter().find(|real| real.pool == "public-pool.io").unwrap();
    let address = real.decoded["outputs"][0]["address"].as_str().unwrap();
    let settings = VerifySettings::new(address, Network::Auto).unwrap();
    for (late, outcome, id) in [
        (0, VerifyOutcome::Good, None),
        (301, VerifyOutcome::Good, Some("timing.old_job")),
        (-301, VerifyOutcome::Good, Some("timing.future_job")),
        (7201, VerifyOutcome::Bad, Some("timing.extreme")),
        (-7201, VerifyOutcome::Bad, Some("timing.extreme")),
    ] {
        let (found, findings) = judge(&watched(&real, &settings, late), &settings);
        assert_eq!(found, outcome, "{late}");
        if let Some(id) = id {
            assert!(findings.iter().any(|finding| finding.id == id), "{late}: {findings:?}");
        }
    }
}

#[test]
fn a_parent_whose_hash_misses_the_target_is_bad() {
    let mut real = real_jobs().into_iter().find(|real| real.pool == "public-pool.io").unwrap();
    let address = real.decoded["outputs"][0]["address"].as_str().unwrap().to_owned();
    let mut notify: Value = serde_json::from_str(&real.line).unwrap();
    notify["params"][1] = Value::from("11".repeat(32));
    real.line = notify.to_string();
    let settings = VerifySettings::new(&address, Network::Auto).unwrap();
    let (outcome, findings) = judge(&watched(&real, &settings, 0), &settings);
    assert_eq!((outcome, ids(&findings)), (VerifyOutcome::Bad, vec!["chain.bad_prevhash"]));
}

#[test]
fn the_worst_of_several_pools_counts() {
    assert!(VerifyOutcome::Good < VerifyOutcome::Unknown && VerifyOutcome::Unknown < VerifyOutcome::Bad);
    assert_eq!(
        [VerifyOutcome::Good, VerifyOutcome::Bad, VerifyOutcome::Unknown].map(VerifyOutcome::exit_code),
        [0, 1, 2]
    );
    assert_eq!(crate::verify::worst(&Vec::<PoolReport>::new()), VerifyOutcome::Unknown);
    assert!(PayoutAddress::of_address(STRANGER).is_some());
}
