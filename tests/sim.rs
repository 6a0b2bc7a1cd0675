//! The simulated miners against the simulated pool: each with the other's habits.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice::sim::{
    Habit, HashRate, MinerOptions, Misbehaviour, OpeningOrder, PoolOptions, SimMiner, SimPool, Vardiff,
};
use sluice::stratum::{
    Difficulty, ErrorForm, Extranonce1, Extranonce2, Extranonce2Size, Nonce, Notify, RefusalCode,
};
use sluice::work::{Midstate, ShareValues, Target, share_difficulty};

const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// One share in 42 950 hashes.
const EASY: f64 = 0.000_01;

/// About nine shares a second at that difficulty, so that many miners share the processor.
const SLOW: HashRate = HashRate(400_000.0);

#[test]
fn every_habit_mines_with_every_opening() {
    for opening in OpeningOrder::ALL {
        let pool = pool(PoolOptions { opening, ..options() });
        let miners: Vec<(Habit, SimMiner)> =
            Habit::ALL.into_iter().map(|habit| (habit, start(&pool, habit, |_| {}))).collect();
        let found = pool.wait_until(soon(), |stats| {
            Habit::ALL.into_iter().all(|habit| stats.worker(&worker(habit)).accepted >= 3)
        });
        assert!(found, "{opening:?}: {:?}", pool.stats().workers);
        for (habit, miner) in &miners {
            assert!(
                miner.wait_until(soon(), |stats| stats.accepted >= 3),
                "{opening:?}, {habit:?}: {:?}",
                miner.stats()
            );
        }
        let stats = pool.stats();
        assert_eq!(stats.rejected(), 0, "{opening:?}: {:?}", stats.rejected_by_code);
        for share in &stats.accepted_shares {
            assert!(Target::from_difficulty(share.required).is_met_by(&share.hash));
            assert!(share.difficulty >= EASY * 0.999_999_999, "{share:?}");
            assert_eq!(share_difficulty(&share.hash), share.difficulty);
        }
        for (habit, miner) in &miners {
            let stats = miner.stats();
            assert!(stats.authorized || *habit == Habit::NerdMiner, "{opening:?}, {habit:?}");
            assert!(stats.best_difficulty >= EASY);
            assert_eq!((stats.connections, stats.reconnects), (1, 0), "{opening:?}, {habit:?}: {stats:?}");
            assert_eq!(stats.rejected, 0);
            assert!(!stats.round_trips.is_empty());
        }
    }
}

#[test]
fn every_form_of_refusal_is_recognised() {
    for form in ErrorForm::ALL {
        let misbehaviour = Misbehaviour { reject_valid_shares: true, ..Misbehaviour::default() };
        let pool = pool(PoolOptions { error_form: form, misbehaviour, ..options() });
        let miner = start(&pool, Habit::Bitaxe, |_| {});
        let refused = miner.wait_until(soon(), |stats| match form {
            ErrorForm::PlainText => stats.reconnects > 0,
            _ => stats.rejected > 0,
        });
        let stats = miner.stats();
        assert!(refused, "{form:?}: {stats:?}");
        assert_eq!(stats.accepted, 0, "{form:?}");
        let reason = stats.reasons.keys().next().map(String::as_str);
        let expected = match form {
            ErrorForm::ArrayWithNull
            | ErrorForm::ArrayWithText
            | ErrorForm::ArrayOfTwo
            | ErrorForm::Object => Some("23 Above target"),
            ErrorForm::RejectReason | ErrorForm::Text => Some("Above target"),
            ErrorForm::BareFalse => Some("(no reason)"),
            ErrorForm::PlainText => None,
        };
        assert_eq!(reason, expected, "{form:?}");
    }
}

#[test]
fn shares_are_judged() {
    let pool = pool(options());
    let mut client = Client::open(&pool, "w.1");
    let share = client.find_share(EASY);
    assert_eq!(client.submit("w.1", &share), Ok(()));
    assert_eq!(client.submit("w.1", &share), Err(22));
    let upper = Submitted { nonce: share.nonce.to_uppercase(), ..share.clone() };
    assert_eq!(client.submit("w.1", &upper), Err(22));
    assert_eq!(client.submit("w.2", &share), Err(24));
    assert_eq!(client.submit("w.1", &Submitted { job_id: "beef".into(), ..share.clone() }), Err(21));
    assert_eq!(client.submit("w.1", &Submitted { extranonce2: "00".into(), ..share.clone() }), Err(20));
    assert_eq!(client.submit("w.1", &Submitted { ntime: "00000001".into(), ..share.clone() }), Err(20));
    assert_eq!(client.submit("w.1", &Submitted { nonce: "00000000".into(), ..share.clone() }), Err(23));

    let late = client.find_share(EASY);
    pool.new_block();
    let clean = client.next_job();
    assert_eq!(clean.clean_jobs, Some(true));
    assert_eq!(client.submit("w.1", &late), Err(21));
    let fresh = client.find_share(EASY);
    assert_eq!(client.submit("w.1", &fresh), Ok(()));

    let stats = pool.stats();
    assert_eq!((stats.accepted(), stats.worker("w.1").accepted), (2, 2));
    assert_eq!(stats.rejected_with(RefusalCode::Duplicate), 2);
    assert_eq!(stats.blocks, 1);
}

#[test]
fn a_share_is_held_to_the_lower_of_two_difficulties() {
    let pool = pool(options());
    let mut client = Client::open(&pool, "w");
    let share = client.find_share(EASY);
    pool.set_difficulty(Difficulty::new(1e6).unwrap());
    client.next_job();
    assert_eq!(client.submit("w", &share), Ok(()), "the job was given out at the lower difficulty");
    let share = client.find_share(EASY);
    assert_eq!(client.submit("w", &share), Err(23), "a job of the higher difficulty");
    pool.set_difficulty(Difficulty::new(EASY).unwrap());
    assert_eq!(client.submit("w", &share), Ok(()), "the difficulty has fallen since");
}

#[test]
fn requests_of_every_kind_are_answered() {
    let pool = pool(options());
    let mut client = Client::open(&pool, "w");
    assert_eq!(client.ask("mining.ping", json!([]))["result"], "pong");
    assert_eq!(client.ask("mining.extranonce.subscribe", json!([]))["result"], true);
    assert_eq!(client.ask("mining.get_transactions", json!(["1"]))["error"][0], 20);
    let mask = json!([["version-rolling"], { "version-rolling.mask": "00ffe000" }]);
    assert_eq!(client.ask("mining.configure", mask)["result"]["version-rolling.mask"], "00ffe000");
    assert_eq!(pool.change_extranonce1(), 1);
    client.wait_for("mining.set_extranonce");
    client.next_job();
    client.send_line("{\"id\":1,");
    assert_eq!(client.line().as_deref(), Some("Invalid JSON, disconnecting"));
    assert_eq!(client.line(), None, "it should have closed");
}

#[test]
fn a_nerdminer_gives_up_on_a_silent_pool() {
    let misbehaviour = Misbehaviour { silent: true, ..Misbehaviour::default() };
    let pool = pool(PoolOptions { misbehaviour, ..options() });
    let miner = start(&pool, Habit::NerdMiner, |_| {});
    assert!(pool.wait_until(soon(), |stats| stats.connections_ever >= 1));
    let begin = Instant::now();
    assert!(pool.wait_until(soon(), |stats| stats.connections_ever >= 2));
    let patience = begin.elapsed();
    assert!((1.1..3.0).contains(&patience.as_secs_f64()), "{patience:?}");
    assert!(miner.stats().last_error.is_some_and(|error| error.contains("mining.subscribe")));
    pool.set_misbehaviour(Misbehaviour::default());
    assert!(miner.wait_until(soon(), |stats| stats.accepted > 0), "{:?}", miner.stats());
}

#[test]
fn miners_survive_a_restart_and_cut_connections() {
    let pool = pool(options());
    let miners: Vec<SimMiner> = Habit::ALL.into_iter().map(|habit| start(&pool, habit, |_| {})).collect();
    let all_mine = |since: u64| {
        for miner in &miners {
            let mining = miner.wait_until(soon(), |stats| stats.connections > since && stats.subscribed);
            assert!(mining, "{:?}", miner.stats());
        }
        let before = pool.stats();
        let accepted = pool.wait_until(soon(), |stats| {
            let more =
                |habit| stats.worker(&worker(habit)).accepted > before.worker(&worker(habit)).accepted + 1;
            Habit::ALL.into_iter().all(more)
        });
        let stats = pool.stats();
        assert!(accepted, "{:?}", stats.workers);
        // A share of the old connection's work would have a hash of its own.
        assert_eq!(stats.rejected_with(RefusalCode::LowDifficulty), 0, "{:?}", stats.workers);
    };
    all_mine(0);
    pool.kill_connections();
    all_mine(1);
    pool.stop();
    assert_eq!(pool.stats().connections_now, 0);
    assert!(TcpStream::connect(pool.addr()).is_err());
    for miner in &miners {
        assert!(miner.wait_until(soon(), |stats| !stats.connected));
    }
    pool.restart().unwrap();
    all_mine(2);
}

#[test]
fn what_a_pool_does_to_answers_is_seen_by_the_miner() {
    let delay = Duration::from_millis(300);
    let misbehaviour = Misbehaviour { delay_submit_answers: Some(delay), ..Misbehaviour::default() };
    let late_pool = pool(PoolOptions { misbehaviour, ..options() });
    let late = start(&late_pool, Habit::Cpuminer, |_| {});
    let misbehaviour = Misbehaviour { swallow_submit_answers: true, ..Misbehaviour::default() };
    let mute_pool = pool(PoolOptions { misbehaviour, ..options() });
    let mute = start(&mute_pool, Habit::Cgminer, |_| {});
    let misbehaviour = Misbehaviour { refuse_authorize: true, ..Misbehaviour::default() };
    let strict_pool = pool(PoolOptions { misbehaviour, ..options() });
    let strict = start(&strict_pool, Habit::Cpuminer, |_| {});

    assert!(late.wait_until(soon(), |stats| stats.accepted >= 2));
    assert!(late.stats().round_trips.iter().all(|time| *time >= delay), "{:?}", late.stats().round_trips);
    assert!(mute_pool.wait_until(soon(), |stats| stats.accepted() >= 3));
    assert_eq!((mute.stats().accepted, mute.stats().rejected), (0, 0));
    assert!(mute.stats().submitted >= 3);
    assert!(strict.wait_until(soon(), |stats| stats.reconnects > 0));
    assert_eq!(strict.stats().jobs_seen, 0);
}

#[test]
fn what_a_pool_does_to_connections_is_survived() {
    let close_on_accept = Misbehaviour { close_on_accept: true, ..Misbehaviour::default() };
    let close_after = Misbehaviour { close_after: Some(2), ..Misbehaviour::default() };
    let stall = Misbehaviour { stop_reading_after: Some(1), ..Misbehaviour::default() };
    for misbehaviour in [close_on_accept, close_after, stall] {
        let pool = pool(PoolOptions { misbehaviour: misbehaviour.clone(), ..options() });
        let miner = start(&pool, Habit::Cgminer, |options| {
            options.silence_timeout = Some(Duration::from_millis(300))
        });
        if misbehaviour.stop_reading_after.is_none() {
            assert!(miner.wait_until(soon(), |stats| stats.reconnects >= 2), "{misbehaviour:?}");
        } else {
            assert!(pool.wait_until(soon(), |stats| stats.lines_received >= 2));
        }
        assert_eq!(pool.stats().accepted(), 0);
        pool.set_misbehaviour(Misbehaviour::default());
        pool.kill_connections();
        assert!(
            miner.wait_until(soon(), |stats| stats.accepted > 0),
            "{misbehaviour:?}: {:?}",
            miner.stats()
        );
    }
}

#[test]
fn lines_in_single_bytes_are_put_together() {
    let misbehaviour =
        Misbehaviour { notify_byte_by_byte: Some(Duration::from_micros(50)), ..Misbehaviour::default() };
    let pool = pool(PoolOptions { misbehaviour, transactions: 3, ..options() });
    let miners: Vec<SimMiner> = Habit::ALL.into_iter().map(|habit| start(&pool, habit, |_| {})).collect();
    for miner in &miners {
        assert!(miner.wait_until(soon(), |stats| stats.accepted > 0), "{:?}", miner.stats());
    }
}

#[test]
fn a_client_that_does_not_read_delays_nobody() {
    let pool = pool(PoolOptions { write_timeout: Duration::from_millis(300), ..options() });
    let stalled = Client::open(&pool, "stalled");
    let miner = start(&pool, Habit::Cpuminer, |_| {});
    assert!(miner.wait_until(soon(), |stats| stats.accepted > 0));
    let message = json!({ "id": null, "method": "client.show_message", "params": ["x".repeat(100_000)] });
    for _ in 0..200 {
        pool.broadcast(&message.to_string());
    }
    let before = miner.stats().accepted;
    assert!(miner.wait_until(soon(), |stats| stats.accepted > before), "{:?}", miner.stats());
    assert!(pool.wait_until(soon(), |stats| stats.connections_now == 1), "it should have been closed");
    assert_eq!(miner.stats().reconnects, 0);
    stalled.stream.shutdown(std::net::Shutdown::Both).ok();
}

#[test]
fn blocks_come_from_shares_when_that_is_wanted() {
    let pool = pool(PoolOptions {
        nbits: PoolOptions::REGTEST_NBITS,
        blocks_from_shares: true,
        transactions: 5,
        ..options()
    });
    let miner = start(&pool, Habit::Bitaxe, |_| {});
    assert!(pool.wait_until(soon(), |stats| stats.blocks >= 3));
    assert!(miner.wait_until(soon(), |stats| stats.jobs_seen >= 3));
    let stats = pool.stats();
    assert!(stats.accepted_shares.iter().all(|share| share.is_block));
    assert!(stats.height.unwrap().0 >= PoolOptions::default().height.0 + 3);
}

#[test]
fn unusual_extranonces_are_mined_with() {
    for (extranonce1_length, extranonce2_size, habits) in [
        (0, 6, &[Habit::Cpuminer, Habit::Bitaxe, Habit::Cgminer][..]),
        (1, 2, &[Habit::NerdMiner, Habit::Cpuminer]),
        (8, 4, &[Habit::NerdMiner, Habit::Bitaxe]),
    ] {
        let extranonce2_size = Extranonce2Size::new(extranonce2_size).unwrap();
        let pool = pool(PoolOptions { extranonce1_length, extranonce2_size, ..options() });
        let miners: Vec<SimMiner> = habits.iter().map(|habit| start(&pool, *habit, |_| {})).collect();
        for miner in &miners {
            assert!(miner.wait_until(soon(), |stats| stats.accepted >= 2), "{:?}", miner.stats());
        }
        assert_eq!(pool.stats().rejected(), 0, "{:?}", pool.stats().rejected_by_code);
    }
}

#[test]
fn a_change_of_extranonce1_is_followed() {
    let pool = pool(options());
    let miner = start(&pool, Habit::Bitaxe, |options| options.extranonce_subscribe = true);
    assert!(miner.wait_until(soon(), |stats| stats.accepted > 0));
    let before = miner.stats();
    assert_eq!(pool.change_extranonce1(), 1);
    assert!(miner.wait_until(soon(), |stats| stats.extranonce1 != before.extranonce1));
    let before = miner.stats();
    assert!(miner.wait_until(soon(), |stats| stats.accepted > before.accepted + 3), "{:?}", miner.stats());
    assert_eq!(miner.stats().connections, 1);
}

#[test]
fn vardiff_finds_the_rate_of_a_miner() {
    let vardiff = Vardiff {
        target: Duration::from_millis(300),
        min: Difficulty::new(1e-7).unwrap(),
        max: Difficulty::new(1.0).unwrap(),
    };
    let start_difficulty = Difficulty::new(1e-6).unwrap();
    let pool = pool(PoolOptions { vardiff: Some(vardiff), difficulty: start_difficulty, ..options() });
    let miner = start(&pool, Habit::Bitaxe, |_| {});
    // 400 kH/s and a share every 300 ms are a difficulty of 2.8e-5.
    let raised = miner.wait_until(soon(), |stats| stats.difficulty.is_some_and(|now| now.value() > 1e-5));
    assert!(raised, "{:?}", miner.stats());
    assert_eq!(pool.stats().rejected_with(RefusalCode::LowDifficulty), 0);
}

#[test]
fn reconnect_and_messages_of_the_pool() {
    let (first, second) = (pool(options()), pool(PoolOptions { seed: 2, ..options() }));
    let miner = start(&first, Habit::Cpuminer, |_| {});
    assert!(miner.wait_until(soon(), |stats| stats.accepted > 0));
    first.broadcast(r#"{"id":null,"method":"client.show_message","params":["hello"]}"#);
    assert!(miner.wait_until(soon(), |stats| stats.last_message.as_deref() == Some("hello")));
    let port = second.addr().port();
    first.broadcast(
        &json!({ "id": null, "method": "client.reconnect", "params": ["127.0.0.1", port] }).to_string(),
    );
    assert!(second.wait_until(soon(), |stats| stats.accepted() > 0), "{:?}", miner.stats());
}

#[test]
fn the_hash_rate_is_limited() {
    let pool = pool(options());
    let miner = start(&pool, Habit::Cpuminer, |options| options.hash_rate_limit = Some(HashRate(10_000.0)));
    assert!(miner.wait_until(soon(), |stats| stats.hashes > 0));
    let begin = Instant::now();
    let before = miner.stats().hashes;
    assert!(miner.wait_until(soon(), |stats| stats.hashes >= before + 10_000));
    let rate = (miner.stats().hashes - before) as f64 / begin.elapsed().as_secs_f64();
    assert!(rate < 15_000.0, "{rate}");
}

/// Long enough for a busy machine; nothing here waits for it when all is well.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn options() -> PoolOptions {
    PoolOptions { transactions: 100, ..PoolOptions::with_difficulty(EASY).unwrap() }
}

fn pool(options: PoolOptions) -> SimPool {
    SimPool::start(options).unwrap()
}

fn worker(habit: Habit) -> String {
    format!("{ADDRESS}.{habit:?}")
}

fn start(pool: &SimPool, habit: Habit, change: impl FnOnce(&mut MinerOptions)) -> SimMiner {
    let mut options = MinerOptions::new(pool.addr(), habit, worker(habit));
    options.hash_rate_limit = Some(SLOW);
    options.retry_wait = Some(Duration::from_millis(50));
    change(&mut options);
    SimMiner::start(options).unwrap()
}

/// A client that does as it is told.
struct Client {
    stream: TcpStream,
    lines: std::io::Lines<BufReader<TcpStream>>,
    extranonce1: Extranonce1,
    job: Option<Notify>,
    ids: u64,
    extranonce2: u64,
}

/// The params of a submit as text.
#[derive(Clone)]
struct Submitted {
    job_id: String,
    extranonce2: String,
    ntime: String,
    nonce: String,
}

impl Client {
    /// Subscribes, authorises and takes the first job.
    fn open(pool: &SimPool, worker: &str) -> Client {
        let stream = TcpStream::connect(pool.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut client =
            Client { stream, lines, extranonce1: Extranonce1::default(), job: None, ids: 0, extranonce2: 0 };
        let answer = client.ask("mining.subscribe", json!(["test"]));
        client.extranonce1 = Extranonce1::from_text(answer["result"][1].as_str().unwrap()).unwrap();
        assert_eq!(client.ask("mining.authorize", json!([worker, "x"]))["result"], true);
        client
    }

    fn send_line(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn line(&mut self) -> Option<String> {
        self.lines.next().map(Result::unwrap)
    }

    /// The next message; jobs are kept.
    fn message(&mut self) -> Value {
        let line = self.line().expect("the pool closed the connection");
        let message: Value = serde_json::from_str(&line).unwrap();
        if message["method"] == "mining.notify" {
            let params = message["params"].to_string();
            self.job = Some(Notify::from_params(serde_json::from_str(&params).ok()).unwrap());
        }
        message
    }

    fn wait_for(&mut self, method: &str) -> Value {
        loop {
            let message = self.message();
            if message["method"] == method {
                return message;
            }
        }
    }

    fn next_job(&mut self) -> Notify {
        self.wait_for("mining.notify");
        self.job.clone().unwrap()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.ids += 1;
        let id = self.ids;
        self.send_line(&json!({ "id": id, "method": method, "params": params }).to_string());
        loop {
            let message = self.message();
            if message["method"].is_null() && message["id"] == id {
                return message;
            }
        }
    }

    /// Submits, and gives the code of a refusal.
    fn submit(&mut self, worker: &str, share: &Submitted) -> Result<(), i64> {
        let params = json!([worker, share.job_id, share.extranonce2, share.ntime, share.nonce]);
        let answer = self.ask("mining.submit", params);
        if answer["result"] == true { Ok(()) } else { Err(answer["error"][0].as_i64().unwrap()) }
    }

    /// A share for the newest job, a different one each time.
    fn find_share(&mut self, difficulty: f64) -> Submitted {
        let job = self.job.clone().unwrap();
        let target = Target::from_difficulty(Difficulty::new(difficulty).unwrap());
        self.extranonce2 += 1;
        let extranonce2 = Extranonce2::from_counter(self.extranonce2, Extranonce2Size::new(8).unwrap());
        let values = ShareValues {
            extranonce2: extranonce2.clone(),
            ntime: job.ntime,
            nonce: Nonce(0),
            version: job.version,
        };
        let mut midstate = Midstate::new(&values.header(&job, &self.extranonce1));
        // Not from 0, which stands for a nonce that is no share.
        let nonce = (1..).map(Nonce).find(|nonce| target.is_met_by(&midstate.hash(*nonce))).unwrap();
        Submitted {
            job_id: job.job_id.to_string(),
            extranonce2: extranonce2.to_string(),
            ntime: job.ntime.to_string(),
            nonce: nonce.to_string(),
        }
    }
}
