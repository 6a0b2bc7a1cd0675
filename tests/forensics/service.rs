//! Miners that go and come back, mistyped addresses, and a failover, each with its end.

use sluice::analyzer::{ExternalUpdate, PoolReach};
use sluice::config::Severity;
use sluice::upstream::PoolStatus;

use crate::forensics::pool::{Habit, MINE};
use crate::forensics::world::{World, hash_rate};

const HOUR: f64 = 3600.0;
const MINUTE: f64 = 60.0;

fn worker(name: &str) -> String {
    format!("{MINE}.{name}")
}

/// A world with one miner that is there all the time, and another one.
fn two_miners() -> (World, usize) {
    let mut world = World::new(7, vec![Habit::default()]);
    world.miner(&worker("stays"), hash_rate(1e-9, 15.0), 0);
    let other = world.miner(&worker("goes"), hash_rate(1e-9, 15.0), 0);
    (world, other)
}

/// Off at the first of these seconds, and on again at the second.
fn off_between(world: &mut World, miner: usize, from: f64, to: f64) {
    world.at(from, move |world| world.disconnect(miner, true));
    world.at(to, move |world| {
        world.connect(miner, 0);
    });
}

#[test]
fn a_miner_that_is_off_is_missed_until_it_is_back() {
    let (mut world, miner) = two_miners();
    off_between(&mut world, miner, HOUR, 2.0 * HOUR);
    world.run_until(3.0 * HOUR);
    let book = world.book();
    let alert = book.is("miner.gone", Severity::Medium, &["worker", "address", "last_seen", "seconds"]);
    assert_eq!(alert.subject, worker("goes"));
    let (began, ended) = (World::since_begin(alert.began), World::since_begin(alert.ended.unwrap()));
    // There is a tick every five seconds here, and the miner was last seen at the one before it went.
    assert!((HOUR + 295.0..HOUR + 310.0).contains(&began), "{began}");
    assert!((2.0 * HOUR..2.0 * HOUR + MINUTE).contains(&ended), "{ended}");
}

#[test]
fn reconnects_and_visitors_are_not_missed() {
    let (mut world, miner) = two_miners();
    for hour in 1..5 {
        let from = f64::from(hour) * HOUR;
        off_between(&mut world, miner, from, from + 4.0 * MINUTE);
    }
    // It has no share in its minute here.
    world.at(HOUR, |world| {
        let visitor = world.miner("visitor", hash_rate(1e-9, 1e9), 0);
        let end = world.seconds() + MINUTE;
        world.at(end, move |world| world.disconnect(visitor, true));
    });
    world.run_until(6.0 * HOUR);
    assert_eq!(world.book().above_info(), []);
}

#[test]
fn all_miners_off_are_one_alert() {
    let (mut world, _) = two_miners();
    world.at(HOUR, |world| (0..2).for_each(|miner| world.disconnect(miner, true)));
    world.run_until(2.0 * HOUR);
    let book = world.book();
    assert_eq!(book.is("miner.gone", Severity::Medium, &["miners", "workers"]).subject, "all miners");
}

#[test]
fn a_mistyped_address_is_found_until_the_miner_is_corrected() {
    let mut world = World::new(3, vec![Habit::default()]);
    let wrong = format!("{}q.garage", &MINE[..MINE.len() - 1]);
    let miner = world.miner(&wrong, hash_rate(1e-9, 15.0), 0);
    world.at(HOUR, move |world| world.disconnect(miner, true));
    world.at(HOUR + 5.0, |world| {
        world.miner(&worker("garage"), hash_rate(1e-9, 15.0), 0);
    });
    world.run_until(2.0 * HOUR);
    let book = world.book();
    let alert = book.is("payout.address_typo", Severity::High, &["worker", "address", "reason", "session"]);
    assert_eq!(alert.subject, wrong);
    assert!(World::since_begin(alert.began) < MINUTE, "{alert:?}");
    assert!((World::since_begin(alert.ended.unwrap()) - HOUR).abs() < MINUTE, "{alert:?}");
}

#[test]
fn a_failover_lasts_until_the_miners_are_back() {
    let (mut world, _) = two_miners();
    let told = |status, is_first_used| {
        let reach = |rank: usize, status, is_in_use| PoolReach {
            name: format!("pool{rank}.example:3333"),
            rank: Some(rank),
            status,
            gives_no_work: false,
            reason: Some(String::from("connection refused")),
            is_in_use,
        };
        let pools = [reach(0, status, is_first_used), reach(1, PoolStatus::Up, !is_first_used)];
        move |world: &mut World| world.replay.external_update(&ExternalUpdate::Pools(pools.into()))
    };
    world.at(1.0, told(PoolStatus::Up, true));
    world.at(HOUR, told(PoolStatus::Failed, false));
    world.at(1.5 * HOUR, told(PoolStatus::Up, false));
    world.at(2.0 * HOUR, told(PoolStatus::Up, true));
    world.run_until(3.0 * HOUR);
    let book = world.book();
    let alert = book.is("pool.failed_over", Severity::Medium, &["upstream", "preferred", "pools"]);
    assert!((World::since_begin(alert.began) - HOUR).abs() < MINUTE, "{alert:?}");
    assert!((World::since_begin(alert.ended.unwrap()) - 2.0 * HOUR).abs() < MINUTE, "{alert:?}");
    assert_eq!(book.above_info(), [("pool.failed_over", 1)]);
}
