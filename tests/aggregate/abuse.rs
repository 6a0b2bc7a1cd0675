//! Miners that do what no miner should: answered here, and never seen by the pool.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice::sim::{PoolOptions, SimPool};

use crate::aggregate::opened::{first_at_once, one_pool};
use crate::aggregate::scripted::PoolEnd;
use crate::aggregate::share_search::{Field, code, params};
use crate::aggregate::site::{Line, Site};
use crate::common::own_process::in_own_process;
use crate::common::{DEADLINE, resources, wait_for};

const LEAST: &str = "[vardiff]\nmax = 0.000001\n";
const POOL: f64 = 0.000_01;

fn pair() -> (Site, PoolEnd, Line) {
    let (scripted, site) = one_pool(LEAST);
    let (miner, pool) = first_at_once(&site, &scripted, ("NerdMinerV2/V1.8.3", "bc1q.rig"), POOL);
    (site, pool, miner)
}

fn verdict(miner: &mut Line, params: Value) -> Option<i64> {
    miner.ask("v", "mining.submit", params);
    code(&miner.answer("v"))
}

#[test]
fn the_same_share_in_another_spelling_or_under_another_job_id_is_a_duplicate() {
    let (_site, mut pool, mut miner) = pair();
    let mut field = Field::of(&miner, 0xabcd);
    let (kept, forwarded) = (field.between(1e-6, 9e-6), field.at_least(POOL));
    assert_eq!(miner.verdict(&kept), None);
    let id = miner.submit(&forwarded);
    pool.accept_share();
    assert_eq!(code(&miner.answer(id)), None);
    for share in [&kept, &forwarded] {
        let plain = params(share);
        let mut large = plain.clone();
        for place in 2..5 {
            large[place] = json!(plain[place].as_str().unwrap().to_uppercase());
        }
        let mut short = plain.clone();
        short[4] = json!(format!("{:x}", share.nonce.0));
        let mut number = plain.clone();
        number[3] = json!(share.ntime.0);
        let mut with_bits = plain.clone();
        with_bits.as_array_mut().unwrap().push(json!("00000000"));
        for clothes in [plain, large, short, number, with_bits] {
            assert_eq!(verdict(&mut miner, clothes.clone()), Some(22), "{clothes}");
        }
    }
    // Given once more under another id, because the pool asks for less.
    pool.set_difficulty(5e-7);
    miner.wait_job();
    let other = miner.job.clone().unwrap();
    assert_ne!(other.job_id, field.job.job_id);
    for share in [&kept, &forwarded] {
        let mut renamed = params(share);
        renamed[1] = json!(other.job_id.as_str());
        // The one was not worth the pool's while before, and is now; the other has been there.
        let expected = if share == &forwarded { Some(22) } else { None };
        miner.ask("v", "mining.submit", renamed);
        if expected.is_none() {
            pool.accept_share();
        }
        assert_eq!(code(&miner.answer("v")), expected);
    }
    assert!(pool.line.is_quiet_for(Duration::from_millis(50)));
}

#[test]
fn an_invalid_share_is_rejected_with_its_code_and_not_forwarded() {
    let (site, mut pool, mut miner) = pair();
    let mut field = Field::of(&miner, 1);
    let good = params(&field.at_least(POOL));
    let changed = |place: usize, value: Value| {
        let mut params = good.clone();
        params[place] = value;
        params
    };
    let extranonce2 = good[2].as_str().unwrap().to_owned();
    for (params, expected) in [
        (changed(0, json!("somebody.else")), 24),
        (changed(1, json!("job1")), 21),
        (changed(1, json!("ffffffffffff")), 21),
        (changed(2, json!(format!("{extranonce2}00"))), 20),
        (changed(2, json!(&extranonce2[2..])), 20),
        (changed(2, json!(&extranonce2[1..])), 20),
        (changed(2, json!("")), 20),
        (changed(2, json!("zz000001")), 20),
        (changed(3, json!("00000001")), 20),
        (changed(4, json!("123456789")), 20),
        (changed(4, json!(null)), 20),
        (json!([]), 20),
        (json!({ "a": 1 }), 20),
        (json!(null), 20),
    ] {
        assert_eq!(verdict(&mut miner, params.clone()), Some(expected), "{params}");
    }
    for garbage in
        ["nonsense\n", "[1,2]\n", "{\"id\":1,\n", "\u{0}\u{1}\n", "{\"id\":1,\"id\":2,\"method\":\"x\"}\n"]
    {
        miner.write(garbage);
        let answer =
            miner.wait("an answer", |message| message["id"].is_null() && message["method"].is_null());
        assert_eq!(code(&answer), Some(20), "{garbage}");
    }
    let mut stranger = site.connect();
    assert_eq!(verdict(&mut stranger, good.clone()), Some(25));
    stranger.ask(1, "mining.subscribe", json!(["x"]));
    stranger.answer(1);
    assert_eq!(verdict(&mut stranger, good.clone()), Some(24));
    // After all this the pool sees the one good share.
    miner.ask("g", "mining.submit", good.clone());
    let seen = pool.share();
    assert_eq!((&seen["params"][1], &seen["params"][4]), (&json!("job1"), &good[4]));
    pool.answer(&seen, json!(true));
    assert_eq!(code(&miner.answer("g")), None);
}

#[test]
fn a_miner_that_sends_nothing_good_is_disconnected_and_then_banned() {
    let pool = SimPool::start(PoolOptions::with_difficulty(1.0).unwrap()).unwrap();
    let site = Site::start(&[pool.addr()], "[ratelimit]\nmax_connections_per_minute = 100\n");
    let began = Instant::now();
    let mut closed = 0;
    // Low shares, unknown jobs, garbage: in turn.
    while closed < 30 && began.elapsed() < DEADLINE {
        let mut line = site.connect();
        let opening = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"bitaxe\"]}\n\
                       {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"bc1q.bad\",\"x\"]}\n";
        let bad = match closed % 3 {
            0 => {
                "{\"id\":5,\"method\":\"mining.submit\",\"params\":[\"bc1q.bad\",\"none\",\"00000000\",\"0\",\"0\"]}\n"
            }
            1 => "nonsense\n",
            _ => {
                "{\"id\":5,\"method\":\"mining.submit\",\"params\":[\"bc1q.bad\",\"none\",\"0\",\"0\",\"0\"]}\n"
            }
        };
        if line.raw().write_all(format!("{opening}{}", bad.repeat(150)).as_bytes()).is_err() {
            break;
        }
        let answers = line.wait_end();
        if answers.is_empty() {
            break;
        }
        let refused = answers.iter().filter(|answer| answer["error"].is_array()).count();
        assert!((100..=105).contains(&refused), "{refused}");
        closed += 1;
    }
    assert_eq!(closed, 10);
    wait_for("the ban", || site.running().stats().counts.banned == 1);
    assert!(pool.stats().workers.is_empty(), "{:?}", pool.stats());
}

#[test]
fn stale_shares_after_a_block_are_no_reproach() {
    let (_site, mut pool, mut miner) = pair();
    let mut old = Field::of(&miner, 1);
    for _ in 0..2 {
        pool.notify(true);
        miner.wait_job();
        // A farm behind one connection.
        for _ in 0..300 {
            let id = miner.submit(&old.between(1e-9, 9e-6));
            assert_eq!(code(&miner.answer(id)), Some(21));
        }
        old = Field::of(&miner, 1);
    }
    assert_eq!(miner.verdict(&old.between(1e-6, 9e-6)), None);
    assert!(pool.line.is_quiet_for(Duration::from_millis(50)));
}

#[test]
fn stale_shares_after_several_blocks_in_quick_succession_are_no_reproach() {
    let (_site, mut pool, mut miner) = pair();
    let mut old = Field::of(&miner, 1);
    for _ in 0..3 {
        pool.notify(true);
        miner.wait_job();
    }
    for _ in 0..150 {
        let id = miner.submit(&old.between(1e-9, 9e-6));
        assert_eq!(code(&miner.answer(id)), Some(21));
    }
    assert_eq!(miner.verdict(&Field::of(&miner, 1).between(1e-6, 9e-6)), None);
}

#[test]
fn a_miner_with_mostly_good_shares_is_not_disconnected_for_the_others() {
    let (_site, _pool, mut miner) = pair();
    let mut field = Field::of(&miner, 1);
    let (mut good, mut low) = (0, 0);
    while low < 150 {
        let is_low = (good + low) % 8 == 7;
        let share = if is_low { field.between(1e-9, 9e-7) } else { field.between(1.01e-6, 9e-6) };
        (good, low) = (good + i32::from(!is_low), low + i32::from(is_low));
        assert_eq!(miner.verdict(&share), is_low.then_some(23), "after {good} good ones and {low} low ones");
    }
}

#[test]
fn long_ids_are_not_kept() {
    let (_site, mut pool, mut miner) = pair();
    miner.answer(2);
    miner.forget();
    let share = Field::of(&miner, 1).at_least(POOL);
    let id = miner.submit(&share);
    let arrived = pool.share();
    let long = "9".repeat(60_000);
    for _ in 0..3 {
        miner.write(&format!("{{\"id\":{long},\"method\":\"mining.ping\",\"params\":[]}}\n"));
    }
    let honest = "9".repeat(1000);
    miner.write(&format!("{{\"id\":\"{honest}\",\"method\":\"mining.ping\",\"params\":[]}}\n"));
    pool.answer(&arrived, json!(true));
    assert_eq!(miner.answer(id)["result"], true);
    for _ in 0..3 {
        let answer = miner.next();
        assert_eq!((&answer["id"], code(&answer)), (&Value::Null, Some(20)));
    }
    assert_eq!(miner.answer(honest)["result"], "pong");
    // Nobody needs such ids: it is a fault each time.
    let flood = format!("{{\"id\":{long},\"method\":\"mining.ping\"}}\n");
    // A closed socket whose buffer is full does not always say so.
    miner.raw().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut writer = miner.raw().try_clone().unwrap();
    let flooding = std::thread::spawn(move || (0..150).all(|_| writer.write_all(flood.as_bytes()).is_ok()));
    let refused = miner.wait_end().iter().filter(|answer| answer["error"].is_array()).count();
    assert!((90..110).contains(&refused), "{refused}");
    let _ = flooding.join().unwrap();
}

#[test]
fn a_line_without_an_end_takes_no_memory() {
    in_own_process(|| {
        let (site, _pool, mut miner) = pair();
        // Of all tests that run at this time, so that only much is seen.
        let before = resources::of("self").kib;
        let mut long = site.connect();
        long.write(&format!("{{\"id\":1,\"method\":\"{}\"}}\n", "x".repeat(70 * 1024)));
        assert!(long.wait_end().len() <= 1);
        let mut endless = site.connect();
        // As a miner begins, or it would be turned away for its first byte.
        endless.write("{\"id\":1,\"method\":\"");
        // A closed socket whose buffer is full does not always say so.
        endless.raw().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let chunk = vec![b'x'; 1024 * 1024];
        let mut most = 0;
        for _ in 0..300 {
            if endless.raw().write_all(&chunk).is_err() {
                break;
            }
            most = most.max(resources::of("self").kib);
        }
        assert!(most < before + 150 * 1024, "{before} KiB before, {most} then");
        wait_for("the end of both sessions", || site.running().sessions() == 1);
        // The others are not troubled.
        let share = Field::of(&miner, 1).between(1e-6, 9e-6);
        assert_eq!(miner.verdict(&share), None);
    });
}
