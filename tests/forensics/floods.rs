//! Pools that alternate, rename and repeat a hundred thousand times: what is kept stays small, and each
//! event cheap.

use std::time::Duration;

use crate::forensics::pool::{Habit, MINE, Pays, STRANGER};
use crate::forensics::world::{World, hash_rate};

/// Caps the alerts on a page: 40 of each rule that lasts, and 200 that are over.
const MOST_ALERTS: usize = sluice::config::RuleId::ALL.len() * 40 + 200;

/// Processor time of this thread, which other tests beside it do not add to.
struct CpuTime(Duration);

impl CpuTime {
    fn now() -> CpuTime {
        CpuTime(nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into())
    }
}

/// Generous: the development profile.
fn quick(began: CpuTime, events: u32) {
    let each = (CpuTime::now().0 - began.0) / events;
    assert!(each < Duration::from_micros(500), "{each:?} an event");
}

fn bounded(world: &mut World) {
    let book = world.book();
    assert!(book.alerts.len() <= MOST_ALERTS, "{}", book.alerts.len());
}

#[test]
fn a_pool_that_alternates_in_each_job() {
    let mut world = World::new(1, vec![Habit::default()]);
    world.miner(&format!("{MINE}.garage"), 0.0, 0);
    world.block_mean = 0.0;
    world.run_until(60.0);
    let began = CpuTime::now();
    for step in 0..20_000_u32 {
        let habit = &mut world.pools[0].habit;
        habit.pays = if step % 2 == 0 { Pays::Only(STRANGER) } else { Pays::Miner(2) };
        habit.height = i64::from(step % 3);
        habit.ntime = if step % 2 == 0 { 9000 } else { 0 };
        habit.nbits =
            if step % 5 == 0 { crate::forensics::blocks::CASH } else { crate::forensics::blocks::MAINNET };
        world.notify(0, true);
        let until = 60.0 + f64::from(step) * 0.01;
        world.run_until(until);
    }
    quick(began, 20_000);
    let book = world.book();
    assert!(book.counts.values().all(|count| *count <= 2), "{:?}", book.counts);
    bounded(&mut world);
}

/// Authorized and refused under ever other names, with shares that are wrong in every way.
#[test]
fn a_miner_that_renames_itself() {
    let mut world = World::new(2, vec![Habit { refuses_workers: true, ..Habit::default() }]);
    world.miner(&format!("{MINE}.garage"), 0.0, 0);
    world.run_until(1.0);
    let began = CpuTime::now();
    for step in 0..100_000_u32 {
        let id = 100 + step;
        world.miner_says(
            0,
            &format!(r#"{{"id":{id},"method":"mining.authorize","params":["{MINE}.{step}","x"]}}"#),
        );
        world.pool_says(0, &format!(r#"{{"id":{id},"result":false,"error":[24,"no",null]}}"#));
        world.pool_says(
            0,
            &format!(r#"{{"id":null,"method":"client.reconnect","params":["h{step}.example"]}}"#),
        );
    }
    quick(began, 300_000);
    world.run_until(10.0);
    bounded(&mut world);
    let book = world.book();
    assert_eq!(book.counts["pool.redirect"], 1);
    assert_eq!(book.counts["pool.refused"], 40);
}

/// The pool answers, jumps and redirects without end.
#[test]
fn a_pool_that_changes_difficulty_and_extranonce() {
    let mut world = World::new(3, vec![Habit::default()]);
    world.miner(&format!("{MINE}.garage"), 0.0, 0);
    world.run_until(1.0);
    let began = CpuTime::now();
    for step in 0..100_000_u32 {
        let difficulty = if step % 2 == 0 { 1e-3 } else { 1e3 };
        world.pool_says(
            0,
            &format!(r#"{{"id":null,"method":"mining.set_difficulty","params":[{difficulty}]}}"#),
        );
        let other = format!(r#"{{"id":9,"result":[[["mining.notify","s"]],"{step:08x}",8],"error":null}}"#);
        world.pool_says(0, &other);
        if step % 100 == 0 {
            world.run_until(1.0 + f64::from(step) / 100.0);
        }
    }
    quick(began, 200_000);
    let book = world.book();
    assert!(book.counts.values().all(|count| *count <= 2), "{:?}", book.counts);
    bounded(&mut world);
}

/// All in one search space, which each share is compared with.
#[test]
fn thousands_of_sessions_and_their_shares() {
    let mut world = World::new(4, vec![Habit { same_space: true, cadence: 1e6, ..Habit::default() }]);
    world.ticking_every(1e6);
    for number in 0..3000 {
        world.miner(&format!("{MINE}.{}", number % 10), hash_rate(1e-9, 600.0), 0);
    }
    world.run_until(1.0);
    let began = CpuTime::now();
    world.run_until(600.0);
    quick(began, 3000);
    assert_eq!(world.book().counts["extranonce.duplicate"], 1);
    for session in 0..3000 {
        world.close(session);
    }
    bounded(&mut world);
}
