//! Each miner's difficulty, as it goes over the wire.

use std::io::Read;
use std::time::Instant;

use serde_json::{Value, json};
use sluice::stratum::Submit;

use crate::aggregate::opened::{QUIET, expect_accepted, first_at_once, one_pool};
use crate::aggregate::scripted::PoolEnd;
use crate::aggregate::share_search::{Field, code};
use crate::aggregate::site::{Line, Site};
use crate::common::{DEADLINE, wait_for};

const NERD: &str = "NerdMinerV2/V1.8.3";

/// A pool that asks for this, and a miner that was here for the pool to be connected.
fn open(more: &str, difficulty: f64) -> (Site, PoolEnd, Line) {
    let (scripted, site) = one_pool(more);
    let (first, pool) = first_at_once(&site, &scripted, (NERD, "bc1q.first"), difficulty);
    (site, pool, first)
}

/// Joins as a new miner of this agent, which suggests a difficulty before it authorizes if `suggests` is one.
fn begins_at(site: &Site, agent: &str, suggests: Option<f64>) -> Line {
    let mut line = site.connect();
    line.worker = "bc1q.new".to_owned();
    line.ask(1, "mining.subscribe", json!([agent]));
    line.wait_subscribed(1);
    if let Some(difficulty) = suggests {
        line.ask(3, "mining.suggest_difficulty", json!([difficulty]));
        line.answer(3);
    }
    line.ask(2, "mining.authorize", json!([line.worker, "x"]));
    line.wait_job();
    line
}

#[test]
fn nerdminers_get_fractions_and_machines_whole_numbers() {
    let (site, mut pool, _first) = open("", 5000.5);
    assert_eq!(begins_at(&site, NERD, None).difficulty, 0.0005);
    assert_eq!(begins_at(&site, "bitaxe/BM1370/v2.15.1", None).difficulty, 1000.0);
    assert_eq!(begins_at(&site, "cgminer/4.13.6", Some(0.001)).difficulty, 1.0);
    assert_eq!(begins_at(&site, "something else", None).difficulty, 1.0);
    // Unless the pool asks for less, and never more than the pool.
    pool.set_difficulty(0.5);
    pool.notify(true);
    wait_for("the pool's difficulty", || begins_at(&site, "bitaxe/BM1370/v2.15.1", None).difficulty == 0.5);
    assert_eq!(begins_at(&site, "cgminer/4.13.6", Some(0.001)).difficulty, 0.5);
}

#[test]
fn a_difficulty_has_no_exponent_and_comes_with_its_job_in_one_piece() {
    let (site, _pool, _first) = open("", 1e-7);
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!([NERD]));
    line.answer(1);
    line.ask(2, "mining.authorize", json!(["bc1q.new", "x"]));
    // Read as a NerdMiner does: what is there.
    let mut text = String::new();
    let mut buffer = [0; 8192];
    while !text.contains("mining.notify") {
        let length = line.raw().read(&mut buffer).unwrap();
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    let lines: Vec<&str> = text.lines().collect();
    let place = lines.iter().position(|line| line.contains("mining.notify")).unwrap();
    assert!(lines[place - 1].contains("\"mining.set_difficulty\",\"params\":[0.0000001]"), "{text}");
}

#[test]
fn without_vardiff_the_pools_difficulty_goes_through() {
    let (_site, mut pool, mut miner) = open("[vardiff]\nenabled = false\n", 16383.75);
    assert_eq!(miner.difficulty, 16383.75);
    miner.sent_by_now();
    for (difficulty, clean) in [(20_000.0, true), (0.25, false), (1.0, true)] {
        pool.set_difficulty(difficulty);
        pool.notify(clean);
        while miner.difficulty != difficulty {
            miner.wait_job();
        }
        // Immediately before the job, and not after it.
        assert_eq!(miner.job.as_ref().unwrap().clean_jobs, Some(clean));
        let messages = miner.sent_by_now();
        let last = messages.iter().rfind(|message| message["method"] == "mining.set_difficulty").unwrap();
        assert_eq!(last["params"][0].as_f64(), Some(difficulty));
    }
}

#[test]
fn a_nerdminers_repeated_suggestion_changes_nothing() {
    let (_site, _pool, mut miner) = open("", 1.0);
    miner.sent_by_now();
    for (id, suggested) in [(10, 0.00015), (11, 0.00015), (12, 10_000.0), (13, 0.00015)] {
        miner.ask(id, "mining.suggest_difficulty", json!([suggested]));
        assert_eq!(miner.answer(id)["result"], true);
    }
    assert_eq!(miner.sent_by_now(), Vec::<Value>::new());
    assert_eq!(miner.difficulty, 0.0005);
}

#[test]
fn a_suggested_start_difficulty_is_read_from_method_target_and_password() {
    let (site, _pool, _first) = open("", 5000.0);
    let begins = |method: &str, params: Value, password: &str| {
        let mut line = site.connect();
        line.ask(1, "mining.subscribe", json!(["cgminer/4.13.6"]));
        line.answer(1);
        if !method.is_empty() {
            line.ask(3, method, params);
            assert_eq!(line.answer(3)["result"], true, "{method}");
        }
        line.ask(2, "mining.authorize", json!(["bc1q.new", password]));
        line.wait_job();
        line.difficulty
    };
    assert_eq!(begins("", json!([]), "x"), 1000.0);
    assert_eq!(begins("mining.suggest_difficulty", json!(["512"]), "x"), 512.0);
    // The number within the name (wire reference, section 2.8).
    assert_eq!(begins("mining.suggest_difficulty(512)", json!([]), "x"), 512.0);
    assert_eq!(begins("mining.suggest_difficulty(x)", json!([]), "x"), 1000.0);
    let target = format!("{:0>64}", format!("007fff80{}", "0".repeat(48)));
    assert_eq!(begins("mining.suggest_target", json!([target]), "x"), 512.0);
    assert_eq!(begins("mining.suggest_target", json!([format!("0x{target}")]), "x"), 512.0);
    for nothing in [json!([]), json!(["0"]), json!(["zz"]), json!([5]), json!(["0".repeat(64)])] {
        assert_eq!(begins("mining.suggest_target", nothing, "x"), 1000.0);
    }
    for (password, difficulty) in [
        ("d=256", 256.0),
        ("diff=512", 512.0),
        ("x,d=128", 128.0),
        ("x;D=128.0", 128.0),
        ("id=7", 1000.0),
        ("d=", 1000.0),
        ("d=-1", 1000.0),
        ("d=nan", 1000.0),
    ] {
        assert_eq!(begins("", json!([]), password), difficulty, "{password}");
    }
}

#[test]
fn an_unknown_small_miners_suggestion_is_followed_once() {
    let (site, _pool, _first) = open("", 100.0);
    let mut line = begins_at(&site, "homemade", None);
    assert_eq!(line.difficulty, 1.0);
    line.sent_by_now();
    line.ask(9, "mining.suggest_difficulty", json!([0.01]));
    let job = line.wait_job();
    assert_eq!((line.difficulty, job.clean_jobs), (0.01, Some(false)));
    line.sent_by_now();
    line.ask(10, "mining.suggest_difficulty", json!([0.02]));
    line.answer(10);
    assert_eq!(line.sent_by_now(), Vec::<Value>::new());
}

/// Sends shares as fast as it can until it is asked for more. How many there were; all were accepted.
fn flood(miner: &mut Line, field: &mut Field) -> usize {
    let before = miner.difficulty;
    let mut sent = 0;
    while miner.difficulty == before {
        let shares: Vec<Submit> = std::iter::repeat_with(|| field.at_least(before)).take(32).collect();
        sent += shares.len();
        assert!(sent < 1000, "no other difficulty after {sent} shares");
        let ids: Vec<u64> = shares.iter().map(|share| miner.submit(share)).collect();
        for id in ids {
            assert_eq!(code(&miner.answer(id)), None);
        }
        // What was decided upon the last share is there by now.
        miner.ask("p", "mining.ping", json!([]));
        miner.answer("p");
    }
    sent
}

#[test]
fn a_flood_is_raised_and_who_comes_back_begins_where_it_was() {
    let (site, _pool, first) = open("", 1000.0);
    drop(first);
    let mut miner = begins_at(&site, NERD, Some(1e-6));
    assert_eq!(miner.difficulty, 1e-6);
    let first_job = miner.job.clone().unwrap();
    let mut field = Field::of(&miner, 1);
    let sent = flood(&mut miner, &mut field);
    assert!(sent <= 400, "{sent}");
    let raised = miner.difficulty;
    let job = miner.job.clone().unwrap();
    assert!(raised >= 16.0 * 1e-6, "{raised}");
    // At once, as other work, and what was begun is finished.
    assert!(job.ntime > first_job.ntime && job.job_id != first_job.job_id && job.clean_jobs == Some(false));
    let share = field.between(1.01e-6, 1e-5);
    assert_eq!(miner.verdict(&share), None);
    // A share of the new job must be worth it; a queue of too low ones is forgiven.
    let mut field = Field::of(&miner, 1);
    for _ in 0..150 {
        assert_eq!(miner.verdict(&field.between(1e-7, 1e-6)), Some(23));
    }
    drop(miner);
    wait_for("the end of the session", || site.running().sessions() == 0);
    assert_eq!(begins_at(&site, NERD, None).difficulty, raised);
}

#[test]
fn a_small_unknown_miner_that_comes_back_still_gets_fractions() {
    let (site, _pool, first) = open("", 1000.0);
    drop(first);
    let mut miner = begins_at(&site, "homemade", Some(0.001));
    assert_eq!(miner.difficulty, 0.001);
    assert_eq!(miner.verdict(&Field::of(&miner, 1).at_least(0.001)), None);
    drop(miner);
    wait_for("the end of the session", || site.running().sessions() == 0);
    assert_eq!(begins_at(&site, "homemade", None).difficulty, 0.001);
}

#[test]
fn silence_eases_the_difficulty() {
    let (_site, mut pool, mut miner) = open("[vardiff]\ntarget = \"1s\"\n", 1000.0);
    let (before, began) = (miner.difficulty, Instant::now());
    // It goes out with the pool's next job.
    while miner.difficulty == before {
        assert!(began.elapsed() < DEADLINE, "still {before}");
        std::thread::sleep(std::time::Duration::from_millis(200));
        pool.notify(false);
        miner.wait_job();
    }
    assert!(miner.difficulty < before / 10.0, "{}", miner.difficulty);
}

#[test]
fn the_lowest_difficulty_that_a_job_has_had_holds_for_its_shares() {
    let (_site, mut pool, mut miner) = open("", 1e-3);
    miner.sent_by_now();
    // Its own difficulty falls with the pool's, by the same job once more.
    pool.set_difficulty(1e-8);
    miner.wait_job();
    assert_eq!(miner.difficulty, 1e-8);
    pool.set_difficulty(1e-3);
    pool.wait_until_read();
    let share = miner.mine(1e-8, 1e-4);
    expect_accepted(&mut miner, &mut pool, &share);
    // It is another matter with the next job.
    pool.notify(true);
    while miner.wait_job().clean_jobs != Some(true) {}
    let share = miner.mine(1e-8, 1e-4);
    miner.submit(&share);
    assert!(pool.line.is_quiet_for(QUIET));
}
