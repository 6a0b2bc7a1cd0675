//! A pool that is there and of no use is left: one that gives no work, and one that does not answer.

mod refusals;
#[path = "leaving/unusable.rs"]
mod unusable;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::common::job_pool::{JobMiner, JobPool};
use crate::common::site::PageServer;
use crate::common::{Proxy, Unroutable, expect_end, holds_for, wait_for};
use serde_json::json;
use sluice::net::resolve::set_test_name;
use sluice::upstream::PoolStatus;

/// Each way of forwarding, with and without an analyzer that sees jobs.
const WAYS: [(&str, bool); 4] = [("copy", true), ("copy", false), ("splice", true), ("splice", false)];

/// A pool is left soon, and tried again soon.
const QUICK: &str =
    "[failover]\nfirst_job_timeout = \"200ms\"\nbackoff_min = \"50ms\"\nbackoff_max = \"100ms\"\n";

fn proxy(more: &str, pools: &[&JobPool]) -> Proxy {
    let upstreams: String = pools.iter().map(|pool| pool.upstream()).collect();
    Proxy::start(&format!("{QUICK}{more}{upstreams}"))
}

fn raised(proxy: &Proxy, id: &str) -> bool {
    let snapshot = proxy.snapshot();
    snapshot.alerts.counts.contains_key(id)
}

fn with_and_without_analysis(test: fn(bool)) {
    std::thread::scope(|scope| {
        for is_analyzed in [true, false] {
            scope.spawn(move || test(is_analyzed));
        }
    });
}

/// The page as a visitor reads it.
fn page_of(proxy: &Proxy) -> String {
    let page = PageServer::start(proxy.app().snapshots.clone(), None);
    let mut stream = TcpStream::connect(page.address()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_pool_that_gives_no_work_is_left_for_the_next() {
    std::thread::scope(|scope| {
        for (path, is_analyzed) in WAYS {
            scope.spawn(move || leaves_a_pool_without_work(path, is_analyzed));
        }
    });
}

fn leaves_a_pool_without_work(path: &str, is_analyzed: bool) {
    let (idle, second) = (JobPool::start(false), JobPool::start(true));
    let more = format!("[forward]\npath = \"{path}\"\n[analysis]\nenabled = {is_analyzed}\n");
    let proxy = proxy(&more, &[&idle, &second]);
    let miner = JobMiner::join(proxy.address(), "w.one");
    expect_end(&miner.0);
    assert!(!proxy.running().is_up(0), "{path} {is_analyzed}");
    let before = idle.accepted();
    for _ in 0..3 {
        JobMiner::join(proxy.address(), "w.one").expect_job();
    }
    assert!(!proxy.running().is_up(0), "it is trusted without a job");
    assert!(idle.accepted() - before <= idle.probes().len(), "a miner was sent there");
    if is_analyzed {
        wait_for("the alert", || raised(&proxy, "pool.no_work"));
    }
}

#[test]
fn a_pool_that_answers_the_subscribe_only_is_left() {
    let (half_dead, second) = (JobPool::start(true), JobPool::start(true));
    half_dead.ignore_authorize();
    let proxy = proxy("", &[&half_dead, &second]);
    let mut miner = JobMiner(proxy.connect());
    miner.say(&json!({ "id": 1, "method": "mining.subscribe", "params": ["test"] }));
    crate::common::read_line(&miner.0);
    miner.say(&json!({ "id": 2, "method": "mining.authorize", "params": ["w.one", "secret"] }));
    expect_end(&miner.0);
    JobMiner::join(proxy.address(), "w.one").expect_job();
}

#[test]
fn a_probe_logs_in_as_a_miner_and_must_see_a_job() {
    let (idle, second) = (JobPool::start(false), JobPool::start(true));
    let proxy = proxy("failback_after = \"100ms\"\n", &[&idle, &second]);
    expect_end(&JobMiner::join(proxy.address(), "w.one").0);
    wait_for("probes", || idle.probes().len() >= 2);
    assert_eq!(idle.probes()[0], json!(["w.one", "secret"]));
    assert!(!proxy.running().is_up(0));
    let miner = JobMiner::join(proxy.address(), "w.one");
    miner.expect_job();
    idle.give_work(true);
    // As soon as it gives work, miners return to it.
    expect_end(&miner.0);
    let accepted = second.accepted();
    JobMiner::join(proxy.address(), "w.one").expect_job();
    assert!(proxy.running().is_up(0));
    assert_eq!(second.accepted(), accepted);
}

#[test]
fn a_probe_knows_answers_that_name_their_method() {
    let (idle, second) = (JobPool::start(false), JobPool::start(true));
    idle.repeat_methods();
    let proxy = proxy("failback_after = \"100ms\"\n", &[&idle, &second]);
    expect_end(&JobMiner::join(proxy.address(), "w.one").0);
    idle.give_work(true);
    wait_for("the pool to be trusted", || proxy.running().is_up(0));
    assert_eq!(idle.probes()[0], json!(["w.one", "secret"]));
}

/// A NerdMiner without work does not wait for long, and would come back to the same pool for ever.
#[test]
fn no_work_is_remembered_when_miners_reconnect() {
    let (idle, second) = (JobPool::start(false), JobPool::start(true));
    let text = "[failover]\nfirst_job_timeout = \"1s\"\n";
    let proxy = Proxy::to(&[idle.address(), second.address()], text);
    let mut sessions = 0;
    wait_for("the second pool", || {
        // Whether it is answered does not matter: this session may be the one that is closed.
        let miner = proxy.connect();
        let subscribe = json!({ "id": 1, "method": "mining.subscribe", "params": ["test"] });
        let authorize = json!({ "id": 2, "method": "mining.authorize", "params": ["w.one", "secret"] });
        let _ = (&miner).write_all(format!("{subscribe}\n{authorize}\n").as_bytes());
        sessions += 1;
        miner.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut answers = BufReader::new(&miner);
        while answers.read_line(&mut String::new()).is_ok_and(|length| length > 0) {}
        second.accepted() > 0
    });
    assert!(sessions >= 3, "{sessions} sessions");
}

#[test]
fn sessions_without_work_are_closed_one_by_one() {
    let (idle, second) = (JobPool::start(false), JobPool::start(true));
    let proxy = proxy("", &[&idle, &second]);
    let miners: Vec<JobMiner> = (0..8).map(|_| JobMiner::join(proxy.address(), "w.one")).collect();
    let mut ended = Vec::new();
    for miner in &miners {
        expect_end(&miner.0);
        ended.push(Instant::now());
    }
    let spread = ended[7].duration_since(ended[0]);
    assert!(spread >= Duration::from_millis(250), "all at once: {spread:?}");
}

#[test]
fn the_only_pool_keeps_its_miners_and_serves_them_when_it_has_work() {
    with_and_without_analysis(keeps_miners_of_the_only_pool);
}

fn keeps_miners_of_the_only_pool(is_analyzed: bool) {
    let idle = JobPool::start(false);
    let proxy = proxy(&format!("[analysis]\nenabled = {is_analyzed}\n"), &[&idle]);
    let first = JobMiner::join(proxy.address(), "w.one");
    wait_for("the failure", || !proxy.running().is_up(0));
    let notice = "the pool gives no work; no other pool is configured";
    wait_for("the page to tell", || page_of(&proxy).contains(notice));
    let page = page_of(&proxy);
    assert!(page.contains("it gives no work: it accepts miners and has sent no job"), "{page}");
    let second = JobMiner::join(proxy.address(), "w.two");
    holds_for(Duration::from_millis(1500), "no miner is closed", || first.is_quiet() && second.is_quiet());
    idle.give_work(true);
    first.expect_job();
    second.expect_job();
    wait_for("the pool to be trusted", || proxy.running().is_up(0));
}

/// A miner that comes while the only pool is down is served when the pool is back, with or without work.
#[test]
fn the_only_pool_is_taken_again_without_work_as_soon_as_it_is_back() {
    let idle = JobPool::on(TcpListener::bind("127.0.0.4:0").unwrap(), false);
    let address = idle.address();
    let proxy = proxy("connect_deadline = \"60s\"\n", &[&idle]);
    let first = JobMiner::join(proxy.address(), "w.one");
    wait_for("the failure", || !proxy.running().is_up(0));
    idle.stop_listening();
    drop(idle);
    expect_end(&first.0);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| JobMiner::join(proxy.address(), "w.two"));
        wait_for("a failed dial", || {
            let state = proxy.running().stats().upstreams.remove(0);
            state.standing == PoolStatus::Failed && !state.gives_no_work
        });
        let (back, began) = (JobPool::on(TcpListener::bind(address).unwrap(), false), Instant::now());
        assert!(waiting.join().unwrap().is_quiet());
        // Not at the end of `connect_deadline`.
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        assert!(!proxy.running().is_up(0));
        drop(back);
    });
}

/// The first miner's account gets no work. Others, who went to the second pool for that, do.
#[test]
fn one_account_without_work_does_not_keep_the_pool_from_all_others() {
    with_and_without_analysis(is_tried_with_other_accounts);
}

fn is_tried_with_other_accounts(is_analyzed: bool) {
    let (pool, second) = (JobPool::start(true), JobPool::start(true));
    let proxy = proxy(&format!("[analysis]\nenabled = {is_analyzed}\n"), &[&pool, &second]);
    expect_end(&JobMiner::join(proxy.address(), "starved.one").0);
    assert!(!proxy.running().is_up(0));
    let other = JobMiner::join(proxy.address(), "v.one");
    other.expect_job();
    assert_eq!(second.accepted(), 1);
    wait_for("the pool to be trusted", || proxy.running().is_up(0));
    assert_eq!(pool.probes().last(), Some(&json!(["v.one", "secret"])));
}

/// Nobody is owed work whom the pool has not accepted, and one account's trouble is not the pool's.
#[test]
fn a_miner_that_is_refused_and_leaves_and_one_that_does_not_authorize_prove_nothing() {
    with_and_without_analysis(owes_nothing_to_strangers);
}

fn owes_nothing_to_strangers(is_analyzed: bool) {
    let (pool, second) = (JobPool::start(true), JobPool::start(true));
    let proxy = proxy(&format!("[analysis]\nenabled = {is_analyzed}\n"), &[&pool, &second]);
    pool.refuse(true);
    drop(JobMiner::join(proxy.address(), "unknown"));
    let mut silent = proxy.connect();
    silent.write_all(b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n").unwrap();
    crate::common::read_line(&silent);
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        assert!(proxy.running().is_up(0), "{:?}", proxy.running().stats().upstreams[0].trouble);
        std::thread::sleep(Duration::from_millis(20));
    }
    pool.refuse(false);
    JobMiner::join(proxy.address(), "w.one").expect_job();
    assert_eq!(second.accepted(), 0);
}

/// A probe decides, with a login that the pool has given work to.
#[test]
fn one_miner_without_work_is_no_proof_against_a_pool_that_gives_others_some() {
    let (pool, second) = (JobPool::start(true), JobPool::start(true));
    let proxy = proxy("", &[&pool, &second]);
    let working = JobMiner::join(proxy.address(), "w.one");
    working.expect_job();
    let starved = JobMiner::join(proxy.address(), "w.starved");
    holds_for(Duration::from_millis(600), "it stays so", || {
        proxy.running().is_up(0) && starved.is_quiet() && working.is_quiet()
    });
    assert_eq!(second.accepted(), 0);
    assert_eq!(pool.probes()[0], json!(["w.one", "secret"]));
}

/// Answers are missed after four times this.
const IMPATIENT: &str = "answer_timeout = \"100ms\"\n";

/// As when the line to the pool is cut: nothing comes, and nobody can be reached.
#[test]
fn a_pool_that_answers_nobody_and_can_not_be_reached_is_left() {
    let (first, second) = (JobPool::start(true), JobPool::start(true));
    let proxy = proxy(IMPATIENT, &[&first, &second]);
    let mut miner = JobMiner::join(proxy.address(), "w.one");
    miner.expect_job();
    first.fall_silent();
    first.stop_listening();
    miner.submit();
    expect_end(&miner.0);
    JobMiner::join(proxy.address(), "w.one").expect_job();
    assert_eq!(second.accepted(), 1);
}

/// It answers a probe, so it is there; its miners stay.
#[test]
fn a_pool_that_is_slow_with_shares_keeps_its_miners() {
    let (first, second) = (JobPool::start(true), JobPool::start(true));
    let proxy = proxy(IMPATIENT, &[&first, &second]);
    let mut miner = JobMiner::join(proxy.address(), "w.one");
    miner.expect_job();
    first.ignore_shares();
    let before = first.accepted();
    miner.submit();
    wait_for("a probe", || first.accepted() > before);
    holds_for(Duration::from_millis(300), "it stays so", || miner.is_quiet() && proxy.running().is_up(0));
    assert_eq!(second.accepted(), 0);
    // Else the end of the proxy waits for the answer.
    drop(first);
}

/// A suggestion needs no answer, so that a missing one is no sign of a dead pool.
#[test]
fn an_unanswered_suggestion_makes_no_pool_look_dead() {
    let (first, second) = (JobPool::start(true), JobPool::start(true));
    let proxy = proxy(IMPATIENT, &[&first, &second]);
    let mut miner = JobMiner::join(proxy.address(), "w.one");
    miner.expect_job();
    miner.say(&json!({ "id": 3, "method": "mining.suggest_difficulty", "params": [0.001] }));
    first.stop_listening();
    let before = first.accepted();
    holds_for(Duration::from_millis(1500), "it stays so", || miner.is_quiet() && proxy.running().is_up(0));
    assert_eq!((first.accepted() - before, second.accepted()), (0, 0));
}

/// The pool's name leads to another address now, and at the old one nobody answers in this way.
fn found_where_it_moved_to(name: &str, leave: impl FnOnce(SocketAddr) -> Option<Unroutable>) {
    let at = |last: u8| IpAddr::from([127, 0, 0, last]);
    set_test_name(name, &[at(2)]);
    let old = TcpListener::bind((at(2), 0)).unwrap();
    let address = old.local_addr().unwrap();
    let old = JobPool::on(old, true);
    let proxy = Proxy::start(&format!(
        "[failover]\nconnect_deadline = \"10s\"\n[[upstream]]\nurl = \"stratum+tcp://{name}:{}\"\n",
        address.port()
    ));
    JobMiner::join(proxy.address(), "w.one").expect_job();
    old.stop_listening();
    drop(old);
    let _nowhere = leave(address);
    let new = JobPool::on(TcpListener::bind((at(3), address.port())).unwrap(), true);
    set_test_name(name, &[at(3)]);
    // Otherwise the miner is disconnected at `connect_deadline`.
    JobMiner::join(proxy.address(), "w.one").expect_job();
    assert!(new.accepted() >= 1);
}

#[test]
fn a_pool_that_moved_and_whose_old_port_is_closed_is_found_within_one_connection_attempt() {
    found_where_it_moved_to("closed.moved.test", |_| None);
}

#[test]
fn a_pool_that_moved_and_whose_old_address_swallows_packets_is_found_within_one_connection_attempt() {
    found_where_it_moved_to("swallowed.moved.test", |address| Some(Unroutable::at(address)));
}
