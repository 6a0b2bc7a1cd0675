//! Pools, miners and the proxy's analyzer between them, in virtual time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use sluice::analyzer::{Conversation, Direction, Replay, SessionId, Setup};
use sluice::config::Analysis;
use sluice::net::Stamp;
use sluice::stratum::{Nbits, Nonce, Ntime, Version, encode_hex};
use sluice::work::{BlockHash, Header, Txid, double_sha256, merkle_root, share_difficulty};

use crate::blocks::{EASIEST, branches, coinbase, invented, prevhash_text};
use crate::pool::{Habit, Job, Link, Pool};
use crate::random::Random;
use crate::seen::Book;

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

/// What a miner needs to find a share of this difficulty once in so many seconds.
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
        let mut setup = Setup::plain(&Analysis::default());
        setup.upstreams =
            (0..habits.len()).map(|place| format!("stratum+tcp://pool{place}.example:3333")).collect();
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
        };
        let mut world = World {
            replay: Replay::new(setup, Stamp::from_nanos(now)),
            pools: habits.into_iter().map(pool).collect(),
            miners: Vec::new(),
            sessions: Vec::new(),
            random,
            now,
            tick: 5.0,
            queue: BinaryHeap::new(),
            count: 0,
            height: FIRST_HEIGHT,
            tip,
            network,
            block_mean: 600.0,
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
                self.replay.tick(self.stamp());
                self.after(self.tick, What::Tick);
            }
            What::Block => {
                self.height += 1;
                self.tip = invented(self.network, &mut self.random);
                for pool in 0..self.pools.len() {
                    let delay = 0.1 + 2.0 * self.chance();
                    self.after(delay, What::Learns(pool));
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

    /// Draws when the miner finds its next share. Finding has no memory.
    pub fn next_share(&mut self, miner: usize) {
        let Some(job) = &self.miners[miner].job else { return };
        let mean = job.difficulty * 2_f64.powi(32) / self.miners[miner].hash_rate;
        self.miners[miner].generation += 1;
        let generation = self.miners[miner].generation;
        if mean.is_finite() {
            let wait = self.exponential(mean);
            self.after(wait, What::Share(miner, generation));
        }
    }

    pub fn set_hash_rate(&mut self, miner: usize, hash_rate: f64) {
        self.miners[miner].hash_rate = hash_rate;
        self.next_share(miner);
    }

    /// The miner's connection breaks and the proxy knows at once, or not.
    pub fn disconnect(&mut self, miner: usize, is_known: bool) {
        let Some(session) = self.miners[miner].session.take() else { return };
        self.miners[miner].job = None;
        if is_known {
            self.close(session);
        } else {
            self.sessions[session].is_dead = true;
        }
    }

    pub fn close(&mut self, session: usize) {
        if let Some(conversation) = self.sessions[session].conversation.take() {
            self.replay.closed(&conversation);
        }
    }

    pub fn connect(&mut self, miner: usize, pool: usize) -> usize {
        let place = self.sessions.len();
        let id = SessionId(place as u64 + 1);
        let conversation = Conversation::new(id, self.miners[miner].address, self.stamp());
        conversation.set_upstream(pool);
        self.pools[pool].connections += 1;
        let (habit, connections) = (self.pools[pool].habit.clone(), self.pools[pool].connections);
        let number = if habit.same_space { 7 } else { connections };
        let mut extranonce1 = number.to_be_bytes().repeat(4);
        extranonce1.truncate(habit.extranonce1.max(4));
        extranonce1.truncate(habit.extranonce1);
        let link = Link {
            extranonce1,
            difficulty: habit.difficulty,
            jobs: Vec::new(),
            seen: HashSet::new(),
            counted: (self.now, 0),
            mark: number,
        };
        self.sessions.push(Session {
            conversation: Some(Arc::new(conversation)),
            pool,
            miner,
            link,
            ids: 10,
            is_dead: false,
        });
        self.miners[miner].session = Some(place);
        let worker = self.miners[miner].worker.clone();
        let asks = format!(
            "{{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"virtual/1\"]}}\n{{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"{worker}\",\"x\"]}}\n"
        );
        self.said(place, Direction::Up, asks.as_bytes());
        let subscribed = format!(
            "{{\"id\":1,\"result\":[[[\"mining.notify\",\"s\"]],\"{}\",{}],\"error\":null}}\n",
            encode_hex(&self.sessions[place].link.extranonce1),
            habit.extranonce2
        );
        let authorized = match habit.refuses_workers {
            true => "{\"id\":2,\"result\":false,\"error\":[24,\"Unauthorized worker\",null]}\n",
            false => "{\"id\":2,\"result\":true,\"error\":null}\n",
        };
        self.after(2.0 * WAY, What::Says(place, subscribed.into_bytes()));
        if !habit.early_job {
            self.after(2.0 * WAY, What::Says(place, authorized.into()));
        }
        self.notify(place, habit.first_clean);
        if habit.early_job {
            self.after(2.0 * WAY, What::Says(place, authorized.into()));
        }
        place
    }

    /// Something else the pool says to a session.
    pub fn pool_says(&mut self, session: usize, line: &str) {
        let line = format!("{line}\n");
        self.said(session, Direction::Down, line.as_bytes());
    }

    pub fn miner_says(&mut self, session: usize, line: &str) {
        let line = format!("{line}\n");
        self.said(session, Direction::Up, line.as_bytes());
    }

    fn said(&mut self, session: usize, direction: Direction, bytes: &[u8]) {
        let stamp = self.stamp();
        if let Some(conversation) = self.sessions[session].conversation.clone() {
            self.replay.said(&conversation, direction, bytes, stamp);
        }
    }

    fn notify_all(&mut self, pool: usize, clean: bool) {
        if self.pools[pool].habit.mute {
            return;
        }
        for session in 0..self.sessions.len() {
            if self.sessions[session].pool == pool && self.sessions[session].conversation.is_some() {
                self.vardiff(session);
                self.notify(session, clean);
            }
        }
    }

    /// A job to one connection, with its difficulty in front.
    pub fn notify(&mut self, session: usize, clean: bool) {
        let Session { pool, miner, .. } = self.sessions[session];
        let (now, since) = (self.now / 1_000_000_000, self.now - self.pools[pool].block_at);
        let state = &mut self.pools[pool];
        let habit = state.habit.clone();
        state.jobs += 1;
        let id =
            if habit.decimal_ids { state.jobs.to_string() } else { format!("{:x}", state.jobs + 0xace0) };
        let is_easy = habit.easy_after.is_some_and(|after| since as f64 / SECOND > after);
        let nbits = if is_easy { EASIEST } else { habit.nbits };
        let ahead = if is_easy { 1201 - (since / 1_000_000_000) as i64 } else { 0 };
        let ntime = now as i64 + habit.ntime + ahead.max(0);
        let height = (i64::from(state.height) + 1 + habit.height) as u32;
        let outputs = state.outputs(&self.miners[miner].worker);
        let transactions = if state.is_empty { 0 } else { habit.transactions };
        let parent = state.parent;
        let room = habit.extranonce1 + habit.extranonce2;
        let mark = self.sessions[session].link.mark;
        let (coinb1, coinb2) = coinbase(habit.layout, height, &outputs, room, mark);
        let branches = branches(transactions, &mut self.random);
        let link = &mut self.sessions[session].link;
        let is_told = link.jobs.last().map(|job| job.difficulty) != Some(link.difficulty);
        let job = Job {
            id,
            difficulty: link.difficulty,
            parent,
            coinb1,
            coinb2,
            branches,
            ntime: ntime as u32,
            nbits,
            number: self.count,
            is_dead: false,
        };
        let has_new_block = link.jobs.last().is_some_and(|last| last.parent != parent);
        if clean || has_new_block {
            link.jobs.iter_mut().for_each(|job| job.is_dead = true);
        }
        if link.jobs.len() >= 16 {
            link.jobs.remove(0);
        }
        link.jobs.retain(|known| known.id != job.id);
        link.jobs.push(job.clone());
        let mut bytes = String::new();
        if is_told {
            bytes = format!(
                "{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{:e}]}}\n",
                job.difficulty
            );
        }
        let hashes: Vec<String> =
            job.branches.iter().map(|branch| format!("\"{}\"", encode_hex(&branch.0))).collect();
        bytes.push_str(&format!(
            "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{}\",\"{}\",\"{}\",\"{}\",[{}],\"20000000\",\"{nbits:08x}\",\"{:08x}\",{clean}]}}\n",
            job.id,
            prevhash_text(&parent),
            encode_hex(&job.coinb1),
            encode_hex(&job.coinb2),
            hashes.join(","),
            job.ntime,
        ));
        self.after(2.0 * WAY, What::Says(session, bytes.into_bytes()));
        let takes = 2.0 * WAY + 0.02 + 0.2 * self.chance();
        self.after(takes, What::Takes(session, Box::new(job)));
    }

    fn vardiff(&mut self, session: usize) {
        let pool = self.sessions[session].pool;
        let Some(target) = self.pools[pool].habit.vardiff else { return };
        let link = &mut self.sessions[session].link;
        let seconds = (self.now - link.counted.0) as f64 / SECOND;
        if link.counted.1 < 8 && seconds < 8.0 * target {
            return;
        }
        let ratio = f64::from(link.counted.1.max(1)) * target / seconds;
        if !(0.5..2.0).contains(&ratio) {
            link.difficulty *= ratio.clamp(1.0 / 64.0, 64.0);
        }
        link.counted = (self.now, 0);
    }

    fn share(&mut self, miner: usize) {
        let Some(session) = self.miners[miner].session else { return };
        let Some(job) = self.miners[miner].job.clone() else { return };
        let sloppy = self.miners[miner].sloppy;
        let size = self.pools[self.sessions[session].pool].habit.extranonce2;
        let extranonce2 = self.random.bytes(size);
        let extranonce1 = self.sessions[session].link.extranonce1.clone();
        let mut bytes = job.coinb1.clone();
        bytes.extend(&extranonce1);
        bytes.extend(&extranonce2);
        bytes.extend(&job.coinb2);
        let ntime = (i64::from(job.ntime) + self.miners[miner].ntime) as u32;
        let mut header = Header {
            version: Version(0x2000_0000),
            parent: job.parent,
            merkle_root: merkle_root(&Txid::from_bytes(double_sha256(&bytes)), &job.branches),
            ntime: Ntime(ntime),
            nbits: Nbits(job.nbits),
            nonce: Nonce(self.random.next() as u32),
        };
        let (least, most) = match sloppy {
            1.0 => (job.difficulty, f64::INFINITY),
            sloppy => (job.difficulty * sloppy, job.difficulty * 0.5),
        };
        let (hash, worth) = loop {
            let hash = header.hash();
            let worth = share_difficulty(&hash);
            if (least..most).contains(&worth) {
                break (hash, worth);
            }
            header.nonce.0 = header.nonce.0.wrapping_add(1);
        };
        let times = if self.miners[miner].stutters { 2 } else { 1 };
        for _ in 0..times {
            self.sessions[session].ids += 1;
            let id = self.sessions[session].ids;
            let line = format!(
                "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"{}\",\"{}\",\"{}\",\"{ntime:08x}\",\"{:08x}\"]}}\n",
                self.miners[miner].worker,
                job.id,
                encode_hex(&extranonce2),
                header.nonce.0
            );
            self.said(session, Direction::Up, line.as_bytes());
            let sent = Sent { id, job: job.id.clone(), hash, worth };
            self.after(WAY, What::Arrives(session, Box::new(sent)));
        }
    }

    fn answer(&mut self, session: usize, sent: Sent) {
        let pool = self.sessions[session].pool;
        if self.pools[pool].habit.swallows {
            return;
        }
        let link = &self.sessions[session].link;
        let mut fault = self.pools[pool].judge(link, &sent.job, sent.hash, sent.worth);
        if let (None, Some((part, words))) = (fault, self.pools[pool].habit.refuses) {
            let code = if words == "Above target" { 23 } else { 20 };
            fault = (self.chance() < part).then_some((code, words));
        }
        let link = &mut self.sessions[session].link;
        link.counted.1 += u32::from(fault.is_none());
        link.seen.insert(sent.hash);
        let answer = match fault {
            None => format!("{{\"id\":{},\"result\":true,\"error\":null}}\n", sent.id),
            Some((code, words)) => {
                format!("{{\"id\":{},\"result\":null,\"error\":[{code},\"{words}\",null]}}\n", sent.id)
            }
        };
        self.after(WAY, What::Says(session, answer.into_bytes()));
        if self.pools[pool].habit.clean_with_difficulty && self.pools[pool].habit.vardiff.is_some() {
            let before = self.sessions[session].link.difficulty;
            if self.sessions[session].link.counted.1 >= 8 {
                self.vardiff(session);
            }
            if self.sessions[session].link.difficulty != before {
                self.notify(session, true);
            }
        }
    }
}
