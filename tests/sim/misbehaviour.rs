//! Pools that refuse, fall silent or go away.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use sluice::sim::{MinerModel, Misbehaviour, PoolOptions, SimMiner};
use sluice::stratum::{ErrorForm, RefusalCode};

use super::client::Client;
use super::{options, pool, soon, start, worker};

#[test]
fn every_form_of_refusal_is_recognised() {
    for form in ErrorForm::ALL {
        let misbehaviour = Misbehaviour { reject_valid_shares: true, ..Misbehaviour::default() };
        let pool = pool(PoolOptions { error_form: form, misbehaviour, ..options() });
        let miner = start(&pool, MinerModel::Bitaxe, |_| {});
        let refused = miner.wait_until(soon(), |stats| match form {
            ErrorForm::PlainText => stats.reconnects > 0,
            _ => stats.rejected > 0,
        });
        let stats = miner.stats();
        assert!(refused, "{form:?}: {stats:?}");
        assert_eq!(stats.accepted, 0, "{form:?}");
        let reason = stats.reasons.keys().next().map(String::as_str);
        let expected = match form {
            ErrorForm::ArrayWithNull
            | ErrorForm::ArrayWithText
            | ErrorForm::ArrayOfTwo
            | ErrorForm::Object => Some("23 Above target"),
            ErrorForm::RejectReason | ErrorForm::Text => Some("Above target"),
            ErrorForm::BareFalse => Some("(no reason)"),
            ErrorForm::PlainText => None,
        };
        assert_eq!(reason, expected, "{form:?}");
    }
}

#[test]
fn a_nerdminer_gives_up_on_a_silent_pool() {
    let misbehaviour = Misbehaviour { silent: true, ..Misbehaviour::default() };
    let pool = pool(PoolOptions { misbehaviour, ..options() });
    let miner = start(&pool, MinerModel::NerdMiner, |_| {});
    assert!(pool.wait_until(soon(), |stats| stats.connections_ever >= 1));
    let begin = Instant::now();
    assert!(pool.wait_until(soon(), |stats| stats.connections_ever >= 2));
    let patience = begin.elapsed();
    assert!((1.1..3.0).contains(&patience.as_secs_f64()), "{patience:?}");
    assert!(miner.stats().last_error.is_some_and(|error| error.contains("mining.subscribe")));
    pool.set_misbehaviour(Misbehaviour::default());
    assert!(miner.wait_until(soon(), |stats| stats.accepted > 0), "{:?}", miner.stats());
}

#[test]
fn miners_survive_a_restart_and_cut_connections() {
    let pool = pool(options());
    let miners: Vec<SimMiner> =
        MinerModel::ALL.into_iter().map(|habit| start(&pool, habit, |_| {})).collect();
    let all_mine = |since: u64| {
        for miner in &miners {
            let mining = miner.wait_until(soon(), |stats| stats.connections > since && stats.subscribed);
            assert!(mining, "{:?}", miner.stats());
        }
        let before = pool.stats();
        let accepted = pool.wait_until(soon(), |stats| {
            let more =
                |habit| stats.worker(&worker(habit)).accepted > before.worker(&worker(habit)).accepted + 1;
            MinerModel::ALL.into_iter().all(more)
        });
        let stats = pool.stats();
        assert!(accepted, "{:?}", stats.workers);
        // A share of the old connection's work would have a hash of its own.
        assert_eq!(stats.rejected_with(RefusalCode::LowDifficulty), 0, "{:?}", stats.workers);
    };
    all_mine(0);
    pool.kill_connections();
    all_mine(1);
    pool.stop();
    assert_eq!(pool.stats().connections_now, 0);
    assert!(TcpStream::connect(pool.addr()).is_err());
    for miner in &miners {
        assert!(miner.wait_until(soon(), |stats| !stats.connected));
    }
    pool.restart().unwrap();
    all_mine(2);
}

#[test]
fn what_a_pool_does_to_answers_is_seen_by_the_miner() {
    let misbehaviour = Misbehaviour { swallow_submit_answers: true, ..Misbehaviour::default() };
    let mute_pool = pool(PoolOptions { misbehaviour, ..options() });
    let mute = start(&mute_pool, MinerModel::Cgminer, |_| {});
    let misbehaviour = Misbehaviour { refuse_authorize: true, ..Misbehaviour::default() };
    let strict_pool = pool(PoolOptions { misbehaviour, ..options() });
    let strict = start(&strict_pool, MinerModel::Cpuminer, |_| {});

    assert!(mute_pool.wait_until(soon(), |stats| stats.accepted() >= 3));
    assert_eq!((mute.stats().accepted, mute.stats().rejected), (0, 0));
    assert!(mute.stats().submitted >= 3);
    assert!(strict.wait_until(soon(), |stats| stats.reconnects > 0));
    assert_eq!(strict.stats().jobs_seen, 0);
}

#[test]
fn what_a_pool_does_to_connections_is_survived() {
    let misbehaviour = Misbehaviour { close_on_accept: true, ..Misbehaviour::default() };
    let pool = pool(PoolOptions { misbehaviour, ..options() });
    let miner = start(&pool, MinerModel::Cgminer, |_| {});
    assert!(miner.wait_until(soon(), |stats| stats.reconnects >= 2));
    assert_eq!(pool.stats().accepted(), 0);
    pool.set_misbehaviour(Misbehaviour::default());
    assert!(miner.wait_until(soon(), |stats| stats.accepted > 0), "{:?}", miner.stats());
}

#[test]
fn a_client_that_does_not_read_delays_nobody() {
    let pool = pool(PoolOptions { write_timeout: Duration::from_millis(1500), ..options() });
    let stalled = Client::open(&pool, "stalled");
    let miner = start(&pool, MinerModel::Cpuminer, |_| {});
    assert!(miner.wait_until(soon(), |stats| stats.accepted > 0));
    let message = json!({ "id": null, "method": "client.show_message", "params": ["x".repeat(100_000)] });
    for _ in 0..200 {
        pool.broadcast(&message.to_string());
    }
    let before = miner.stats().accepted;
    assert!(miner.wait_until(soon(), |stats| stats.accepted > before), "{:?}", miner.stats());
    assert!(pool.wait_until(soon(), |stats| stats.connections_now == 1), "it should have been closed");
    assert_eq!(miner.stats().reconnects, 0);
    stalled.stream.shutdown(std::net::Shutdown::Both).ok();
}
