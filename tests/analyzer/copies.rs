//! Copies as a busy machine makes them: late, in the wrong order, or not at all. They are put into
//! the analyzer's queue by the test.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use sluice::analyzer::{Analyzer, Snapshot};
use sluice::net::Stamp;
use sluice::tap::{Conversation, Direction, SessionId, TapBytes, TapEvent, TapMessage};

use crate::common::recorded::{Row, config, judged, rows, setup};
use crate::common::wait_for;

/// An analyzer without sockets.
pub struct Bench {
    pub analyzer: Analyzer,
    sender: Sender<TapMessage>,
    directory: tempfile::TempDir,
}

/// One session of it.
pub struct Session {
    pub conversation: Arc<Conversation>,
    sender: Sender<TapMessage>,
}

impl Bench {
    pub fn start(more: &str) -> Bench {
        let config = config(&format!("{more}[[upstream]]\nurl = \"stratum+tcp://127.0.0.1:9\"\n"));
        let directory = tempfile::tempdir().unwrap();
        let (sender, copies) = crossbeam_channel::bounded(1024);
        let analyzer = Analyzer::start_on(copies, setup(&config, directory.path())).unwrap();
        Bench { analyzer, sender, directory }
    }

    pub fn session(&self, number: u64) -> Session {
        let peer = "127.0.0.1:1".parse().unwrap();
        let conversation = Arc::new(Conversation::new(SessionId(number), peer, Stamp::now()));
        Session { conversation, sender: self.sender.clone() }
    }

    pub fn wait(&self, what: &str, condition: impl Fn(&Snapshot) -> bool) {
        wait_for(what, || condition(&self.analyzer.snapshot()));
    }

    pub fn finish(self) -> (Vec<Row>, Arc<Snapshot>) {
        let snapshot = self.analyzer.finish();
        (rows(self.directory.path()), snapshot)
    }
}

impl Session {
    pub fn say(&self, direction: Direction, text: &str, readable_at: Stamp, sent_at: Stamp, after_gap: bool) {
        let bytes = text.as_bytes().into();
        let chunk = TapBytes { direction, bytes, readable_at, sent_at, after_gap };
        self.pass(TapEvent::Bytes(chunk));
    }

    fn pass(&self, what: TapEvent) {
        self.sender.send(TapMessage { conversation: self.conversation.clone(), event: what }).unwrap();
    }

    pub fn up(&self, text: &str) {
        self.say(Direction::Up, text, Stamp::now(), Stamp::now(), false);
    }

    pub fn down(&self, text: &str) {
        self.say(Direction::Down, text, Stamp::now(), Stamp::now(), false);
    }

    /// Subscribed, with an extranonce1 and a job.
    fn open(&self) {
        self.up("{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n");
        self.down("{\"id\":1,\"result\":[[],\"aabbccdd\",4],\"error\":null}\n");
        self.down(&job("1", true));
    }
}

const ACCEPTED: &str = ",\"result\":true,\"error\":null}\n";
const REFUSED: &str = ",\"result\":null,\"error\":[21,\"Job not found\",null]}\n";

fn job(id: &str, clean: bool) -> String {
    let prevhash = "6ee540d43e8a28290974210a3fcdc116a3ee327900012a390000000000000000";
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{id}\",\"{prevhash}\",\"01\",\"02\",[],\
         \"20000000\",\"1d00ffff\",\"6b009568\",{clean}]}}\n"
    )
}

pub fn submit(id: &str, job: &str, nonce: u32) -> String {
    format!(
        "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"w\",\"{job}\",\"00112233\",\"6b009568\",\
         \"{nonce:08x}\"]}}\n"
    )
}

fn answer(id: &str, rest: &str) -> String {
    format!("{{\"id\":{id}{rest}")
}

fn after(stamp: Stamp, time: Duration) -> Stamp {
    Stamp::from_nanos(stamp.as_nanos() + time.as_nanos() as u64)
}

fn results(rows: &[Row]) -> Vec<(String, String)> {
    let mut results: Vec<_> = rows.iter().map(|row| (row["nonce"].clone(), row["result"].clone())).collect();
    results.sort();
    results
}

fn pairs(list: &[(u32, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(nonce, result)| (format!("{nonce:08x}"), (*result).to_owned())).collect()
}

/// The miner's thread was held up between its send and its stamp, and the answer passed it by.
#[test]
fn an_answer_whose_copy_comes_before_its_shares_copy_is_its_verdict() {
    let bench = Bench::start("");
    let session = bench.session(1);
    session.open();
    let share = Stamp::now();
    let answered = after(share, Duration::from_micros(100));
    session.say(Direction::Down, &answer("7", REFUSED), answered, answered, false);
    // The job, the answer to subscribe, and this.
    bench.wait("the answer", |snapshot| snapshot.summary.messages_down == 3);
    let sent_late = after(share, Duration::from_millis(30));
    session.say(Direction::Up, &submit("7", "1", 1), share, sent_late, false);
    // The same with an answer that is held together with its share.
    let (share, answered) = (after(share, Duration::from_secs(1)), after(answered, Duration::from_secs(1)));
    session.say(Direction::Down, &answer("8", ACCEPTED), answered, answered, false);
    session.say(Direction::Up, &submit("8", "1", 2), share, share, false);
    bench.wait("two verdicts", |snapshot| judged(snapshot) == 2);
    assert_eq!(results(&bench.finish().0), pairs(&[(1, "rejected"), (2, "accepted")]));
}

/// As above, but it is the whole session that depends on the answer.
#[test]
fn a_subscribe_whose_answers_copy_comes_first_is_understood() {
    let bench = Bench::start("");
    let session = bench.session(1);
    let asked = Stamp::now();
    let answered = after(asked, Duration::from_micros(100));
    let text = "{\"id\":1,\"result\":[[],\"aabbccdd\",4],\"error\":null}\n";
    session.say(Direction::Down, text, answered, answered, false);
    bench.wait("the answer", |snapshot| snapshot.summary.messages_down == 1);
    let text = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n";
    session.say(Direction::Up, text, asked, answered, false);
    session.down(&job("1", true));
    session.up(&submit("2", "1", 1));
    session.down(&answer("2", ACCEPTED));
    bench.wait("a verdict", |snapshot| judged(snapshot) == 1);
    let (rows, _) = bench.finish();
    assert!(!rows[0]["hash"].is_empty(), "{rows:?}");
    assert_eq!((&*rows[0]["extranonce1"], &*rows[0]["user_agent"]), ("aabbccdd", "test"));
}

/// Copies wait a moment for those before them; the end of a session must not overtake them.
#[test]
fn a_sessions_last_words_are_read() {
    let bench = Bench::start("");
    // So many that the analyzer's regular round falls into some session's last moment.
    let sessions = 150;
    for number in 1..=sessions {
        let session = bench.session(number);
        session.up(&submit("4", "1", number as u32));
        session.down(&answer("4", ACCEPTED));
        session.pass(TapEvent::Closed);
        std::thread::sleep(Duration::from_millis(8));
    }
    bench.wait("all verdicts", |snapshot| judged(snapshot) == sessions);
    let (rows, _) = bench.finish();
    let lost: Vec<&Row> = rows.iter().filter(|row| row["result"] != "accepted").collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// A verdict was among the lost copies: the next one is not its.
#[test]
fn after_a_gap_one_id_for_every_share_is_sorted_out() {
    let bench = Bench::start("");
    let session = bench.session(1);
    session.open();
    session.up(&submit("4", "1", 1));
    // Its answer is lost, and the job after it as well.
    session.say(Direction::Down, "of a line}\n", Stamp::now(), Stamp::now(), true);
    session.down(&job("2", false));
    for nonce in 2..6 {
        session.up(&submit("4", "2", nonce));
        session.down(&answer("4", if nonce % 2 == 0 { REFUSED } else { ACCEPTED }));
    }
    bench.wait("the verdicts", |snapshot| judged(snapshot) >= 5);
    let expected = [(1, "unknown"), (2, "rejected"), (3, "accepted"), (4, "rejected"), (5, "accepted")];
    let (rows, snapshot) = bench.finish();
    assert_eq!(results(&rows), pairs(&expected));
    assert_eq!((snapshot.summary.unreadable, snapshot.summary.gaps), (0, 1));
}

/// The pool is slow, but its answer is not lost: other ids are no reason to give a share up.
#[test]
fn a_gap_does_not_end_shares_whose_answers_can_still_be_told() {
    let bench = Bench::start("");
    let session = bench.session(1);
    session.open();
    session.up(&submit("10", "1", 1));
    session.say(Direction::Down, "of a line}\n", Stamp::now(), Stamp::now(), true);
    session.up(&submit("11", "1", 2));
    session.down(&answer("10", REFUSED));
    session.down(&answer("11", ACCEPTED));
    bench.wait("the verdicts", |snapshot| judged(snapshot) == 2);
    assert_eq!(results(&bench.finish().0), pairs(&[(1, "rejected"), (2, "accepted")]));
}

/// The answer was dropped and nothing has come since, so no gap was announced yet.
#[test]
fn a_share_whose_answer_was_dropped_is_unknown_and_not_unanswered() {
    let bench = Bench::start("[analysis]\nshare_timeout = \"1s\"\n");
    let (lossy, whole) = (bench.session(1), bench.session(2));
    for session in [&lossy, &whole] {
        session.open();
        session.up(&submit("5", "1", session.conversation.id.0 as u32));
    }
    lossy.conversation.dropped_copies.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    bench.wait("two that expire", |snapshot| judged(snapshot) == 2);
    assert_eq!(results(&bench.finish().0), pairs(&[(1, "unknown"), (2, "unanswered")]));
}

/// The pool changes the extranonce1 while a share is under way.
#[test]
fn a_share_belongs_to_the_extranonce_of_its_job() {
    let bench = Bench::start("");
    let session = bench.session(1);
    session.open();
    session.up(&submit("5", "1", 1));
    session.down("{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"01020304\",8]}\n");
    session.down(&job("2", true));
    // One for the old job that was sent before the miner heard of it.
    session.up(&submit("6", "1", 2));
    session.down(&answer("5", ACCEPTED));
    session.down(&answer("6", REFUSED));
    bench.wait("the verdicts", |snapshot| judged(snapshot) == 2);
    let (rows, _) = bench.finish();
    for row in &rows {
        assert_eq!(row["extranonce1"], "aabbccdd", "{row:?}");
        assert!(!row["hash"].is_empty(), "{row:?}");
    }
}

/// Says that the job below pays its owner.
pub fn paid() -> String {
    format!("[payout]\naddress = \"{PAID}\"\n")
}

/// Paid by the job below.
const PAID: &str = "bc1qnp980s5fpp8l94p5cvttmtdqy8rvrq74qly2yrfmzkdsntqzlc5qkc4rkq";

/// A real job of public-pool's, with another id.
pub fn real_job(id: &str) -> String {
    let jobs = include_str!("../data/real_notifies.jsonl").lines();
    let mut jobs = jobs.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let job =
        jobs.find_map(|job| job["line"].as_str().filter(|line| line.contains("875b4b7")).map(String::from));
    job.unwrap().replace("875b4b7", id) + "\n"
}

fn states(snapshot: &Snapshot) -> Option<(&'static str, &'static str)> {
    let pool = snapshot.pools.first()?;
    Some((pool.payout.as_ref()?.state.as_str(), pool.chain.as_ref()?.state.as_str()))
}

/// A newer job may have been among the lost copies. A share for the next one clears that up, and nobody is accused.
#[test]
fn after_a_gap_nobody_can_tell_until_a_share_for_the_next_job() {
    let bench = Bench::start(&paid());
    let session = bench.session(1);
    session.conversation.set_upstream(0);
    session.up("{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n");
    session.down("{\"id\":1,\"result\":[[],\"4128064f\",4],\"error\":null}\n");
    // So low that every hash is a share.
    session.down("{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1e-10]}\n");
    session.down(&real_job("a1"));
    let (good, doubtful) = (Some(("verified", "plausible")), Some(("unverifiable", "unknown")));
    bench.wait("the first job", |snapshot| states(snapshot) == good);
    session.say(Direction::Down, "of a line}\n", Stamp::now(), Stamp::now(), true);
    bench.wait("the gap", |snapshot| states(snapshot) == doubtful);
    let why = bench.analyzer.snapshot().pools[0].chain.as_ref().unwrap().doubt;
    assert_eq!(why, Some(sluice::analyzer::WorkDoubt::Missed));
    // Shares for the job that was lost.
    for id in 10..20 {
        session.up(&submit(&id.to_string(), "a2", id));
        session.down(&answer(&id.to_string(), ACCEPTED));
    }
    session.down(&real_job("a3"));
    session.up(&submit("20", "a3", 20));
    session.down(&answer("20", ACCEPTED));
    bench.wait("a share for the next job", |snapshot| states(snapshot) == good && judged(snapshot) == 11);
    let (_, snapshot) = bench.finish();
    assert!(!snapshot.alerts.counts.contains_key("job.unreadable"), "{:?}", snapshot.alerts.counts);
}

/// The copy of the request is lost, and the session is understood all the same.
#[test]
fn a_subscribe_answer_without_its_request_is_taken() {
    let bench = Bench::start("");
    let session = bench.session(1);
    session.down("{\"id\":1,\"result\":[[],\"aabbccdd\",4],\"error\":null}\n");
    session.down(&job("1", true));
    session.up(&submit("2", "1", 1));
    session.down(&answer("2", ACCEPTED));
    bench.wait("a verdict", |snapshot| judged(snapshot) == 1);
    let (rows, _) = bench.finish();
    assert!(!rows[0]["hash"].is_empty() && rows[0]["extranonce1"] == "aabbccdd", "{rows:?}");
}

/// All in the order in which a pool may send it; the answer to the subscribe takes nothing back.
#[test]
fn what_comes_before_the_subscribe_answer_holds() {
    let bench = Bench::start("");
    let session = bench.session(1);
    session.up("{\"id\":1,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],{\"version-rolling.mask\":\"ffffffff\"}]}\n");
    session.up("{\"id\":2,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n");
    session.down("{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"1fffe000\"]}\n");
    session.down("{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[0.25]}\n");
    session.down(&job("1", true));
    session.down("{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[0.5]}\n");
    session.down(&job("2", false));
    session.down("{\"id\":1,\"result\":{\"version-rolling\":false},\"error\":null}\n");
    session.down("{\"id\":2,\"result\":[[],\"aabbccdd\",4],\"error\":null}\n");
    for (id, job) in [("5", "1"), ("6", "2")] {
        let share = submit(id, job, id.parse().unwrap());
        session.up(&share.replace("]}", ",\"00002000\"]}"));
        session.down(&answer(id, ACCEPTED));
    }
    bench.wait("the verdicts", |snapshot| judged(snapshot) == 2);
    let (rows, _) = bench.finish();
    for (row, difficulty) in rows.iter().zip(["0.25", "0.5"]) {
        assert_eq!((&*row["assigned_difficulty"], &*row["version"]), (difficulty, "20002000"), "{row:?}");
        assert!(!row["hash"].is_empty(), "{row:?}");
    }
}

/// The thread that passes the pool's bytes on was held up: the share comes out of the queue before its job.
#[test]
fn a_share_whose_jobs_copy_is_late_is_for_no_unknown_job() {
    let bench = Bench::start(&paid());
    let session = bench.session(1);
    session.conversation.set_upstream(0);
    session.up("{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n");
    session.down("{\"id\":1,\"result\":[[],\"4128064f\",4],\"error\":null}\n");
    session.down(&real_job("a1"));
    let sent = Stamp::now();
    let later = after(sent, Duration::from_millis(1));
    session.say(Direction::Up, &submit("5", "a2", 5), later, later, false);
    bench.wait("the share", |snapshot| snapshot.summary.shares == 1);
    session.say(Direction::Down, &real_job("a2"), sent, sent, false);
    session.down(&answer("5", ACCEPTED));
    bench.wait("the verdict", |snapshot| judged(snapshot) == 1);
    let (_, snapshot) = bench.finish();
    assert_eq!(states(&snapshot), Some(("verified", "plausible")));
    assert!(!snapshot.alerts.counts.contains_key("job.unreadable"), "{:?}", snapshot.alerts.counts);
}

/// ESP-Miner takes the values of an object for a list: nobody knows what it makes of this one.
#[test]
fn a_subscribe_answer_in_another_form_is_no_way_to_hide() {
    let bench = Bench::start("");
    let session = bench.session(1);
    session.conversation.set_upstream(0);
    session.up("{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n");
    session.down("{\"id\":1,\"result\":{\"extranonce1\":\"aabbccdd\",\"size\":4},\"error\":null}\n");
    session.down(&real_job("a1"));
    bench.wait("an alert", |snapshot| snapshot.alerts.counts.contains_key("job.unreadable"));
    assert_eq!(states(&bench.finish().1), Some(("unverifiable", "unknown")));
}
