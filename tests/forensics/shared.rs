//! Behind a proxy that joins miners: what they do is seen with them, what the pool does with the pool.

use sluice::config::PoolStatsKind;
use sluice::config::Severity::{High, Medium};

use crate::forensics::cheats::{HOUR, becomes, lasted};
use crate::forensics::pool::{Habit, MINE, Pays, STRANGER};
use crate::forensics::world::{Shared, World, hash_rate};

/// Ten miners with a share in ten seconds each, of which the proxy passes one in twenty on.
fn world(habit: Habit, seed: u64) -> World {
    let rate = hash_rate(habit.difficulty, 10.0);
    let mut world = World::new(seed, vec![habit]);
    world.shared = Some(Shared { counted: 0.95, is_cut_off: false });
    for rig in 0..10 {
        world.miner(&format!("{MINE}.rig{rig}"), rate, 0);
    }
    world
}

#[test]
fn an_honest_day() {
    for seed in [1, 2] {
        let mut world = world(Habit { cadence: 30.0, ..Habit::default() }, seed);
        // The pool is lost for some minutes, twice; what the proxy says then is not the pool's.
        for hour in [3.0, 9.0] {
            world.at(hour * HOUR, |world| world.shared.as_mut().unwrap().is_cut_off = true);
            world.at(hour * HOUR + 200.0, |world| world.shared.as_mut().unwrap().is_cut_off = false);
        }
        world.run_until(12.0 * HOUR);
        let loud: Vec<_> = world.book().above_info().into_iter().map(|(id, _)| id).collect();
        // Twenty refusals in a row are no miner's usual day, whoever refused.
        assert!(loud.iter().all(|id| *id == "share.reject_rate"), "{loud:?}");
        let (totals, stamp) = (world.totals(), world.stamp());
        let snapshot = world.replay.snapshot(stamp);
        let expected = 10.0 * 12.0 * 360.0;
        assert!((totals.submitted as f64 / expected - 1.0).abs() < 0.05, "{}", totals.submitted);
        assert_eq!((snapshot.miners.len(), snapshot.shared.len()), (10, 10));
        let passed_on = snapshot.pools[0].accepted as f64;
        assert!((passed_on / (0.05 * expected) - 1.0).abs() < 0.15, "{passed_on}");
        // Those under way when a block came.
        assert!(snapshot.pools[0].rejected < 10, "{}", snapshot.pools[0].rejected);
        assert_eq!(snapshot.miners[0].payout.unwrap().as_str(), "verified");
    }
}

/// Half of what is passed on is refused: a fortieth of what the miners see.
#[test]
fn a_pool_that_refuses_good_shares_does_not_hide_behind_the_proxys_verdicts() {
    let mut world = world(Habit::default(), 3);
    becomes(&mut world, 2.0 * HOUR, |habit| habit.refuses = Some((0.5, "Invalid share")));
    becomes(&mut world, 6.0 * HOUR, |habit| habit.refuses = None);
    world.run_until(9.0 * HOUR);
    lasted(
        &mut world,
        "share.valid_rejected",
        (2.0 * HOUR, 3.0 * HOUR),
        (6.0 * HOUR - 900.0, 6.0 * HOUR + 60.0),
    );
    let book = world.book();
    book.is("share.valid_rejected", High, &["hash", "share_difficulty", "asked", "code", "reason"]);
    let ids: Vec<_> = book.above_info().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["share.reject_rate", "share.valid_rejected"]);
    let rates: Vec<_> = book.alerts.iter().filter(|alert| alert.id == "share.reject_rate").collect();
    assert!(rates.iter().all(|alert| alert.subject == "pool0.example:3333"), "{rates:?}");
}

#[test]
fn a_pool_that_swallows_answers() {
    let mut world = world(Habit::default(), 4);
    becomes(&mut world, HOUR, |habit| habit.swallows = true);
    becomes(&mut world, 2.0 * HOUR, |habit| habit.swallows = false);
    world.run_until(4.0 * HOUR);
    let book = world.book();
    book.is("share.unanswered", Medium, &["count", "answered"]);
    assert_eq!(book.above_info(), [("share.unanswered", 1)]);
}

#[test]
fn the_payout_of_the_shared_connection_counts_once() {
    let mut world = world(Habit::default(), 5);
    becomes(&mut world, HOUR, |habit| habit.pays = Pays::Only(STRANGER));
    becomes(&mut world, 2.0 * HOUR, |habit| habit.pays = Pays::Miner(2));
    world.run_until(3.0 * HOUR);
    let ids = world.book().above_info();
    assert_eq!(ids, [("payout.changed", 2), ("payout.mismatch", 1)]);
}

/// Only what was passed on can be credited.
#[test]
fn the_pools_books_are_compared_with_what_was_passed_on() {
    let habit = Habit { cadence: 30.0, ..Habit::default() };
    let mut world = world(habit, 6);
    for minute in 1..600 {
        world.at(f64::from(minute) * 60.0, |world| {
            let document = format!("{{\"shares\":{},\"workers\":1}}", world.pools[0].accepted);
            let at = sluice::clock::NtpTime::from_stamp(world.stamp(), Default::default());
            let figures =
                sluice::pool_stats::read(PoolStatsKind::Ckpool, &[document.into_bytes()], at).unwrap();
            world.replay.update(&sluice::analyzer::ExternalUpdate::Figures(figures.into()));
        });
    }
    world.run_until(10.0 * HOUR);
    assert_eq!(world.book().above_info(), []);
    let stamp = world.stamp();
    let verdict = world.replay.snapshot(stamp).credit.unwrap().verdict;
    assert_eq!(verdict, sluice::pool_stats::CreditVerdict::Agrees);
}
