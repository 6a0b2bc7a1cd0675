//! Which answer belongs to which request, where ids alone don't say: requests that nobody answers, answers
//! in the form of requests, ids that come back in another form.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use crate::common::recorded::{Recorded, Row};
use crate::common::{BarePool, expect, wait_for};

const TRUE: &str = "\"result\":true,\"error\":null";
const STALE: &str = "\"result\":null,\"error\":[21,\"Job not found\",null]";
const LOW: &str = "\"result\":null,\"error\":[23,\"Low difficulty share\",null]";

/// A proxy, a pool, and miners whose every line the test writes.
struct Bench {
    pool: BarePool,
    recorded: Recorded,
}

/// A miner and the pool's end of its connection.
struct Pair {
    session: usize,
    miner: TcpStream,
    at_pool: TcpStream,
}

impl Bench {
    fn start() -> Bench {
        let pool = BarePool::start();
        let recorded = Recorded::start(&pool.upstream());
        Bench { pool, recorded }
    }

    /// The next miner; its session has this number.
    fn pair(&self, session: usize) -> Pair {
        let miner = self.recorded.connect();
        Pair { session, miner, at_pool: self.pool.accept() }
    }

    /// The shares that the forwarding side believes to be in flight: a polite end waits for those.
    fn wait_nothing_in_flight(&self) {
        let conversations = self.recorded.proxy.running().conversations();
        wait_for("no share in flight", || {
            conversations.iter().all(|one| one.unanswered.load(Ordering::Acquire) == 0)
        });
    }

    /// Ends it once so many shares are judged.
    fn rows(self, judged: u64) -> Vec<Row> {
        self.recorded.wait_judged(judged);
        self.wait_nothing_in_flight();
        self.recorded.finish().rows
    }
}

impl Pair {
    fn up(&mut self, line: &str) {
        self.miner.write_all(format!("{line}\n").as_bytes()).unwrap();
        expect(&self.at_pool, format!("{line}\n").as_bytes());
    }

    fn down(&mut self, line: &str) {
        self.at_pool.write_all(format!("{line}\n").as_bytes()).unwrap();
        expect(&self.miner, format!("{line}\n").as_bytes());
    }

    fn ask(&mut self, id: &str, method: &str, params: &str) {
        self.up(&format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}"));
    }

    fn submit(&mut self, id: &str, nonce: u32) {
        self.ask(id, "mining.submit", &format!("[\"w\",\"1\",\"00\",\"5\",\"{nonce:08x}\"]"));
    }

    fn answer(&mut self, id: &str, rest: &str) {
        self.down(&format!("{{\"id\":{id},{rest}}}"));
    }
}

/// The results of a session's shares 1, 2, …
fn results(rows: &[Row], session: usize) -> Vec<String> {
    let session = session.to_string();
    let mut own: Vec<&Row> = rows.iter().filter(|row| row["session"] == session).collect();
    own.sort_by_key(|row| row["nonce"].clone());
    assert!(own.iter().zip(1..).all(|(row, nonce)| row["nonce"] == format!("{nonce:08x}")), "{own:?}");
    own.iter().map(|row| format!("{}{}", row["result"], row["reject_code"])).collect()
}

#[test]
fn an_answer_in_the_form_of_a_request_takes_no_verdict() {
    let bench = Bench::start();
    let pongs = [
        "{\"id\":42,\"method\":\"pong\",\"params\":[]}",
        "{\"id\":42,\"method\":\"Pong\"}",
        "{\"id\":42,\"method\":\"mining.pong\",\"params\":[]}",
        "{\"id\":42,\"method\":\"mining.ping\",\"result\":\"pong\",\"error\":null}",
    ];
    for (pong, session) in pongs.iter().zip(1..) {
        let mut pair = bench.pair(session);
        pair.down("{\"id\":42,\"method\":\"mining.ping\",\"params\":[]}");
        pair.up(pong);
        pair.submit("42", 1);
        pair.answer("42", TRUE);
        bench.wait_nothing_in_flight();
        pair.submit("42", 2);
        pair.answer("42", STALE);
    }
    let rows = bench.rows(2 * pongs.len() as u64);
    for (pong, session) in pongs.iter().zip(1..) {
        assert_eq!(results(&rows, session), ["accepted", "rejected21"], "{pong}");
    }
}

/// Requests that some pools leave without an answer, a second authorize and subscribe among them.
const OPTIONAL: [(&str, &str); 6] = [
    ("mining.suggest_difficulty", "[0.001]"),
    ("mining.suggest_target", "[\"00\"]"),
    ("mining.extranonce.subscribe", "[]"),
    ("mining.authorize", "[\"second\",\"x\"]"),
    ("mining.subscribe", "[\"second\"]"),
    ("mining.configure", "[[\"version-rolling\"]]"),
];

fn cases() -> Vec<(&'static str, &'static str, &'static str)> {
    let ids = ["0", "null", "4"].into_iter();
    ids.flat_map(|id| OPTIONAL.map(|(method, params)| (id, method, params))).collect()
}

#[test]
fn a_request_that_nobody_answers_takes_no_verdict() {
    let bench = Bench::start();
    let mut pairs = Vec::new();
    for ((id, method, params), session) in cases().into_iter().zip(1..) {
        let mut pair = bench.pair(session);
        pair.ask(id, method, params);
        // In flight together, as after a burst.
        for nonce in 1..4 {
            pair.submit(id, nonce);
        }
        for answer in [TRUE, STALE, LOW] {
            pair.answer(id, answer);
        }
        pairs.push(pair);
    }
    let rows = bench.rows(3 * pairs.len() as u64);
    for (pair, case) in pairs.iter().zip(cases()) {
        assert_eq!(results(&rows, pair.session), ["accepted", "rejected21", "rejected23"], "{case:?}");
    }
}

#[test]
fn one_that_is_answered_keeps_its_answer() {
    let bench = Bench::start();
    let mut pairs = Vec::new();
    for ((id, method, params), session) in cases().into_iter().zip(1..) {
        let mut pair = bench.pair(session);
        pair.ask(id, method, params);
        pair.submit(id, 1);
        pair.submit(id, 2);
        let its_own = match method {
            "mining.subscribe" => "\"result\":[[],\"aabbccdd\",4],\"error\":null",
            "mining.configure" => "\"result\":{\"version-rolling\":false},\"error\":null",
            _ => TRUE,
        };
        for answer in [its_own, STALE, LOW] {
            pair.answer(id, answer);
        }
        pairs.push(pair);
    }
    let rows = bench.rows(2 * pairs.len() as u64);
    for (pair, case) in pairs.iter().zip(cases()) {
        assert_eq!(results(&rows, pair.session), ["rejected21", "rejected23"], "{case:?}");
    }
}

#[test]
fn an_answer_that_cannot_be_a_verdict_is_none() {
    let bench = Bench::start();
    let mut pair = bench.pair(1);
    pair.ask("null", "mining.configure", "[[\"version-rolling\"]]");
    pair.ask("null", "mining.subscribe", "[\"test\"]");
    pair.submit("null", 1);
    pair.submit("null", 2);
    // The pool takes the configure last, and the shares before the subscribe.
    pair.answer("null", LOW);
    pair.answer("null", "\"result\":[[[\"mining.notify\",\"x\"]],\"aabbccdd\",4],\"error\":null");
    pair.answer("null", TRUE);
    pair.answer("null", "\"result\":{\"version-rolling\":true},\"error\":null");
    bench.recorded.wait("the search space", |snapshot| {
        snapshot.miners.first().is_some_and(|miner| miner.extranonce1.is_some())
    });
    assert_eq!(results(&bench.rows(2), 1), ["rejected23", "accepted"]);
}

#[test]
fn ids_that_come_back_in_another_form_are_the_same() {
    let cases = [
        ("42", "\"42\""),
        ("42", "42.0"),
        ("42", "4.2e1"),
        ("\"42\"", "42"),
        ("42.0", "42"),
        ("\"a\\u0062\"", "\"ab\""),
    ];
    let bench = Bench::start();
    let mut pairs = Vec::new();
    for ((sent, answered), session) in cases.into_iter().zip(1..) {
        let mut pair = bench.pair(session);
        pair.submit(sent, 1);
        pair.answer(answered, TRUE);
        pair.submit(sent, 2);
        pair.submit(sent, 3);
        pair.answer(answered, STALE);
        pair.answer(answered, LOW);
        pairs.push(pair);
    }
    let rows = bench.rows(3 * pairs.len() as u64);
    for (pair, case) in pairs.iter().zip(cases) {
        assert_eq!(results(&rows, pair.session), ["accepted", "rejected21", "rejected23"], "{case:?}");
    }
}

#[test]
fn an_answer_with_the_name_of_its_method_is_an_answer() {
    let bench = Bench::start();
    let mut pair = bench.pair(1);
    pair.submit("5", 1);
    pair.down("{\"id\":5,\"method\":\"mining.submit\",\"result\":true,\"error\":null}");
    assert_eq!(results(&bench.rows(1), 1), ["accepted"]);
}

#[test]
fn many_requests_without_an_answer_leave_room_for_shares() {
    let bench = Bench::start();
    let mut pair = bench.pair(1);
    for number in 0..1100 {
        pair.ask(&format!("{}", 10_000 + number), "mining.suggest_difficulty", "[1]");
    }
    pair.submit("1", 1);
    pair.answer("1", TRUE);
    assert_eq!(results(&bench.rows(1), 1), ["accepted"]);
}

/// The worker as the page, JSON and metrics have it.
fn name(bench: &Bench) -> String {
    bench.recorded.snapshot().miners.first().map(|miner| miner.worker.to_string()).unwrap_or_default()
}

#[test]
fn a_worker_that_is_taken_after_a_refusal_has_its_name() {
    let bench = Bench::start();
    let mut pair = bench.pair(1);
    pair.ask("1", "mining.authorize", "[\"w\",\"x\"]");
    pair.answer("1", "\"result\":false,\"error\":[24,\"the database is away\",null]");
    pair.ask("2", "mining.authorize", "[\"w\",\"x\"]");
    pair.answer("2", TRUE);
    wait_for("its name", || name(&bench) == "w");
    // A pool that refuses to be asked twice takes nothing back.
    pair.ask("3", "mining.authorize", "[\"w\",\"x\"]");
    pair.answer("3", "\"result\":false,\"error\":[20,\"already authorized\",null]");
    pair.submit("4", 1);
    pair.answer("4", TRUE);
    bench.recorded.wait_judged(1);
    assert_eq!(name(&bench), "w");
}

#[test]
fn an_accepted_share_says_who_it_is_too() {
    // Refused, and then known after all, as when the pool's database is back; or never answered.
    for is_answered in [true, false] {
        let bench = Bench::start();
        let mut pair = bench.pair(1);
        pair.ask("1", "mining.authorize", "[\"w\",\"x\"]");
        if is_answered {
            pair.answer("1", "\"result\":false,\"error\":[24,\"the database is away\",null]");
        }
        pair.submit("2", 1);
        pair.answer("2", STALE);
        bench.recorded.wait_judged(1);
        assert_eq!(name(&bench), "", "a refused share proves nothing");
        pair.submit("3", 2);
        pair.answer("3", TRUE);
        wait_for("its name", || name(&bench) == "w");
    }
}
