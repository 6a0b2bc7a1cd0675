//! The miners of the aggregate benchmark, in a process of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;

use super::common::{self, DEADLINE};

/// Shares that a miner sends without waiting for an answer.
pub const PIPELINED: usize = 8;
/// The threads of the miners' process.
const THREADS: usize = 4;
/// Marks the miners' process, in its environment.
const MINERS: &str = "BENCH_AGGREGATE_MINERS";

/// The handle of the miners' process. Each line to it is an order; each line from it has the results, seconds first.
pub struct MinersProcess {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl MinersProcess {
    pub fn start() -> MinersProcess {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(MINERS, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        MinersProcess { child, orders, answers: BufReader::new(answers) }
    }

    pub fn ask(&mut self, order: &str) -> Vec<f64> {
        writeln!(self.orders, "{order}").unwrap();
        self.read_answer()
    }

    /// Sends an order that is acknowledged before its results come.
    pub fn order(&mut self, order: &str) {
        assert!(self.ask(order).is_empty());
    }

    pub fn read_answer(&mut self) -> Vec<f64> {
        let mut line = String::new();
        assert!(self.answers.read_line(&mut line).unwrap() > 0, "the miners' process has ended");
        line.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }
}

impl Drop for MinersProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Miner {
    stream: TcpStream,
    /// The received beginning of a line.
    partial: Vec<u8>,
    extranonce2_size: u64,
    job_id: String,
    ntime: String,
    nonce: u32,
    jobs: usize,
    answers: usize,
    rejected: usize,
}

/// True in the miners' process.
pub fn is_this_process() -> bool {
    std::env::var(MINERS).is_ok()
}

/// Executes the orders on stdin, in the miners' process.
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
            "reconnect" => {
                println!();
                println!("{}", reconnect(&mut miners, words[2].parse().unwrap()).as_secs_f64());
            }
            _ => {
                miners.iter_mut().for_each(|miner| (miner.answers, miner.rejected) = (0, 0));
                let began = Instant::now();
                mine(&mut miners, number, words[2].parse().unwrap());
                let rejected: usize = miners.iter().map(|miner| miner.rejected).sum();
                println!("{} {rejected}", began.elapsed().as_secs_f64());
            }
        }
    }
}

/// Connects `count` miners, on several threads, and waits until each has a job.
fn connect(count: usize, address: SocketAddr) -> Vec<Miner> {
    let part = |thread: usize| (0..count).filter(move |place| place % THREADS == thread);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || part(thread).map(|_| Miner::open(address)).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Waits until each miner has `count` jobs. Returns the time between the first miner that has them and the last.
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
            miner.read_more();
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

/// Waits until each miner is disconnected, lets all connect again, and waits until each has a job. Returns the time
/// between the first disconnection and the last job.
fn reconnect(miners: &mut [Miner], address: SocketAddr) -> Duration {
    let part = miners.len().div_ceil(THREADS);
    let began: Vec<Instant> = std::thread::scope(|scope| {
        let threads: Vec<_> = miners
            .chunks_mut(part)
            .map(|part| {
                scope.spawn(move || {
                    let mut began = None;
                    for miner in &mut *part {
                        while matches!((&mut &miner.stream).read(&mut [0; 4096]), Ok(1..)) {}
                        began.get_or_insert_with(Instant::now);
                        *miner = Miner::start(address);
                    }
                    for miner in &mut *part {
                        while miner.jobs == 0 {
                            // It may be disconnected while there is no pool.
                            if !miner.read() {
                                *miner = Miner::start(address);
                            }
                        }
                    }
                    began.unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    began.iter().min().unwrap().elapsed()
}

fn mine(miners: &mut [Miner], rounds: usize, pipelined: usize) {
    let share = miners.len().div_ceil(THREADS);
    std::thread::scope(|scope| {
        for part in miners.chunks_mut(share) {
            scope.spawn(move || {
                for round in 1..=rounds {
                    part.iter_mut().for_each(|miner| miner.submit(pipelined));
                    for miner in &mut *part {
                        while miner.answers < round * pipelined {
                            miner.read_more();
                        }
                    }
                }
            });
        }
    });
}

impl Miner {
    fn open(address: SocketAddr) -> Miner {
        let mut miner = Miner::start(address);
        while miner.jobs == 0 {
            miner.read_more();
        }
        miner
    }

    /// Connects, and sends the first requests.
    fn start(address: SocketAddr) -> Miner {
        let stream = common::connect(address);
        (&mut &stream).write_all(&[common::SUBSCRIBE, common::AUTHORIZE].concat()).unwrap();
        Miner {
            stream,
            partial: Vec::new(),
            extranonce2_size: 0,
            job_id: String::new(),
            ntime: String::new(),
            nonce: 0,
            jobs: 0,
            answers: 0,
            rejected: 0,
        }
    }

    fn submit(&mut self, count: usize) {
        let extranonce2 = "00".repeat(self.extranonce2_size as usize);
        let mut lines = String::new();
        for _ in 0..count {
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

    fn read_more(&mut self) {
        assert!(self.read(), "a miner was disconnected");
    }

    /// Reads and handles the next bytes. `false` at the end.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let length = (&mut &self.stream).read(&mut buffer).unwrap_or(0);
        if length == 0 {
            return false;
        }
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(&buffer[..length]);
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        for line in bytes[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.take(line);
        }
        self.partial = bytes.split_off(end);
        true
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
                self.rejected += usize::from(message["result"] != true);
            }
            None => {
                if let Some(size) = message["result"].get(2).and_then(Value::as_u64) {
                    self.extranonce2_size = size;
                }
            }
        }
    }
}
