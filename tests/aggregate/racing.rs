//! Miners that come exactly when something changes.

use std::time::{Duration, Instant};

use sluice::sim::{PoolOptions, SimPool};

use crate::aggregate::opened::{EASY, expect_accepted, first, is_within, one_pool};
use crate::aggregate::site::{Line, Site};
use crate::common::DEADLINE;

/// Everything at once, by somebody who can be told of new extranonces.
const BURST: &str = "{\"id\":1,\"method\":\"mining.configure\",\"params\":[[\"subscribe-extranonce\"],{}]}\n\
    {\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"burst\"]}\n\
    {\"id\":3,\"method\":\"mining.authorize\",\"params\":[\"acct.x\",\"x\"]}\n";

/// The search space of a round.
fn space(round: u32) -> String {
    format!("{:08x}", 0xaa00_0000 + round)
}

/// Reads until the job whose coinbase ends so, following every extranonce on the way.
fn follow_until(line: &mut Line, last: &str) {
    loop {
        let message = line.next();
        if message["id"] == 2 {
            line.take_search_space(&message);
        }
        let has_space = line.extranonce2_size > 0;
        assert!(has_space || message["id"].is_u64(), "before any search space: {message}");
        if message["params"][2].as_str().is_some_and(|coinb1| coinb1.ends_with(last)) {
            return;
        }
    }
}

#[test]
fn a_miner_that_joins_while_the_search_space_changes_gets_the_last_one() {
    const ROUNDS: u32 = 600;
    const MINERS: usize = 150;
    let (pool, site) = one_pool("");
    let (_first, mut end) = first(&site, &pool, &space(0), "acct.one");
    let mut lines = std::thread::scope(|scope| {
        let changes = scope.spawn(|| {
            for round in 1..=ROUNDS {
                end.set_extranonce(&space(round), 8);
                end.notify(false);
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let lines: Vec<Line> = (0..MINERS)
            .map(|_| {
                let mut line = site.connect();
                line.write(BURST);
                line
            })
            .collect();
        changes.join().unwrap();
        lines
    });
    let last = format!("{:08x}", ROUNDS + 1);
    let mut extranonces = std::collections::HashSet::new();
    for line in &mut lines {
        follow_until(line, &last);
        assert!(is_within(line, &space(ROUNDS)), "{}", line.extranonce1);
        assert!(extranonces.insert(line.extranonce1.clone()), "two have {}", line.extranonce1);
    }
    // What they were told is what they are judged by.
    for line in &mut lines {
        line.worker = "acct.x".to_owned();
        let share = line.mine(EASY, 1.0);
        expect_accepted(line, &mut end, &share);
    }
}

#[test]
fn a_miner_that_joins_at_the_moment_of_a_change_is_told_of_it() {
    let (pool, site) = one_pool("");
    let (_first, mut end) = first(&site, &pool, &space(0), "acct.one");
    let mut kept = Vec::new();
    for round in 1..=150 {
        let mut line = site.connect();
        line.write(BURST);
        // Before, in and after the moment in which its answer is made.
        std::thread::sleep(Duration::from_micros(u64::from(round) * 37 % 1500));
        end.set_extranonce(&space(round), 8);
        end.notify(true);
        follow_until(&mut line, &format!("{:08x}", round + 1));
        assert!(is_within(&line, &space(round)), "{}", line.extranonce1);
        kept.push(line);
    }
}

#[test]
fn a_miner_that_joins_while_the_connection_is_closed_gets_a_living_one() {
    const VISITS: usize = 60;
    let pool = SimPool::start(PoolOptions::with_difficulty(1e-6).unwrap()).unwrap();
    let site = Site::start(&[pool.addr()], "[aggregate]\ngrace = \"0s\"\n");
    let began = Instant::now();
    for visit in 0..VISITS {
        let mut line = site.connect();
        line.write(BURST);
        line.wait_subscribed(2);
        line.wait_job();
        line.worker = "acct.x".to_owned();
        let share = line.mine(1e-6, 1.0);
        assert_eq!(line.verdict(&share), None, "visit {visit}");
        // The next one comes just when this one's end is noticed.
        drop(line);
        std::thread::sleep(Duration::from_micros(37 * (visit as u64 % 20)));
    }
    assert!(began.elapsed() < DEADLINE, "a visit waited for the connection before");
    assert_eq!(pool.stats().rejected(), 0, "{:?}", pool.stats());
}
