//! The sixth param of a share.

use std::time::Duration;

use serde_json::{Value, json};
use sluice::proxy::aggregate::Limits;
use sluice::stratum::{Version, VersionBits, VersionMask};
use sluice::work::VersionConvention;

use crate::aggregate::opened::{expect_credited, expect_moved, first, follow_extranonces, one_pool};
use crate::aggregate::scripted::{PoolEnd, Scripted, Work};
use crate::aggregate::share_search::{Field, code, params, target};
use crate::aggregate::site::{Line, Site};
use crate::common::upstream;

pub const POOL: f64 = 0.000_01;

/// A pool that answers configure with this, and a miner that has asked for all bits or for none. The job's
/// version is such that the conventions differ.
pub fn pair(granted: Value, asks: bool) -> (Site, PoolEnd, Line) {
    let scripted = Scripted::start();
    // However slow this machine is, no miner has to reconnect because it still rolls by a former mask.
    let limits = Limits { mask_grace: Duration::from_secs(600), ..Limits::default() };
    let site = Site::with_limits(&upstream(scripted.address()), limits);
    let mut miner = site.connect();
    miner.worker = "bc1q.axe".to_owned();
    if asks {
        let rolling = json!([["version-rolling"], { "version-rolling.mask": "ffffffff" }]);
        miner.ask(0, "mining.configure", rolling);
        miner.answer(0);
    }
    miner.ask(1, "mining.subscribe", json!(["cpuminer/2.5.1"]));
    let mut pool = scripted.accept();
    let configure = pool.request("mining.configure");
    pool.answer(&configure, granted);
    let subscribe = pool.request("mining.subscribe");
    pool.answer(&subscribe, json!([[["mining.notify", "s"]], "ab12", 8]));
    miner.wait_subscribed(1);
    pool.set_difficulty(POOL);
    miner.ask(2, "mining.authorize", json!([miner.worker, "x"]));
    pool.authorize();
    pool.give(&Work { version: 0x2000_6000, ..Work::default() });
    miner.wait_job();
    (site, pool, miner)
}

pub fn rolling() -> Value {
    json!({ "version-rolling": true, "version-rolling.mask": "1fffe000" })
}

/// Sends a share with these params and has the pool accept it: what the pool got.
pub fn forwarded(pool: &mut PoolEnd, miner: &mut Line, params: Value) -> Value {
    miner.ask("s", "mining.submit", params);
    let share = pool.accept_share();
    assert_eq!(code(&miner.answer("s")), None);
    share["params"].clone()
}

#[test]
fn every_convention_is_understood_and_the_bits_go_through_as_they_came() {
    let (_site, mut pool, mut miner) = pair(rolling(), true);
    for (place, convention) in VersionConvention::ALL.into_iter().enumerate() {
        let mut field = Field::of(&miner, place as u64);
        let bits = VersionBits(0x0000_a000);
        field.version = convention.apply(field.job.version, VersionMask::BIP320, bits);
        field.bits = Some(bits);
        let share = field.at_least(POOL);
        let mut written = params(&share);
        // Unpadded and large.
        written[5] = json!("A000");
        assert_eq!(forwarded(&mut pool, &mut miner, written)[5], "0000a000", "{convention:?}");
    }
}

#[test]
fn a_miner_that_leaves_the_bits_out_has_hashed_those_of_the_job() {
    let (_site, mut pool, mut miner) = pair(rolling(), true);
    let share = Field::of(&miner, 1).at_least(POOL);
    assert_eq!(forwarded(&mut pool, &mut miner, params(&share))[5], "00006000");
}

#[test]
fn bits_that_were_not_agreed_upon_stay_here() {
    let (_site, mut pool, mut miner) = pair(json!({ "version-rolling": false }), true);
    // As ESP-Miner does it.
    let mut field = Field::of(&miner, 1);
    field.bits = Some(VersionBits(0));
    let share = field.at_least(POOL);
    let sent = forwarded(&mut pool, &mut miner, params(&share));
    assert_eq!(sent.as_array().unwrap().len(), 5, "{sent}");
    field.bits = Some(VersionBits(0x2000));
    field.version = Version(0x2000_2000);
    assert_eq!(miner_code(&mut miner, params(&field.at_least(POOL))), Some(20));
}

#[test]
fn bits_outside_the_mask_are_refused_unless_they_make_a_block() {
    let (_site, mut pool, mut miner) = pair(rolling(), true);
    pool.give(&Work { id: "b".to_owned(), salt: 9, nbits: 0x1f00_ffff, clean: true, ..Work::default() });
    while miner.wait_job().nbits.0 != 0x1f00_ffff {}
    let mut field = Field::of(&miner, 1);
    field.bits = Some(VersionBits(0x2001));
    field.version = Version(0x2000_2001);
    assert_eq!(miner_code(&mut miner, params(&field.between(POOL, 1.4e-5))), Some(20));
    let block = target(1.6e-5);
    let share = field.find(|hash| block.is_met_by(hash));
    assert_eq!(forwarded(&mut pool, &mut miner, params(&share))[5], "00002001");
}

#[test]
fn after_a_change_of_the_mask_the_one_before_holds_for_earlier_jobs() {
    let (_site, mut pool, mut miner) = pair(rolling(), true);
    let mut old = Field::of(&miner, 1);
    old.bits = Some(VersionBits(0x1000_0000));
    old.version =
        VersionConvention::Bip310.apply(old.job.version, VersionMask::BIP320, VersionBits(0x1000_0000));
    pool.line.say(&json!({ "id": null, "method": "mining.set_version_mask", "params": ["00ffe000"] }));
    let mask = miner.wait("the mask", |message| message["method"] == "mining.set_version_mask");
    assert_eq!(mask["params"], json!(["00ffe000"]));
    assert_eq!(forwarded(&mut pool, &mut miner, params(&old.at_least(POOL)))[5], "10000000");
    pool.give(&Work { id: "c".to_owned(), salt: 4, ..Work::default() });
    miner.wait_job();
    let mut new = Field::of(&miner, 1);
    new.bits = old.bits;
    new.version = Version(0x3000_0000);
    assert_eq!(miner_code(&mut miner, params(&new.at_least(POOL))), Some(20));
}

pub fn miner_code(miner: &mut Line, params: Value) -> Option<i64> {
    miner.ask("r", "mining.submit", params);
    code(&miner.answer("r"))
}

#[test]
fn a_pool_that_hangs_up_when_it_is_asked_to_be_configured_is_taken_without() {
    let (pool, site) = one_pool("[failover]\nbackoff_min = \"50ms\"\nbackoff_max = \"50ms\"\n");
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!(["one"]));
    let mut asked = 0;
    let mut end = loop {
        let mut end = pool.accept();
        let first = end.line.next();
        if first["method"] == "mining.configure" {
            asked += 1;
            assert!(asked < 10, "it is asked again and again");
            continue;
        }
        // A probe asks for nothing else, and leaves.
        end.answer(&first, json!([[["mining.notify", "s"]], "aa000001", 8]));
        if let Some(answer) = line.wait_briefly_for_answer(1) {
            line.take_search_space(&answer);
            break end;
        }
    };
    line.authorize("acct.one");
    end.authorize();
    end.first_job();
    line.wait_job();
    expect_credited(&mut line, &mut end, "acct");
}

#[test]
fn a_pool_that_restarts_behind_a_front_is_asked_again_what_may_be_rolled() {
    let pool = Scripted::start();
    let failover = "[failover]\nbackoff_min = \"50ms\"\nbackoff_max = \"50ms\"\n";
    let site = Site::start(&[pool.address()], failover);
    let (mut line, end) = first(&site, &pool, "aa000001", "acct.one");
    follow_extranonces(&mut line);
    drop(end);
    // The front takes connections that nobody is behind of.
    for _ in 0..2 {
        let mut end = pool.accept();
        assert!(end.line.is_beginning_with("mining.configure"));
    }
    let mut end = loop {
        let mut end = pool.accept();
        if end.line.is_beginning_with("mining.configure") {
            break end;
        }
        // A probe says nothing else.
        let subscribe = end.request("mining.subscribe");
        end.answer(&subscribe, json!([[["mining.notify", "s"]], "bb000000", 8]));
        assert!(end.line.wait_briefly("mining.authorize").is_none(), "it is taken without");
    };
    end.give_work("bb000001");
    expect_moved(&mut line, "bb000001");
}
