//! Messages of the pool that can't be read and must not be passed over.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use sluice::proxy::aggregate::Limits;

use crate::aggregate::opened::{
    expect_credited, expect_moved, first, follow_extranonces, is_within, one_pool, two_pools, upstream,
};
use crate::aggregate::scripted::{PoolEnd, Scripted};
use crate::aggregate::site::{Line, Site};

const PARENT: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A miner at the first of two pools.
struct World {
    _site: Site,
    line: Line,
    end: PoolEnd,
    backup: Scripted,
}

fn world(limits: Limits) -> World {
    let (pool, backup) = (Scripted::start(), Scripted::start());
    let site = Site::with_limits(&[&pool, &backup].map(|pool| upstream(pool, "us")).concat(), limits);
    let (mut line, end) = first(&site, &pool, "aa000001", "x.one");
    follow_extranonces(&mut line);
    line.forget();
    World { _site: site, line, end, backup }
}

impl World {
    /// The miner is brought to the other pool, and works there.
    fn expect_left(mut self) {
        self.end.wait_closed();
        let mut spare = self.backup.accept();
        spare.give_work("bb000001");
        expect_moved(&mut self.line, "bb000001");
        expect_credited(&mut self.line, &mut spare, "us");
    }
}

/// A job whose coinbase has this for its second part.
fn job(coinb2: &str, clean: bool) -> Value {
    let params = json!(["big", PARENT, "00", coinb2, [], "20000000", "17023a04", "68596192", clean]);
    json!({ "id": null, "method": "mining.notify", "params": params })
}

fn impatient() -> Limits {
    Limits { unreadable_job_grace: Duration::from_millis(50), ..Limits::default() }
}

#[test]
fn a_search_space_that_cannot_be_read_is_no_reason_to_stay_in_the_former_one() {
    for (extranonce1, size) in [("cc00000", 8), ("cc000000", 40)] {
        let mut world = world(Limits::default());
        world.end.set_extranonce(extranonce1, size);
        world.end.notify(true);
        world.expect_left();
    }
}

#[test]
fn a_very_long_job_reaches_the_miners() {
    let mut world = world(Limits::default());
    world.end.line.say(&job(&"00".repeat(60_000), true));
    assert_eq!(world.line.wait_job().coinb2.len(), 60_000);
}

#[test]
fn a_line_without_end_is_noticed() {
    let world = world(Limits::default());
    // The proxy may be gone before it has all.
    let _ = world.end.line.raw().write_all(&vec![b'x'; 1_100_000]);
    world.expect_left();
}

#[test]
fn nobody_goes_on_with_dead_work_after_a_job_that_cannot_be_read() {
    let half = "{\"id\":null,\"method\":\"mining.notify\",\"params\":[".to_owned();
    let too_long = job(&"00".repeat(100_000), true).to_string();
    for text in [job("0", true).to_string(), half, too_long] {
        let mut world = world(impatient());
        world.end.line.write(&format!("{text}\n"));
        world.expect_left();
    }
}

#[test]
fn after_a_job_that_cannot_be_read_the_next_one_is_clean() {
    let mut world = world(Limits::default());
    world.end.line.say(&job("0", true));
    world.end.notify(false);
    assert_eq!(world.line.wait_job().clean_jobs, Some(true));
    expect_credited(&mut world.line, &mut world.end, "us");
    world.end.notify(false);
    assert_eq!(world.line.wait_job().clean_jobs, Some(false));
}

#[test]
fn a_job_that_cannot_be_read_and_kills_none_is_not_missed() {
    let mut world = world(impatient());
    world.end.line.say(&job("0", false));
    assert!(world.end.line.is_quiet_for(Duration::from_millis(800)), "the connection stays");
    expect_credited(&mut world.line, &mut world.end, "us");
}

#[test]
fn a_pool_whose_extranonce1_leaves_no_room_is_left_for_the_next() {
    let (pool, backup, site) = two_pools("");
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!(["first"]));
    let mut end = pool.accept();
    end.open(&"ab".repeat(30), 8);
    let mut spare = backup.accept();
    spare.open("bb000001", 8);
    line.wait_subscribed(1);
    assert!(is_within(&line, "bb000001"));
    end.wait_closed();
}

#[test]
fn an_answer_that_cannot_be_read_is_not_called_a_refusal() {
    for (result, words) in [
        (json!([[], "aabb", "8.0"]), "extranonce2 size"),
        (json!([[], "ab".repeat(33), 8]), "must have 32 at most"),
        (json!([[], "ab".repeat(101), 8]), "at most 100 bytes"),
        (Value::Null, "refused"),
    ] {
        let (pool, site) = one_pool("");
        let mut line = site.connect();
        line.ask(1, "mining.subscribe", json!(["first"]));
        let mut end = pool.accept();
        let subscribe = end.request("mining.subscribe");
        if result.is_null() {
            end.refuse(&subscribe, 20, "go away");
        } else {
            end.answer(&subscribe, result);
        }
        let answer = line.answer(1);
        assert!(answer["error"][1].as_str().unwrap().contains(words), "{answer}");
    }
}

#[test]
fn a_late_answer_to_the_subscribe_is_not_nobodys() {
    let (pool, site) = one_pool("[analysis]\nshare_timeout = \"1s\"\n");
    let mut line = site.connect();
    line.ask(1, "mining.subscribe", json!(["first"]));
    let mut end = pool.accept();
    let subscribe = end.request("mining.subscribe");
    assert!(end.line.is_quiet_for(Duration::from_millis(1700)));
    end.answer(&subscribe, json!([[], "bb000001", 8]));
    line.wait_subscribed(1);
    assert!(is_within(&line, "bb000001"));
}
