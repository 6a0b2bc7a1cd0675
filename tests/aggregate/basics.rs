//! Miners join, mine and are credited.

use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPool};

use crate::aggregate::site::Site;
use crate::common::wait_for;

const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

#[test]
fn every_kind_of_miner_mines_on_one_connection() {
    let pool = SimPool::start(PoolOptions::with_difficulty(1e-6).unwrap()).unwrap();
    let site = Site::start(&[pool.addr()], "");
    let miners: Vec<SimMiner> = MinerModel::ALL
        .iter()
        .enumerate()
        .map(|(place, habit)| {
            let mut options = MinerOptions::new(site.address(), *habit, format!("{ADDRESS}.rig{place}"));
            options.hash_rate_limit = Some(SimHashRate(100_000.0));
            SimMiner::start(options).unwrap()
        })
        .collect();
    for miner in &miners {
        wait_for("accepted shares", || miner.stats().accepted >= 3);
        assert_eq!(miner.stats().rejected, 0, "{:?}", miner.stats());
    }
    let stats = pool.stats();
    assert_eq!((stats.subscribed_ever, stats.rejected()), (1, 0), "{stats:?}");
    assert!(stats.worker(ADDRESS).accepted > 0);
}

/// Work is seen twice, with the miner and with the pool. It counts once, and nobody is accused.
#[test]
fn the_analyzer_counts_once_what_it_sees_twice() {
    let pool = SimPool::start(PoolOptions::with_difficulty(1e-5).unwrap()).unwrap();
    let site = Site::start(&[pool.addr()], "[vardiff]\nmin = 0.000001\nmax = 0.000001\n");
    let miners: Vec<SimMiner> = (0..3)
        .map(|rig| {
            let habit = MinerModel::Cpuminer;
            let mut options = MinerOptions::new(site.address(), habit, format!("{ADDRESS}.rig{rig}"));
            options.hash_rate_limit = Some(SimHashRate(100_000.0));
            SimMiner::start(options).unwrap()
        })
        .collect();
    wait_for("shares at the pool", || pool.stats().accepted() >= 20);
    miners.iter().for_each(SimMiner::stop);
    let submitted: u64 = miners.iter().map(|miner| miner.stats().submitted).sum();
    wait_for("all of it in the snapshot", || {
        site.snapshot().totals.as_ref().is_some_and(|totals| totals.submitted >= submitted)
    });
    let (snapshot, credited) = (site.snapshot(), pool.stats().accepted());
    let totals = snapshot.totals.as_ref().unwrap();
    assert_eq!(totals.submitted, submitted);
    assert!(snapshot.pools[0].accepted.abs_diff(credited) <= 1, "{}", snapshot.pools[0].accepted);
    assert!(credited < submitted / 4, "{credited} of {submitted}");
    let loud: Vec<_> = snapshot.alerts.counts.keys().filter(|id| !id.starts_with("share.")).collect();
    assert!(loud.iter().all(|id| **id == "payout.unverifiable" || **id == "chain.wrong"), "{loud:?}");
}
