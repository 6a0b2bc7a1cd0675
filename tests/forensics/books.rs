//! The pool's published figures beside what was proven to it: ckpool's document, made of the pool's own
//! books.

use std::sync::Arc;

use sluice::analyzer::ExternalUpdate;
use sluice::clock::NtpTime;
use sluice::config::PoolStatsKind;
use sluice::config::Severity::Medium;
use sluice::pool_stats::{CreditVerdict, read};

use crate::forensics::cheats::{HOUR, lasted};
use crate::forensics::pool::{Habit, MINE};
use crate::forensics::world::{World, hash_rate};

/// How the pool keeps its books.
#[derive(Clone, Copy)]
struct Books {
    /// The part of accepted work that it credits.
    part: f64,
    /// It publishes its hash rates only.
    without_total: bool,
    /// Seconds that they are behind.
    late: f64,
}

const HONEST: Books = Books { part: 1.0, without_total: false, late: 60.0 };
/// ckpool's hour fades exponentially.
const HOUR_RATE: f64 = 3600.0;

fn world(shares_a_minute: f64) -> World {
    let habit = Habit { cadence: 30.0, ..Habit::default() };
    let rate = hash_rate(habit.difficulty, 60.0 / shares_a_minute);
    let mut world = World::with(5, vec![habit], |setup| setup.account = Some(MINE.to_owned()));
    world.miner(&format!("{MINE}.garage"), rate, 0);
    world
}

/// Asks every minute from now on.
fn ask(world: &mut World, until: f64, books: impl Fn(f64) -> Books + 'static) {
    next_minute(world, until, books, (0.0, 0.0, 0.0));
}

/// `state`: what the pool had accepted a minute ago, what it has credited, and its rate.
fn next_minute(
    world: &mut World,
    until: f64,
    books: impl Fn(f64) -> Books + 'static,
    (before, mut credited, mut rate): (f64, f64, f64),
) {
    let now = world.seconds() + 60.0;
    if now > until {
        return;
    }
    world.at(now, move |world| {
        let Books { part, without_total, late } = books(now);
        let accepted = world.pools[0].accepted;
        let work = (accepted - before) * part;
        credited += work;
        rate = rate * (-60.0 / HOUR_RATE).exp() + work * 4_294_967_296.0 / HOUR_RATE;
        let total = if without_total { String::new() } else { format!(",\"shares\":{credited}") };
        let document = format!("{{\"hashrate1hr\":\"{rate}\",\"workers\":1{total}}}");
        world.at(now + late, move |world| {
            let at = NtpTime::from_stamp(world.stamp(), Default::default());
            let figures = read(PoolStatsKind::Ckpool, &[document.into_bytes()], at).unwrap();
            world.replay.external_update(&ExternalUpdate::PoolStats(Arc::new(figures)));
        });
        next_minute(world, until, books, (accepted, credited, rate));
    });
}

fn verdict(world: &mut World) -> CreditVerdict {
    let stamp = world.stamp();
    world.replay.snapshot(stamp).credit.unwrap().verdict
}

#[test]
fn a_pool_credits_half_of_the_work() {
    for without_total in [false, true] {
        let mut world = world(12.0);
        let (from, to) = (6.0 * HOUR, 14.0 * HOUR);
        ask(&mut world, 30.0 * HOUR, move |now| match (from..to).contains(&now) {
            true => Books { part: 0.5, without_total, ..HONEST },
            false => Books { without_total, ..HONEST },
        });
        world.run_until(5.0 * HOUR);
        assert_eq!(verdict(&mut world), CreditVerdict::Agrees);
        world.run_until(12.0 * HOUR);
        let alert = world.book();
        let alert = alert.is("pool.stats_mismatch", Medium, &["credited", "proven", "probability"]);
        let part = |name: &str| alert.evidence[name].as_f64().unwrap();
        assert!(part("credited") < 0.75 * part("proven"), "{alert:?}");
        assert_eq!(alert.subject, "pool0.example:3333");
        world.run_until(30.0 * HOUR);
        assert_eq!(world.book().above_info(), [("pool.stats_mismatch", 1)]);
        // It is over when the books of the dishonest hours are too old to matter.
        if without_total {
            lasted(&mut world, "pool.stats_mismatch", (from, from + 4.0 * HOUR), (to, to + 2.0 * HOUR));
        }
    }
}

/// Books that are late by ever other times, and hours without a miner.
#[test]
fn honest_books() {
    for shares_a_minute in [0.5, 4.0, 20.0] {
        let mut world = world(shares_a_minute);
        ask(&mut world, 24.0 * HOUR, |now| Books { late: 30.0 + (now % 7.0) * 10.0, ..HONEST });
        world.at(8.0 * HOUR, |world| world.set_hash_rate(0, 0.0));
        world.at(11.0 * HOUR, move |world| {
            let rate = hash_rate(world.pools[0].habit.difficulty, 60.0 / shares_a_minute);
            world.set_hash_rate(0, rate);
        });
        world.run_until(24.0 * HOUR);
        let loud: Vec<_> =
            world.book().above_info().into_iter().filter(|(id, _)| *id != "share.silent").collect();
        assert_eq!(loud, [], "{shares_a_minute}");
        assert_eq!(verdict(&mut world), CreditVerdict::Agrees);
    }
}

/// The pool's books are about one account; what others mine through the same proxy is not in them.
#[test]
fn work_in_another_name_is_not_missed() {
    let mut world = world(4.0);
    let rate = hash_rate(world.pools[0].habit.difficulty, 2.0);
    world.at(1.0, move |world| {
        world.miner("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa.guest", rate, 0);
    });
    // The simulated pool counts all its work; the guest's is about nine tenths of it.
    ask(&mut world, 6.0 * HOUR, |_| Books { part: 0.12, ..HONEST });
    world.run_until(6.0 * HOUR);
    assert_eq!(world.book().above_info(), []);
    assert_eq!(verdict(&mut world), CreditVerdict::Agrees);
}
