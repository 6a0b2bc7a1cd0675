//! Version bits of miners that have not asked for them, or for fewer than they roll (wire reference, section
//! 3.3): the pool decides which bits may be rolled.

use std::time::Duration;

use serde_json::{Value, json};
use sluice::proxy::aggregate::Limits;
use sluice::stratum::{Version, VersionBits, VersionMask};
use sluice::work::VersionConvention;

use crate::aggregate::opened::{EASY, first, mining, one_pool};
use crate::aggregate::scripted::{PoolEnd, Scripted, Work};
use crate::aggregate::share_search::{Field, params};
use crate::aggregate::site::{Line, Site};
use crate::aggregate::versions::{POOL, forwarded, miner_code, pair, rolling};
use crate::common::upstream;

/// The params of a miner that has rolled these bits as BIP310 says, under BIP320's mask.
fn rolled(miner: &Line, extranonce2: u64, bits: u32) -> Value {
    rolled_as(VersionConvention::Bip310, miner, extranonce2, bits)
}

fn rolled_as(convention: VersionConvention, miner: &Line, extranonce2: u64, bits: u32) -> Value {
    let mut field = Field::of(miner, extranonce2);
    let mask = VersionMask(VersionMask::BIP320.0 | bits);
    (field.version, field.bits) =
        (convention.apply(field.job.version, mask, VersionBits(bits)), Some(VersionBits(bits)));
    params(&field.at_least(POOL))
}

fn set_mask(pool: &mut PoolEnd, mask: &str) {
    pool.line.say(&json!({ "id": null, "method": "mining.set_version_mask", "params": [mask] }));
}

/// Another job, which the miner has read.
fn next_job(pool: &mut PoolEnd, miner: &mut Line, salt: u32) {
    let before = miner.job.clone().unwrap().job_id;
    pool.give(&Work { id: format!("job{salt}"), salt, version: 0x2000_6000, ..Work::default() });
    while miner.job.as_ref().unwrap().job_id == before {
        miner.wait_job();
    }
}

#[test]
fn a_miner_that_rolls_without_asking_is_credited_within_the_pools_mask() {
    let (_site, mut pool, mut miner) = pair(rolling(), false);
    for (place, convention) in VersionConvention::ALL.into_iter().enumerate() {
        let share = rolled_as(convention, &miner, place as u64, 0xa000);
        assert_eq!(forwarded(&mut pool, &mut miner, share)[5], "0000a000", "{convention:?}");
    }
    // Bits of zero are none.
    let mut field = Field::of(&miner, 8);
    field.bits = Some(VersionBits(0));
    let share = params(&field.at_least(POOL));
    assert_eq!(forwarded(&mut pool, &mut miner, share)[5], "00000000");
    let share = rolled(&miner, 9, 0xa001);
    assert_eq!(miner_code(&mut miner, share), Some(20), "the pool does not allow the last bit");
}

#[test]
fn a_pool_without_rolling_takes_no_rolled_bits_of_anybody() {
    let (_site, mut pool, mut miner) = pair(json!({ "version-rolling": false }), false);
    let share = rolled(&miner, 1, 0xa000);
    assert_eq!(miner_code(&mut miner, share), Some(20));
    let mut field = Field::of(&miner, 2);
    field.bits = Some(VersionBits(0));
    let sent = forwarded(&mut pool, &mut miner, params(&field.at_least(POOL)));
    assert_eq!(sent.as_array().unwrap().len(), 5, "{sent}");
}

#[test]
fn a_miner_that_asked_for_fewer_bits_than_it_rolls_is_credited_too() {
    let (_pool, site, _first, mut end) = mining("", "acct.one");
    for (place, asked) in [
        json!([["version-rolling"], { "version-rolling.mask": "00ffe000" }]),
        json!([["version-rolling"], { "version-rolling.mask": "00000000" }]),
        json!([["version-rolling"], { "version-rolling.mask": "00000fff" }]),
        json!([["subscribe-extranonce"], {}]),
        json!([]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut line = site.connect();
        line.ask(9, "mining.configure", asked.clone());
        line.answer(9);
        line.join("cpuminer/2.5.1", "acct.two");
        let share = rolled(&line, place as u64, 0x1000_0000);
        assert_eq!(forwarded(&mut end, &mut line, share)[5], "10000000", "{asked}");
    }
}

#[test]
fn a_changed_mask_holds_at_once_and_the_one_before_for_earlier_jobs() {
    let (_site, mut pool, mut miner) = pair(rolling(), false);
    let old = rolled(&miner, 1, 0x1000_0000);
    set_mask(&mut pool, "00ffe000");
    next_job(&mut pool, &mut miner, 4);
    assert_eq!(forwarded(&mut pool, &mut miner, old)[5], "10000000");
    let new = rolled(&miner, 2, 0x1000_0000);
    assert_eq!(miner_code(&mut miner, new), Some(20));
    let within = rolled(&miner, 3, 0x0010_0000);
    assert_eq!(forwarded(&mut pool, &mut miner, within)[5], "00100000");
    // A wider one holds for the job that is there.
    set_mask(&mut pool, "1fffffe0");
    pool.wait_until_read();
    let wide = rolled(&miner, 4, 0x1000_0020);
    assert_eq!(forwarded(&mut pool, &mut miner, wide)[5], "10000020");
}

#[test]
fn bits_are_believed_while_the_pool_has_not_said_what_may_be_rolled() {
    let (pool, site) = one_pool("");
    let mut miner = site.connect();
    miner.worker = "acct.one".to_owned();
    miner.ask(1, "mining.subscribe", json!(["cpuminer/2.5.1"]));
    let mut end = pool.accept();
    let subscribe = end.request("mining.subscribe");
    end.answer(&subscribe, json!([[["mining.notify", "s"]], "ab12", 8]));
    miner.wait_subscribed(1);
    end.set_difficulty(POOL);
    miner.ask(2, "mining.authorize", json!([miner.worker, "x"]));
    end.authorize();
    end.give(&Work::default());
    miner.wait_job();
    let share = rolled(&miner, 1, 0xa000);
    assert_eq!(forwarded(&mut end, &mut miner, share)[5], "0000a000");
}

#[test]
fn a_miner_that_never_asked_is_no_abuser_when_the_pool_takes_rolling_away() {
    let (pool, limits) = (Scripted::start(), Limits { mask_grace: Duration::ZERO, ..Limits::default() });
    let limited = "[ratelimit]\nmax_connections_per_minute = 100\n";
    let site = Site::with_limits(&format!("{limited}{}", upstream(pool.address())), limits);
    let (mut miner, mut end) = first(&site, &pool, "ab120001", "acct.one");
    set_mask(&mut end, "00000000");
    next_job(&mut end, &mut miner, 7);
    let mut field = Field::of(&miner, 1);
    (field.version, field.bits) = (Version(0x2000_8000), Some(VersionBits(0x0000_8000)));
    assert_eq!(miner_code(&mut miner, params(&field.at_least(EASY))), Some(20));
    miner.wait_end();
    assert!(site.connect().is_quiet_for(Duration::from_millis(30)), "it is not banned");
}
