//! The simulated pool and miners, with the proxy between them: what it writes is what the pool
//! has seen.

use std::collections::BTreeSet;
use std::time::Instant;

use sluice::record::Span;
use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPool};
use sluice::stratum::{Difficulty, Nbits};

use crate::common::recorded::{Recorded, Records, judged};
use crate::common::{DEADLINE, upstream};

const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// One share in 4,295 hashes.
const EASY: f64 = 0.000_001;

fn pool(options: PoolOptions) -> SimPool {
    SimPool::start(PoolOptions { difficulty: Difficulty::new(EASY).unwrap(), ..options }).unwrap()
}

fn miner(recorded: &Recorded, habit: MinerModel, rate: f64) -> SimMiner {
    let worker = format!("{ADDRESS}.{habit:?}");
    let options = MinerOptions {
        hash_rate_limit: Some(SimHashRate(rate)),
        extranonce_subscribe: true,
        ..MinerOptions::new(recorded.proxy.address(), habit, worker)
    };
    SimMiner::start(options).unwrap()
}

fn soon() -> Instant {
    Instant::now() + DEADLINE
}

/// The miners have stopped; every share the pool has judged is in the records as it was judged.
fn compare(pool: &SimPool, records: &Records) {
    let stats = pool.stats();
    let accepted: Vec<_> = records.rows.iter().filter(|row| row["result"] == "accepted").collect();
    assert_eq!(accepted.len() as u64, stats.accepted());
    let hashes: BTreeSet<String> = stats.accepted_shares.iter().map(|share| share.hash.to_string()).collect();
    let found: BTreeSet<String> = accepted.iter().map(|row| row["hash"].clone()).collect();
    assert_eq!(found, hashes);
    assert_eq!(records.rows.len() as u64, stats.accepted() + stats.rejected());
    for row in &accepted {
        let share = stats.accepted_shares.iter().find(|share| share.hash.to_string() == row["hash"]).unwrap();
        assert_eq!(row["share_difficulty"], share.difficulty.to_string());
        assert_eq!(row["assigned_difficulty"], share.required.value().to_string());
        assert_eq!((&row["worker"], &row["is_block"]), (&share.worker, &share.is_block.to_string()));
    }
    let best = stats.accepted_shares.iter().max_by(|a, b| a.difficulty.total_cmp(&b.difficulty)).unwrap();
    assert_eq!(records.state["best"][0]["hash"], best.hash.to_string());
    assert_eq!(records.state["lifetime"]["accepted"], stats.accepted());
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
    for span in Span::ALL {
        let series = records.snapshot.history.series(span, now);
        let accepted: u32 = series.iter().map(|bucket| bucket.accepted).sum();
        assert_eq!(u64::from(accepted), stats.accepted());
        let kept = records.history[span.name()].as_array().unwrap();
        let kept = kept.iter().map(|bucket| bucket["accepted"].as_u64().unwrap()).sum::<u64>();
        assert_eq!(kept, stats.accepted());
    }
    println!("{} accepted, {} rejected", stats.accepted(), stats.rejected());
}

/// Ends the miners when nothing is in flight, for which the pool asks for what nobody finds.
fn finish(recorded: Recorded, pool: &SimPool, miners: Vec<SimMiner>) -> Records {
    let nobody_finds = Difficulty::new(1e9).unwrap();
    pool.set_difficulty(nobody_finds);
    recorded.wait("the last verdicts", |snapshot| {
        let stats: Vec<_> = miners.iter().map(SimMiner::stats).collect();
        let submitted = stats.iter().map(|miner| miner.submitted).sum::<u64>();
        stats.iter().all(|miner| miner.difficulty == Some(nobody_finds))
            && submitted == pool.stats().accepted() + pool.stats().rejected()
            && submitted == judged(snapshot)
    });
    drop(miners);
    recorded.proxy.wait_sessions(0);
    let records = recorded.finish();
    compare(pool, &records);
    records
}

#[test]
fn every_habits_shares_are_recorded_as_the_pool_judged_them() {
    let pool = pool(PoolOptions::default());
    let recorded = Recorded::start(&upstream(pool.addr()));
    let (rate, began) = (300_000.0, Instant::now());
    let miners: Vec<SimMiner> =
        MinerModel::ALL.into_iter().map(|habit| miner(&recorded, habit, rate)).collect();
    let worker = |habit: MinerModel| format!("{ADDRESS}.{habit:?}");
    let found = |least: u64| {
        pool.wait_until(soon(), |stats| {
            MinerModel::ALL.into_iter().all(|habit| stats.worker(&worker(habit)).accepted >= least)
        })
    };
    assert!(found(50), "{:?}", pool.stats().workers);
    pool.new_block();
    assert!(found(120), "{:?}", pool.stats().workers);
    let changed = pool.change_extranonce1();
    assert!(changed >= 1, "no miner follows changes of the extranonce");
    assert!(found(260), "{:?}", pool.stats().workers);
    recorded.wait("their rates", |snapshot| {
        snapshot.miners.len() == 4 && snapshot.miners.iter().all(|miner| miner.accepted >= 240)
    });
    let snapshot = recorded.snapshot();
    for (habit, miner) in MinerModel::ALL.into_iter().zip(&miners) {
        let view = snapshot.miners.iter().find(|view| *view.worker == *worker(habit)).unwrap();
        let measured = view.hash_rates.one_minute;
        // A busy machine computes fewer than `rate`.
        let real = miner.stats().hashes as f64 / began.elapsed().as_secs_f64();
        println!("{}: {measured:.0} hashes a second of {real:.0}", view.worker);
        assert!((measured / real - 1.0).abs() < 0.4, "{}: {measured} instead of {real}", view.worker);
    }
    let records = finish(recorded, &pool, miners);
    let extranonces: BTreeSet<&str> = records
        .rows
        .iter()
        .filter(|row| row["worker"].ends_with("Bitaxe") && row["result"] == "accepted")
        .map(|row| row["extranonce1"].as_str())
        .collect();
    assert_eq!(extranonces.len(), 2, "the change was not followed");
}

#[test]
fn a_block_is_written_with_its_verdict() {
    // One share in about 65,536 hashes is a block: difficulty 1/65536.
    let pool = pool(PoolOptions { nbits: Nbits(0x1f00_ffff), ..PoolOptions::default() });
    let recorded = Recorded::start(&upstream(pool.addr()));
    let miners = vec![miner(&recorded, MinerModel::Bitaxe, 400_000.0)];
    let found = pool.wait_until(soon(), |stats| stats.accepted_shares.iter().any(|share| share.is_block));
    assert!(found, "no block");
    let records = finish(recorded, &pool, miners);
    let blocks: Vec<_> = pool.stats().accepted_shares.into_iter().filter(|share| share.is_block).collect();
    assert_eq!(records.blocks.len(), blocks.len());
    for block in &records.blocks {
        assert!(blocks.iter().any(|share| share.hash.to_string() == block["hash"]), "{block}");
        assert_eq!(block["verdict"]["result"], "accepted", "{block}");
        assert_eq!(block["height"], 967_017);
    }
    assert_eq!(records.state["lifetime"]["blocks"], blocks.len());
}
