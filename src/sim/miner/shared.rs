//! Data shared by a miner's two threads: the work, the connection, the statistics.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde_json::Value;

use super::model::{FoundShare, MinerModel};
use super::options::MinerOptions;
use super::stats::MinerStats;
use super::work::{ConnectionNumber, SimWork};
use crate::sim::observable::Observable;
use crate::util::stop::Stop;

/// Shares that wait for their answer; the NerdMiner's table has as many.
const MAX_PENDING_NERDMINER: usize = 32;
const MAX_PENDING: usize = 1000;

#[derive(Debug)]
pub(super) struct SimMinerShared {
    pub options: MinerOptions,
    pub stop: Stop,
    pub stats: Observable<MinerStats>,
    /// True while the miner is connected and does not hash.
    pub is_stalled: AtomicBool,
    work: Mutex<Option<SimWork>>,
    work_changed: Condvar,
    /// Counts the changes of `work`, to be looked at without its lock.
    generation: AtomicU64,
    wire: Mutex<Option<Wire>>,
}

/// The sending half of a connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    connection: ConnectionNumber,
    habit: MinerModel,
    next_id: u64,
    pending: VecDeque<(u64, Instant)>,
    /// When the last share was sent.
    pub last_submit: Instant,
}

impl SimMinerShared {
    pub fn new(options: MinerOptions, stop: Stop) -> SimMinerShared {
        SimMinerShared {
            options,
            stop,
            stats: Observable::default(),
            is_stalled: AtomicBool::new(false),
            work: Mutex::new(None),
            work_changed: Condvar::new(),
            generation: AtomicU64::new(0),
            wire: Mutex::new(None),
        }
    }

    /// Gives the hashing thread something else to do; nothing when there is no job.
    pub fn set_work(&self, work: Option<SimWork>) {
        self.stats.update(|stats| stats.difficulty = work.as_ref().map(|work| work.difficulty));
        let mut current = self.work.lock();
        *current = work;
        self.generation.fetch_add(1, Ordering::Release);
        self.work_changed.notify_all();
    }

    /// Changes with each [`SimMinerShared::set_work`].
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The work and its generation; waits while there is none. `None` when the miner is stopped.
    pub fn wait_for_work(&self) -> Option<(SimWork, u64)> {
        let mut work = self.work.lock();
        loop {
            if self.stop.is_stopped() {
                return None;
            }
            if let Some(work) = work.as_ref() {
                return Some((work.clone(), self.generation()));
            }
            self.work_changed.wait(&mut work);
        }
    }

    /// Waits, unless the work changes meanwhile.
    pub fn rest(&self, generation: u64, time: Duration) {
        let mut work = self.work.lock();
        if self.generation() == generation {
            // Whether it was woken early does not matter: the caller looks at the clock.
            self.work_changed.wait_for(&mut work, time);
        }
    }

    /// Takes a new connection into use.
    pub fn connect(&self, stream: TcpStream) -> ConnectionNumber {
        let connection = self.stats.update(|stats| {
            stats.connected = true;
            stats.reconnects = stats.connections;
            stats.connections += 1;
            ConnectionNumber(stats.connections)
        });
        let habit = self.options.model;
        let wire = Wire {
            stream,
            connection,
            habit,
            next_id: habit.first_id(),
            pending: VecDeque::new(),
            last_submit: Instant::now(),
        };
        *self.wire.lock() = Some(wire);
        connection
    }

    /// Ends the connection, if there is one.
    pub fn disconnect(&self, reason: String) {
        self.set_work(None);
        if let Some(wire) = self.wire.lock().take() {
            wire.close();
        }
        self.stats.update(|stats| stats.record_end(reason));
    }

    /// Wakes both threads, which then find the miner stopped.
    pub fn wake(&self) {
        self.set_work(None);
        if let Some(wire) = self.wire.lock().as_ref() {
            wire.close();
        }
    }

    /// Uses the connection, if there is one.
    pub fn with_wire<R>(&self, use_wire: impl FnOnce(&mut Wire) -> R) -> Option<R> {
        self.wire.lock().as_mut().map(use_wire)
    }

    /// Sends a share, if the connection it was found for is still there.
    pub fn submit(&self, connection: ConnectionNumber, share: &FoundShare) {
        let params = self.options.model.submit_params(&self.options.worker, share);
        let mut wire = self.wire.lock();
        let Some(wire) = wire.as_mut().filter(|wire| wire.connection == connection) else {
            return;
        };
        // Counted first: the answer may come before this thread goes on.
        self.stats.update(|stats| stats.submitted += 1);
        if wire.submit(&params).is_err() {
            // The reading thread finds out why.
            wire.close();
        }
    }
}

impl Wire {
    /// Sends a request and gives its id.
    pub fn request(&mut self, method: &str, params: &Value) -> io::Result<u64> {
        let (id, line) = self.prepare(method, params);
        self.send(&line)?;
        Ok(id)
    }

    /// A request to be sent together with others.
    pub fn prepare(&mut self, method: &str, params: &Value) -> (u64, String) {
        let id = self.next_id;
        self.next_id += 1;
        (id, self.habit.request(id, method, params))
    }

    /// Sends a line, or several, in one write.
    pub fn send(&mut self, lines: &str) -> io::Result<()> {
        self.stream.write_all(lines.as_bytes())
    }

    /// The time at which the answered share was sent. `None` if the answer is not to a share.
    pub fn answered(&mut self, id: u64) -> Option<Instant> {
        // The first: cpuminer gives all its shares the same id.
        let index = self.pending.iter().position(|(pending, _)| *pending == id)?;
        self.pending.remove(index).map(|(_, sent)| sent)
    }

    fn submit(&mut self, params: &Value) -> io::Result<()> {
        let id = match self.habit {
            MinerModel::Cpuminer => 4,
            _ => {
                self.next_id += 1;
                self.next_id - 1
            }
        };
        let most = if self.habit == MinerModel::NerdMiner { MAX_PENDING_NERDMINER } else { MAX_PENDING };
        if self.pending.len() >= most {
            self.pending.pop_front();
        }
        self.last_submit = Instant::now();
        self.pending.push_back((id, self.last_submit));
        let line = self.habit.request(id, "mining.submit", params);
        self.send(&line)
    }

    fn close(&self) {
        // Gone already is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
