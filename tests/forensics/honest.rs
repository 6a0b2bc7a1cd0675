//! Days of honest pools and miners: nothing above info.

use sluice::config::{PayoutKind, PayoutPolicy};

use crate::forensics::blocks::{EASIEST, Layout};
use crate::forensics::pool::{Habit, MINE, Pays};
use crate::forensics::world::{World, hash_rate};

const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;
const SEEDS: [u64; 3] = [1, 20, 300];

fn worker(name: &str) -> String {
    format!("{MINE}.{name}")
}

/// A day for each seed, on which only these rules may speak.
fn day_with(habits: &[Habit], only: &[&str], prepare: impl Fn(&mut World)) {
    for seed in SEEDS {
        let mut world = World::new(seed, habits.to_vec());
        prepare(&mut world);
        world.run_until(DAY);
        quiet(&mut world, only, seed);
    }
}

fn quiet(world: &mut World, only: &[&str], seed: u64) {
    let book = world.book();
    let loud: Vec<_> = book.above_info().into_iter().filter(|(id, _)| !only.contains(id)).collect();
    let what: Vec<_> =
        book.alerts.iter().filter(|alert| loud.iter().any(|(id, _)| *id == alert.id)).collect();
    assert!(loud.is_empty(), "seed {seed}: {loud:?} {what:#?}");
    let stamp = world.stamp();
    let totals = world.replay.snapshot(stamp).totals.unwrap();
    assert!(totals.accepted > 10, "seed {seed}: {} accepted", totals.accepted);
}

/// A share in so many seconds at this pool's first difficulty.
fn one_miner(habit: Habit, seconds: f64) {
    let rate = hash_rate(habit.difficulty, seconds);
    day_with(&[habit], &[], |world| {
        world.miner(&worker("garage"), rate, 0);
    });
}

#[test]
fn ckpool_solo() {
    one_miner(Habit { cadence: 30.0, ..Habit::default() }, 12.0);
}

#[test]
fn public_pool() {
    let habit = Habit {
        pays: Pays::Miner(0),
        extranonce2: 4,
        first_clean: false,
        clean_with_difficulty: true,
        vardiff: Some(15.0),
        decimal_ids: true,
        difficulty: 1e-8,
        ..Habit::default()
    };
    let rate = hash_rate(1e-9, 15.0);
    day_with(&[habit], &[], |world| {
        world.miner(&worker("bitaxe"), rate, 0);
    });
}

#[test]
fn ocean_with_its_extranonce_in_an_output() {
    let habit = Habit { layout: Layout::OpReturn, pays: Pays::Members, early_job: true, ..Habit::default() };
    let payout = PayoutPolicy { kind: PayoutKind::Pooled, ..PayoutPolicy::default() };
    for seed in SEEDS {
        let mut world = World::with(seed, vec![habit.clone()], |setup| {
            setup.expectations = sluice::analyzer::Expectations::new(&payout, sluice::config::Network::Auto);
        });
        world.miner(&worker("ocean"), hash_rate(1e-9, 15.0), 0);
        world.run_until(DAY);
        quiet(&mut world, &[], seed);
        assert!(world.book().counts.is_empty() || !world.book().counts.contains_key("payout.unverifiable"));
    }
}

#[test]
fn braiins_with_an_empty_extranonce1() {
    let habit = Habit {
        pays: Pays::Only(crate::forensics::pool::STRANGER),
        extranonce1: 0,
        extranonce2: 6,
        early_job: true,
        ..Habit::default()
    };
    // An account's name: nobody can tell whom a block pays.
    day_with(&[habit], &[], |world| {
        for name in ["account.one", "account.two"] {
            world.miner(name, hash_rate(1e-9, 40.0), 0);
        }
    });
}

#[test]
fn f2pool_with_an_extranonce_in_the_sequence() {
    let habit = Habit { layout: Layout::Sequence, extranonce1: 4, extranonce2: 5, ..Habit::default() };
    one_miner(habit, 30.0);
}

#[test]
fn testnet_with_its_twenty_minute_blocks() {
    let habit = Habit { nbits: 0x1b00_ffff, easy_after: Some(1200.0), ..Habit::default() };
    day_with(&[habit], &[], |world| {
        world.miner("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx.desk", hash_rate(1e-9, 20.0), 0);
    });
}

#[test]
fn a_test_network_of_the_easiest_blocks() {
    let habit = Habit { nbits: EASIEST, ntime: 1200, ..Habit::default() };
    day_with(&[habit], &[], |world| {
        world.miner("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx.desk", hash_rate(1e-9, 30.0), 0);
    });
}

#[test]
fn an_empty_job_and_then_a_full_one() {
    one_miner(Habit { empty_first: Some(8.0), ..Habit::default() }, 15.0);
}

#[test]
fn jobs_only_with_new_blocks() {
    one_miner(Habit { cadence: 1e9, ..Habit::default() }, 15.0);
}

#[test]
fn a_reconnect_every_hour_and_the_old_session_closed_late() {
    let rate = hash_rate(1e-9, 6.0);
    day_with(&[Habit::default()], &[], |world| {
        let miner = world.miner(&worker("garage"), rate, 0);
        for hour in 1..24 {
            world.at(f64::from(hour) * HOUR, move |world| {
                let old = world.miners[miner].session.unwrap();
                world.disconnect(miner, false);
                world.connect(miner, 0);
                let late = world.seconds() + 1700.0;
                world.at(late, move |world| world.close(old));
            });
        }
    });
}

#[test]
fn failover_between_two_pools() {
    let second = Habit { extranonce2: 4, pays: Pays::Miner(0), ..Habit::default() };
    let rate = hash_rate(1e-9, 15.0);
    day_with(&[Habit::default(), second], &[], |world| {
        let miner = world.miner(&worker("garage"), rate, 0);
        for change in 1..48_u32 {
            world.at(f64::from(change) * 1800.0, move |world| {
                world.disconnect(miner, true);
                world.connect(miner, change as usize % 2);
            });
        }
    });
}

/// The first pool fails for ten minutes, and the miners return five minutes after it is back: a failover, and nothing
/// else. Of a minute's failure of all pools, with the miners back a minute later, nobody needs to hear.
#[test]
fn outages_of_the_pools() {
    let second = Habit { extranonce2: 4, pays: Pays::Miner(0), ..Habit::default() };
    let rate = hash_rate(1e-9, 15.0);
    for only in [&["pool.failed_over"][..], &[]] {
        day_with(&[Habit::default(), second.clone()], only, |world| {
            let miners = ["one", "two", "three"].map(|name| world.miner(&worker(name), rate, 0));
            let to = |pool: usize| {
                move |world: &mut World| {
                    for miner in miners {
                        world.disconnect(miner, true);
                        world.connect(miner, pool);
                    }
                }
            };
            for hour in [3.0, 9.0, 20.0] {
                world.at(hour * HOUR, |world| world.fail_pool(0));
                if only.is_empty() {
                    world.at(hour * HOUR, |world| world.fail_pool(1));
                    world.at(hour * HOUR + 60.0, |world| (0..2).for_each(|pool| world.recover_pool(pool)));
                    world.at(hour * HOUR + 120.0, to(0));
                } else {
                    world.at(hour * HOUR + 5.0, to(1));
                    world.at(hour * HOUR + 600.0, |world| world.recover_pool(0));
                    world.at(hour * HOUR + 900.0, to(0));
                }
            }
        });
    }
}

#[test]
fn vardiff_from_far_off() {
    let rate = hash_rate(1e-9, 10.0);
    for (from, clean) in [(1e-11, false), (1e-11, true), (3e-7, false)] {
        let habit =
            Habit { difficulty: from, vardiff: Some(10.0), clean_with_difficulty: clean, ..Habit::default() };
        day_with(&[habit], &[], |world| {
            world.miner(&worker("garage"), rate, 0);
        });
    }
}

#[test]
fn fifty_miners() {
    let habit = Habit { cadence: 300.0, ..Habit::default() };
    for seed in &SEEDS[..2] {
        let mut world = World::new(*seed, vec![habit.clone()]);
        world.ticking_every(20.0);
        for number in 0..50 {
            world.miner(
                &worker(&format!("nerd{number}")),
                hash_rate(1e-9, 60.0 + 10.0 * f64::from(number)),
                0,
            );
        }
        world.run_until(DAY);
        quiet(&mut world, &[], *seed);
    }
}

#[test]
fn a_bitaxe_at_twenty_shares_a_minute() {
    one_miner(Habit::default(), 3.0);
}

#[test]
fn a_nerdminer_with_a_share_in_twenty_minutes() {
    one_miner(Habit::default(), 1200.0);
}

#[test]
fn clocks_that_are_half_a_minute_off() {
    for ntime in [-30, 30] {
        one_miner(Habit { ntime, ..Habit::default() }, 30.0);
    }
}

/// A miner that is switched off is missed. Behind an open connection only `share.silent` can tell.
#[test]
fn a_miner_switched_off_for_an_hour() {
    let rate = hash_rate(1e-9, 10.0);
    for is_known in [true, false] {
        day_with(&[Habit::default()], if is_known { &["miner.gone"] } else { &["share.silent"] }, |world| {
            let miner = world.miner(&worker("garage"), rate, 0);
            world.at(5.0 * HOUR, move |world| world.disconnect(miner, is_known));
            world.at(6.0 * HOUR, move |world| {
                world.connect(miner, 0);
            });
        });
    }
}

/// Paused and gone on with in the same connection: silent, and no burst afterwards.
#[test]
fn a_miner_paused_for_two_hours() {
    let rate = hash_rate(1e-9, 10.0);
    day_with(&[Habit::default()], &["share.silent"], |world| {
        let miner = world.miner(&worker("garage"), rate, 0);
        world.at(5.0 * HOUR, move |world| world.set_hash_rate(miner, 0.0));
        world.at(7.0 * HOUR, move |world| world.set_hash_rate(miner, rate));
    });
}

#[test]
fn a_pool_that_restarts_and_counts_its_jobs_from_one() {
    let rate = hash_rate(1e-9, 10.0);
    day_with(&[Habit { decimal_ids: true, ..Habit::default() }], &[], |world| {
        let miner = world.miner(&worker("garage"), rate, 0);
        for hour in [3.0, 11.0, 12.0] {
            world.at(hour * HOUR, move |world| {
                world.disconnect(miner, true);
                world.pools[0].jobs = 0;
                world.connect(miner, 0);
            });
        }
    });
}

/// A farm's proxy: one connection, so many shares that a new block makes dozens stale at once.
#[test]
fn many_shares_on_one_connection() {
    let rate = hash_rate(1e-10, 0.1);
    for seed in SEEDS {
        let mut world = World::new(seed, vec![Habit { difficulty: 1e-10, ..Habit::default() }]);
        world.miner(&worker("farm"), rate, 0);
        world.run_until(1.5 * HOUR);
        quiet(&mut world, &[], seed);
    }
}

/// The fee falls due for one of two miners only (public-pool above 50 TH/s).
#[test]
fn a_fee_for_some() {
    // The miner that leaves for good is missed.
    day_with(&[Habit::default()], &["miner.gone"], |world| {
        world.pools[0].habit.pays = Pays::Miner(0);
        world.miner(&worker("small"), hash_rate(1e-9, 60.0), 0);
        world.at(3.0 * HOUR, |world| {
            world.pools[0].habit.pays = Pays::Miner(2);
            world.miner("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2.large", hash_rate(1e-9, 60.0), 0);
            // Only this one's jobs have the fee: the other one is not with the pool meanwhile.
            world.disconnect(0, true);
        });
    });
}
