//! A site whose pool has been opened by its first miner, and what a miner sees when it is moved.

use std::time::Duration;

use serde_json::{Value, json};
use sluice::stratum::{Notify, Submit};

use crate::aggregate::scripted::{PoolEnd, Scripted};
use crate::aggregate::site::{Line, Site};

/// A few hashes a share.
pub const EASY: f64 = 1e-9;

/// No line for so long is none at all.
pub const QUIET: Duration = Duration::from_millis(50);

/// An `[[upstream]]` with this user.
pub fn upstream(pool: &Scripted, user: &str) -> String {
    format!("{}user = \"{user}\"\n", crate::common::upstream(pool.address()))
}

/// A proxy with one pool, to which nobody has connected yet.
pub fn one_pool(more: &str) -> (Scripted, Site) {
    let pool = Scripted::start();
    let site = Site::start(&[pool.address()], more);
    (pool, site)
}

/// A proxy with two pools, the preferred one first.
pub fn two_pools(more: &str) -> (Scripted, Scripted, Site) {
    let (pool, backup) = (Scripted::start(), Scripted::start());
    let site = Site::start(&[pool.address(), backup.address()], more);
    (pool, backup, site)
}

/// A proxy with one pool, whose extranonce1 is "aa000001", and a miner that works there.
pub fn mining(more: &str, worker: &str) -> (Scripted, Site, Line, PoolEnd) {
    let (pool, site) = one_pool(more);
    let (line, end) = first(&site, &pool, "aa000001", worker);
    (pool, site, line, end)
}

/// The first miner, and the pool's connection that was made for it.
pub fn first(site: &Site, pool: &Scripted, extranonce1: &str, worker: &str) -> (Line, PoolEnd) {
    let mut line = site.connect();
    let mut end = pool.open_for(&mut line, "first", extranonce1);
    line.authorize(worker);
    end.authorize();
    end.first_job();
    assert_eq!(line.answer(2)["result"], true);
    line.wait_job();
    (line, end)
}

/// The first miner, which asks everything at once, at a pool that opens its connection as ckpool does.
pub fn first_at_once(
    site: &Site,
    pool: &Scripted,
    (agent, worker): (&str, &str),
    difficulty: f64,
) -> (Line, PoolEnd) {
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!([agent]));
    line.authorize(worker);
    let end = pool.open("ab12", 8, difficulty);
    line.wait_subscribed(1);
    line.wait_job();
    (line, end)
}

/// A miner that has joined and forgotten what it was told, and the pool's connection that was made for it.
pub fn resident(site: &Site, pool: &Scripted, agent: &str, difficulty: f64) -> (Line, PoolEnd) {
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| pool.open("0a0b0c0d", 8, difficulty));
        let mut line = site.miner(agent, "w");
        line.forget();
        (line, opening.join().unwrap())
    })
}

/// A subscribe and an authorize in one piece, as several miners begin.
pub fn opening(worker: &str) -> String {
    let subscribe = json!({ "id": 1, "method": "mining.subscribe", "params": [] });
    let authorize = json!({ "id": 2, "method": "mining.authorize", "params": [worker, "x"] });
    format!("{subscribe}\n{authorize}\n")
}

/// From now on it is told of new extranonces.
pub fn follow_extranonces(line: &mut Line) {
    line.ask(3, "mining.extranonce.subscribe", json!([]));
    assert_eq!(line.answer(3)["result"], true);
}

/// A share of the newest job.
pub fn share(line: &mut Line) -> Submit {
    line.mine(EASY, 1.0)
}

/// The extranonce1 that the miner has begins with the pool's.
pub fn is_within(line: &Line, extranonce1: &str) -> bool {
    line.extranonce1.to_string().starts_with(extranonce1)
}

/// The miner is told of its new search space, difficulty and job, one after the other, in one write.
pub fn expect_moved(line: &mut Line, extranonce1: &str) -> Notify {
    line.forget();
    line.wait("a new extranonce", |message| message["method"] == "mining.set_extranonce");
    assert!(is_within(line, extranonce1), "{} is not in {extranonce1}", line.extranonce1);
    let with_it = line.buffered();
    assert!(with_it.contains("mining.set_difficulty") && with_it.contains("mining.notify"), "{with_it}");
    assert_eq!(line.next()["method"], "mining.set_difficulty");
    let job = line.next();
    assert_eq!((&job["method"], &job["params"][8]), (&json!("mining.notify"), &json!(true)), "{job}");
    line.job.clone().unwrap()
}

/// A share goes all the way, in this name, and is accepted.
pub fn expect_credited(line: &mut Line, end: &mut PoolEnd, name: &str) {
    let share = share(line);
    assert_eq!(expect_accepted(line, end, &share)["params"][0], name);
}

/// This share goes all the way and is accepted: as the pool got it.
pub fn expect_accepted(line: &mut Line, end: &mut PoolEnd, share: &Submit) -> Value {
    let id = line.submit(share);
    let arrived = end.accept_share();
    assert_eq!(line.answer(id), json!({ "id": id, "result": true, "error": null }));
    arrived
}

/// As [`expect_credited`], once the pool's verdict on the name has arrived.
pub fn expect_credited_soon(line: &mut Line, end: &mut PoolEnd, name: &str) {
    crate::common::wait_for("a share in this name", || {
        let share = share(line);
        expect_accepted(line, end, &share)["params"][0] == name
    });
}

/// A line in short: "answer 1", or the method.
pub fn kind(message: &Value) -> String {
    message["method"].as_str().map_or_else(|| format!("answer {}", message["id"]), str::to_owned)
}

/// The code of a refusal.
pub fn code(answer: &Value) -> i64 {
    answer["error"][0].as_i64().unwrap_or_else(|| panic!("no refusal: {answer}"))
}

/// Sends a share and waits for nothing; its id.
pub fn send(line: &mut Line) -> u64 {
    let share = share(line);
    line.submit(&share)
}
