//! The recorded conversations through the running proxy, compared with a walk over the recording
//! that shares nothing with the analyzer but the arithmetic of a share.

use std::collections::HashMap;
use std::io::Write;

use serde_json::Value;
use serde_json::value::RawValue;
use sluice::stratum::{Difficulty, Extranonce1, Extranonce2Size, Notify, Submit, VersionMask};
use sluice::work::{PreparedJob, RebuiltShare, ShareTerms};

use crate::common::capture::{self, Conversation, From};
use crate::common::recorded::{Recorded, Row};
use crate::common::{BarePool, expect, expect_end};

/// One share as the walk understands it, in the columns of `shares.csv`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Expected {
    msg_id: String,
    worker: String,
    job_id: String,
    nonce: String,
    extranonce1: String,
    extranonce2: String,
    hash: String,
    share_difficulty: String,
    assigned_difficulty: String,
    result: String,
    reject_code: String,
    reject_reason: String,
    user_agent: String,
}

impl Expected {
    fn of_row(row: &Row) -> Expected {
        let cell = |name: &str| row[name].clone();
        Expected {
            msg_id: cell("msg_id"),
            worker: cell("worker"),
            job_id: cell("job_id"),
            nonce: cell("nonce"),
            extranonce1: cell("extranonce1"),
            extranonce2: cell("extranonce2"),
            hash: cell("hash"),
            share_difficulty: cell("share_difficulty"),
            assigned_difficulty: cell("assigned_difficulty"),
            result: cell("result"),
            reject_code: cell("reject_code"),
            reject_reason: cell("reject_reason"),
            user_agent: cell("user_agent"),
        }
    }
}

/// A share without its answer.
struct Pending {
    id: Value,
    share: Expected,
    /// Its own difficulty, and the lower of the assigned and the current one.
    reaches: Option<(f64, f64)>,
}

/// A conversation as a reader of the recording follows it.
#[derive(Default)]
struct Walk {
    user_agent: String,
    extranonce1: String,
    extranonce2_size: u8,
    mask: Option<u32>,
    difficulty: f64,
    /// With the difficulty that held when it came.
    jobs: HashMap<String, (Value, f64)>,
    asked: Vec<(Value, Value)>,
    pending: Vec<Pending>,
    judged: Vec<Expected>,
    unreadable: usize,
}

impl Walk {
    fn line(&mut self, from: From, line: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Value>(line) else { return };
        match (from, message["method"].as_str()) {
            (From::Miner, Some("mining.submit")) => self.submit(&message),
            (From::Miner, Some(method)) => {
                if method == "mining.subscribe" {
                    self.user_agent = message["params"][0].as_str().unwrap_or_default().to_owned();
                }
                self.asked.push((message["id"].clone(), message));
            }
            (From::Pool, Some("mining.set_difficulty")) => {
                self.difficulty = message["params"][0].as_f64().unwrap();
            }
            (From::Pool, Some("mining.notify")) => {
                let id = message["params"][0].as_str().unwrap().to_owned();
                self.jobs.insert(id, (message["params"].clone(), self.difficulty));
            }
            (From::Pool, None) => self.answer(&message),
            _ => {}
        }
    }

    fn submit(&mut self, message: &Value) {
        let raw = raw(&message["params"]);
        let Ok(submit) = Submit::from_params(Some(&raw)) else {
            self.unreadable += 1;
            return;
        };
        let job = self.jobs.get(submit.job_id.as_str()).cloned();
        let rebuilt = job.as_ref().and_then(|(job, assigned)| self.rebuild(job, *assigned, &submit));
        let reaches = rebuilt.as_ref().zip(job.as_ref());
        let reaches = reaches.map(|(share, (_, assigned))| (share.difficulty, assigned.min(self.difficulty)));
        let expected = Expected {
            msg_id: message["id"].to_string(),
            worker: submit.worker.clone(),
            job_id: submit.job_id.as_str().to_owned(),
            nonce: submit.nonce.to_string(),
            extranonce1: self.extranonce1.clone(),
            extranonce2: submit.extranonce2.to_string(),
            hash: rebuilt.as_ref().map(|share| share.hash.to_string()).unwrap_or_default(),
            share_difficulty: rebuilt.map(|share| share.difficulty.to_string()).unwrap_or_default(),
            assigned_difficulty: job.map(|(_, assigned)| assigned.to_string()).unwrap_or_default(),
            result: "unknown".to_owned(),
            reject_code: String::new(),
            reject_reason: String::new(),
            user_agent: self.user_agent.clone(),
        };
        self.pending.push(Pending { id: message["id"].clone(), share: expected, reaches });
    }

    fn rebuild(&self, job: &Value, assigned: f64, submit: &Submit) -> Option<RebuiltShare> {
        let terms = ShareTerms {
            extranonce2_size: Extranonce2Size::new(self.extranonce2_size).unwrap(),
            version_mask: self.mask.map(|mask| VersionMask::from_text(&format!("{mask:08x}")).unwrap()),
            difficulty: Difficulty::new(assigned).unwrap(),
        };
        let job = Notify::from_params(Some(&raw(job))).unwrap();
        let extranonce1 = Extranonce1::from_text(&self.extranonce1).unwrap();
        match PreparedJob::new(job, extranonce1).rebuild(submit, &terms) {
            Ok(share) => Some(share),
            Err(error) => error.share().cloned(),
        }
    }

    fn answer(&mut self, message: &Value) {
        if let Some(place) = self.asked.iter().position(|(id, _)| *id == message["id"]) {
            let (_, request) = self.asked.remove(place);
            let result = &message["result"];
            match request["method"].as_str().unwrap() {
                "mining.subscribe" => {
                    if let (Some(extranonce1), Some(size)) = (result[1].as_str(), result[2].as_u64()) {
                        (self.extranonce1, self.extranonce2_size) = (extranonce1.to_owned(), size as u8);
                    }
                }
                "mining.configure" => {
                    let hex = |text: &Value| u32::from_str_radix(text.as_str()?, 16).ok();
                    let asked = hex(&request["params"][1]["version-rolling.mask"]);
                    self.mask = hex(&result["version-rolling.mask"]).zip(asked).map(|(a, b)| a & b);
                }
                _ => {}
            }
        } else if let Some(place) = self.pending.iter().position(|pending| pending.id == message["id"]) {
            let Pending { mut share, reaches, .. } = self.pending.remove(place);
            if message["result"] == true && message["error"].is_null() {
                share.result = "accepted".to_owned();
                let (difficulty, asked) = reaches.unwrap_or_else(|| panic!("no hash: {share:?}"));
                assert!(difficulty >= asked * (1.0 - 1e-9), "below {asked}: {share:?}");
            } else {
                share.result = "rejected".to_owned();
                let error = &message["error"];
                share.reject_code = error[0].as_i64().map(|code| code.to_string()).unwrap_or_default();
                let reason = error[1].as_str().or(error.as_str()).or(message["reject-reason"].as_str());
                share.reject_reason = reason.unwrap_or_default().to_owned();
            }
            self.judged.push(share);
        }
    }

    fn finish(mut self) -> (Vec<Expected>, usize) {
        self.judged.extend(self.pending.drain(..).map(|pending| pending.share));
        self.judged.sort();
        (self.judged, self.unreadable)
    }
}

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

fn walk(conversation: &Conversation) -> Walk {
    let mut walk = Walk { difficulty: 1.0, ..Walk::default() };
    for piece in &conversation.pieces {
        for line in piece.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            walk.line(piece.from, line);
        }
    }
    walk
}

/// Plays both ends, each piece only after the one before has arrived.
fn replay(recorded: &Recorded, pool: &BarePool, conversation: &Conversation) {
    let (mut miner, mut at_pool) = (recorded.connect(), pool.accept());
    for piece in &conversation.pieces {
        let (from, to) = match piece.from {
            From::Miner => (&mut miner, &mut at_pool),
            From::Pool => (&mut at_pool, &mut miner),
        };
        from.write_all(&piece.bytes).unwrap();
        expect(to, &piece.bytes);
    }
    drop(at_pool);
    expect_end(&miner);
}

/// Each conversation has a proxy of its own: some end before the pool has sent a job, and a pool that does so
/// again and again is probed.
#[test]
fn every_recorded_share_is_recorded_with_its_hash_and_its_verdict() {
    for path in ["copy", "splice"] {
        let (mut checked, mut accepted, mut unreadable) = (0, 0, 0);
        for conversation in capture::files().iter().flat_map(|file| capture::read(file)) {
            let pool = BarePool::start();
            let recorded = Recorded::start(&format!("[forward]\npath = \"{path}\"\n{}", pool.upstream()));
            replay(&recorded, &pool, &conversation);
            let (expected, lost) = walk(&conversation).finish();
            // The end of the program does not wait for an analyzer that is far behind.
            recorded.wait_judged(expected.len() as u64);
            let records = recorded.finish();
            let mut found: Vec<Expected> = records.rows.iter().map(Expected::of_row).collect();
            found.sort();
            assert_eq!(found.len(), expected.len(), "{path}");
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found, expected, "{path}");
            }
            for row in records.rows.iter().filter(|row| row["result"] == "accepted") {
                assert!(!row["hash"].is_empty() && !row["response_ms"].is_empty(), "{row:?}");
            }
            let accepted_here = expected.iter().filter(|share| share.result == "accepted").count();
            let totals = records.snapshot.totals.clone().unwrap();
            assert_eq!(totals.accepted, accepted_here as u64);
            assert_eq!(totals.unreadable_submits, lost as u64);
            checked += found.len();
            accepted += accepted_here;
            unreadable += lost;
        }
        println!("{path}: {checked} shares, {accepted} accepted, {unreadable} unreadable submits");
        assert!(checked >= 500 && accepted >= 400, "{checked} shares, {accepted} accepted");
    }
}
