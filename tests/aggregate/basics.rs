//! Miners join, mine and are credited.

use sluice::sim::{Habit, HashRate, MinerOptions, PoolOptions, SimMiner, SimPool};

use crate::common::wait_for;
use crate::site::Site;

const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

#[test]
fn every_kind_of_miner_mines_on_one_connection() {
    let pool = SimPool::start(PoolOptions::with_difficulty(1e-6).unwrap()).unwrap();
    let site = Site::start(&[pool.addr()], "");
    let miners: Vec<SimMiner> = Habit::ALL
        .iter()
        .enumerate()
        .map(|(place, habit)| {
            let mut options = MinerOptions::new(site.address(), *habit, format!("{ADDRESS}.rig{place}"));
            options.hash_rate_limit = Some(HashRate(100_000.0));
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
