//! A site whose pool has been opened by its first miner, and what a miner sees when it is moved.

use std::time::Duration;

use serde_json::json;
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

/// The first miner, and the pool's connection that was made for it.
pub fn first(site: &Site, pool: &Scripted, extranonce1: &str, worker: &str) -> (Line, PoolEnd) {
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!(["first"]));
    let mut end = pool.accept();
    end.open(extranonce1, 8);
    let answer = line.answer(1);
    line.seated(&answer);
    line.worker = worker.to_owned();
    line.ask(2, "mining.authorize", json!([worker, "x"]));
    end.authorize();
    end.set_difficulty(EASY);
    end.notify(true);
    assert_eq!(line.answer(2)["result"], true);
    line.wait_job();
    (line, end)
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
    let id = line.submit(&share);
    let arrived = end.share();
    assert_eq!(arrived["params"][0], name);
    end.answer(&arrived, json!(true));
    assert_eq!(line.answer(id)["result"], true);
}

/// As [`expect_credited`], once the pool's verdict on the name has arrived.
pub fn expect_credited_soon(line: &mut Line, end: &mut PoolEnd, name: &str) {
    crate::common::wait_for("a share in this name", || {
        let share = share(line);
        let id = line.submit(&share);
        let arrived = end.share();
        end.answer(&arrived, json!(true));
        assert_eq!(line.answer(id)["result"], true);
        arrived["params"][0] == name
    });
}

/// The code of a refusal.
pub fn code(answer: &serde_json::Value) -> i64 {
    answer["error"][0].as_i64().unwrap_or_else(|| panic!("no refusal: {answer}"))
}

/// Sends a share and waits for nothing; its id.
pub fn send(line: &mut Line) -> u64 {
    let share = share(line);
    line.submit(&share)
}
