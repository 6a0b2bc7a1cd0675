//! A pool that answers every miner, and gives work only while the test wants it to, and never to a user
//! called "starved". It refuses a user called "unknown".

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// Whether and how it answers. Tests change it while miners are connected.
pub struct JobPool {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    gives_work: AtomicBool,
    refuses: AtomicBool,
    refuses_subscribe: AtomicBool,
    /// Answers no authorize, and gives no work.
    ignores_authorize: AtomicBool,
    /// Closes a connection that asks to authorize.
    hangs_up: AtomicBool,
    /// Reads, and says nothing more.
    is_mute: AtomicBool,
    /// Answers no share.
    ignores_shares: AtomicBool,
    /// Its answers name the method that they answer.
    repeats_methods: AtomicBool,
    is_over: AtomicBool,
    accepted: AtomicUsize,
    /// The logins, each with whether the connection was a probe of the proxy's.
    logins: Mutex<VecDeque<(bool, Value)>>,
    open: Mutex<Vec<TcpStream>>,
}

/// A miner's end that has subscribed and authorized.
pub struct JobMiner(pub TcpStream);

impl JobPool {
    pub fn start(gives_work: bool) -> JobPool {
        JobPool::on(TcpListener::bind("127.0.0.1:0").unwrap(), gives_work)
    }

    pub fn on(listener: TcpListener, gives_work: bool) -> JobPool {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        state.gives_work.store(gives_work, Ordering::SeqCst);
        let accepting = state.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if accepting.is_over.load(Ordering::SeqCst) {
                    return;
                }
                accepting.accepted.fetch_add(1, Ordering::SeqCst);
                accepting.open.lock().unwrap().push(stream.try_clone().unwrap());
                let state = accepting.clone();
                std::thread::spawn(move || {
                    state.serve(&stream);
                    // `open` has another handle of it.
                    let _ = stream.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        JobPool { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn upstream(&self) -> String {
        super::upstream(self.address)
    }

    /// Connections so far, probes included.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// From now on it gives work, also to those who wait, or to nobody.
    pub fn give_work(&self, gives_work: bool) {
        self.state.gives_work.store(gives_work, Ordering::SeqCst);
        if gives_work {
            for stream in self.state.open.lock().unwrap().iter() {
                let _ = (&*stream).write_all(job().as_bytes());
            }
        }
    }

    pub fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::SeqCst);
    }

    pub fn refuse_subscribe(&self, refuses: bool) {
        self.state.refuses_subscribe.store(refuses, Ordering::SeqCst);
    }

    /// From now on it answers the subscribe only.
    pub fn ignore_authorize(&self) {
        self.state.ignores_authorize.store(true, Ordering::SeqCst);
    }

    /// From now on it closes connections that ask to authorize.
    pub fn hang_up(&self, hangs_up: bool) {
        self.state.hangs_up.store(hangs_up, Ordering::SeqCst);
    }

    /// From now on shares get no answer.
    pub fn ignore_shares(&self) {
        self.state.ignores_shares.store(true, Ordering::SeqCst);
    }

    /// From now on its answers name the method that they answer.
    pub fn repeat_methods(&self) {
        self.state.repeats_methods.store(true, Ordering::SeqCst);
    }

    /// From now on it reads and says nothing.
    pub fn fall_silent(&self) {
        self.state.is_mute.store(true, Ordering::SeqCst);
    }

    /// Logins of the proxy's own probes.
    pub fn probes(&self) -> Vec<Value> {
        let logins = self.state.logins.lock().unwrap();
        logins.iter().filter(|(is_probe, _)| *is_probe).map(|(_, params)| params.clone()).collect()
    }

    /// Nobody listens any more; what is open stays open.
    pub fn stop_listening(&self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        super::wait_for("the end of the listener", || TcpStream::connect(self.address).is_err());
    }
}

impl Drop for JobPool {
    fn drop(&mut self) {
        if !self.state.is_over.swap(true, Ordering::SeqCst) {
            let _ = TcpStream::connect(self.address);
        }
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn job() -> String {
    let coinb1 =
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff2003a4bc0e";
    let coinb2 = "ffffffff0100f2052a01000000160014751e76e8199196d454941c45d1b3a323f1433bd600000000";
    let parent = "0000000000000000000000000000000000000000000000000000000000000000";
    let params = json!(["1", parent, coinb1, coinb2, [], "20000000", "17023a04", "68596192", true]);
    format!("{}\n", json!({ "id": null, "method": "mining.notify", "params": params }))
}

impl State {
    fn serve(&self, mut stream: &TcpStream) {
        let mut is_probe = false;
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            let message: Value = serde_json::from_str(&line).unwrap();
            if self.is_mute.load(Ordering::SeqCst) {
                continue;
            }
            let result = match message["method"].as_str() {
                Some("mining.subscribe") => {
                    is_probe =
                        message["params"][0].as_str().is_some_and(|agent| agent.starts_with("sluice/"));
                    if self.refuses_subscribe.load(Ordering::SeqCst) {
                        let error = json!([20, "no miners here", null]);
                        let answer = json!({ "id": message["id"], "result": null, "error": error });
                        let _ = stream.write_all(format!("{answer}\n").as_bytes());
                        continue;
                    }
                    json!([[["mining.set_difficulty", "s"], ["mining.notify", "s"]], "0a0b0c0d", 8])
                }
                Some("mining.authorize") if self.ignores_authorize.load(Ordering::SeqCst) => continue,
                Some("mining.authorize") => {
                    let login = message["params"].clone();
                    let is_unknown = login[0].as_str().is_some_and(|user| user.contains("unknown"));
                    self.logins.lock().unwrap().push_back((is_probe, login));
                    if self.hangs_up.load(Ordering::SeqCst) {
                        let _ = stream.shutdown(std::net::Shutdown::Both);
                        return;
                    }
                    let is_refused = is_unknown || self.refuses_subscribe.load(Ordering::SeqCst);
                    json!(!is_refused && !self.refuses.load(Ordering::SeqCst))
                }
                Some("mining.submit") if self.ignores_shares.load(Ordering::SeqCst) => continue,
                // As several pools do.
                Some("mining.suggest_difficulty") => continue,
                _ => json!(true),
            };
            let is_login = message["method"] == "mining.authorize" && result == true;
            let mut answer = json!({ "id": message["id"], "result": result, "error": null });
            if self.repeats_methods.load(Ordering::SeqCst) {
                answer["method"] = message["method"].clone();
            }
            let mut text = format!("{answer}\n");
            let is_starved = message["params"][0].as_str().is_some_and(|user| user.contains("starved"));
            if is_login && !is_starved && self.gives_work.load(Ordering::SeqCst) {
                text.push_str(&job());
            }
            if stream.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    }
}

impl JobMiner {
    /// Connects, subscribes and authorizes; both are answered.
    pub fn join(address: SocketAddr, user: &str) -> JobMiner {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(super::DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut miner = JobMiner(stream);
        miner.say(&json!({ "id": 1, "method": "mining.subscribe", "params": ["test"] }));
        let answer = super::read_line(&miner.0);
        assert!(answer.starts_with("{\"error\":null,\"id\":1"), "{answer}");
        miner.say(&json!({ "id": 2, "method": "mining.authorize", "params": [user, "secret"] }));
        let answer = super::read_line(&miner.0);
        assert!(answer.starts_with("{\"error\":null,\"id\":2"), "{answer}");
        miner
    }

    pub fn say(&mut self, message: &Value) {
        self.0.write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    /// Sends a share.
    pub fn submit(&mut self) {
        let params = json!(["w", "1", "0000000000000000", "68596192", "00000000"]);
        self.say(&json!({ "id": 4, "method": "mining.submit", "params": params }));
    }

    /// The next line is a job.
    pub fn expect_job(&self) {
        let line = super::read_line(&self.0);
        assert!(line.contains("\"method\":\"mining.notify\""), "{line}");
    }

    /// Whether the connection is open and has nothing to read.
    pub fn is_quiet(&self) -> bool {
        super::pool::is_quiet(&self.0)
    }
}
