//! References: what they show of a pool, and that they accuse no honest one.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::json;
use sluice::config::Severity::Medium;
use sluice::work::BlockHash;

use crate::forensics::blocks::{EASIEST, MAINNET, invented};
use crate::forensics::cheats::{HOUR, becomes, lasted, world};
use crate::forensics::pool::{Habit, MINE};
use crate::forensics::random::Random;
use crate::forensics::world::{World, hash_rate};

const NODE: &str = "127.0.0.1:8332";
const EVIDENCE: [&str; 4] = ["ahead", "ahead_height", "ahead_prevhash", "delay_seconds"];

/// A reference, and a pool with one miner.
fn watched(habit: Habit) -> World {
    let mut world = world(habit, 10.0);
    world.reference(NODE, 1.0);
    world
}

#[test]
fn a_pool_stays_on_the_old_block() {
    let mut world = watched(Habit { cadence: 30.0, ..Habit::default() });
    becomes(&mut world, HOUR, |habit| habit.frozen = true);
    becomes(&mut world, 2.0 * HOUR, |habit| habit.frozen = false);
    world.run_until(4.0 * HOUR);
    lasted(&mut world, "chain.behind", (HOUR, 2.0 * HOUR), (2.0 * HOUR, 2.0 * HOUR + 61.0));
    let book = world.book();
    assert_eq!(book.above_info(), [("chain.behind", 1)]);
    let alert = book.is("chain.behind", Medium, &EVIDENCE);
    assert_eq!(alert.evidence["ahead"], json!(NODE));
    assert_eq!(alert.subject, "pool0.example:3333");
    assert!(alert.description.contains(NODE), "{}", alert.description);
    assert!((60.0..66.0).contains(&alert.evidence["delay_seconds"].as_f64().unwrap()));
}

#[test]
fn a_pool_falls_silent_with_the_new_block() {
    let mut world = watched(Habit { cadence: 30.0, ..Habit::default() });
    // One block early by chance, and then this one.
    let block = 1.5 * HOUR;
    world.block_mean = 0.0;
    becomes(&mut world, block - 1.0, |habit| habit.mute = true);
    world.at(block, World::find_block);
    // Before its silence is long enough to be told by itself.
    becomes(&mut world, block + 150.0, |habit| habit.mute = false);
    world.run_until(2.0 * HOUR);
    lasted(&mut world, "chain.behind", (block + 60.0, block + 70.0), (block + 150.0, block + 245.0));
    let book = world.book();
    assert_eq!(book.above_info(), [("chain.behind", 1)]);
    assert_eq!(book.is("chain.behind", Medium, &EVIDENCE).evidence["ahead"], json!(NODE));
}

#[test]
fn honest_days_with_references_before_and_after_the_pool() {
    for seed in [1, 20, 300] {
        for (pool, references) in [(0.1, [0.0, 8.0]), (9.0, [0.5, 1.0]), (0.1, [25.0, 45.0])] {
            let mut world = World::new(seed, vec![Habit::default(), Habit::default()]);
            for place in 0..2 {
                let rate = crate::forensics::world::hash_rate(1e-9, 30.0);
                world.miner(&format!("{}.rig{place}", crate::forensics::pool::MINE), rate, place);
            }
            world.pool_delay = pool;
            world.reference(NODE, references[0]);
            world.reference("other.example:3333", references[1]);
            world.run_until(24.0 * HOUR);
            assert_eq!(world.book().above_info(), [], "seed {seed}, {pool}, {references:?}");
        }
    }
}

/// All day long, every ten seconds, each in a way of its own.
#[test]
fn a_reference_that_lies_makes_no_honest_pool_late() {
    let mut world = watched(Habit::default());
    let random = Rc::new(std::cell::RefCell::new(Random::new(5)));
    let old = Rc::new(Cell::new(world.newest().1));
    for step in 1..8640 {
        let (random, old) = (random.clone(), old.clone());
        world.at(f64::from(step) * 10.0, move |world| {
            let (height, newest) = world.newest();
            let random = &mut random.borrow_mut();
            let nobody = BlockHash::from_bytes(random.bytes(32).try_into().unwrap());
            world.claim("heights:1", (height + 100_000, invented(MAINNET, random)), MAINNET);
            world.claim("most:1", (u32::MAX - 1, invented(MAINNET, random)), MAINNET);
            world.claim("same:1", (height + 1, newest), MAINNET);
            world.claim("nobody:1", (height + 1, nobody), MAINNET);
            world.claim("easy:1", (height + 1, invented(EASIEST, random)), EASIEST);
            world.claim("easier:1", (height + 1, invented(EASIEST, random)), MAINNET);
            world.claim("none:1", (height + 1, newest), 0);
            // The pool has worked on it, and has left it.
            if step % 360 == 0 {
                old.set(newest);
            }
            if old.get() != newest {
                world.claim("again:1", (height + 1, old.get()), MAINNET);
            }
        });
    }
    world.run_until(24.0 * HOUR);
    let book = world.book();
    assert_eq!(book.above_info(), [], "{:?}", book.alerts);
}

#[test]
fn a_reference_that_lies_hides_no_pool_that_is_late() {
    let mut world = watched(Habit { cadence: 30.0, ..Habit::default() });
    let mut random = Random::new(5);
    for step in 1..400 {
        let parent = invented(MAINNET, &mut random);
        world.at(f64::from(step) * 30.0, move |world| {
            let (height, _) = world.newest();
            world.claim("a-liar:1", (height + 5000, parent), MAINNET);
        });
    }
    becomes(&mut world, HOUR, |habit| habit.frozen = true);
    world.run_until(2.0 * HOUR);
    let book = world.book();
    assert_eq!(book.above_info(), [("chain.behind", 1)]);
    assert_eq!(book.is("chain.behind", Medium, &EVIDENCE).evidence["ahead"], json!(NODE));
}

/// A pool that gives one miner a height far above, once, hides nothing by it, and is stuck nowhere.
#[test]
fn an_upstream_that_makes_a_height_up() {
    let mut world = World::new(9, vec![Habit::default(), Habit::default()]);
    for pool in 0..2 {
        world.miner(&format!("{MINE}.rig{pool}"), hash_rate(1e-9, 10.0), pool);
    }
    world.at(HOUR, |world| world.pools[0].habit.height = 18);
    world.at(HOUR + 1.0, |world| {
        world.notify(0, false);
        world.pools[0].habit.height = 0;
        world.pools[0].habit.frozen = true;
    });
    world.at(3.0 * HOUR, |world| world.pools[0].habit.frozen = false);
    world.run_until(5.0 * HOUR);
    let ids: Vec<_> = world.book().above_info().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["chain.behind", "chain.height"]);
}
