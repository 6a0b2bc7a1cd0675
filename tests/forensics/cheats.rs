//! Pools that cheat with blocks: whom they pay, whose they are, and when they come. Each test names
//! every rule above info that speaks.

use serde_json::json;
use sluice::config::Severity::{High, Info, Low, Medium};

use crate::forensics::blocks::CASH;
use crate::forensics::pool::{Habit, MINE, Pays, STRANGER};
use crate::forensics::world::{World, hash_rate};

pub const HOUR: f64 = 3600.0;
pub const MONEY: [&str; 7] = ["job_id", "height", "expected", "percent", "total_sats", "outputs", "session"];

/// A miner with a share in so many seconds at a pool of these habits.
pub fn world(habit: Habit, seconds: f64) -> World {
    let rate = hash_rate(habit.difficulty, seconds);
    let mut world = World::new(11, vec![habit]);
    world.miner(&format!("{MINE}.garage"), rate, 0);
    world
}

/// From this second on the pool is another one.
pub fn becomes(world: &mut World, seconds: f64, change: impl FnOnce(&mut Habit) + 'static) {
    world.at(seconds, |world| change(&mut world.pools[0].habit));
}

/// Honest for an hour, then bad for two, then honest again: raised once, in time, and over in the end.
pub fn state(bad: Habit, id: &str, within: f64, over_within: f64) -> World {
    let honest = Habit { difficulty: bad.difficulty, cadence: bad.cadence, ..Habit::default() };
    let mut world = world(honest.clone(), 10.0);
    world.at(HOUR, move |world| world.pools[0].habit = bad);
    world.at(3.0 * HOUR, move |world| world.pools[0].habit = honest);
    world.run_until(6.0 * HOUR);
    lasted(&mut world, id, (HOUR, HOUR + within), (3.0 * HOUR - 200.0, 3.0 * HOUR + over_within));
    world
}

pub fn lasted(world: &mut World, id: &str, began: (f64, f64), ended: (f64, f64)) {
    let book = world.book();
    let alert = book.the(id);
    let at = World::since_begin(alert.began);
    assert!((began.0..=began.1).contains(&at), "{id} began at {at}");
    let over = World::since_begin(alert.ended.unwrap_or_else(|| panic!("{id} lasts")));
    assert!((ended.0..=ended.1).contains(&over), "{id} ended at {over}");
    assert_eq!(book.counts[id], 1);
}

/// A stranger is paid from the first job on. Nothing changed, as nothing was honest before.
#[test]
fn the_payout_goes_to_a_stranger() {
    let mut world = world(Habit { pays: Pays::Only(STRANGER), ..Habit::default() }, 10.0);
    becomes(&mut world, HOUR, |habit| habit.pays = Pays::Miner(2));
    world.run_until(20.0);
    world.book().is("payout.mismatch", High, &MONEY);
    world.run_until(2.0 * HOUR);
    lasted(&mut world, "payout.mismatch", (0.0, 1.0), (HOUR, HOUR + 61.0));
    // That the pool pays the miner in the end is a change, too.
    assert_eq!(world.book().above_info(), [("payout.changed", 1), ("payout.mismatch", 1)]);
}

/// An alert about work that nobody has any more does not last.
#[test]
fn an_alert_about_work_ends_with_the_last_miner_that_does_it() {
    for (pays, worker, id) in [
        (Pays::Only(STRANGER), format!("{MINE}.garage"), "payout.mismatch"),
        (Pays::Miner(2), "farm.rig".to_owned(), "payout.unverifiable"),
    ] {
        let mut world = World::new(11, vec![Habit { pays, ..Habit::default() }]);
        world.miner(&worker, 0.0, 0);
        // No job reconnects in this time.
        world.at(100.0, |world| world.disconnect(0, true));
        world.run_until(250.0);
        lasted(&mut world, id, (0.0, 1.0), (100.0, 106.0));
        if id == "payout.unverifiable" {
            let book = world.book();
            assert!(book.the(id).description.contains("farm.rig"), "{}", book.the(id).description);
        }
    }
}

/// The fee alone was paid before: a stranger beside the miner is a change as well.
#[test]
fn the_miner_gets_a_crumb() {
    let mut world = state(Habit { pays: Pays::Crumb(2), ..Habit::default() }, "payout.short", 61.0, 61.0);
    let book = world.book();
    let alert = book.is("payout.short", High, &MONEY);
    assert!((1.9..2.1).contains(&alert.evidence["percent"].as_f64().unwrap()));
    assert_eq!(alert.evidence["outputs"][0]["address"], json!(STRANGER));
    assert_eq!(book.above_info(), [("payout.changed", 2), ("payout.short", 1)]);
}

#[test]
fn the_address_is_replaced_after_an_hour() {
    let bad = Habit { pays: Pays::Only(STRANGER), ..Habit::default() };
    let mut world = state(bad, "payout.mismatch", 61.0, 61.0);
    let book = world.book();
    book.is("payout.mismatch", High, &MONEY);
    // Away from the miner, and back.
    assert_eq!(book.above_info(), [("payout.changed", 2), ("payout.mismatch", 1)]);
    let changed = book.alerts.iter().find(|alert| alert.id == "payout.changed").unwrap();
    assert_eq!(changed.severity, Medium);
    assert!(changed.evidence["before"].is_string() && changed.evidence["now"].is_string());
}

#[test]
fn the_fee_goes_elsewhere_after_a_restart() {
    let mut before = world(Habit::default(), 30.0);
    before.run_until(24.0 * HOUR);
    assert_eq!(before.book().above_info(), []);
    let state = before.replay.state().clone();
    let after = |pays: Pays| {
        let (habit, state) = (Habit { pays, ..Habit::default() }, state.clone());
        let mut world = World::with(5, vec![habit], |setup| setup.saved.state = state);
        world.miner(&format!("{MINE}.garage"), hash_rate(1e-9, 30.0), 0);
        world.run_until(HOUR);
        world.book()
    };
    assert_eq!(after(Pays::Miner(2)).above_info(), []);
    let book = after(Pays::MinerAnd(STRANGER));
    assert_eq!(book.above_info(), [("payout.changed", 1)]);
    book.is("payout.changed", Medium, &["before", "now", "address", "job_id"]);
}

#[test]
fn an_account_can_not_be_verified() {
    let mut world = World::new(2, vec![Habit::default()]);
    world.miner("account.rig", hash_rate(1e-9, 10.0), 0);
    world.run_until(HOUR);
    let book = world.book();
    assert_eq!(book.above_info(), []);
    book.is("payout.unverifiable", Info, &["job_id"]);
    assert_eq!(book.counts["payout.unverifiable"], 1);
}

#[test]
fn another_coin() {
    let bad = Habit { nbits: CASH, ..Habit::default() };
    let mut world = state(bad, "chain.wrong", 61.0, 61.0);
    let book = world.book();
    assert_eq!(book.above_info(), [("chain.wrong", 1)]);
    book.is("chain.wrong", High, &["nbits", "network_difficulty", "prevhash"]);
}

/// Bitcoin's target over another coin's blocks: they are worth a hundredth of what they must be.
#[test]
fn blocks_of_another_coin() {
    let bad = Habit { foreign_parents: Some(CASH), ..Habit::default() };
    let mut world = World::new(3, vec![bad]);
    world.miner(&format!("{MINE}.garage"), hash_rate(1e-9, 10.0), 0);
    world.run_until(HOUR);
    let book = world.book();
    // One parent in thirty meets a quarter of the harder target by chance: then it begins anew.
    assert_eq!(book.above_info(), [("chain.bad_prevhash", 1)]);
    let alert = book.is("chain.bad_prevhash", High, &["prevhash_difficulty", "network_difficulty"]);
    assert!(World::since_begin(alert.began) < 1.0);
}

#[test]
fn invented_blocks() {
    let mut world = world(Habit::default(), 10.0);
    becomes(&mut world, HOUR, |habit| habit.bad_parents = true);
    becomes(&mut world, 4.0 * HOUR, |habit| habit.bad_parents = false);
    world.run_until(8.0 * HOUR);
    let book = world.book();
    assert_eq!(book.above_info(), [("chain.bad_prevhash", 1)]);
    assert!(book.the("chain.bad_prevhash").ended.is_some());
}

#[test]
fn heights_that_go_back_and_jump() {
    for by in [-3, 1000] {
        let mut world = world(Habit::default(), 10.0);
        // With the next new block: the same block at another height is a fault, too.
        becomes(&mut world, 2.0 * HOUR, move |habit| habit.height = by);
        world.run_until(5.0 * HOUR);
        let book = world.book();
        assert_eq!(book.above_info(), [("chain.height", 1)]);
        let alert = book.is("chain.height", Medium, &["height", "height_before", "seconds"]);
        assert!((2.0 * HOUR..2.0 * HOUR + 61.0).contains(&World::since_begin(alert.began)));
    }
}

#[test]
fn the_same_block_for_hours() {
    let mut world = world(Habit::default(), 10.0);
    becomes(&mut world, HOUR, |habit| habit.frozen = true);
    becomes(&mut world, 6.0 * HOUR, |habit| habit.frozen = false);
    world.run_until(7.0 * HOUR);
    lasted(
        &mut world,
        "chain.stuck",
        (4.0 * HOUR - 3000.0, 4.0 * HOUR + 6.0),
        (6.0 * HOUR, 6.0 * HOUR + 2000.0),
    );
    let book = world.book();
    book.is("chain.stuck", Medium, &["height", "prevhash", "seconds"]);
    // Five hours' blocks at once are likely after five hours.
    assert_eq!(book.above_info(), [("chain.stuck", 1)]);
}

#[test]
fn one_pool_lags_behind_another() {
    let mut world = World::new(4, vec![Habit::default(), Habit::default()]);
    for pool in 0..2 {
        world.miner(&format!("{MINE}.rig{pool}"), hash_rate(1e-9, 10.0), pool);
    }
    becomes(&mut world, HOUR, |habit| habit.frozen = true);
    becomes(&mut world, 2.0 * HOUR, |habit| habit.frozen = false);
    world.run_until(4.0 * HOUR);
    lasted(&mut world, "chain.behind", (HOUR, 2.0 * HOUR), (2.0 * HOUR, 2.0 * HOUR + 61.0));
    let book = world.book();
    assert_eq!(book.above_info(), [("chain.behind", 1)]);
    let alert = book.is("chain.behind", Medium, &["ahead", "ahead_height", "delay_seconds"]);
    assert!((60.0..121.0).contains(&alert.evidence["delay_seconds"].as_f64().unwrap()));
    assert_eq!(alert.subject, "pool0.example:3333");
}

#[test]
fn empty_jobs() {
    let bad = Habit { transactions: 0, ..Habit::default() };
    let mut world = state(bad, "chain.empty_job", 130.0, 61.0);
    let book = world.book();
    assert_eq!(book.above_info(), []);
    let alert = book.is("chain.empty_job", Info, &["height", "since"]);
    // A job a minute for two hours, and one with each block: not two ticks a second.
    assert!((100..160).contains(&alert.count), "{}", alert.count);
}

/// A pool that nobody is with any more, dead or not, is not spoken of.
#[test]
fn what_a_pool_does_that_nobody_is_with() {
    for (habit, id) in [
        (Habit { transactions: 0, ..Habit::default() }, "chain.empty_job"),
        (Habit { frozen: true, ..Habit::default() }, "chain.stuck"),
        (Habit { frozen: true, ..Habit::default() }, "chain.behind"),
    ] {
        let other = Habit { difficulty: habit.difficulty, ..Habit::default() };
        let mut world = World::new(7, vec![habit, other]);
        let rate = hash_rate(1e-9, 10.0);
        let miner = world.miner(&format!("{MINE}.leaves"), rate, 0);
        if id == "chain.behind" {
            world.miner(&format!("{MINE}.stays"), rate, 1);
        }
        let left = 5.0 * HOUR;
        world.at(left, move |world| {
            world.disconnect(miner, true);
            let session = world.connect(miner, 1);
            world.miners[miner].session = Some(session);
        });
        world.run_until(left - 1.0);
        assert!(world.book().the(id).ended.is_none(), "{id}");
        world.run_until(left + HOUR);
        let alert = world.book().the(id).clone();
        let over = World::since_begin(alert.ended.unwrap());
        assert!((left..left + 6.0).contains(&over), "{id} ended at {over}, left at {left}");
        assert!(alert.count < 400, "{id}: {}", alert.count);
    }
}

/// A fault that only time shows is reported once, however long it lasts.
#[test]
fn ticks_are_not_counted() {
    let mut world = world(Habit { cadence: 30.0, ..Habit::default() }, 10.0);
    becomes(&mut world, 2.0 * HOUR, |habit| habit.mute = true);
    world.run_until(4.0 * HOUR);
    for alert in world.book().alerts.iter().filter(|alert| alert.ended.is_none()) {
        assert_eq!(alert.count, 1, "{}", alert.id);
    }
    assert_eq!(world.book().the("timing.notify_gap").count, 1);
}

#[test]
fn times_that_are_off() {
    for (ntime, id, severity) in [
        (3 * 3600, "timing.extreme", High),
        (-3 * 3600, "timing.extreme", High),
        (1200, "timing.future_job", Low),
        (-1200, "timing.old_job", Low),
    ] {
        let mut world = state(Habit { ntime, ..Habit::default() }, id, 61.0, 61.0);
        let book = world.book();
        assert_eq!(book.above_info(), [(id, 1)]);
        let alert = book.is(id, severity, &["ntime", "time", "difference_seconds", "job_id"]);
        assert!((alert.evidence["difference_seconds"].as_f64().unwrap() - ntime as f64).abs() < 2.0);
    }
}

#[test]
fn jobs_that_stay_away() {
    let mut world = world(Habit { cadence: 30.0, ..Habit::default() }, 10.0);
    becomes(&mut world, 2.0 * HOUR, |habit| habit.mute = true);
    becomes(&mut world, 2.0 * HOUR + 1200.0, |habit| habit.mute = false);
    world.run_until(4.0 * HOUR);
    lasted(
        &mut world,
        "timing.notify_gap",
        (2.0 * HOUR + 270.0, 2.0 * HOUR + 310.0),
        (2.0 * HOUR + 1200.0, 2.0 * HOUR + 1240.0),
    );
    let book = world.book();
    book.is("timing.notify_gap", Low, &["seconds", "usual_seconds"]);
    assert_eq!(book.above_info(), [("timing.notify_gap", 1)]);
}
