//! The simulated miners against the simulated pool: each with the other's habits.

mod client;
mod habits;
mod misbehaviour;

use std::time::{Duration, Instant};

use serde_json::json;
use sluice::sim::{MinerModel, MinerOptions, OpeningOrder, PoolOptions, SimHashRate, SimMiner, SimPool};
use sluice::stratum::{Difficulty, Extranonce2Size, RefusalCode};
use sluice::work::{Target, share_difficulty};

use client::{Client, Submitted};

const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// One share in 42 950 hashes.
const EASY: f64 = 0.000_01;

/// About nine shares a second at that difficulty, so that many miners share the processor.
const SLOW: SimHashRate = SimHashRate(400_000.0);

#[test]
fn every_habit_mines_with_every_opening() {
    for opening in OpeningOrder::ALL {
        let pool = pool(PoolOptions { opening, ..options() });
        let miners: Vec<(MinerModel, SimMiner)> =
            MinerModel::ALL.into_iter().map(|habit| (habit, start(&pool, habit, |_| {}))).collect();
        let found = pool.wait_until(soon(), |stats| {
            MinerModel::ALL.into_iter().all(|habit| stats.worker(&worker(habit)).accepted >= 3)
        });
        assert!(found, "{opening:?}: {:?}", pool.stats().workers);
        for (habit, miner) in &miners {
            assert!(
                miner.wait_until(soon(), |stats| stats.accepted >= 3),
                "{opening:?}, {habit:?}: {:?}",
                miner.stats()
            );
        }
        let stats = pool.stats();
        assert_eq!(stats.rejected(), 0, "{opening:?}: {:?}", stats.rejected_by_code);
        for share in &stats.accepted_shares {
            assert!(Target::from_difficulty(share.required).is_met_by(&share.hash));
            assert!(share.difficulty >= EASY * 0.999_999_999, "{share:?}");
            assert_eq!(share_difficulty(&share.hash), share.difficulty);
        }
        for (habit, miner) in &miners {
            let stats = miner.stats();
            assert!(stats.authorized || *habit == MinerModel::NerdMiner, "{opening:?}, {habit:?}");
            assert!(stats.best_difficulty >= EASY);
            assert_eq!((stats.connections, stats.reconnects), (1, 0), "{opening:?}, {habit:?}: {stats:?}");
            assert_eq!(stats.rejected, 0);
            assert!(!stats.round_trips.is_empty());
        }
    }
}

#[test]
fn shares_are_judged() {
    let pool = pool(options());
    let mut client = Client::open(&pool, "w.1");
    let share = client.find_share(EASY);
    assert_eq!(client.submit("w.1", &share), Ok(()));
    assert_eq!(client.submit("w.1", &share), Err(22));
    let upper = Submitted { nonce: share.nonce.to_uppercase(), ..share.clone() };
    assert_eq!(client.submit("w.1", &upper), Err(22));
    assert_eq!(client.submit("w.2", &share), Err(24));
    assert_eq!(client.submit("w.1", &Submitted { job_id: "beef".into(), ..share.clone() }), Err(21));
    assert_eq!(client.submit("w.1", &Submitted { extranonce2: "00".into(), ..share.clone() }), Err(20));
    assert_eq!(client.submit("w.1", &Submitted { ntime: "00000001".into(), ..share.clone() }), Err(20));
    assert_eq!(client.submit("w.1", &Submitted { nonce: "00000000".into(), ..share.clone() }), Err(23));

    let late = client.find_share(EASY);
    pool.new_block();
    let clean = client.next_job();
    assert_eq!(clean.clean_jobs, Some(true));
    assert_eq!(client.submit("w.1", &late), Err(21));
    let fresh = client.find_share(EASY);
    assert_eq!(client.submit("w.1", &fresh), Ok(()));

    let stats = pool.stats();
    assert_eq!((stats.accepted(), stats.worker("w.1").accepted), (2, 2));
    assert_eq!(stats.rejected_with(RefusalCode::Duplicate), 2);
    assert_eq!(stats.blocks, 1);
}

#[test]
fn a_share_is_held_to_the_lower_of_two_difficulties() {
    let pool = pool(options());
    let mut client = Client::open(&pool, "w");
    let share = client.find_share(EASY);
    pool.set_difficulty(Difficulty::new(1e6).unwrap());
    client.next_job();
    assert_eq!(client.submit("w", &share), Ok(()), "the job was given out at the lower difficulty");
    let share = client.find_share(EASY);
    assert_eq!(client.submit("w", &share), Err(23), "a job of the higher difficulty");
    pool.set_difficulty(Difficulty::new(EASY).unwrap());
    assert_eq!(client.submit("w", &share), Ok(()), "the difficulty has fallen since");
}

#[test]
fn requests_of_every_kind_are_answered() {
    let pool = pool(options());
    let mut client = Client::open(&pool, "w");
    assert_eq!(client.ask("mining.ping", json!([]))["result"], "pong");
    assert_eq!(client.ask("mining.extranonce.subscribe", json!([]))["result"], true);
    assert_eq!(client.ask("mining.get_transactions", json!(["1"]))["error"][0], 20);
    let mask = json!([["version-rolling"], { "version-rolling.mask": "00ffe000" }]);
    assert_eq!(client.ask("mining.configure", mask)["result"]["version-rolling.mask"], "00ffe000");
    assert_eq!(pool.change_extranonce1(), 1);
    client.wait_for("mining.set_extranonce");
    client.next_job();
    client.send_line("{\"id\":1,");
    assert_eq!(client.line().as_deref(), Some("Invalid JSON, disconnecting"));
    assert_eq!(client.line(), None, "it should have closed");
}

#[test]
fn unusual_extranonces_are_mined_with() {
    for (extranonce1_length, extranonce2_size, habits) in [
        (0, 6, &[MinerModel::Cpuminer, MinerModel::Bitaxe, MinerModel::Cgminer][..]),
        (1, 2, &[MinerModel::NerdMiner, MinerModel::Cpuminer]),
        (8, 4, &[MinerModel::NerdMiner, MinerModel::Bitaxe]),
    ] {
        let extranonce2_size = Extranonce2Size::new(extranonce2_size).unwrap();
        let pool = pool(PoolOptions { extranonce1_length, extranonce2_size, ..options() });
        let miners: Vec<SimMiner> = habits.iter().map(|habit| start(&pool, *habit, |_| {})).collect();
        for miner in &miners {
            assert!(miner.wait_until(soon(), |stats| stats.accepted >= 2), "{:?}", miner.stats());
        }
        assert_eq!(pool.stats().rejected(), 0, "{:?}", pool.stats().rejected_by_code);
    }
}

#[test]
fn a_change_of_extranonce1_is_followed() {
    let pool = pool(options());
    let miner = start(&pool, MinerModel::Bitaxe, |options| options.extranonce_subscribe = true);
    assert!(miner.wait_until(soon(), |stats| stats.accepted > 0));
    let before = miner.stats();
    assert_eq!(pool.change_extranonce1(), 1);
    assert!(miner.wait_until(soon(), |stats| stats.extranonce1 != before.extranonce1));
    let before = miner.stats();
    assert!(miner.wait_until(soon(), |stats| stats.accepted > before.accepted + 3), "{:?}", miner.stats());
    assert_eq!(miner.stats().connections, 1);
}

#[test]
fn reconnect_and_messages_of_the_pool() {
    let (first, second) = (pool(options()), pool(PoolOptions { seed: 2, ..options() }));
    let miner = start(&first, MinerModel::Cpuminer, |_| {});
    assert!(miner.wait_until(soon(), |stats| stats.accepted > 0));
    first.broadcast(r#"{"id":null,"method":"client.show_message","params":["hello"]}"#);
    assert!(miner.wait_until(soon(), |stats| stats.last_message.as_deref() == Some("hello")));
    let port = second.addr().port();
    first.broadcast(
        &json!({ "id": null, "method": "client.reconnect", "params": ["127.0.0.1", port] }).to_string(),
    );
    assert!(second.wait_until(soon(), |stats| stats.accepted() > 0), "{:?}", miner.stats());
}

#[test]
fn the_hash_rate_is_limited() {
    let pool = pool(options());
    let miner =
        start(&pool, MinerModel::Cpuminer, |options| options.hash_rate_limit = Some(SimHashRate(10_000.0)));
    assert!(miner.wait_until(soon(), |stats| stats.hashes > 0));
    let begin = Instant::now();
    let before = miner.stats().hashes;
    assert!(miner.wait_until(soon(), |stats| stats.hashes >= before + 10_000));
    let rate = (miner.stats().hashes - before) as f64 / begin.elapsed().as_secs_f64();
    assert!(rate < 15_000.0, "{rate}");
}

/// Long enough for a busy machine; nothing here waits for it when all is well.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn options() -> PoolOptions {
    PoolOptions { transactions: 100, ..PoolOptions::with_difficulty(EASY).unwrap() }
}

fn pool(options: PoolOptions) -> SimPool {
    SimPool::start(options).unwrap()
}

fn worker(habit: MinerModel) -> String {
    format!("{ADDRESS}.{habit:?}")
}

fn start(pool: &SimPool, habit: MinerModel, change: impl FnOnce(&mut MinerOptions)) -> SimMiner {
    let mut options = MinerOptions::new(pool.addr(), habit, worker(habit));
    options.hash_rate_limit = Some(SLOW);
    options.retry_wait = Some(Duration::from_millis(50));
    change(&mut options);
    SimMiner::start(options).unwrap()
}
