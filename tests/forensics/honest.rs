//! Days of honest pools and miners: nothing above info.

use sluice::config::{Payout, PayoutKind};

use crate::blocks::{EASIEST, Layout};
use crate::pool::{Habit, MINE, Pays};
use crate::world::{World, hash_rate};

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
