//! A network whose difficulty is not above the pool's, as regtest: every share meets its target, which is no
//! news.

use serde_json::json;

use crate::aggregate::opened::one_pool;
use crate::aggregate::scripted::{PoolEnd, Work};
use crate::aggregate::share_search::{Field, code};
use crate::aggregate::site::{Line, Site};
use crate::common::wait_for;

/// Regtest's: every second hash is a block.
const REGTEST: u32 = 0x207f_ffff;

/// A pool that asks for more than a block needs, and a miner that is asked for less than the pool wants.
fn pair() -> (Site, PoolEnd, Line) {
    let (scripted, site) = one_pool("[vardiff]\nmax = 0.000001\n");
    let mut miner = site.connect();
    miner.worker = "acct.one".to_owned();
    let mut pool = scripted.open_for(&mut miner, "cpuminer/2.5.1", "ab120001");
    pool.set_difficulty(1.0);
    miner.ask(2, "mining.authorize", json!([miner.worker, "x"]));
    pool.authorize();
    pool.give(&Work { nbits: REGTEST, clean: true, ..Work::default() });
    miner.wait_job();
    (site, pool, miner)
}

#[test]
fn a_share_that_the_pool_finds_too_low_is_good_and_no_alert() {
    let (site, mut pool, mut miner) = pair();
    assert_eq!(miner.difficulty, 1e-6);
    let mut field = Field::of(&miner, 1);
    let words =
        [json!([23, "Low difficulty share", null]), json!([20, "Above target", null]), json!("high-hash")];
    for number in 0..100 {
        let id = miner.submit(&field.at_least(1e-6));
        // It is worth a block there, so the pool gets it.
        let arrived = pool.share();
        let error = &words[number % words.len()];
        pool.line.say(&json!({ "id": arrived["id"], "result": null, "error": error }));
        assert_eq!(code(&miner.answer(id)), None, "{error}");
    }
    wait_for("the shares", || site.snapshot().totals.as_ref().is_some_and(|totals| totals.accepted == 100));
    let snapshot = site.snapshot();
    let loud: Vec<_> = snapshot
        .alerts
        .alerts
        .iter()
        // The scripted pool's clock has stopped, and nobody can decode its coinbase.
        .filter(|alert| alert.severity > sluice::config::Severity::Info)
        .filter(|alert| !["timing.extreme", "job.unreadable"].contains(&alert.id))
        .map(|alert| (alert.id, &alert.description))
        .collect();
    assert!(loud.is_empty(), "{loud:?}");
    let totals = snapshot.totals.as_ref().unwrap();
    assert_eq!((totals.blocks, totals.near_misses, totals.rejected), (1, 0, 0));
    assert_eq!(snapshot.alerts.counts.get("block.found"), Some(&1));
    assert_eq!(snapshot.alerts.counts.get("share.near_miss"), None);
}

#[test]
fn other_faults_of_a_share_on_an_easy_network_are_still_faults() {
    let (_site, mut pool, mut miner) = pair();
    let mut field = Field::of(&miner, 1);
    for (verdict, expected) in
        [(json!([21, "Stale", null]), 21), (json!([24, "Unknown worker", null]), 24), (json!("whatever"), 20)]
    {
        let id = miner.submit(&field.at_least(1e-6));
        let arrived = pool.share();
        pool.line.say(&json!({ "id": arrived["id"], "result": null, "error": verdict }));
        assert_eq!(code(&miner.answer(id)), Some(expected), "{verdict}");
    }
    // Below what the miner itself was asked for.
    let id = miner.submit(&field.between(1e-9, 1e-7));
    let arrived = pool.share();
    pool.refuse(&arrived, 23, "Low difficulty share");
    assert_eq!(code(&miner.answer(id)), Some(23));
}
