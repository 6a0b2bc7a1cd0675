//! The pool of the aggregate benchmark.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use sluice::net::Stamp;

use super::common::{self, lines};

/// A difficulty that every hash reaches.
const EVERY_HASH: f64 = 1e-10;
const POOL_STACK: usize = 64 * 1024;

/// A pool that accepts every share. It runs as long as the benchmark.
pub struct Pool {
    pub address: SocketAddr,
    state: Arc<PoolState>,
}

#[derive(Default)]
struct PoolState {
    /// The authorized connections, which get jobs.
    authorized: Mutex<Vec<Arc<TcpStream>>>,
    difficulty: Mutex<f64>,
    jobs: AtomicU32,
    accepted: AtomicU32,
    shares: AtomicU64,
    is_down: AtomicBool,
    /// All connections, which end when the pool goes down.
    connections: Mutex<Vec<Arc<TcpStream>>>,
}

impl Pool {
    pub fn start() -> Pool {
        let (listener, address) = common::listen();
        let state = Arc::new(PoolState { difficulty: Mutex::new(EVERY_HASH), ..PoolState::default() });
        let shared = state.clone();
        std::thread::spawn(move || accept(&listener, &shared));
        Pool { address, state }
    }

    /// Sends a new job to every connection. Returns the time directly before the first write.
    pub fn send_job(&self) -> Stamp {
        self.state.jobs.fetch_add(1, Ordering::Relaxed);
        let line = self.state.job();
        let began = Stamp::now();
        for stream in &self.state.authorized.lock().unwrap().clone() {
            (&mut &**stream).write_all(line.as_bytes()).unwrap();
        }
        began
    }

    pub fn set_difficulty(&self, difficulty: f64) {
        *self.state.difficulty.lock().unwrap() = difficulty;
        for stream in &self.state.authorized.lock().unwrap().clone() {
            (&mut &**stream).write_all(difficulty_line(difficulty).as_bytes()).unwrap();
        }
    }

    /// Goes down: all connections end, and new ones end at once, until [`Pool::come_back`].
    pub fn go_down(&self) {
        self.state.is_down.store(true, Ordering::Relaxed);
        self.state.authorized.lock().unwrap().clear();
        for stream in self.state.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn come_back(&self) {
        self.state.is_down.store(false, Ordering::Relaxed);
    }

    pub fn shares(&self) -> u64 {
        self.state.shares.load(Ordering::Relaxed)
    }
}

impl PoolState {
    /// The newest job.
    fn job(&self) -> String {
        lines::notify(self.jobs.load(Ordering::Relaxed))
    }
}

fn difficulty_line(difficulty: f64) -> String {
    format!("{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{difficulty}]}}\n")
}

fn accept(listener: &TcpListener, state: &Arc<PoolState>) {
    while let Ok((stream, _)) = listener.accept() {
        if state.is_down.load(Ordering::Relaxed) {
            continue;
        }
        common::tune(&stream);
        stream.set_read_timeout(None).unwrap();
        let (state, stream) = (state.clone(), Arc::new(stream));
        state.connections.lock().unwrap().push(stream.clone());
        let number = state.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        let serve = move || drop(serve(stream, number, &state));
        std::thread::Builder::new().stack_size(POOL_STACK).spawn(serve).unwrap();
    }
}

fn serve(stream: Arc<TcpStream>, number: u32, state: &PoolState) -> io::Result<()> {
    let (mut rest, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        let length = (&mut &*stream).read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        rest.extend_from_slice(&buffer[..length]);
        let mut answers = String::new();
        let mut has_authorized = false;
        let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        for line in rest[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line = String::from_utf8_lossy(line);
            let has = |method: &str| line.contains(&format!("\"{method}\""));
            let id = lines::id(&line).unwrap_or(0);
            match () {
                // Every connection has a search space of its own.
                () if has("mining.subscribe") => answers += &lines::subscribed(id, number),
                () if has("mining.configure") => {
                    let mask = "{\"version-rolling\":true,\"version-rolling.mask\":\"1fffe000\"}";
                    let _ = writeln!(answers, "{{\"id\":{id},\"result\":{mask},\"error\":null}}");
                }
                () => answers += &lines::accepted(id),
            }
            if has("mining.submit") {
                state.shares.fetch_add(1, Ordering::Relaxed);
            }
            if has("mining.authorize") {
                has_authorized = true;
                answers += &difficulty_line(*state.difficulty.lock().unwrap());
                answers += &state.job();
            }
        }
        rest.drain(..end);
        (&mut &*stream).write_all(answers.as_bytes())?;
        if has_authorized {
            state.authorized.lock().unwrap().push(stream.clone());
        }
    }
}
