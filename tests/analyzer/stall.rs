//! The analyzer does not run for a while: nobody who mines notices, and afterwards it finds its way
//! back into every conversation.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use sluice::analyzer::Analyzer;
use sluice::app::AppOptions;
use sluice::config::{Config, Overrides};

use crate::common::own_process::in_own_process;
use crate::common::recorded::{Recorded, Row, setup};
use crate::common::{BarePool, Proxy, expect, resources, wait_for};

/// Submits of each miner while nobody takes the copies.
const STALLED: u32 = 20_000;
/// And in one segment.
const BATCH: u32 = 50;
/// Lines that are more than 40 MiB together.
const MOST_GROWTH_KIB: usize = 16 * 1024;

struct Pair {
    miner: TcpStream,
    at_pool: TcpStream,
    /// cpuminer's way: one id for everything.
    one_id: bool,
}

impl Pair {
    fn up(&mut self, text: &str) {
        self.miner.write_all(text.as_bytes()).unwrap();
        expect(&self.at_pool, text.as_bytes());
    }

    fn down(&mut self, text: &str) {
        self.at_pool.write_all(text.as_bytes()).unwrap();
        expect(&self.miner, text.as_bytes());
    }

    fn open(&mut self) {
        self.up("{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"test\"]}\n");
        self.down("{\"id\":1,\"result\":[[],\"aabbccdd\",4],\"error\":null}\n");
        self.up("{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}\n");
        self.down("{\"id\":2,\"result\":true,\"error\":null}\n");
        self.job("1");
    }

    fn job(&mut self, id: &str) {
        let prevhash = "6ee540d43e8a28290974210a3fcdc116a3ee327900012a390000000000000000";
        self.down(&format!(
            "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{id}\",\"{prevhash}\",\"01\",\"02\",[],\
             \"20000000\",\"1d00ffff\",\"6b009568\",true]}}\n"
        ));
    }

    fn id(&self, nonce: u32) -> u32 {
        if self.one_id { 4 } else { nonce }
    }

    fn submit(&self, job: &str, nonce: u32) -> String {
        format!(
            "{{\"id\":{},\"method\":\"mining.submit\",\"params\":[\"{:w<1000}\",\"{job}\",\"00112233\",\
             \"6b009568\",\"{nonce:08x}\"]}}\n",
            self.id(nonce),
            "w"
        )
    }

    fn answer(&self, nonce: u32) -> String {
        let verdict = match verdict(nonce) {
            "accepted" => "\"result\":true,\"error\":null",
            _ => "\"result\":null,\"error\":[23,\"Low\",null]",
        };
        format!("{{\"id\":{},{verdict}}}\n", self.id(nonce))
    }

    fn shares(&mut self, job: &str, nonces: std::ops::Range<u32>) {
        let submits: String = nonces.clone().map(|nonce| self.submit(job, nonce)).collect();
        self.up(&submits);
        let answers: String = nonces.map(|nonce| self.answer(nonce)).collect();
        self.down(&answers);
    }
}

fn verdict(nonce: u32) -> &'static str {
    if nonce % 3 == 0 { "rejected" } else { "accepted" }
}

#[test]
fn a_stalled_analyzer_is_not_noticed_and_finds_its_way_back() {
    in_own_process(|| {
        for path in ["copy", "splice"] {
            let pool = BarePool::start();
            let (mut recorded, copies, config) = Recorded::stalled(&format!(
                "[analysis]\nqueue = 256\nshare_timeout = \"1s\"\n[forward]\npath = \"{path}\"\n{}",
                pool.upstream()
            ));
            let mut pairs: Vec<Pair> = [false, true]
                .into_iter()
                .map(|one_id| {
                    let miner = recorded.connect();
                    Pair { miner, at_pool: pool.accept(), one_id }
                })
                .collect();
            pairs.iter_mut().for_each(Pair::open);
            let mut nonce = 100;
            let mut warm = 0;
            while nonce < STALLED {
                for pair in &mut pairs {
                    pair.shares("1", nonce..nonce + BATCH);
                }
                nonce += BATCH;
                if nonce == 5000 {
                    // The queue is full by now.
                    warm = resources::of("self").kib;
                }
            }
            let grown = resources::of("self").kib.saturating_sub(warm);
            println!("{path}: {grown} KiB grown");
            assert!(grown < MOST_GROWTH_KIB, "{path}: {grown} KiB");
            let conversations = recorded.proxy.running().conversations();
            for conversation in &conversations {
                let dropped = conversation.dropped_copies.load(Ordering::Relaxed);
                assert!(dropped > u64::from(STALLED / BATCH), "{path}: {dropped} dropped");
            }
            // Three shares whose answers are among the lost.
            for pair in &mut pairs {
                pair.shares("1", nonce..nonce + 3);
            }

            recorded.proxy.late_analyzer =
                Some(Analyzer::start_on(copies.clone(), setup(&config, recorded.directory.path())).unwrap());
            wait_for("the queue to be read", || copies.is_empty());
            // The first line of each direction after a gap shows where lines begin.
            for pair in &mut pairs {
                pair.up("{\"id\":9000001,\"method\":\"mining.ping\",\"params\":[]}\n");
                pair.down("{\"id\":9000001,\"result\":\"pong\",\"error\":null}\n");
                pair.job("2");
            }
            let first = 1_000_000;
            for nonce in first..first + 300 {
                for pair in &mut pairs {
                    pair.shares("2", nonce..nonce + 1);
                }
                if nonce % 20 == 0 {
                    wait_for("the queue to be read", || copies.is_empty());
                }
            }
            recorded.wait("the later shares", |snapshot| {
                snapshot.miners.len() == 2 && snapshot.miners.iter().all(|miner| miner.accepted >= 200)
            });
            // What was open at the gap runs out.
            wait_for("no open share", || {
                conversations.iter().all(|session| session.unanswered.load(Ordering::Relaxed) == 0)
            });
            drop(conversations);
            drop(pairs);
            let records = recorded.finish();
            let summary = &records.snapshot.summary;
            assert_eq!((summary.unreadable, summary.too_long), (0, 0), "{path}");
            assert_eq!(summary.gaps, 4, "{path}");
            assert!(records.rows.iter().all(|row| row["result"] != "unanswered"), "{path}");
            let later: Vec<&Row> = records.rows.iter().filter(|row| row["job_id"] == "2").collect();
            assert_eq!(later.len(), 600, "{path}");
            for row in later {
                let nonce = u32::from_str_radix(&row["nonce"], 16).unwrap();
                assert_eq!(row["result"], verdict(nonce), "{path}: {row:?}");
                assert!(!row["hash"].is_empty() && !row["job_age_seconds"].is_empty(), "{path}: {row:?}");
            }
            // A verdict before the stall is right or unknown, never another's.
            for row in &records.rows {
                let nonce = u32::from_str_radix(&row["nonce"], 16).unwrap();
                assert!(row["result"] == "unknown" || row["result"] == verdict(nonce), "{path}: {row:?}");
            }
        }
    });
}

#[test]
fn sessions_end_though_the_analyzer_takes_nothing() {
    let pool = BarePool::start();
    let listen = "[listen]\nstratum = [\"127.0.0.1:0\"]\n";
    let config = Config::parse(&format!("{listen}{}", pool.upstream()), &Overrides::default()).unwrap();
    // Nobody ever reads it, and nobody hangs up either.
    let (copies, _unread) = crossbeam_channel::bounded(1);
    let proxy = Proxy::with_options(&config, AppOptions { queue: Some(copies), ..AppOptions::default() });
    let request = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n";
    let sessions: Vec<_> = (0..3)
        .map(|_| {
            let mut miner = proxy.connect();
            miner.write_all(request).unwrap();
            let at_pool = pool.accept();
            expect(&at_pool, request);
            (miner, at_pool)
        })
        .collect();
    drop(sessions);
    proxy.wait_sessions(0);
}
