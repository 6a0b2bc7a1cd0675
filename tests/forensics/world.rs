//! Pools, miners and the proxy's analyzer between them, in virtual time.

#[path = "mining.rs"]
mod mining;
#[path = "talk.rs"]
mod talk;
#[path = "watched.rs"]
mod watched;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;

use sluice::analyzer::{PoolReach, Replay, Setup, Totals};
use sluice::config::AnalysisConfig;
use sluice::net::Stamp;
use sluice::stratum::Difficulty;
use sluice::tap::{Conversation, Direction};
use sluice::upstream::PoolStatus;
use sluice::work::BlockHash;

use crate::forensics::blocks::{EASIEST, invented};
use crate::forensics::pool::{Habit, Job, Link, Pool};
use crate::forensics::random::Random;
use crate::forensics::seen::Book;
use watched::Reference;

/// 2026-09-20.
const BEGIN: u64 = 1_790_000_000;
const FIRST_HEIGHT: u32 = 968_000;
const SECOND: f64 = 1e9;
/// Between miner and pool, one way, in seconds.
const WAY: f64 = 0.04;

pub struct World {
    pub replay: Replay,
    pub pools: Vec<Pool>,
    pub miners: Vec<Miner>,
    pub sessions: Vec<Session>,
    references: Vec<Reference>,
    /// The states of the pools that the analyzer was told last.
    told: Vec<PoolReach>,
    random: Random,
    /// Nanoseconds since 1970.
    now: u64,
    tick: f64,
    queue: BinaryHeap<Reverse<Due>>,
    count: u64,
    height: u32,
    /// The newest block of the network, and what blocks are worth there.
    tip: BlockHash,
    network: u32,
    /// Seconds from one block to the next; 0 for none.
    pub block_mean: f64,
    /// Seconds until a pool has heard of a block, two more at most.
    pub pool_delay: f64,
    /// Miners are not with the pool but with a proxy that passes their work on.
    pub shared: Option<Shared>,
}

/// How that proxy fares.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shared {
    /// The part of the shares that it accepts itself.
    pub counted: f64,
    /// It has lost the pool, and refuses what it gets.
    pub is_cut_off: bool,
}

pub struct Miner {
    pub worker: String,
    /// Hashes per second.
    pub hash_rate: f64,
    /// Its shares are worth this part of what it was asked for.
    pub sloppy: f64,
    /// Sends each share twice.
    pub stutters: bool,
    /// Added to the time of its shares.
    pub ntime: i64,
    pub session: Option<usize>,
    pub address: SocketAddr,
    generation: u64,
    /// The work it has taken up.
    job: Option<Job>,
}

pub struct Session {
    pub conversation: Option<Arc<Conversation>>,
    /// The miner's with the proxy.
    with_miner: Option<Arc<Conversation>>,
    pool: usize,
    miner: usize,
    link: Link,
    ids: u64,
    /// The miner's end is gone, and nobody knows.
    is_dead: bool,
}

struct Due {
    at: u64,
    count: u64,
    what: What,
}

enum What {
    Tick,
    Block,
    /// A pool sees the network's newest block.
    Learns(usize),
    /// A pool's next job of the same block.
    Refresh(usize),
    /// The full job after an empty one.
    Fills(usize),
    /// A miner takes up work.
    Takes(usize, Box<Job>),
    Share(usize, u64),
    Arrives(usize, Box<Sent>),
    Says(usize, Vec<u8>),
    /// The proxy, to the miner.
    SaysItself(usize, Vec<u8>),
    /// A reference sees the newest block.
    Hears(usize),
    /// It is told again what it works on.
    Repeats(usize),
    Script(Box<dyn FnOnce(&mut World)>),
}

/// A share under way.
struct Sent {
    id: u64,
    job: String,
    hash: BlockHash,
    worth: f64,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.count == other.count
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (self.at, self.count).cmp(&(other.at, other.count))
    }
}

/// The hash rate that finds a share of this difficulty once in so many seconds.
pub fn hash_rate(difficulty: f64, seconds: f64) -> f64 {
    difficulty * 2_f64.powi(32) / seconds
}

impl World {
    pub fn new(seed: u64, habits: Vec<Habit>) -> World {
        World::with(seed, habits, |_| {})
    }

    pub fn with(seed: u64, habits: Vec<Habit>, change: impl FnOnce(&mut Setup)) -> World {
        let mut random = Random::new(seed);
        let now = BEGIN * 1_000_000_000;
        let mut setup = Setup::plain(&AnalysisConfig::default());
        setup.upstreams =
            (0..habits.len()).map(|place| format!("stratum+tcp://pool{place}.example:3333")).collect();
        // Its shares must be cheap.
        setup.least_proof = Difficulty::new(1e-12).unwrap();
        change(&mut setup);
        let nbits = habits[0].nbits;
        let network = if nbits == EASIEST { 0x1b00_ffff } else { nbits };
        let tip = invented(network, &mut random);
        let pool = |habit: Habit| Pool {
            habit,
            height: FIRST_HEIGHT,
            parent: tip,
            block_at: now,
            is_empty: false,
            jobs: 0,
            connections: 0,
            accepted: 0.0,
            status: PoolStatus::Up,
        };
        let mut world = World {
            replay: Replay::new(setup, Stamp::from_nanos(now)),
            pools: habits.into_iter().map(pool).collect(),
            miners: Vec::new(),
            sessions: Vec::new(),
            references: Vec::new(),
            told: Vec::new(),
            random,
            now,
            tick: 5.0,
            queue: BinaryHeap::new(),
            count: 0,
            height: FIRST_HEIGHT,
            tip,
            network,
            block_mean: 600.0,
            shared: None,
            pool_delay: 0.1,
        };
        world.after(0.5, What::Tick);
        let first = world.exponential(600.0);
        world.after(first, What::Block);
        for place in 0..world.pools.len() {
            world.learn(place);
            world.after(world.pools[place].habit.cadence, What::Refresh(place));
        }
        world
    }

    /// Looks so often instead of every five seconds.
    pub fn ticking_every(&mut self, seconds: f64) {
        self.tick = seconds;
    }

    pub fn seconds(&self) -> f64 {
        (self.now - BEGIN * 1_000_000_000) as f64 / SECOND
    }

    pub fn stamp(&self) -> Stamp {
        Stamp::from_nanos(self.now)
    }

    /// Seconds from the beginning to this time.
    pub fn since_begin(time: sluice::clock::NtpTime) -> f64 {
        time.timestamp().as_millisecond() as f64 / 1e3 - BEGIN as f64
    }

    /// A miner that connects at once to this pool.
    pub fn miner(&mut self, worker: &str, hash_rate: f64, pool: usize) -> usize {
        let place = self.miners.len();
        let address = SocketAddr::from(([10, 0, (place >> 8) as u8, place as u8], 40_000));
        self.miners.push(Miner {
            worker: worker.to_owned(),
            hash_rate,
            sloppy: 1.0,
            stutters: false,
            ntime: 0,
            session: None,
            address,
            generation: 0,
            job: None,
        });
        self.connect(place, pool);
        place
    }

    /// At this second of the day, counted from the beginning.
    pub fn at(&mut self, seconds: f64, script: impl FnOnce(&mut World) + 'static) {
        let delay = (seconds - self.seconds()).max(0.0);
        self.after(delay, What::Script(Box::new(script)));
    }

    pub fn run_until(&mut self, seconds: f64) {
        let end = BEGIN * 1_000_000_000 + (seconds * SECOND) as u64;
        while self.queue.peek().is_some_and(|Reverse(due)| due.at <= end) {
            let Some(Reverse(due)) = self.queue.pop() else { break };
            self.now = due.at;
            self.happens(due.what);
        }
        self.now = end;
        self.replay.tick(self.stamp());
    }

    pub fn book(&mut self) -> Book {
        let stamp = self.stamp();
        let view = self.replay.snapshot(stamp).alerts;
        Book { alerts: view.alerts.to_vec(), counts: view.counts }
    }

    pub fn totals(&mut self) -> Totals {
        let stamp = self.stamp();
        self.replay.snapshot(stamp).totals.unwrap()
    }

    pub fn chance(&mut self) -> f64 {
        (self.random.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -(1.0 - self.chance()).ln() * mean
    }

    fn after(&mut self, seconds: f64, what: What) {
        self.count += 1;
        let at = self.now + (seconds * SECOND) as u64;
        self.queue.push(Reverse(Due { at, count: self.count, what }));
    }

    fn happens(&mut self, what: What) {
        match what {
            What::Tick => {
                self.tell_pools();
                self.replay.tick(self.stamp());
                self.after(self.tick, What::Tick);
            }
            What::Block => {
                self.height += 1;
                self.tip = invented(self.network, &mut self.random);
                for pool in 0..self.pools.len() {
                    let delay = self.pool_delay + 2.0 * self.chance();
                    self.after(delay, What::Learns(pool));
                }
                for place in 0..self.references.len() {
                    self.after(self.references[place].delay, What::Hears(place));
                }
                if self.block_mean > 0.0 {
                    let next = self.exponential(self.block_mean);
                    self.after(next, What::Block);
                }
            }
            What::Learns(pool) => {
                if !self.pools[pool].habit.frozen {
                    self.learn(pool);
                    if let Some(delay) = self.pools[pool].habit.empty_first {
                        self.pools[pool].is_empty = true;
                        self.after(delay, What::Fills(pool));
                    }
                    self.notify_all(pool, true);
                }
            }
            What::Fills(pool) => {
                self.pools[pool].is_empty = false;
                self.notify_all(pool, false);
            }
            What::Refresh(pool) => {
                self.after(self.pools[pool].habit.cadence, What::Refresh(pool));
                if self.pools[pool].height != self.height && !self.pools[pool].habit.frozen {
                    self.learn(pool);
                }
                self.notify_all(pool, false);
            }
            What::Takes(session, job) => {
                let miner = self.sessions[session].miner;
                let known = self.miners[miner].job.as_ref().map(|job| job.number);
                if self.miners[miner].session == Some(session) && known < Some(job.number) {
                    let is_first = self.miners[miner].job.is_none();
                    let asks_other =
                        self.miners[miner].job.as_ref().map(|job| job.difficulty) != Some(job.difficulty);
                    self.miners[miner].job = Some(*job);
                    if is_first || asks_other {
                        self.next_share(miner);
                    }
                }
            }
            What::Share(miner, generation) => {
                if self.miners[miner].generation == generation && self.miners[miner].session.is_some() {
                    self.share(miner);
                    self.next_share(miner);
                }
            }
            What::Arrives(session, sent) => self.answer(session, *sent),
            What::Says(session, bytes) => self.said(session, Direction::Down, &bytes),
            What::SaysItself(session, bytes) => self.said_to_miner(session, Direction::Down, &bytes),
            What::Hears(place) => self.hears(place),
            What::Repeats(place) => self.repeats(place),
            What::Script(script) => script(self),
        }
    }

    fn learn(&mut self, pool: usize) {
        self.pools[pool].height = self.height;
        self.pools[pool].block_at = self.now;
        let habit = &self.pools[pool].habit;
        self.pools[pool].parent = match habit.foreign_parents {
            Some(nbits) => invented(nbits, &mut self.random),
            None if habit.bad_parents => BlockHash::from_bytes(self.random.bytes(32).try_into().unwrap()),
            None => self.tip,
        };
    }
}
