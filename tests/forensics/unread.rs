//! Pools that pay a stranger in jobs which miners read and a strict reader does not. Each test names every
//! rule above info that speaks, and what is shown.

use sluice::analyzer::{ChainState, PayoutState, PoolView};
use sluice::config::Severity::{High, Medium};

use crate::forensics::cheats::{HOUR, becomes, lasted, world};
use crate::forensics::pool::{Habit, MINE, Pays, STRANGER};
use crate::forensics::world::{World, hash_rate};

const UNREADABLE: &str = "job.unreadable";
const MISMATCH: &str = "payout.mismatch";
/// When the pool begins to cheat: too early for a habit of paying to have settled.
const BAD: f64 = 600.0;

type Form = fn(&str) -> Vec<u8>;

fn shown(world: &mut World) -> PoolView {
    let stamp = world.stamp();
    world.replay.snapshot(stamp).pools[0].clone()
}

fn states(world: &mut World) -> (&'static str, &'static str) {
    let pool = shown(world);
    (pool.payout.unwrap().state.as_str(), pool.chain.unwrap().state.as_str())
}

/// Honest for ten minutes, then for half an hour like this, then honest again.
fn cheats(bad: Habit) -> World {
    let mut world = world(Habit::default(), 10.0);
    world.at(BAD, move |world| world.pools[0].habit = bad);
    world.run_until(BAD - 1.0);
    assert_eq!(states(&mut world), ("verified", "plausible"));
    assert_eq!(world.book().above_info(), []);
    world.run_until(BAD + 1800.0);
    world
}

fn stranger(form: Form) -> Habit {
    Habit { pays: Pays::Only(STRANGER), accepts_all: true, form: Some(form), ..Habit::default() }
}

/// Behind the coinbase's first half.
fn behind_coinb1(line: &str, text: &str) -> Vec<u8> {
    let (place, _) = line.match_indices("\",\"").nth(3).unwrap();
    [&line[..place], text, &line[place..]].concat().into_bytes()
}

/// Miners read the stranger's job in these, and so does Sluice.
const READ: [(&str, Form); 17] = [
    ("id twice", |line| line.replacen("{", "{\"id\":null,", 1).into()),
    ("method twice", |line| line.replacen("{", "{\"method\":\"x\",", 1).into()),
    ("method twice, the last counts", |line| line.replacen("}", ",\"method\":\"x\"}", 1).into()),
    ("text behind", |line| format!("{line} , and so on").into()),
    ("an object behind", |line| format!("{line}{{\"id\":7,\"result\":true}}").into()),
    ("a NUL behind", |line| format!("{line}\0").into()),
    ("a BOM", |line| format!("\u{feff}{line}").into()),
    ("control characters", |line| format!("\u{1}\u{b}{line}\u{c}").into()),
    ("keys in other case", |line| {
        line.replace("\"method\"", "\"Method\"").replace("params", "PARAMS").into()
    }),
    ("another key in other case", |line| line.replace("\"id\"", "\"ID\"").into()),
    ("method in other case", |line| line.replace("mining.notify", "Mining.Notify").into()),
    ("method with a tail", |line| line.replace("mining.notify", "mining.notify2").into()),
    ("an escape in the method", |line| line.replace("mining.notify", "mining\\u002enotify").into()),
    ("single quotes", |line| line.replace('"', "'").into()),
    ("keys without quotes", |line| line.replace("\"params\"", "params").into()),
    ("70 KiB of spaces", |line| format!("{}{line}", " ".repeat(70 * 1024)).into()),
    ("almost 1 MiB in an unknown key", |line| {
        let padding = "x".repeat(1024 * 1024 - line.len() - 10);
        line.replacen("{", &format!("{{\"x\":\"{padding}\","), 1).into()
    }),
];

#[test]
fn jobs_that_only_some_miners_read_are_judged() {
    for (name, form) in READ {
        let mut world = cheats(stranger(form));
        assert_eq!(states(&mut world).0, "mismatch", "{name}");
        let book = world.book();
        assert_eq!(book.above_info(), [(MISMATCH, 1)], "{name}");
        let at = World::since_begin(book.the(MISMATCH).began);
        assert!((BAD..BAD + 61.0).contains(&at), "{name}: {at}");
        assert!(world.totals().proven_difficulty > 200.0 * 1e-9, "{name}: its shares have no hash");
    }
}

#[test]
fn invalid_utf_8_and_long_ids_are_read() {
    fn invalid(line: &str) -> Vec<u8> {
        let mut bytes = line.replacen("{", "{\"x\":\"?\",", 1).into_bytes();
        let place = bytes.iter().position(|byte| *byte == b'?').unwrap();
        bytes[place] = 0xff;
        bytes
    }
    let plain: Form = |line| line.into();
    for bad in [
        stranger(invalid),
        Habit { id_tail: "x".repeat(125), ..stranger(plain) },
        Habit { transactions: 0, ..stranger(|line| line.replace("[]", "null").into()) },
        Habit { transactions: 0, ..stranger(|line| line.replace("[]", "{}").into()) },
        Habit { transactions: 0, ..stranger(|line| line.replace("[]", "\"\"").into()) },
    ] {
        let name = format!("{bad:?}");
        let mut world = cheats(bad);
        assert_eq!(states(&mut world).0, "mismatch", "{name}");
        assert_eq!(world.book().above_info(), [(MISMATCH, 1)], "{name}");
    }
}

/// Nobody here can say what a miner makes of these.
const UNREAD: [(&str, Form); 6] = [
    ("more than 1 MiB", |line| {
        line.replacen("{", &format!("{{\"x\":\"{}\",", "x".repeat(1024 * 1024)), 1).into()
    }),
    ("half a line more", |line| format!("{{{line}").into()),
    ("params in a list", |line| line.replace("\"params\":[", "\"params\":[[").replace("]}", "]]}").into()),
    ("a letter before", |line| format!("x{line}").into()),
    ("a branch that is none", |line| line.replacen(",[\"", ",[null,\"", 1).into()),
    ("no list of params", |line| line.replace("\"params\":", "\"params\":1,\"p\":").into()),
];

#[test]
fn jobs_that_nobody_can_read_are_an_alert() {
    for (name, form) in UNREAD {
        let mut world = world(Habit::default(), 10.0);
        world.at(BAD, move |world| world.pools[0].habit = stranger(form));
        world.run_until(BAD + 61.0);
        assert_eq!(states(&mut world), ("unverifiable", "unknown"), "{name}");
        world.run_until(BAD + 1800.0);
        assert_eq!(states(&mut world), ("unverifiable", "unknown"), "{name}");
        let pool = shown(&mut world);
        assert!(pool.outputs.is_empty() && pool.chain.unwrap().doubt.is_some(), "{name}");
        let book = world.book();
        assert_eq!(book.above_info(), [(UNREADABLE, 1)], "{name}");
        // The pool accepts shares for them.
        let alert = book.is(UNREADABLE, High, &["session", "accepted_shares"]);
        assert!(World::since_begin(alert.began) < BAD + 61.0, "{name}");
        becomes(&mut world, BAD + 1800.0, |habit| *habit = Habit::default());
        world.run_until(BAD + HOUR);
        assert_eq!(states(&mut world), ("verified", "plausible"), "{name}");
        lasted(&mut world, UNREADABLE, (BAD, BAD + 61.0), (BAD + 1800.0, BAD + 1800.0 + 700.0));
    }
}

#[test]
fn a_pool_that_refuses_shares_for_what_nobody_read_is_told_of_less_loudly() {
    let bad = Habit { accepts_all: false, refuses: Some((1.0, "Stale")), ..stranger(UNREAD[3].1) };
    let mut world = cheats(bad);
    let book = world.book();
    book.is(UNREADABLE, Medium, &["reason", "line", "session"]);
    assert_eq!(states(&mut world), ("unverifiable", "unknown"));
}

/// No line looks like a job at all.
#[test]
fn shares_for_jobs_that_never_came_are_an_alert_by_themselves() {
    let mut world = cheats(stranger(|_| b"{\"id\":null,\"method\":\"mining.other\",\"params\":[]}".to_vec()));
    let book = world.book();
    assert_eq!(book.above_info(), [(UNREADABLE, 1)]);
    let alert = book.is(UNREADABLE, High, &["job_id", "accepted_shares", "session"]);
    // Three shares of one in ten seconds, after the first hidden job.
    assert!(World::since_begin(alert.began) < BAD + 61.0 + 60.0);
}

#[test]
fn values_that_miners_read_differently_are_an_alert_and_never_verified() {
    let forms: [Form; 3] = [
        |line| behind_coinb1(line, " "),
        |line| behind_coinb1(line, "0"),
        |line| line.replace("\"20000000\"", "\"0x20000000\"").into(),
    ];
    for form in forms {
        // It pays the miner, as far as can be seen.
        let bad = Habit { accepts_all: true, form: Some(form), ..Habit::default() };
        let mut world = cheats(bad);
        assert_eq!(states(&mut world), ("unverifiable", "unknown"));
        let book = world.book();
        assert_eq!(book.above_info(), [(UNREADABLE, 1)]);
        book.is(UNREADABLE, Medium, &["reason", "line"]);
        assert!(world.totals().proven_difficulty > 200.0 * 1e-9);
        // And a stranger is a stranger.
        let mut world = cheats(stranger(form));
        assert_eq!(states(&mut world).0, "mismatch");
        assert_eq!(world.book().above_info(), [(UNREADABLE, 1), (MISMATCH, 1)]);
    }
}

#[test]
fn what_some_ignore_makes_nothing_better() {
    let mut world = world(Habit::default(), 10.0);
    becomes(&mut world, BAD, |habit| habit.pays = Pays::Only(STRANGER));
    // Then the miner is paid again, in jobs that some miners ignore.
    becomes(&mut world, BAD + 300.0, |habit| {
        habit.pays = Pays::Miner(2);
        habit.form = Some(|line| format!("{line} .").into());
    });
    world.run_until(BAD + 1000.0);
    assert_eq!(states(&mut world).0, "mismatch");
    assert!(world.book().the(MISMATCH).ended.is_none());
    becomes(&mut world, BAD + 1000.0, |habit| habit.form = None);
    world.run_until(BAD + 1200.0);
    assert_eq!(states(&mut world), ("verified", "plausible"));
}

#[test]
fn an_honest_pool_with_a_sloppy_writer_is_verified() {
    let sloppy = Habit { form: Some(|line| format!("{line}\0").into()), early_job: true, ..Habit::default() };
    let mut world = world(sloppy, 10.0);
    world.run_until(HOUR);
    assert_eq!(states(&mut world), ("verified", "plausible"));
    assert_eq!(world.book().above_info(), []);
    assert!(world.totals().proven_difficulty > 300.0 * 1e-9);
}

#[test]
fn an_extranonce1_that_is_odd_hides_nothing() {
    // 33 bytes are read; a script has no more room than 100.
    let long = Habit { extranonce1: 33, pays: Pays::Only(STRANGER), ..Habit::default() };
    let mut long = world(long, 10.0);
    long.run_until(HOUR);
    assert_eq!(long.book().above_info(), [(MISMATCH, 1)]);
    assert!(long.totals().proven_difficulty > 300.0 * 1e-9);
    type Spelling = fn(&str) -> String;
    let spellings: [Spelling; 3] =
        [|text| format!("{text}0"), |text| format!("0x{text}"), |text| text.repeat(30)];
    for form in spellings {
        let bad = Habit {
            extranonce1_form: Some(form),
            accepts_all: true,
            pays: Pays::Only(STRANGER),
            ..Habit::default()
        };
        let mut world = world(bad, 10.0);
        world.run_until(HOUR);
        let name = form("ab");
        let (payout, chain) = states(&mut world);
        assert_ne!((payout, chain), ("verified", "plausible"), "{name}");
        let book = world.book();
        assert_eq!(book.counts.get(UNREADABLE), Some(&1), "{name}: {:?}", book.counts);
    }
}

#[test]
fn a_job_before_the_subscribe_answer_is_kept() {
    let habit = Habit { job_first: true, cadence: 1e9, difficulty: 1e-9, ..Habit::default() };
    let mut world = World::new(11, vec![habit]);
    world.block_mean = 0.0;
    world.pool_delay = 1e9;
    world.miner(&format!("{MINE}.garage"), hash_rate(1e-9, 10.0), 0);
    world.run_until(300.0);
    let totals = world.totals();
    assert_eq!(totals.jobs, 1);
    assert!(totals.accepted > 10 && totals.proven_difficulty > 9.0 * 1e-9, "{totals:?}");
    assert_eq!(states(&mut world), ("verified", "plausible"));
    assert_eq!(world.book().above_info(), []);
}

#[test]
fn a_verdict_ages() {
    let mut world = world(Habit { cadence: 30.0, ..Habit::default() }, 10.0);
    becomes(&mut world, 2.0 * HOUR, |habit| habit.mute = true);
    world.run_until(2.0 * HOUR + 250.0);
    assert_eq!(states(&mut world), ("verified", "plausible"));
    world.run_until(2.0 * HOUR + 310.0);
    assert_eq!(states(&mut world), ("unverifiable", "unknown"));
    let pool = shown(&mut world);
    assert!(pool.outputs.is_empty());
    assert!(pool.payout.unwrap().expected.is_none());
    let stamp = world.stamp();
    let miner = world.replay.snapshot(stamp).miners[0].payout;
    assert!(matches!(miner, Some(PayoutState::Unverifiable(_))));
    becomes(&mut world, 2.0 * HOUR + 320.0, |habit| habit.mute = false);
    world.run_until(2.0 * HOUR + 360.0);
    assert_eq!(states(&mut world), ("verified", "plausible"));
}

#[test]
fn a_verdict_of_a_pool_that_is_hardly_known_ages_after_an_hour() {
    let mut world = world(Habit { cadence: 30.0, ..Habit::default() }, 10.0);
    becomes(&mut world, 70.0, |habit| habit.mute = true);
    world.run_until(HOUR);
    assert_eq!(states(&mut world), ("verified", "plausible"));
    world.run_until(HOUR + 100.0);
    assert_eq!(states(&mut world), ("unverifiable", "unknown"));
    // It is no alert: blocks can take that long.
    assert_eq!(world.book().above_info(), []);
}

#[test]
fn a_verdict_of_a_pool_that_everybody_has_left_ages() {
    let mut world = world(Habit { cadence: 30.0, ..Habit::default() }, 10.0);
    world.at(2.0 * HOUR, |world| world.disconnect(0, true));
    world.run_until(2.0 * HOUR - 1.0);
    assert_eq!(states(&mut world), ("verified", "plausible"));
    world.run_until(2.0 * HOUR + 250.0);
    assert_eq!(states(&mut world), ("verified", "plausible"));
    world.run_until(2.0 * HOUR + 310.0);
    assert_eq!(states(&mut world), ("unverifiable", "unknown"));
    assert_eq!(shown(&mut world).chain.unwrap().state, ChainState::Unknown);
}

/// ckpool gives the same extranonce1 again, and takes shares of the jobs that it had given before.
#[test]
fn a_miner_that_resumes_its_session_is_no_alert() {
    let mut world = World::new(11, vec![Habit { accepts_all: true, ..Habit::default() }]);
    world.miner(&format!("{MINE}.a"), hash_rate(1e-9, 10.0), 0);
    world.run_until(HOUR);
    let job = world.sessions[0].link_jobs().iter().nth_back(1).unwrap().clone();
    world.disconnect(0, true);
    let session = world.connect(0, 0);
    world.run_until(HOUR + 1.0);
    for id in 100..110 {
        world.miner_says(
            session,
            &format!(
                "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"w\",\"{job}\",\"0000000000000000\",\"6b009568\",\"{id:08x}\"]}}"
            ),
        );
        world.pool_says(session, &format!("{{\"id\":{id},\"result\":true,\"error\":null}}"));
    }
    world.run_until(2.0 * HOUR);
    assert_eq!(world.book().above_info(), [], "{:?}", world.book().alerts);
}
