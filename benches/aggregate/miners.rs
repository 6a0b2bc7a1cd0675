//! The miners of the aggregate benchmark, in a process of their own.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice::net::{Stamp, Stream, StreamReader};

use super::common;
use super::common::lines::{self, MinerWork};

/// Shares that a miner sends without waiting for an answer.
pub const PIPELINED: usize = 8;
/// The id of all shares.
const SHARE: u64 = 4;
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
    stream: Arc<Stream>,
    reader: StreamReader,
    /// The received beginning of a line.
    partial: Vec<u8>,
    work: MinerWork,
    submitted: u64,
    jobs: usize,
    /// When the newest job was in the socket, by the kernel's clock.
    job_at: Stamp,
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
        let number = || words[1].parse::<usize>().unwrap();
        match words[0] {
            "connect" => {
                let began = Instant::now();
                miners = connect(number(), words[2].parse().unwrap());
                println!("{}", began.elapsed().as_secs_f64());
            }
            "arrivals" => {
                let began = Stamp::from_nanos(words[1].parse().unwrap());
                let [first, last] = arrivals(&mut miners, began).map(|delay| delay.as_secs_f64());
                println!("{first} {last}");
            }
            "reconnect" => {
                println!();
                println!("{}", reconnect(&mut miners, words[2].parse().unwrap()).as_secs_f64());
            }
            _ => {
                miners.iter_mut().for_each(|miner| (miner.answers, miner.rejected) = (0, 0));
                let began = Instant::now();
                mine(&mut miners, number(), words[2].parse().unwrap());
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

/// Has each miner read a job that has come to its socket or is about to. Returns how long after `began` the first and the
/// last was there.
fn arrivals(miners: &mut [Miner], began: Stamp) -> [Duration; 2] {
    let delays = miners.iter_mut().map(|miner| {
        while miner.job_at < began {
            miner.read_more();
        }
        miner.job_at.since(began).unwrap_or_default()
    });
    let delays: Vec<Duration> = delays.collect();
    [delays.iter().min(), delays.iter().max()].map(|delay| *delay.unwrap())
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
                        while miner.read() {}
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
        let stream = Arc::new(Stream::Plain(common::connect(address)));
        stream.send_all([lines::subscribe(), lines::authorize()].concat().as_bytes()).unwrap();
        Miner {
            reader: StreamReader::new(stream.clone()),
            stream,
            partial: Vec::new(),
            work: MinerWork::default(),
            submitted: 0,
            jobs: 0,
            job_at: Stamp::default(),
            answers: 0,
            rejected: 0,
        }
    }

    fn submit(&mut self, count: usize) {
        let (mut all, mut line) = (String::new(), String::new());
        for _ in 0..count {
            self.submitted += 1;
            self.work.write_submit(SHARE, self.submitted, &mut line);
            all += &line;
        }
        self.stream.send_all(all.as_bytes()).unwrap();
    }

    fn read_more(&mut self) {
        assert!(self.read(), "a miner was disconnected");
    }

    /// Reads and handles the next bytes. `false` at the end.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let Some(received) = self.reader.recv(&mut buffer).ok().filter(|received| received.length > 0) else {
            return false;
        };
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(&buffer[..received.length]);
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        for line in bytes[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.take(std::str::from_utf8(line).unwrap(), received.readable_at);
        }
        self.partial = bytes.split_off(end);
        true
    }

    fn take(&mut self, line: &str, at: Stamp) {
        match (lines::method(line), lines::id(line)) {
            (Some("notify"), _) => {
                self.work.take_job(line);
                self.jobs += 1;
                self.job_at = at;
            }
            (Some(_), _) => {}
            (None, Some(1)) => self.work.take_subscribed(line),
            (None, Some(SHARE)) => {
                self.answers += 1;
                self.rejected += usize::from(!line.contains("\"result\":true"));
            }
            (None, _) => {}
        }
    }
}
