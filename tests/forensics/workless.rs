//! Pools that accept miners and give them no work.

use sluice::config::Severity::Medium;

use crate::forensics::cheats::becomes;
use crate::forensics::pool::{Habit, MINE};
use crate::forensics::world::{Shared, World, hash_rate};

/// `failover.first_job_timeout`, and as much as a look takes.
const TOLD_AFTER: f64 = 75.0;
const LOOK: f64 = 10.0;

fn world(habit: Habit) -> World {
    let rate = hash_rate(habit.difficulty, 10.0);
    let mut world = World::new(17, vec![habit]);
    world.miner(&format!("{MINE}.garage"), rate, 0);
    world
}

fn raised_in_time(world: &mut World) {
    world.run_until(TOLD_AFTER - LOOK);
    assert_eq!(world.book().above_info(), []);
    world.run_until(TOLD_AFTER + LOOK);
    let book = world.book();
    let alert = book.is("pool.no_work", Medium, &["seconds", "sessions"]);
    assert!(alert.description.contains("the pool gives no work"), "{}", alert.description);
    assert_eq!(book.above_info(), [("pool.no_work", 1)]);
}

#[test]
fn a_pool_without_work_is_reported_until_it_has_some() {
    let mut world = world(Habit { workless: true, ..Habit::default() });
    raised_in_time(&mut world);
    becomes(&mut world, 200.0, |habit| habit.workless = false);
    world.run_until(400.0);
    let book = world.book();
    assert!(book.the("pool.no_work").ended.is_some());
    assert_eq!(book.above_info(), [("pool.no_work", 1)]);
}

/// A NerdMiner without work reconnects within a minute.
#[test]
fn reconnects_do_not_hide_it() {
    let mut world = world(Habit { workless: true, ..Habit::default() });
    for time in [20.0, 40.0, 60.0] {
        world.at(time, |world| {
            world.disconnect(0, true);
            world.connect(0, 0);
        });
    }
    raised_in_time(&mut world);
}

#[test]
fn a_shared_connection_without_work_is_reported_once() {
    let mut world = World::new(18, vec![Habit { workless: true, ..Habit::default() }]);
    world.shared = Some(Shared { counted: 0.95, is_cut_off: false });
    world.miner(&format!("{MINE}.garage"), 1.0, 0);
    raised_in_time(&mut world);
}

/// public-pool makes its jobs once a minute, and the first miner to come back may have to wait for one.
#[test]
fn a_pool_that_takes_a_minute_for_its_first_job_is_honest() {
    let mut world = world(Habit { workless: true, cadence: 60.0, ..Habit::default() });
    becomes(&mut world, 59.0, |habit| habit.workless = false);
    world.run_until(600.0);
    assert_eq!(world.book().above_info(), []);
}

#[test]
fn a_pool_owes_no_work_to_whom_it_refuses() {
    let mut world = world(Habit { workless: true, refuses_workers: true, ..Habit::default() });
    world.run_until(600.0);
    assert_eq!(world.book().above_info(), [("pool.refused", 1)]);
}
