//! Honest pools and others, one habit each.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sluice::sim::{Misbehaviour, OpeningOrder, PoolOptions, SimPayout};
use sluice::stratum::{Difficulty, Nbits};

use super::{ADDRESS, STRANGER, options, pool, run, url, verify, watch};
use crate::common::{DEADLINE, refusing_address};

#[test]
fn an_honest_solo_pool_is_good_in_every_opening_order() {
    std::thread::scope(|scope| {
        for opening in OpeningOrder::ALL {
            scope.spawn(move || {
                let pool = pool(PoolOptions { opening, refresh_interval: None, ..options() });
                let is_over = AtomicBool::new(false);
                let output = std::thread::scope(|scope| {
                    // A job that crosses the authorize on its way pays nobody in particular.
                    scope.spawn(|| {
                        pool.wait_until(Instant::now() + DEADLINE, |stats| stats.authorized_ever == 1);
                        while !is_over.load(Ordering::Relaxed) {
                            pool.refresh_job();
                            std::thread::sleep(Duration::from_millis(300));
                        }
                    });
                    let output = verify(&url(&pool));
                    is_over.store(true, Ordering::Relaxed);
                    output.expect(0)
                });
                let output =
                    output.has("GOOD: a block would pay bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 98.00 %");
                let output = output.has("98.00 %").has("<- your address").has("mainnet, height 967017");
                let output = output.has("its hash meets the target").has("plausible for this network");
                output
                    .has("sluice simulated pool")
                    .has("For a NerdMiner: fits")
                    .has(if opening == OpeningOrder::Ocean { "0.00015 refused" } else { "0.00015 ignored" });
                let stats = pool.stats();
                assert!(stats.authorized_ever == 1 && stats.workers.is_empty(), "it submitted");
            });
        }
    });
}

#[test]
fn whoever_pays_somebody_else_is_bad() {
    let stolen = pool(PoolOptions { payout: SimPayout::Address(STRANGER.to_owned()), ..options() });
    let output = verify(&url(&stolen)).expect(1).has("BAD: its work pays somebody else").has(STRANGER);
    output.has("100.00 %").has_not("<- your address").has("--pooled");
}

#[test]
fn a_crumb_is_not_enough() {
    let payout = SimPayout::Crumb { percent: 2.0, to: STRANGER.to_owned() };
    let pool = pool(PoolOptions { payout, ..options() });
    let output = verify(&url(&pool)).expect(1);
    output.has("pays this address only 2.00 %").has("98.00 %").has("<- your address");
    // Whoever asks for no more is content.
    run(&[&url(&pool), "--address", ADDRESS, "--min-percent", "1.5"]).expect(0);
}

#[test]
fn a_swap_in_a_later_job_is_caught() {
    let misbehaviour = Misbehaviour { swap_payout_after: Some(1), ..Misbehaviour::default() };
    let pool = pool(PoolOptions { misbehaviour, ..options() });
    let output = watch(&url(&pool), 20).expect(1).has("BAD: job 2 pays somebody else");
    output.has("pays 98.00 %").has("pays NOTHING");
}

#[test]
fn another_coin_is_bad() {
    let pool = pool(PoolOptions { nbits: Nbits(0x1d00_ffff), ..options() });
    verify(&url(&pool)).expect(1).has("BAD: this is not Bitcoin: the network difficulty of its work is 1\n");
}

#[test]
fn a_refusal_is_bad_and_told_in_the_pools_words() {
    let misbehaviour = Misbehaviour { refuse_authorize: true, ..Misbehaviour::default() };
    let pool = pool(PoolOptions { misbehaviour, ..options() });
    verify(&url(&pool)).expect(1).has("rejects this address as a user name: Invalid worker name (24)");
}

#[test]
fn a_clock_that_is_hours_off_is_bad_and_minutes_are_told() {
    let (hours, minutes) = (options(), options());
    let hours = pool(PoolOptions { ntime_offset: 3 * 3600, ..hours });
    let minutes = pool(PoolOptions { ntime_offset: -600, ..minutes });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let output = verify(&url(&hours)).expect(1).has("BAD: a job's time is ");
            output.has(" ahead of the clock").has("this machine's clock (--ntp asks");
        });
        scope.spawn(|| verify(&url(&minutes)).expect(0).has("behind the clock"));
    });
}

#[test]
fn a_pool_with_its_own_books_can_t_be_told() {
    let pool = pool(PoolOptions { payout: SimPayout::Pooled, ..options() });
    let output = run(&[&url(&pool), "--address", ADDRESS, "--pooled"]).expect(2);
    output.has("CAN'T TELL: a block would pay the pool, which is to share it out by its own books");
    let solo = super::pool(options());
    run(&[&url(&solo), "--address", ADDRESS, "--pooled"]).expect(0);
}

#[test]
fn a_job_from_before_authorize_accuses_nobody() {
    // Its only job comes with the answer to subscribe, and pays the pool.
    let opening = OpeningOrder::CkpoolPooled;
    let pool = pool(PoolOptions { opening, refresh_interval: None, ..options() });
    let output = watch(&url(&pool), 1).expect(2).has("came before the pool knew whom to pay");
    output.has("before authorize");
}

#[test]
fn silence_and_refused_connections_can_t_be_told() {
    let misbehaviour = Misbehaviour { silent: true, ..Misbehaviour::default() };
    let silent = pool(PoolOptions { misbehaviour, ..options() });
    let closing = Misbehaviour { close_on_accept: true, ..Misbehaviour::default() };
    let closing = pool(PoolOptions { misbehaviour: closing, ..options() });
    // Connected, but nobody ever accepts.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = |address: SocketAddr| format!("stratum+tcp://{address}");
    let cases = [
        (url(&silent), "CAN'T TELL: the pool never sent anything"),
        (url(&closing), "the pool closed the connection"),
        (at(refusing_address()), "CAN'T TELL: no connection: can't connect"),
        (at(deaf.local_addr().unwrap()), "the pool never sent anything"),
    ];
    std::thread::scope(|scope| {
        for (url, words) in &cases {
            scope.spawn(move || watch(url, 1).expect(2).has(words));
        }
    });
}

#[test]
fn an_account_is_no_address() {
    let output = run(&["stratum+tcp://127.0.0.1:1", "--address", "my_account"]).expect(2);
    assert!(output.err.contains("--address = \"my_account\" must be a Bitcoin address"), "{}", output.err);
    let output = run(&["stratum+tcp://127.0.0.1:1", "--address", ADDRESS, "--network", "testnet4"]).expect(2);
    assert!(output.err.contains("testnet4"), "{}", output.err);
}

#[test]
fn a_followed_suggestion_and_a_testnet_are_told() {
    let followed = PoolOptions { follow_suggested_difficulty: true, ..options() };
    verify(&url(&pool(followed))).expect(0).has("asked         1.00k").has("followed: 0.00015");
    let low = PoolOptions { difficulty: Difficulty::new(0.000_01).unwrap(), ..options() };
    verify(&url(&pool(low))).expect(0).has("not needed, the pool already asks for less");
    let testnet = pool(PoolOptions { nbits: Nbits(0x1d00_ffff), ..options() });
    let address = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx";
    run(&[&url(&testnet), "--address", address]).expect(0).has("no minimum difficulty to compare with");
}

#[test]
fn a_coinbase_that_no_nerdminer_can_hold_is_told() {
    // Two of its outputs alone are fine; a long extranonce fills the buffer.
    let pool = pool(PoolOptions { extranonce1_length: 0, opening: OpeningOrder::PublicPool, ..options() });
    verify(&url(&pool)).expect(0).has("For a NerdMiner: does NOT fit").has("extranonce1 is empty");
}
