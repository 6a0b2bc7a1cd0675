//! Pools that refuse every miner, or close before any of them has work, are left for the next one.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use super::{QUICK, WAYS, proxy, raised};
use crate::common::job_pool::{JobMiner, JobPool};
use crate::common::{DEADLINE, Proxy, expect_end, wait_for};

/// Subscribes and authorizes at once, as several miners do, and leaves when it is refused or closed.
fn knock(proxy: &Proxy, user: &str) {
    let mut miner = TcpStream::connect(proxy.address()).unwrap();
    miner.set_read_timeout(Some(DEADLINE)).unwrap();
    let subscribe = json!({ "id": 1, "method": "mining.subscribe", "params": ["test"] });
    let authorize = json!({ "id": 2, "method": "mining.authorize", "params": [user, "secret"] });
    if miner.write_all(format!("{subscribe}\n{authorize}\n").as_bytes()).is_ok() {
        let mut answers = std::io::BufReader::new(&miner);
        for _ in 0..2 {
            let _ = std::io::BufRead::read_line(&mut answers, &mut String::new());
        }
    }
}

/// Miners that were turned away are served by the second pool; the first is trusted again when it serves.
fn is_left(is_analyzed: bool, path: &str, spoil: fn(&JobPool, bool)) {
    let (first, second) = (JobPool::start(true), JobPool::start(true));
    spoil(&first, true);
    let more = format!("[forward]\npath = \"{path}\"\n[analysis]\nenabled = {is_analyzed}\n");
    let proxy = proxy(&more, &[&first, &second]);
    (0..3).for_each(|_| knock(&proxy, "w.one"));
    wait_for("the failure", || !proxy.running().is_up(0));
    JobMiner::join(proxy.address(), "w.two").expect_job();
    // A probe that is refused, too, is no reason to trust it.
    let probes = first.accepted();
    wait_for("two probes", || first.accepted() >= probes + 2);
    assert!(!proxy.running().is_up(0), "{path} {is_analyzed}");
    spoil(&first, false);
    wait_for("the first pool", || proxy.running().is_up(0));
}

fn is_left_in_all_ways(spoil: fn(&JobPool, bool)) {
    std::thread::scope(|scope| {
        for (path, is_analyzed) in WAYS {
            scope.spawn(move || is_left(is_analyzed, path, spoil));
        }
    });
}

#[test]
fn a_pool_that_refuses_every_authorize_is_left() {
    is_left_in_all_ways(JobPool::refuse);
}

#[test]
fn a_pool_that_refuses_every_subscribe_is_left() {
    is_left_in_all_ways(JobPool::refuse_subscribe);
}

#[test]
fn a_pool_that_closes_every_session_before_it_has_work_is_left() {
    is_left_in_all_ways(JobPool::hang_up);
}

#[test]
fn a_miner_that_stays_though_it_is_refused_is_brought_to_the_next_pool() {
    let (first, second) = (JobPool::start(true), JobPool::start(true));
    first.refuse(true);
    let proxy = proxy("", &[&first, &second]);
    let miner = JobMiner::join(proxy.address(), "w.one");
    expect_end(&miner.0);
    JobMiner::join(proxy.address(), "w.one").expect_job();
    wait_for("the alert", || raised(&proxy, "pool.refused"));
}

#[test]
fn a_pool_that_refuses_subscribe_is_reported() {
    let first = JobPool::start(true);
    first.refuse_subscribe(true);
    let proxy = proxy("", &[&first]);
    knock(&proxy, "w.one");
    wait_for("the alert", || raised(&proxy, "pool.refused"));
}

#[test]
fn one_miner_with_a_bad_name_moves_nobody_else() {
    let (first, second) = (JobPool::start(true), JobPool::start(true));
    let proxy = Proxy::to(&[first.address(), second.address()], QUICK);
    let good = JobMiner::join(proxy.address(), "w.one");
    good.expect_job();
    let served =
        |proxy: &Proxy| proxy.running().conversations().iter().any(|one| one.clock.accepted_ago().is_some());
    wait_for("the good miner's login", || served(&proxy));
    for _ in 0..8 {
        knock(&proxy, "w.unknown");
    }
    wait_for("the alert", || raised(&proxy, "pool.refused"));
    // One that stays does not change it either.
    let bad = JobMiner::join(proxy.address(), "w.unknown");
    let pause = std::time::Duration::from_millis(500);
    assert_eq!(second_visits(&second, pause), 0);
    assert!(proxy.running().is_up(0) && good.is_quiet() && bad.is_quiet());
}

/// Visits within `time`.
fn second_visits(pool: &JobPool, time: std::time::Duration) -> usize {
    let until = std::time::Instant::now() + time;
    while std::time::Instant::now() < until && pool.accepted() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    pool.accepted()
}

/// The only pool refuses one miner, and serves the next one.
#[test]
fn the_only_pool_is_open_to_whoever_it_accepts() {
    let only = JobPool::start(true);
    let proxy = proxy("", &[&only]);
    (0..3).for_each(|_| knock(&proxy, "w.unknown"));
    wait_for("the failure", || !proxy.running().is_up(0));
    let served = JobMiner::join(proxy.address(), "w.one");
    served.expect_job();
    wait_for("its standing", || proxy.running().is_up(0));
}
