//! A client of a pool that speaks for a test, and mines by hand.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use sluice::sim::SimPool;
use sluice::stratum::{Difficulty, Extranonce1, Extranonce2, Extranonce2Size, Nonce, Notify};
use sluice::work::{Midstate, ShareValues, Target};

/// A client that does as it is told.
pub struct Client {
    pub stream: TcpStream,
    lines: std::io::Lines<BufReader<TcpStream>>,
    extranonce1: Extranonce1,
    job: Option<Notify>,
    ids: u64,
    extranonce2: u64,
}

/// The params of a submit as text.
#[derive(Clone)]
pub struct Submitted {
    pub job_id: String,
    pub extranonce2: String,
    pub ntime: String,
    pub nonce: String,
}

impl Client {
    /// Subscribes, authorises and takes the first job.
    pub fn open(pool: &SimPool, worker: &str) -> Client {
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

    pub fn send_line(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub fn line(&mut self) -> Option<String> {
        self.lines.next().map(Result::unwrap)
    }

    /// The next message; jobs are kept.
    pub fn message(&mut self) -> Value {
        let line = self.line().expect("the pool closed the connection");
        let message: Value = serde_json::from_str(&line).unwrap();
        if message["method"] == "mining.notify" {
            let params = message["params"].to_string();
            self.job = Some(Notify::from_params(serde_json::from_str(&params).ok()).unwrap());
        }
        message
    }

    pub fn wait_for(&mut self, method: &str) -> Value {
        loop {
            let message = self.message();
            if message["method"] == method {
                return message;
            }
        }
    }

    pub fn next_job(&mut self) -> Notify {
        self.wait_for("mining.notify");
        self.job.clone().unwrap()
    }

    pub fn ask(&mut self, method: &str, params: Value) -> Value {
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
    pub fn submit(&mut self, worker: &str, share: &Submitted) -> Result<(), i64> {
        let params = json!([worker, share.job_id, share.extranonce2, share.ntime, share.nonce]);
        let answer = self.ask("mining.submit", params);
        if answer["result"] == true { Ok(()) } else { Err(answer["error"][0].as_i64().unwrap()) }
    }

    /// A share for the newest job, a different one each time.
    pub fn find_share(&mut self, difficulty: f64) -> Submitted {
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
