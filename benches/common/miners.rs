//! The load generator: all simulated miners on one thread. In an open loop shares are due at times that were decided
//! before, and a share's delay counts from then, whatever keeps its miner or this thread from sending it. A slow answer
//! so never delays the shares that would have met the same slowness ("coordinated omission").

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::clock::{Nanos, Timer};
use super::lines::{self, MinerWork};
use super::pool::{Broadcast, Pool};
use super::schedule::Schedule;

const EVENTS: usize = 256;
const BUFFER: usize = 64 * 1024;
/// The event of the timer. Those of the miners have their sent.
const TIMER: u64 = u64::MAX;
/// The time that answers may take after the last share. What has not come then is lost.
const GRACE: Duration = Duration::from_secs(5);
/// The id of a miner's first share. Those before it are the subscribe's and the authorize's.
const FIRST_SHARE: u64 = 3;

/// Connected miners. Dropping them disconnects them.
pub struct Miners {
    miners: Vec<Miner>,
    epoll: Epoll,
    timer: Timer,
    buffer: Vec<u8>,
}

/// The result of a load of shares.
#[derive(Debug, Default)]
pub struct Load {
    /// From the time a share was due to its answer, in the order of the answers.
    pub delays: Vec<Nanos>,
    /// From the time a share was due to its sending.
    pub lateness: Vec<Nanos>,
    pub refused: usize,
    /// Shares without an answer.
    pub lost: usize,
    /// From the first share to the last answer.
    pub took: Nanos,
}

struct Miner {
    stream: TcpStream,
    /// The received beginning of a line.
    partial: Vec<u8>,
    work: MinerWork,
    /// The times at which the unanswered shares were due.
    unanswered: VecDeque<Nanos>,
    next_id: u64,
    is_authorized: bool,
}

/// What a read has brought.
#[derive(Debug, Default, Clone, Copy)]
struct Arrivals {
    accepted: usize,
    refused: usize,
    jobs: usize,
}

impl Miners {
    /// Connects the miners and has each of them subscribe, authorize and get a job, one after the other.
    pub fn connect(address: SocketAddr, count: usize) -> Miners {
        Miners::over((0..count).map(|_| super::connect(address)))
    }

    /// Miners over these connections; otherwise like [`Miners::connect`].
    pub fn over(streams: impl Iterator<Item = TcpStream>) -> Miners {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let timer = Timer::new();
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER)).unwrap();
        let mut buffer = vec![0; BUFFER];
        let mut miners = Vec::new();
        for stream in streams {
            let miner = Miner::open(stream, &mut buffer);
            epoll.add(&miner.stream, EpollEvent::new(EpollFlags::EPOLLIN, miners.len() as u64)).unwrap();
            miners.push(miner);
        }
        Miners { miners, epoll, timer, buffer }
    }

    /// The connection of a miner.
    pub fn stream(&self, miner: usize) -> &TcpStream {
        &self.miners[miner].stream
    }

    /// Has every miner send a share each `mean` or so, independently of each other, for as long as `time`.
    pub fn open_loop(&mut self, mean: Duration, time: Duration, seed: u64) -> Load {
        let mut load = Load::default();
        let start = Nanos::now();
        let end = start + time.into();
        let mut schedule = Schedule::new(start, self.miners.len(), mean, seed);
        let mut sent = 0;
        loop {
            let now = Nanos::now();
            while let Some((due, miner)) = schedule.take(now.min(end)) {
                sent += 1;
                load.lateness.push(self.miners[miner].submit(due) - due);
            }
            let next = schedule.next().filter(|due| *due <= end).unwrap_or(end);
            if now >= end && load.is_done(sent, end) {
                load.took = Nanos::now() - start;
                return load;
            }
            self.timer.set(if now >= end { end + GRACE.into() } else { next });
            self.wait(|miner, arrivals, at| load.count(miner, arrivals, at));
        }
    }

    /// Has every miner keep `window` shares unanswered for as long as `time`: a share is due when the answer of an
    /// earlier one has come.
    pub fn closed_loop(&mut self, window: usize, time: Duration) -> Load {
        let mut load = Load::default();
        let start = Nanos::now();
        let end = start + time.into();
        let mut sent = 0;
        for miner in &mut self.miners {
            for _ in 0..window {
                sent += 1;
                miner.submit(Nanos::now());
            }
        }
        self.timer.set(end + GRACE.into());
        while !load.is_done(sent, end) {
            self.wait(|miner, arrivals, at| {
                load.count(miner, arrivals, at);
                for _ in 0..arrivals.answers() {
                    if at < end {
                        sent += 1;
                        miner.submit(at);
                    }
                }
            });
        }
        load.took = Nanos::now() - start;
        load
    }

    /// Has the pool send a job to all. Returns the time each took to reach its miner from the pool's first write on,
    /// shortest first.
    pub fn burst(&mut self, pool: &Pool) -> (Vec<Nanos>, Broadcast) {
        let mut arrived = Vec::with_capacity(self.miners.len());
        let deadline = Nanos::now() + GRACE.into();
        self.timer.set(deadline);
        pool.send_job();
        while arrived.len() < self.miners.len() {
            assert!(
                Nanos::now() < deadline,
                "a job has reached {} of {} miners",
                arrived.len(),
                self.miners.len()
            );
            self.wait(|_, arrivals, at| arrived.extend((0..arrivals.jobs).map(|_| at)));
        }
        let broadcast = pool.job_sent();
        let mut delays: Vec<Nanos> = arrived.into_iter().map(|at| at - broadcast.began).collect();
        delays.sort_unstable();
        (delays, broadcast)
    }

    /// Waits for the timer or for messages, and hands each miner's to `handle` with the time at which they were read.
    fn wait(&mut self, mut handle: impl FnMut(&mut Miner, Arrivals, Nanos)) {
        let mut events = [EpollEvent::empty(); EVENTS];
        let ready = self.epoll.wait(&mut events, EpollTimeout::NONE).unwrap();
        for event in &events[..ready] {
            if event.data() == TIMER {
                self.timer.clear();
                continue;
            }
            let miner = &mut self.miners[event.data() as usize];
            match miner.read(&mut self.buffer) {
                Ok(arrivals) => handle(miner, arrivals, Nanos::now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("a miner was disconnected: {error}"),
            }
        }
    }
}

impl Load {
    /// True if all of `sent` shares are answered, or the time for it is over.
    fn is_done(&mut self, sent: usize, end: Nanos) -> bool {
        self.lost = sent - self.delays.len();
        self.lost == 0 || Nanos::now() >= end + GRACE.into()
    }

    fn count(&mut self, miner: &mut Miner, arrivals: Arrivals, at: Nanos) {
        self.refused += arrivals.refused;
        for due in miner.unanswered.drain(..arrivals.answers()) {
            self.delays.push(at - due);
        }
    }
}

impl Arrivals {
    fn answers(self) -> usize {
        self.accepted + self.refused
    }
}

impl Miner {
    fn open(stream: TcpStream, buffer: &mut [u8]) -> Miner {
        let mut miner = Miner {
            stream,
            partial: Vec::new(),
            work: MinerWork::default(),
            unanswered: VecDeque::new(),
            next_id: FIRST_SHARE,
            is_authorized: false,
        };
        miner.stream.write_all(lines::subscribe().as_bytes()).unwrap();
        miner.read(buffer).unwrap();
        miner.stream.write_all(lines::authorize().as_bytes()).unwrap();
        let mut jobs = 0;
        while jobs == 0 || !miner.is_authorized {
            jobs += miner.read(buffer).unwrap().jobs;
        }
        miner.stream.set_nonblocking(true).unwrap();
        miner
    }

    /// Sends a share that was due at `due`. Returns the time directly before.
    fn submit(&mut self, due: Nanos) -> Nanos {
        let mut line = String::new();
        // The time is a number that no earlier share had, also of a miner that got the same search space.
        self.work.write_submit(self.next_id, Nanos::now().0, &mut line);
        self.next_id += 1;
        self.unanswered.push_back(due);
        let at = Nanos::now();
        self.stream.write_all(line.as_bytes()).unwrap();
        at
    }

    /// Reads and handles the next bytes.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrivals> {
        let length = self.stream.read(buffer)?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut arrivals = Arrivals::default();
        let mut rest = &buffer[..length];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if self.partial.is_empty() {
                self.take(&rest[..end], &mut arrivals);
            } else {
                self.partial.extend_from_slice(&rest[..end]);
                let line = std::mem::take(&mut self.partial);
                self.take(&line, &mut arrivals);
            }
            rest = &rest[end + 1..];
        }
        self.partial.extend_from_slice(rest);
        Ok(arrivals)
    }

    fn take(&mut self, line: &[u8], arrivals: &mut Arrivals) {
        let line = std::str::from_utf8(line).unwrap();
        match (lines::method(line), lines::id(line)) {
            (Some("notify"), _) => {
                self.work.take_job(line);
                arrivals.jobs += 1;
            }
            (Some(_), _) => {}
            (None, Some(1)) => self.work.take_subscribed(line),
            (None, Some(2)) => self.is_authorized = true,
            (None, id) => {
                let oldest = self.next_id - self.unanswered.len() as u64 + arrivals.answers() as u64;
                assert_eq!(id, Some(oldest), "an answer out of its turn");
                match line.contains("\"result\":true") || line.contains("\"result\": true") {
                    true => arrivals.accepted += 1,
                    false => arrivals.refused += 1,
                }
            }
        }
    }
}
