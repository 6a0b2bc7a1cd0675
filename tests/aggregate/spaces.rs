//! No two miners search in the same place.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice::sim::{MinerModel, MinerOptions, PoolOptions, SimHashRate, SimMiner, SimPool};
use sluice::stratum::Extranonce2Size;

use crate::aggregate::opened::{one_pool, opening};
use crate::aggregate::site::{Line, Site};
use crate::common::own_process::in_own_process;
use crate::common::wait_for;

/// Subscribes: where the miner may search.
fn seat(line: &mut Line) -> String {
    line.subscribe("x");
    line.extranonce1.to_string()
}

#[test]
fn every_size_works_from_end_to_end_also_without_an_extranonce1() {
    for (extranonce1, size) in [(0, 6), (4, 4), (4, 5), (4, 7), (4, 8), (0, 12)] {
        let options = PoolOptions {
            extranonce1_length: extranonce1,
            extranonce2_size: Extranonce2Size::new(size).unwrap(),
            ..PoolOptions::with_difficulty(1e-6).unwrap()
        };
        let pool = SimPool::start(options).unwrap();
        let site = Site::start(&[pool.addr()], "");
        let miners: Vec<SimMiner> = [MinerModel::NerdMiner, MinerModel::Bitaxe]
            .into_iter()
            .map(|habit| {
                let mut options = MinerOptions::new(site.address(), habit, "bc1q.rig");
                options.hash_rate_limit = Some(SimHashRate(100_000.0));
                SimMiner::start(options).unwrap()
            })
            .collect();
        for miner in &miners {
            wait_for("accepted shares", || miner.stats().accepted >= 2);
            assert_eq!(miner.stats().rejected, 0, "{size}: {:?}", miner.stats());
        }
        let stats = pool.stats();
        assert_eq!((stats.subscribed_ever, stats.rejected()), (1, 0), "{size}: {stats:?}");
    }
}

#[test]
fn a_full_search_space_opens_another_connection_and_a_place_is_free_at_the_next_job() {
    let (scripted, site) = one_pool("");
    let mut first = site.connect();
    first.ask(1, "mining.subscribe", json!(["x"]));
    let mut pool = scripted.open_alone("ab12", 3);
    first.wait_subscribed(1);
    assert_eq!(first.extranonce2_size, 2);
    pool.notify(true);
    let mut lines = vec![first];
    let mut seen: HashSet<String> = lines.iter().map(|line| line.extranonce1.to_string()).collect();
    for _ in 1..255 {
        let mut line = site.connect();
        assert!(seen.insert(seat(&mut line)));
        lines.push(line);
    }
    assert!(seen.iter().all(|place| place.starts_with("ab12") && place.len() == 6 && place != "ab1200"));
    // One more than there is room for.
    let mut other = site.connect();
    other.ask(1, "mining.subscribe", json!(["x"]));
    let mut second = scripted.open_alone("cd34", 3);
    other.wait_subscribed(1);
    assert!(other.extranonce1.to_string().starts_with("cd34"));
    second.notify(true);
    // Who leaves does not make room at once.
    let free = lines.remove(100).extranonce1.to_string();
    wait_for("the end of a session", || site.running().sessions() == 255);
    assert!(seat(&mut site.connect()).starts_with("cd34"));
    // Nor does the same job once more, whose later shares could be repeated.
    pool.notify_again();
    let mut probe = lines.remove(0);
    probe.ask(2, "mining.authorize", json!(["bc1q", "x"]));
    probe.wait_job();
    assert!(seat(&mut site.connect()).starts_with("cd34"));
    let before = probe.job.clone().unwrap();
    pool.notify(false);
    while probe.wait_job().coinb1 == before.coinb1 {}
    let mut line = site.connect();
    assert_eq!(seat(&mut line), free);
}

#[test]
fn thousands_come_and_go_and_never_share() {
    let (scripted, site) = one_pool("");
    let mut first = site.connect();
    first.ask(1, "mining.subscribe", json!(["x"]));
    let mut pool = scripted.open_alone("ab12", 8);
    pool.notify(true);
    first.wait_subscribed(1);
    // Nobody else may have these before the next job.
    let mut taken = HashSet::from([first.extranonce1.to_string()]);
    let mut live = VecDeque::from([first]);
    for number in 0..2500_usize {
        let mut line = site.connect();
        assert!(taken.insert(seat(&mut line)), "{number}");
        live.push_back(line);
        if live.len() > 100 {
            live.remove(number * 7 % live.len());
        }
    }
    let _ = &mut pool;
}

/// Many at once: so many descriptors and threads.
fn at_once(count: usize) -> (Duration, usize) {
    let (scripted, site) = one_pool("");
    let mut first = site.connect();
    first.ask(1, "mining.subscribe", json!(["x"]));
    let mut pool = scripted.open_alone("", 6);
    first.wait_subscribed(1);
    pool.notify(true);
    let mut places = HashSet::from([first.extranonce1.to_string()]);
    let mut lines = vec![first];
    while lines.len() < count {
        let mut line = site.connect();
        assert!(places.insert(seat(&mut line)));
        lines.push(line);
    }
    for (number, line) in lines.iter_mut().enumerate() {
        line.ask(2, "mining.authorize", json!([format!("bc1q.{number}"), "x"]));
    }
    for line in &mut lines {
        line.wait_job();
    }
    let began = Instant::now();
    pool.notify(true);
    for line in &mut lines {
        line.wait_job();
    }
    let took = began.elapsed();
    assert_eq!(site.running().sessions(), count);
    (took, crate::common::resources::of("self").kib)
}

#[test]
fn a_thousand_at_once_have_a_place_each() {
    in_own_process(|| {
        at_once(1000);
    });
}

#[test]
#[ignore = "takes 20,000 descriptors and 10,000 threads; for measuring"]
fn five_thousand_at_once_have_a_place_each() {
    in_own_process(|| {
        let (took, kib) = at_once(5000);
        println!("a job reached 5000 miners in {took:.0?}; {kib} KiB in all, with both ends");
    });
}

#[test]
fn a_pool_that_cannot_be_divided_is_named_and_not_asked_again_and_again() {
    let (scripted, site) = one_pool("");
    let mut miner = site.connect();
    miner.ask(1, "mining.subscribe", json!(["x"]));
    let mut pool = scripted.accept();
    pool.open("ab12", 2);
    let refusal = |line: &mut Line| -> Value {
        let answer = line.answer(1);
        assert_eq!(answer["error"][0], 20, "{answer}");
        assert!(line.wait_end().is_empty());
        answer["error"][1].clone()
    };
    let asked = Instant::now();
    let words = refusal(&mut miner);
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert!(words.as_str().unwrap().contains("extranonce2 size is 2: it must be at least 3"), "{words}");
    pool.wait_closed();
    // Who comes next is told the same, without asking the pool each time.
    let began = Instant::now();
    let mut dials = 0;
    for _ in 0..30 {
        let mut next = site.connect();
        next.ask(1, "mining.subscribe", json!(["x"]));
        while let Some(mut pool) = scripted.accept_within(Duration::from_millis(5)) {
            dials += 1;
            pool.line.write("");
        }
        assert_eq!(refusal(&mut next), words);
    }
    assert!(dials <= 1 + began.elapsed().as_secs(), "{dials} in {:?}", began.elapsed());
}

#[test]
fn connections_to_a_pool_that_gives_them_the_same_are_not_searched_alike() {
    let (scripted, site) = one_pool("");
    let mut places = HashSet::new();
    let mut lines = Vec::new();
    for account in ["one", "two", "three", "four"] {
        let mut line = site.connect();
        line.write(&opening(&format!("{account}.x")));
        let end = scripted.open_alone("", 6);
        line.wait_subscribed(1);
        assert!(places.insert(line.extranonce1.to_string()), "{places:?}");
        lines.push((line, end));
    }
}
