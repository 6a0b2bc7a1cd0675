//! Aggregate mode beside passthrough mode: miners that come, jobs that go out to all of them, shares
//! that are judged or forwarded, and what a miner costs.
//!
//! Three processes: the pool and the figures are this one, Sluice is another, and all miners are a
//! third, so that each has at most two sockets a miner. The pool asks for a difficulty that every hash
//! reaches when shares are to be forwarded, and for one that none reaches when they are to be judged
//! by Sluice alone: that costs the same as it does for a share that is good enough for its miner and
//! not for the pool, which would take thousands of hashes to find.
//!
//! `BENCH_MINERS` (one number instead of 100, 1,000 and 5,000), `BENCH_SHARES` (of each kind, 40,000),
//! `BENCH_JOBS` (for the spread, 9), `BENCH_BURST` (jobs at once, 30).

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::proc::{self, Memory};
use common::proxies::Proxy;
use common::{DEADLINE, median, print_table, setting};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

/// Every hash reaches it.
const EVERY_HASH: f64 = 1e-10;
/// No hash does.
const NO_HASH: f64 = 1e12;
/// Until all threads wait again.
const SETTLE: Duration = Duration::from_millis(800);
/// Threads of the miners' process.
const HANDS: usize = 4;
/// Shares that a miner sends without waiting.
const PIPELINED: usize = 8;
/// Below the hundred bad shares after which a miner is closed.
const MOST_REFUSED: usize = 88 / PIPELINED;
const POOL_STACK: usize = 64 * 1024;
const MINERS: &str = "BENCH_AGGREGATE_MINERS";

fn main() {
    sluice::net::process::raise_fd_limit().unwrap();
    if std::env::var(MINERS).is_ok() {
        return miners::serve();
    }
    let counts = match setting("BENCH_MINERS", 0) {
        0 => vec![100, 1000, 5000],
        count => vec![count],
    };
    let head = [
        "",
        "connections/s",
        "shares/s judged",
        "shares/s forwarded",
        "jobs/s",
        "lines/s",
        "spread ms",
        "worst ms",
        "RSS KiB a miner",
        "threads",
    ];
    for count in counts {
        let figures = ["aggregate", "passthrough"].map(|mode| measure(mode, count));
        println!("\n{count} miners\n");
        let mut rows: Vec<_> = figures.iter().map(Figures::row).collect();
        rows.push(Figures::ratios(&figures[0], &figures[1]));
        print_table(&head, &rows);
    }
}

/// What one mode did with so many miners.
struct Figures {
    mode: &'static str,
    /// In the order of the table; `None` where there is none.
    values: Vec<Option<f64>>,
}

impl Figures {
    fn row(&self) -> Vec<String> {
        let mut row = vec![self.mode.to_owned()];
        row.extend(self.values.iter().map(|value| match value {
            Some(value) if *value >= 1000.0 => format!("{value:.0}"),
            Some(value) => format!("{value:.1}"),
            None => "-".to_owned(),
        }));
        row
    }

    fn ratios(one: &Figures, other: &Figures) -> Vec<String> {
        let ratio = |(one, other): (&Option<f64>, &Option<f64>)| match (one, other) {
            (Some(one), Some(other)) => format!("{:.2}", one / other),
            _ => "-".to_owned(),
        };
        let mut row = vec![format!("{} / {}", one.mode, other.mode)];
        row.extend(one.values.iter().zip(&other.values).map(ratio));
        row
    }
}

fn measure(mode: &'static str, count: usize) -> Figures {
    let pool = Pool::start();
    let upstream = format!("[[upstream]]\nurl = \"stratum+tcp://{}\"\nuser = \"bench\"\n", pool.address);
    let vardiff = if mode == "aggregate" { "[vardiff]\nenabled = false\n" } else { "" };
    let proxy = Proxy::sluice_in(mode, &format!("{vardiff}{upstream}"));
    std::thread::sleep(SETTLE);
    let before = Memory::of(proxy.pid());
    let mut miners = Miners::start();

    let connecting = miners.ask(&format!("connect {count} {}", proxy.address));
    std::thread::sleep(SETTLE);
    let resident = (Memory::of(proxy.pid()).resident - before.resident) / count as f64;
    let threads = proc::threads(proxy.pid());

    let mut spreads = Vec::new();
    for _ in 0..setting("BENCH_JOBS", 9) {
        miners.tell("jobs 1");
        pool.job(1);
        spreads.push(miners.answer()[0]);
    }
    let burst = setting("BENCH_BURST", 30);
    let began = Instant::now();
    miners.tell(&format!("jobs {burst}"));
    pool.job(burst);
    miners.answer();
    let jobs = burst as f64 / began.elapsed().as_secs_f64();

    let rounds = setting("BENCH_SHARES", 40_000).div_ceil(count * PIPELINED).max(2);
    let total = |rounds: usize| (rounds * PIPELINED * count) as f64;
    let forwarded = miners.ask(&format!("shares {rounds}"));
    assert_eq!(forwarded[1], 0.0, "{mode}, {count} miners: shares to be forwarded were refused");
    let forwarded = total(rounds) / forwarded[0];
    let judged = (mode == "aggregate").then(|| {
        let seen = pool.shares();
        pool.ask_for(NO_HASH);
        miners.tell("jobs 1");
        pool.job(1);
        miners.answer();
        let rounds = rounds.min(MOST_REFUSED);
        let judged = miners.ask(&format!("shares {rounds}"));
        assert_eq!((pool.shares(), judged[1]), (seen, total(rounds)), "shares no hash reaches were taken");
        total(rounds) / judged[0]
    });
    Figures {
        mode,
        values: vec![
            Some(count as f64 / connecting[0]),
            judged,
            Some(forwarded),
            Some(jobs),
            Some(jobs * count as f64),
            Some(1000.0 * median(spreads.iter().copied())),
            Some(1000.0 * spreads.iter().copied().fold(0.0, f64::max)),
            Some(resident),
            Some(threads as f64),
        ],
    }
}

/// A pool that accepts every share; it runs as long as the bench.
struct Pool {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Who has authorized, and so gets jobs.
    open: Mutex<Vec<Arc<TcpStream>>>,
    difficulty: Mutex<f64>,
    jobs: AtomicU64,
    shares: AtomicU64,
}

impl Pool {
    fn start() -> Pool {
        let (listener, address) = common::listen();
        let state = Arc::new(State { difficulty: Mutex::new(EVERY_HASH), ..State::default() });
        let shared = state.clone();
        std::thread::spawn(move || accept(&listener, &shared));
        Pool { address, state }
    }

    /// Gives everybody so many jobs, one directly after the other.
    fn job(&self, count: usize) {
        let open = self.state.open.lock().unwrap().clone();
        for _ in 0..count {
            self.state.jobs.fetch_add(1, Ordering::Relaxed);
            let line = self.state.job();
            for stream in &open {
                (&mut &**stream).write_all(line.as_bytes()).unwrap();
            }
        }
    }

    fn ask_for(&self, difficulty: f64) {
        *self.state.difficulty.lock().unwrap() = difficulty;
        for stream in &self.state.open.lock().unwrap().clone() {
            (&mut &**stream).write_all(difficulty_line(difficulty).as_bytes()).unwrap();
        }
    }

    fn shares(&self) -> u64 {
        self.state.shares.load(Ordering::Relaxed)
    }
}

impl State {
    /// The newest job, of 12 branches.
    fn job(&self) -> String {
        let number = self.jobs.load(Ordering::Relaxed);
        let branches: Vec<String> = (0..12).map(|place| format!("{place:02x}").repeat(32)).collect();
        let coinb1 = format!(
            "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff2003a4bc0e{number:08x}"
        );
        let coinb2 = "ffffffff0100f2052a01000000160014751e76e8199196d454941c45d1b3a323f1433bd600000000";
        let params = json!([
            format!("{number:x}"),
            "00".repeat(32),
            coinb1,
            coinb2,
            branches,
            "20000000",
            "17023a04",
            "68596192",
            true
        ]);
        format!("{{\"id\":null,\"method\":\"mining.notify\",\"params\":{params}}}\n")
    }
}

fn difficulty_line(difficulty: f64) -> String {
    format!("{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{difficulty}]}}\n")
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    while let Ok((stream, _)) = listener.accept() {
        common::tune(&stream);
        stream.set_read_timeout(None).unwrap();
        let state = state.clone();
        let serve = move || drop(serve(Arc::new(stream), &state));
        std::thread::Builder::new().stack_size(POOL_STACK).spawn(serve).unwrap();
    }
}

fn serve(stream: Arc<TcpStream>, state: &State) -> io::Result<()> {
    let (mut rest, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        let length = (&mut &*stream).read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        rest.extend_from_slice(&buffer[..length]);
        let mut answers = String::new();
        let mut is_open = false;
        let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        for line in rest[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line = String::from_utf8_lossy(line);
            let has = |method: &str| line.contains(&format!("\"{method}\""));
            let id = line.split_once("\"id\":").and_then(|(_, rest)| rest.split([',', '}']).next());
            let id = id.unwrap_or("null").trim();
            let result = match () {
                () if has("mining.subscribe") => "[[[\"mining.notify\",\"1\"]],\"0a1b2c3d\",8]",
                () if has("mining.configure") => {
                    "{\"version-rolling\":true,\"version-rolling.mask\":\"1fffe000\"}"
                }
                () => "true",
            };
            let _ = writeln!(answers, "{{\"id\":{id},\"result\":{result},\"error\":null}}");
            if has("mining.submit") {
                state.shares.fetch_add(1, Ordering::Relaxed);
            }
            if has("mining.authorize") {
                is_open = true;
                answers += &difficulty_line(*state.difficulty.lock().unwrap());
                answers += &state.job();
            }
        }
        rest.drain(..end);
        (&mut &*stream).write_all(answers.as_bytes())?;
        if is_open {
            state.open.lock().unwrap().push(stream.clone());
        }
    }
}

/// The miners' process: a line to it is an order, a line from it the figures, in seconds first.
struct Miners {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Miners {
    fn start() -> Miners {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(MINERS, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Miners { child, orders, answers: BufReader::new(answers) }
    }

    fn ask(&mut self, order: &str) -> Vec<f64> {
        writeln!(self.orders, "{order}").unwrap();
        self.answer()
    }

    /// As [`Miners::ask`], for orders that say when they have been understood.
    fn tell(&mut self, order: &str) {
        assert!(self.ask(order).is_empty());
    }

    fn answer(&mut self) -> Vec<f64> {
        let mut line = String::new();
        assert!(self.answers.read_line(&mut line).unwrap() > 0, "the miners' process has ended");
        line.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }
}

impl Drop for Miners {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What happens in the miners' process.
mod miners {
    use super::*;

    struct Miner {
        stream: TcpStream,
        /// The beginning of a line.
        partial: Vec<u8>,
        extranonce2_size: u64,
        job_id: String,
        ntime: String,
        nonce: u32,
        jobs: usize,
        answers: usize,
        refused: usize,
    }

    pub fn serve() {
        let mut miners: Vec<Miner> = Vec::new();
        for order in io::stdin().lock().lines() {
            let order = order.unwrap();
            let words: Vec<&str> = order.split(' ').collect();
            let number: usize = words[1].parse().unwrap();
            match words[0] {
                "connect" => {
                    let began = Instant::now();
                    miners = connect(number, words[2].parse().unwrap());
                    println!("{}", began.elapsed().as_secs_f64());
                }
                "jobs" => {
                    miners.iter_mut().for_each(|miner| miner.jobs = 0);
                    println!();
                    println!("{}", wait_jobs(&mut miners, number).as_secs_f64());
                }
                _ => {
                    miners.iter_mut().for_each(|miner| (miner.answers, miner.refused) = (0, 0));
                    let began = Instant::now();
                    mine(&mut miners, number);
                    let refused: usize = miners.iter().map(|miner| miner.refused).sum();
                    println!("{} {refused}", began.elapsed().as_secs_f64());
                }
            }
        }
    }

    /// So many miners that each have a job, opened by several at a time.
    fn connect(count: usize, address: SocketAddr) -> Vec<Miner> {
        let part = |hand: usize| (0..count).filter(move |place| place % HANDS == hand);
        std::thread::scope(|scope| {
            let hands: Vec<_> = (0..HANDS)
                .map(|hand| scope.spawn(move || part(hand).map(|_| Miner::open(address)).collect::<Vec<_>>()))
                .collect();
            hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
        })
    }

    /// Until each has so many jobs; from the first one's last to the last one's.
    fn wait_jobs(miners: &mut [Miner], count: usize) -> Duration {
        let (mut first, mut last) = (None, Instant::now());
        let deadline = Instant::now() + DEADLINE;
        let mut open: Vec<&mut Miner> = miners.iter_mut().collect();
        while !open.is_empty() {
            assert!(Instant::now() < deadline, "{} miners wait for a job", open.len());
            let mut waiting: Vec<PollFd> =
                open.iter().map(|miner| PollFd::new(miner.stream.as_fd(), PollFlags::POLLIN)).collect();
            poll(&mut waiting, PollTimeout::from(1000_u16)).unwrap();
            let ready: Vec<bool> = waiting.iter().map(|one| one.any().unwrap_or(true)).collect();
            let mut ready = ready.into_iter();
            open.retain_mut(|miner| {
                if !ready.next().unwrap_or(false) {
                    return true;
                }
                miner.read();
                let is_done = miner.jobs >= count;
                if is_done {
                    last = Instant::now();
                    first.get_or_insert(last);
                }
                !is_done
            });
        }
        last - first.unwrap_or(last)
    }

    fn mine(miners: &mut [Miner], rounds: usize) {
        let share = miners.len().div_ceil(HANDS);
        std::thread::scope(|scope| {
            for part in miners.chunks_mut(share) {
                scope.spawn(move || {
                    for round in 1..=rounds {
                        part.iter_mut().for_each(Miner::submit);
                        for miner in &mut *part {
                            while miner.answers < round * PIPELINED {
                                miner.read();
                            }
                        }
                    }
                });
            }
        });
    }

    impl Miner {
        fn open(address: SocketAddr) -> Miner {
            let stream = common::connect(address);
            (&mut &stream).write_all(&[common::SUBSCRIBE, common::AUTHORIZE].concat()).unwrap();
            let mut miner = Miner {
                stream,
                partial: Vec::new(),
                extranonce2_size: 0,
                job_id: String::new(),
                ntime: String::new(),
                nonce: 0,
                jobs: 0,
                answers: 0,
                refused: 0,
            };
            while miner.jobs == 0 {
                miner.read();
            }
            miner
        }

        fn submit(&mut self) {
            let extranonce2 = "00".repeat(self.extranonce2_size as usize);
            let mut lines = String::new();
            for _ in 0..PIPELINED {
                self.nonce += 1;
                let _ = writeln!(
                    lines,
                    "{{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"bench\",\"{}\",\"{extranonce2}\",\
                     \"{}\",\"{:08x}\"]}}",
                    self.job_id, self.ntime, self.nonce
                );
            }
            (&mut &self.stream).write_all(lines.as_bytes()).unwrap();
        }

        /// Takes what is there, at least something.
        fn read(&mut self) {
            let mut buffer = [0; 16 * 1024];
            let length = (&mut &self.stream).read(&mut buffer).unwrap();
            assert!(length > 0, "a miner was closed");
            let mut bytes = std::mem::take(&mut self.partial);
            bytes.extend_from_slice(&buffer[..length]);
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
            for line in bytes[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                self.take(line);
            }
            self.partial = bytes.split_off(end);
        }

        fn take(&mut self, line: &[u8]) {
            let message: BTreeMap<String, Value> = serde_json::from_slice(line).unwrap();
            match message.get("method").and_then(Value::as_str) {
                Some("mining.notify") => {
                    let text = |place: usize| message["params"][place].as_str().unwrap().to_owned();
                    (self.job_id, self.ntime) = (text(0), text(7));
                    self.jobs += 1;
                }
                Some(_) => {}
                None if message["id"] == 4 => {
                    self.answers += 1;
                    self.refused += usize::from(message["result"] != true);
                }
                None => {
                    if let Some(size) = message["result"].get(2).and_then(Value::as_u64) {
                        self.extranonce2_size = size;
                    }
                }
            }
        }
    }
}
