//! A pool whose every line the test writes.

use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};

use crate::aggregate::opened::EASY;
use crate::aggregate::site::Line;
use crate::common::{DEADLINE, wait_for};

/// Listens; the test accepts.
pub struct Scripted {
    listener: TcpListener,
}

/// A job's describable part.
pub struct Work {
    pub id: String,
    /// Makes its coinbase differ from others'.
    pub salt: u32,
    pub version: u32,
    pub nbits: u32,
    pub ntime: u32,
    pub clean: bool,
}

impl Default for Work {
    fn default() -> Work {
        let (version, nbits, ntime) = (0x2000_0000, 0x1702_3a04, 0x6859_6192);
        Work { id: "a".to_owned(), salt: 1, version, nbits, ntime, clean: false }
    }
}

/// A pool's end of a connection.
pub struct PoolEnd {
    pub line: Line,
    jobs: u32,
}

impl Work {
    /// The line that gives it.
    pub fn notify(&self) -> Value {
        let coinb1 = format!(
            "{}{:08x}",
            "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff2003a4bc0e",
            self.salt
        );
        let coinb2 = "ffffffff0100f2052a01000000160014751e76e8199196d454941c45d1b3a323f1433bd600000000";
        let parent = "0000000000000000000000000000000000000000000000000000000000000000";
        let (version, nbits, ntime) =
            (format!("{:08x}", self.version), format!("{:08x}", self.nbits), format!("{:08x}", self.ntime));
        json!({ "id": null, "method": "mining.notify", "params": [
            self.id, parent, coinb1, coinb2, [], version, nbits, ntime, self.clean
        ] })
    }
}

impl Scripted {
    pub fn start() -> Scripted {
        Scripted::listening(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub fn listening(listener: TcpListener) -> Scripted {
        Scripted { listener }
    }

    /// On an address where another pool has been before.
    pub fn on(address: SocketAddr) -> Scripted {
        let mut listener = None;
        wait_for("the address", || {
            listener = TcpListener::bind(address).ok();
            listener.is_some()
        });
        Scripted { listener: listener.unwrap() }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection.
    pub fn accept(&self) -> PoolEnd {
        self.accept_within(DEADLINE).expect("nobody connected to the pool")
    }

    /// The next connection that asks to be configured; probes, which don't, are given a job and closed.
    pub fn accept_opening(&self) -> PoolEnd {
        loop {
            let mut end = self.accept();
            if end.line.is_beginning_with("mining.configure") {
                return end;
            }
            if let Some(probe) = end.line.kept() {
                end.notify(true);
                end.answer(&probe, json!([[], "", 8]));
            }
        }
    }

    pub fn accept_within(&self, time: std::time::Duration) -> Option<PoolEnd> {
        self.listener.set_nonblocking(true).unwrap();
        let (began, mut accepted) = (std::time::Instant::now(), None);
        while accepted.is_none() && began.elapsed() < time {
            match self.listener.accept() {
                Ok((stream, _)) => accepted = Some(stream),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(1)),
            }
        }
        let stream = accepted?;
        stream.set_nonblocking(false).unwrap();
        Some(PoolEnd { line: Line::of(stream), jobs: 0 })
    }

    /// The next connection, opened for a miner that subscribes as this agent.
    pub fn open_for(&self, line: &mut Line, agent: &str, extranonce1: &str) -> PoolEnd {
        line.ask(1, "mining.subscribe", json!([agent]));
        let mut end = self.accept();
        end.open(extranonce1, 8);
        line.wait_subscribed(1);
        end
    }

    /// The next connection, opened, authorized and given a job.
    pub fn accept_and_give_work(&self, extranonce1: &str) -> PoolEnd {
        let mut end = self.accept();
        end.give_work(extranonce1);
        end
    }

    /// A connection that has been opened, before anybody has said who it is.
    pub fn open_alone(&self, extranonce1: &str, size: usize) -> PoolEnd {
        let mut end = self.accept();
        end.open(extranonce1, size);
        end.set_difficulty(1.0);
        end
    }

    /// A connection that has been opened as ckpool does it.
    pub fn open(&self, extranonce1: &str, size: usize, difficulty: f64) -> PoolEnd {
        let mut end = self.accept();
        end.open(extranonce1, size);
        end.set_difficulty(difficulty);
        end.authorize();
        end.notify(true);
        end
    }
}

impl PoolEnd {
    /// Answers configure and subscribe.
    pub fn open(&mut self, extranonce1: &str, size: usize) {
        let configure = self.request("mining.configure");
        self.answer(&configure, json!({ "version-rolling": true, "version-rolling.mask": "1fffe000" }));
        let subscribe = self.request("mining.subscribe");
        self.answer(&subscribe, json!([[["mining.notify", "s"]], extranonce1, size]));
    }

    /// Waits for an authorize and grants it.
    pub fn authorize(&mut self) -> String {
        let request = self.request("mining.authorize");
        self.answer(&request, json!(true));
        request["params"][0].as_str().unwrap().to_owned()
    }

    /// Refuses the next authorize.
    pub fn refuse_authorize(&mut self, code: i64, reason: &str) {
        let request = self.request("mining.authorize");
        self.refuse(&request, code, reason);
    }

    /// A difficulty that a few hashes reach, and a clean job.
    pub fn first_job(&mut self) {
        self.set_difficulty(EASY);
        self.notify(true);
    }

    /// Opens the connection as a pool that works.
    pub fn give_work(&mut self, extranonce1: &str) {
        self.open(extranonce1, 8);
        self.authorize();
        self.first_job();
    }

    /// The next request of this method; others before it are kept.
    pub fn request(&mut self, method: &str) -> Value {
        self.line.wait(method, |message| message["method"] == method)
    }

    pub fn answer(&mut self, request: &Value, result: Value) {
        self.line.say(&json!({ "id": request["id"], "result": result, "error": null }));
    }

    pub fn refuse(&mut self, request: &Value, code: i64, reason: &str) {
        self.line.say(&json!({ "id": request["id"], "result": null, "error": [code, reason, null] }));
    }

    pub fn set_difficulty(&mut self, difficulty: f64) {
        self.line.say(&json!({ "id": null, "method": "mining.set_difficulty", "params": [difficulty] }));
    }

    /// A job like no other before on this connection; its id.
    pub fn notify(&mut self, clean: bool) -> String {
        self.jobs += 1;
        let id = format!("job{}", self.jobs);
        self.give(&Work { id: id.clone(), salt: self.jobs, clean, ..Work::default() });
        id
    }

    /// The last job of [`PoolEnd::notify`] once more, later.
    pub fn notify_again(&mut self) {
        let ntime = Work::default().ntime + 5;
        self.give(&Work { id: format!("again{}", self.jobs), salt: self.jobs, ntime, ..Work::default() });
    }

    /// A job as it is described.
    pub fn give(&mut self, work: &Work) {
        self.line.say(&work.notify());
    }

    /// The next share, unanswered.
    pub fn share(&mut self) -> Value {
        self.request("mining.submit")
    }

    /// The next share, which is accepted.
    pub fn accept_share(&mut self) -> Value {
        let share = self.share();
        self.answer(&share, json!(true));
        share
    }

    /// Another search space, from the next job on.
    pub fn set_extranonce(&mut self, extranonce1: &str, size: usize) {
        let params = json!([extranonce1, size]);
        self.line.say(&json!({ "id": null, "method": "mining.set_extranonce", "params": params }));
    }

    /// Waits until the proxy has read everything that was sent to it.
    pub fn wait_until_read(&mut self) {
        self.line.ask("read", "client.get_version", json!([]));
        self.line.answer("read");
    }

    /// Waits until the other end is closed.
    pub fn wait_closed(&mut self) {
        let mut is_closed = false;
        wait_for("the end of the connection", || {
            is_closed |= self.line.read().is_none();
            is_closed
        });
    }
}
