//! The difficulty that a miner would like to begin with, said after it has been given work (wire reference,
//! section 2.8; ESP-Miner says it only then).

use serde_json::{Value, json};

use crate::aggregate::opened::one_pool;
use crate::aggregate::scripted::PoolEnd;
use crate::aggregate::share_search::Field;
use crate::aggregate::site::{Line, Site};
use crate::common::wait_for;

const AXE: &str = "bitaxe/BM1370/v2.15.1";

/// A pool that asks for this.
fn open(more: &str, difficulty: f64) -> (Site, PoolEnd) {
    let (scripted, site) = one_pool(more);
    let mut first = site.connect();
    let mut pool = scripted.open_for(&mut first, "first", "ab12");
    first.ask(2, "mining.authorize", json!(["bc1q.first", "x"]));
    pool.authorize();
    pool.set_difficulty(difficulty);
    pool.notify(true);
    first.wait_job();
    (site, pool)
}

fn join(site: &Site, agent: &str, password: &str) -> Line {
    let mut line = site.connect();
    line.worker = "bc1q.axe".to_owned();
    line.subscribe(agent);
    line.ask(2, "mining.authorize", json!([line.worker, password]));
    assert_eq!(line.answer(2)["result"], true);
    line.wait_job();
    line.sent_by_now();
    line
}

/// Sends a wish, which is answered `true`; what else the miner was told.
fn wish(miner: &mut Line, params: Value) -> Vec<Value> {
    miner.ask(9, "mining.suggest_difficulty", params);
    assert_eq!(miner.answer(9)["result"], true);
    miner.sent_by_now()
}

/// The miner is given this difficulty, with other work.
fn changes_to(miner: &mut Line, params: Value, difficulty: f64) {
    let before = miner.job.clone().unwrap();
    let messages = wish(miner, params);
    let methods: Vec<&str> = messages.iter().map(|message| message["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["mining.set_difficulty", "mining.notify"]);
    let job = miner.job.clone().unwrap();
    assert_eq!((miner.difficulty, job.clean_jobs), (difficulty, Some(false)));
    assert!(job.job_id != before.job_id && job.ntime > before.ntime);
}

#[test]
fn the_first_suggestion_after_authorize_is_followed_and_the_next_ones_are_not() {
    let (site, _pool) = open("", 50_000.0);
    let mut miner = join(&site, AXE, "x");
    assert_eq!(miner.difficulty, 1000.0);
    changes_to(&mut miner, json!([4000]), 4000.0);
    for again in [json!([4000]), json!([8000]), json!([0.001])] {
        assert_eq!(wish(&mut miner, again), Vec::<Value>::new());
    }
    // Also of a miner that nobody knows.
    let mut miner = join(&site, "something else", "x");
    changes_to(&mut miner, json!([16_384]), 16_400.0);
}

#[test]
fn a_suggestion_that_changes_nothing_costs_no_job() {
    let (site, _pool) = open("", 50_000.0);
    let mut miner = join(&site, AXE, "x");
    assert_eq!(wish(&mut miner, json!([1000])), Vec::<Value>::new());
}

#[test]
fn a_suggestion_is_followed_in_every_form() {
    let (site, _pool) = open("", 50_000.0);
    for params in [json!(512), json!("512"), json!(["512"]), json!([512.0]), json!([512, "more"])] {
        changes_to(&mut join(&site, AXE, "x"), params, 512.0);
    }
    let mut miner = join(&site, AXE, "x");
    let target = format!("{:0>64}", format!("007fff80{}", "0".repeat(48)));
    miner.ask(9, "mining.suggest_target", json!(target));
    assert_eq!(miner.answer(9)["result"], true);
    miner.sent_by_now();
    assert_eq!(miner.difficulty, 512.0);
    for nothing in
        [json!([]), json!({ "difficulty": 512 }), json!(null), json!(true), json!([[512]]), json!(-5)]
    {
        assert_eq!(wish(&mut miner, nothing), Vec::<Value>::new());
    }
}

#[test]
fn a_suggestion_counts_until_the_first_share() {
    let (site, _pool) = open("[vardiff]\nmax = 0.000001\n", 50_000.0);
    let mut miner = join(&site, "cpuminer/2.5.1", "x");
    assert_eq!(miner.difficulty, 1e-6);
    let share = Field::of(&miner, 1).at_least(1e-6);
    assert_eq!(miner.verdict(&share), None);
    assert_eq!(wish(&mut miner, json!([1e-7])), Vec::<Value>::new());
}

#[test]
fn a_suggestion_stays_within_the_bounds_of_the_configuration_and_of_the_pool() {
    let (site, mut pool) = open("[vardiff]\nmin = 100\nmax = 20000\n", 8000.0);
    changes_to(&mut join(&site, AXE, "x"), json!([100_000]), 8000.0);
    changes_to(&mut join(&site, AXE, "x"), json!([2]), 100.0);
    pool.set_difficulty(1e9);
    pool.notify(true);
    wait_for("the pool's difficulty", || join(&site, AXE, "d=100000").difficulty == 20_000.0);
}

#[test]
fn the_password_is_stronger_than_what_firmware_suggests_of_itself() {
    let (site, _pool) = open("", 50_000.0);
    let mut miner = join(&site, AXE, "d=256");
    assert_eq!(miner.difficulty, 256.0);
    assert_eq!(wish(&mut miner, json!([1000])), Vec::<Value>::new());
    // Whatever comes first.
    let mut line = site.connect();
    line.subscribe(AXE);
    line.ask(3, "mining.suggest_difficulty", json!([1000]));
    line.ask(2, "mining.authorize", json!(["bc1q.axe", "d=256"]));
    line.wait_job();
    assert_eq!(line.difficulty, 256.0);
}

#[test]
fn a_machine_that_comes_back_goes_on_where_it_was_whatever_it_wishes() {
    let (site, _pool) = open("", 1000.0);
    let mut miner = join(&site, "homemade", "d=0.001");
    assert_eq!(miner.difficulty, 0.001);
    assert_eq!(miner.verdict(&Field::of(&miner, 1).at_least(0.001)), None);
    let sessions = site.running().sessions();
    drop(miner);
    wait_for("the end of the session", || site.running().sessions() < sessions);
    let mut miner = join(&site, "homemade", "d=100");
    assert_eq!(miner.difficulty, 0.001);
    assert_eq!(wish(&mut miner, json!([500])), Vec::<Value>::new());
}

#[test]
fn without_vardiff_a_suggestion_changes_nothing() {
    let (site, _pool) = open("[vardiff]\nenabled = false\n", 16_383.75);
    let mut miner = join(&site, AXE, "x");
    assert_eq!(wish(&mut miner, json!([512])), Vec::<Value>::new());
    assert_eq!(miner.difficulty, 16_383.75);
}

/// A NerdMiner's suggestion is its firmware's constant, and serves as a keepalive.
#[test]
fn a_nerdminer_that_has_begun_is_not_changed_by_it() {
    let (site, _pool) = open("", 50.0);
    let mut miner = join(&site, "NerdMinerV2/V1.8.3", "x");
    for suggested in [0.000_15, 0.000_15, 50.0] {
        assert_eq!(wish(&mut miner, json!([suggested])), Vec::<Value>::new());
    }
    assert_eq!(miner.difficulty, 0.0005);
}
