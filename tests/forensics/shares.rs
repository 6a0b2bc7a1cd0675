//! Pools that cheat with shares, connections and search spaces, and miners with faults. Each test names
//! every rule above info that speaks.

use sluice::config::Severity::{High, Info, Low, Medium};

use crate::forensics::cheats::{HOUR, lasted, state, world};
use crate::forensics::pool::{Habit, MINE};
use crate::forensics::world::{World, hash_rate};

#[test]
fn an_extranonce1_that_changes_silently() {
    let mut world = world(Habit::default(), 10.0);
    let other = r#"{"id":1,"result":[[["mining.notify","s"]],"deadbeef",8],"error":null}"#;
    for minute in [60.0, 61.0, 62.0] {
        world.at(minute * 60.0, move |world| world.pool_says(0, other));
    }
    world.run_until(2.0 * HOUR);
    let book = world.book();
    // The rest of the work is done with the extranonce1 that was agreed on.
    assert_eq!(book.above_info(), [("extranonce.changed", 1)]);
    let alert = book.is("extranonce.changed", High, &["from", "to", "session"]);
    assert_eq!(alert.evidence["to"], "deadbeef");
    assert_eq!(alert.count, 3);
}

#[test]
fn two_miners_in_one_search_space() {
    let mut world = world(Habit { same_space: true, ..Habit::default() }, 30.0);
    world.at(600.0, |world| {
        world.miner(&format!("{MINE}.second"), hash_rate(1e-9, 30.0), 0);
    });
    world.at(HOUR, |world| world.disconnect(1, true));
    world.run_until(3.0 * HOUR);
    lasted(&mut world, "extranonce.duplicate", (600.0, 900.0), (HOUR - 300.0, HOUR + 61.0));
    let book = world.book();
    book.is("extranonce.duplicate", High, &["extranonce1", "sessions", "worker"]);
    // The second miner has gone for good.
    assert_eq!(book.above_info(), [("extranonce.duplicate", 1), ("miner.gone", 1)]);
}

/// Solo, for different addresses, the coinbases differ, and so do the search spaces.
#[test]
fn one_extranonce1_for_two_addresses_is_no_fault() {
    let mut world = world(Habit { same_space: true, ..Habit::default() }, 30.0);
    world.miner("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2.other", hash_rate(1e-9, 30.0), 0);
    world.run_until(6.0 * HOUR);
    assert_eq!(world.book().above_info(), []);
}

/// A resumed session gives a miner the space that it had before.
#[test]
fn a_resumed_search_space_is_no_fault() {
    let mut world = world(Habit { same_space: true, ..Habit::default() }, 10.0);
    for hour in 1..6 {
        world.at(f64::from(hour) * HOUR, |world| {
            world.disconnect(0, false);
            world.connect(0, 0);
        });
    }
    world.run_until(6.0 * HOUR);
    assert_eq!(world.book().above_info(), []);
}

#[test]
fn a_small_extranonce2_by_the_configured_size() {
    let mut world = World::with(3, vec![Habit { extranonce2: 2, ..Habit::default() }], |setup| {
        setup.rules.min_extranonce2_size = Some(4);
    });
    world.miner(&format!("{MINE}.garage"), hash_rate(1e-9, 10.0), 0);
    world.run_until(HOUR);
    let book = world.book();
    assert_eq!(book.above_info(), [("extranonce.small", 1)]);
    book.is("extranonce.small", Medium, &["extranonce2_size", "hash_rate", "seconds"]);
}

/// A fifth of all good shares: they are as many rejects as well.
#[test]
fn good_shares_are_refused() {
    let bad = Habit { refuses: Some((0.2, "Invalid share")), ..Habit::default() };
    let mut world = state(bad, "share.valid_rejected", 900.0, 10.0);
    let book = world.book();
    assert_eq!(book.above_info(), [("share.reject_rate", 1), ("share.valid_rejected", 1)]);
    book.is("share.valid_rejected", High, &["hash", "share_difficulty", "asked", "code", "reason"]);
    book.is("share.reject_rate", Medium, &["rejected", "of", "last_reason"]);
}

/// A twentieth is no rate of rejects that stands out; each hash is proof.
#[test]
fn few_good_shares_are_refused() {
    let bad = Habit { refuses: Some((0.05, "Job not found")), ..Habit::default() };
    let mut world = state(bad, "share.valid_rejected", 1800.0, 10.0);
    assert_eq!(world.book().above_info(), [("share.valid_rejected", 1)]);
}

/// Refused as too easy though they are not.
#[test]
fn good_shares_are_called_too_easy() {
    let bad = Habit { refuses: Some((0.9, "Above target")), ..Habit::default() };
    let mut world = state(bad, "share.valid_rejected", 300.0, 10.0);
    let book = world.book();
    let ids: Vec<_> = book.above_info().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["difficulty.mismatch", "share.reject_rate", "share.valid_rejected"]);
    let evidence = ["hash", "share_difficulty", "asked_lowest", "asked_highest", "outcome"];
    let alert = book.alerts.iter().find(|alert| alert.id == "difficulty.mismatch").unwrap();
    assert!(alert.severity == High && evidence.iter().all(|field| !alert.evidence[*field].is_null()));
}

#[test]
fn easy_shares_are_accepted() {
    let mut world = world(Habit { accepts_all: true, ..Habit::default() }, 10.0);
    world.at(HOUR, |world| world.miners[0].sloppy = 0.01);
    world.at(2.0 * HOUR, |world| world.miners[0].sloppy = 1.0);
    world.run_until(3.0 * HOUR);
    lasted(&mut world, "difficulty.mismatch", (HOUR, HOUR + 120.0), (2.0 * HOUR, 2.0 * HOUR + 120.0));
    let book = world.book();
    book.is("difficulty.mismatch", High, &["hash", "share_difficulty", "asked_lowest", "outcome"]);
    assert_eq!(book.above_info(), [("difficulty.mismatch", 1)]);
}

/// The pool does not mean it, and takes what is below: a mismatch as well.
#[test]
fn a_difficulty_that_jumps() {
    let mut world = world(Habit::default(), 10.0);
    for step in 0..40_u32 {
        let difficulty = if step % 2 == 0 { "1e-7" } else { "1e-10" };
        world.at(HOUR + 60.0 * f64::from(step), move |world| {
            let line = format!(r#"{{"id":null,"method":"mining.set_difficulty","params":[{difficulty}]}}"#);
            world.pool_says(0, &line);
        });
    }
    world.run_until(3.0 * HOUR);
    let book = world.book();
    let alert = book.is("difficulty.erratic", Low, &["from", "to", "session"]);
    assert!((HOUR..HOUR + 400.0).contains(&World::since_begin(alert.began)));
    assert!(alert.ended.is_some());
    assert_eq!(book.above_info(), [("difficulty.erratic", 1), ("difficulty.mismatch", 1)]);
}

/// Nothing is answered, jobs still come.
#[test]
fn answers_are_swallowed() {
    let bad = Habit { swallows: true, ..Habit::default() };
    let mut world = state(bad, "share.unanswered", 240.0, HOUR);
    let book = world.book();
    assert_eq!(book.above_info(), [("share.unanswered", 1)]);
    book.is("share.unanswered", Medium, &["count", "answered", "worker"]);
}

/// The pool refuses the second of each two, rightly: what it says of the miner is a rate of rejects.
#[test]
fn a_miner_repeats_itself() {
    let mut world = world(Habit::default(), 10.0);
    world.at(HOUR, |world| world.miners[0].stutters = true);
    world.at(2.0 * HOUR, |world| world.miners[0].stutters = false);
    world.run_until(4.0 * HOUR);
    let book = world.book();
    assert_eq!(book.above_info(), [("share.duplicate", 1), ("share.reject_rate", 1)]);
    assert!(book.is("share.duplicate", Low, &["hash", "session"]).ended.is_some());
    // A hash that is sent twice was worked for once: what is proven is not far from what was credited.
    let totals = world.totals();
    assert!(totals.rejected > 100, "{}", totals.rejected);
    assert!(totals.proven_difficulty < totals.accepted_difficulty * 1.02, "{totals:?}");
}

/// Such a share is as good by its hash as any other, and the pool takes it here.
#[test]
fn share_times_outside_their_jobs() {
    let mut world = world(Habit::default(), 10.0);
    world.at(HOUR, |world| world.miners[0].ntime = -100);
    world.at(2.0 * HOUR, |world| world.miners[0].ntime = 600);
    world.run_until(3.0 * HOUR);
    lasted(&mut world, "timing.share_ntime", (HOUR, HOUR + 120.0), (2.0 * HOUR, 2.0 * HOUR + 120.0));
    let book = world.book();
    book.is("timing.share_ntime", Low, &["job_id", "job_ntime", "share_ntime"]);
    assert_eq!(book.above_info(), [("timing.share_ntime", 1)]);
}

#[test]
fn ten_times_the_shares() {
    let mut world = world(Habit::default(), 10.0);
    world.at(3.0 * HOUR, |world| world.set_hash_rate(0, hash_rate(1e-9, 1.0)));
    world.run_until(3.0 * HOUR + 120.0);
    let book = world.book();
    assert_eq!(book.above_info(), [("share.rapid", 1)]);
    let alert = book.is("share.rapid", Low, &["shares", "expected", "seconds"]);
    assert!((3.0 * HOUR..3.0 * HOUR + 65.0).contains(&World::since_begin(alert.began)));
    // After an hour that is its hash rate.
    world.run_until(6.0 * HOUR);
    assert!(world.book().the("share.rapid").ended.is_some());
    assert_eq!(world.book().counts["share.rapid"], 1);
}

/// The way was blocked for four minutes, then all comes at once: no miner is faster for that.
#[test]
fn a_burst_after_a_stall_is_no_fault() {
    let mut world = world(Habit::default(), 10.0);
    for hour in 2..8_u32 {
        let start = f64::from(hour) * HOUR;
        world.at(start, |world| world.set_hash_rate(0, 0.0));
        world.at(start + 240.0, |world| world.set_hash_rate(0, hash_rate(1e-9, 0.05)));
        world.at(start + 241.2, |world| world.set_hash_rate(0, hash_rate(1e-9, 10.0)));
    }
    world.run_until(9.0 * HOUR);
    assert_eq!(world.book().above_info(), []);
}

#[test]
fn a_miner_falls_silent() {
    let mut world = world(Habit::default(), 10.0);
    world.at(3.0 * HOUR, |world| world.set_hash_rate(0, 0.0));
    world.at(6.0 * HOUR, |world| world.set_hash_rate(0, hash_rate(1e-9, 10.0)));
    world.run_until(7.0 * HOUR);
    lasted(
        &mut world,
        "share.silent",
        (3.0 * HOUR + 550.0, 3.0 * HOUR + 610.0),
        (6.0 * HOUR, 6.0 * HOUR + 120.0),
    );
    let book = world.book();
    book.is("share.silent", Low, &["seconds", "expected_shares"]);
    assert_eq!(book.above_info(), [("share.silent", 1)]);
}

#[test]
fn miners_are_sent_elsewhere() {
    let mut world = world(Habit::default(), 10.0);
    for host in [
        "",
        r#""pool0.example",3334"#,
        r#""POOL0.example.",3333,5"#,
        r#""pool0.example:3334""#,
        r#""stratum+tcp://pool0.example:3334""#,
        r#"" pool0.example ","3334""#,
    ] {
        let line = format!(r#"{{"id":null,"method":"client.reconnect","params":[{host}]}}"#);
        world.at(HOUR, move |world| world.pool_says(0, &line));
    }
    world.run_until(1.5 * HOUR);
    assert_eq!(world.book().above_info(), []);
    for minute in [100.0, 101.0] {
        let line = r#"{"id":null,"method":"client.reconnect","params":["stranger.example",3333,0]}"#;
        world.at(minute * 60.0, move |world| world.pool_says(0, line));
    }
    world.run_until(2.0 * HOUR);
    let book = world.book();
    assert_eq!(book.above_info(), [("pool.redirect", 1)]);
    assert_eq!(book.is("pool.redirect", High, &["host", "session"]).count, 2);
}

/// Not a word, to shares neither: they are not answered, and jobs are late.
#[test]
fn a_pool_falls_silent() {
    let bad = Habit { mute: true, swallows: true, ..Habit::default() };
    let mut world = state(bad, "pool.silent", 190.0, 130.0);
    let book = world.book();
    book.is("pool.silent", Medium, &["seconds"]);
    assert_eq!(book.above_info(), [("pool.silent", 1), ("share.unanswered", 1), ("timing.notify_gap", 1)]);
}

#[test]
fn a_pool_refuses_the_worker() {
    let mut world = World::new(1, vec![Habit { refuses_workers: true, ..Habit::default() }]);
    world.miner(&format!("{MINE}.garage"), 0.0, 0);
    world.at(600.0, |world| {
        world.pools[0].habit.refuses_workers = false;
        world.disconnect(0, true);
        world.set_hash_rate(0, hash_rate(1e-9, 10.0));
        world.connect(0, 0);
    });
    world.run_until(HOUR);
    lasted(&mut world, "pool.refused", (0.0, 1.0), (600.0, 602.0));
    let book = world.book();
    book.is("pool.refused", Medium, &["worker", "reason"]);
    assert_eq!(book.above_info(), [("pool.refused", 1)]);
}

/// A network of difficulty 4e-8: one share in forty is a block, as many are near.
#[test]
fn good_news() {
    let habit = Habit { nbits: 0x2001_8000, ..Habit::default() };
    let mut world = World::with(6, vec![habit], |setup| {
        let payout = sluice::config::PayoutPolicy::default();
        let testnet = sluice::config::Network::Testnet4;
        setup.expectations = sluice::analyzer::Expectations::new(&payout, testnet);
        setup.analysis.near_miss = 0.5;
    });
    world.miner("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx.desk", hash_rate(1e-9, 15.0), 0);
    world.run_until(2.0 * HOUR);
    let book = world.book();
    assert_eq!(book.above_info(), []);
    for id in ["block.found", "share.near_miss", "share.best"] {
        let alert = book.alerts.iter().find(|alert| alert.id == id).unwrap_or_else(|| panic!("{id}"));
        assert_eq!(alert.severity, Info);
        for field in ["hash", "share_difficulty", "network_difficulty", "worker"] {
            assert!(!alert.evidence[field].is_null(), "{id} {field}");
        }
    }
    let block = book.alerts.iter().find(|alert| alert.id == "block.found").unwrap();
    // No more than is known.
    assert!(block.description.contains("a share that meets the network's target"), "{}", block.description);
    assert!(!block.description.contains("found a block"), "{}", block.description);
    let stamp = world.stamp();
    let totals = world.replay.snapshot(stamp).totals.unwrap();
    assert_eq!(book.counts["block.found"], totals.blocks);
    assert!(totals.blocks > 5, "{}", totals.blocks);
}

/// Regtest's difficulty is 4.7e-10, and the pool asks for twice as much: every share meets the target.
fn regtest(seconds_per_share: f64, hours: f64) -> World {
    let habit = Habit { nbits: 0x207f_ffff, ..Habit::default() };
    let mut world = World::with(6, vec![habit], |setup| {
        let payout = sluice::config::PayoutPolicy::default();
        let regtest = sluice::config::Network::Regtest;
        setup.expectations = sluice::analyzer::Expectations::new(&payout, regtest);
    });
    let miner = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080.desk";
    world.miner(miner, hash_rate(1e-9, seconds_per_share), 0);
    world.run_until(hours * HOUR);
    world
}

#[test]
fn what_every_share_does_is_no_news() {
    // A miner that finds a share in a while is told of each: the pool may ask for what a block needs.
    for (seconds, hours, blocks) in [(15.0, 2.0, 1..2), (3600.0, 48.0, 30..60)] {
        let mut world = regtest(seconds, hours);
        let book = world.book();
        assert_eq!(book.above_info(), []);
        let stamp = world.stamp();
        let totals = world.replay.snapshot(stamp).totals.unwrap();
        assert!(totals.accepted > 30, "{}", totals.accepted);
        assert!(blocks.contains(&totals.blocks), "{} of {}", totals.blocks, totals.accepted);
        assert_eq!(book.counts["block.found"], totals.blocks);
        assert_eq!((totals.near_misses, book.counts.get("share.near_miss")), (0, None));
    }
}
