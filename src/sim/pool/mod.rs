//! The simulated pool.
//!
//! Locks are taken in this order: a session's state, then the world's chain, then the statistics;
//! none is held while anything is written to a socket.

mod block;
mod judge;
mod options;
mod outbox;
mod requests;
mod server;
mod session;
mod stats;
mod submit;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;
use parking_lot::Mutex;

pub use options::{Misbehaviour, OpeningOrder, PoolOptions, SimPayout};
pub use stats::{AcceptedShare, SimPoolStats, WorkerStats};

use self::block::Block;
use self::judge::AcceptedHashes;
use self::outbox::Outgoing;
use self::server::SimPoolServer;
use self::session::{SimPoolSession, SimSessionId};
use super::observable::Observable;
use super::random::Random;
use crate::stratum::{Difficulty, Extranonce1, JobId, Notify};

/// A pool on a socket of its own. Dropping it stops it.
#[derive(Debug)]
pub struct SimPool {
    world: Arc<SimPoolWorld>,
    address: SocketAddr,
    server: Mutex<Option<SimPoolServer>>,
}

impl SimPool {
    /// Starts a pool.
    ///
    /// # Errors
    /// When its address is in use, or the system has no room for its threads.
    pub fn start(options: PoolOptions) -> io::Result<SimPool> {
        let listen = options.listen;
        let world = Arc::new(SimPoolWorld::new(options));
        let server = SimPoolServer::start(&world, listen)?;
        Ok(SimPool { world, address: server.address(), server: Mutex::new(Some(server)) })
    }

    /// The address it listens on, or has listened on.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener and every connection. The statistics stay.
    pub fn stop(&self) {
        let server = self.server.lock().take();
        if let Some(server) = server {
            server.stop(&self.world);
        }
    }

    /// Listens again at the same address, with the same chain and statistics; nothing if it does.
    ///
    /// # Errors
    /// When somebody else has taken the address meanwhile.
    pub fn restart(&self) -> io::Result<()> {
        let mut server = self.server.lock();
        if server.is_none() {
            *server = Some(SimPoolServer::start(&self.world, self.address)?);
        }
        Ok(())
    }

    /// The present statistics.
    pub fn stats(&self) -> SimPoolStats {
        self.world.stats.look(SimPoolStats::clone)
    }

    /// Waits until `done` holds for the statistics, and says whether it did before the deadline.
    pub fn wait_until(&self, deadline: Instant, done: impl FnMut(&SimPoolStats) -> bool) -> bool {
        self.world.stats.wait_until(deadline, done)
    }

    /// Pretends that somebody found a block: everybody gets a clean job for the next.
    pub fn new_block(&self) {
        self.world.new_block();
    }

    /// Gives everybody a new job for the same block, the ones before staying valid.
    pub fn refresh_job(&self) {
        self.world.refresh();
    }

    /// Closes every connection; the listener stays.
    pub fn kill_connections(&self) {
        self.world.close_all();
    }

    /// Changes everybody's difficulty, and gives everybody a job it holds for. Connections made
    /// later begin with the one of the options.
    pub fn set_difficulty(&self, difficulty: Difficulty) {
        for session in self.world.sessions() {
            session.change_difficulty(&self.world, difficulty);
        }
    }

    /// Gives a new extranonce1 and a clean job to everybody who subscribed to such changes; says
    /// to how many.
    pub fn change_extranonce1(&self) -> usize {
        let sessions = self.world.sessions();
        let changed = sessions.iter().filter(|session| {
            let extranonce1 = self.world.next_extranonce1();
            session.change_extranonce1(&self.world, extranonce1)
        });
        changed.count()
    }

    /// Sends `line` to everybody as it is, a newline added.
    pub fn broadcast(&self, line: &str) {
        for session in self.world.sessions() {
            session.send_line(format!("{line}\n"));
        }
    }

    /// Changes its misbehaviour, also for open connections.
    pub fn set_misbehaviour(&self, misbehaviour: Misbehaviour) {
        *self.world.misbehaviour.lock() = misbehaviour;
    }
}

impl Drop for SimPool {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Data shared by the threads of a pool.
#[derive(Debug)]
struct SimPoolWorld {
    options: PoolOptions,
    stats: Observable<SimPoolStats>,
    misbehaviour: Mutex<Misbehaviour>,
    chain: Mutex<SimChain>,
    sessions: Mutex<Sessions>,
}

#[derive(Debug)]
struct SimChain {
    block: Block,
    jobs: u64,
    seen: AcceptedHashes,
    random: Random,
}

#[derive(Debug, Default)]
struct Sessions {
    by_id: BTreeMap<SimSessionId, Arc<SimPoolSession>>,
    opened: SimSessionId,
    extranonces: u64,
}

impl SimPoolWorld {
    fn new(options: PoolOptions) -> SimPoolWorld {
        let mut random = Random::new(options.seed);
        let block = Block::first(&options, &mut random);
        let stats = SimPoolStats { height: Some(block.height), ..SimPoolStats::default() };
        let sessions = Sessions { extranonces: random.next(), ..Sessions::default() };
        SimPoolWorld {
            stats: Observable::new(stats),
            misbehaviour: Mutex::new(options.misbehaviour.clone()),
            chain: Mutex::new(SimChain { block, jobs: 0, seen: AcceptedHashes::default(), random }),
            sessions: Mutex::new(sessions),
            options,
        }
    }

    fn misbehaviour(&self) -> Misbehaviour {
        self.misbehaviour.lock().clone()
    }

    /// Goes on to the next block.
    fn new_block(&self) {
        let height = {
            let SimChain { block, seen, random, .. } = &mut *self.chain.lock();
            *block = block.next(&self.options, random);
            *seen = AcceptedHashes::default();
            block.height
        };
        self.stats.update(|stats| {
            stats.blocks += 1;
            stats.height = Some(height);
        });
        for session in self.sessions() {
            session.renew_job(self, true);
        }
    }

    fn refresh(&self) {
        {
            let SimChain { block, random, .. } = &mut *self.chain.lock();
            block.refresh(&self.options, random);
        }
        for session in self.sessions() {
            session.renew_job(self, false);
        }
    }

    /// A job for the current block.
    fn make_job(&self, worker: Option<&str>, mark: Option<u32>, clean: bool) -> Notify {
        let options = &self.options;
        let nbits = self.misbehaviour.lock().nbits.unwrap_or(options.nbits);
        let extranonces = options.extranonce1_length.min(Extranonce1::MAX) + options.extranonce2_size.bytes();
        let mut chain = self.chain.lock();
        chain.jobs += 1;
        let outputs = chain.block.outputs(&options.payout, worker);
        let (coinb1, coinb2) = chain.block.coinbase(&outputs, extranonces as u8, mark);
        let job = Notify {
            job_id: JobId::from_counter(chain.jobs),
            prevhash: chain.block.prevhash,
            coinb1,
            coinb2,
            branches: chain.block.branches.clone(),
            version: block::VERSION,
            nbits,
            ntime: block::ntime_now(options),
            clean_jobs: Some(clean),
        };
        drop(chain);
        self.stats.update(|stats| stats.jobs_sent += 1);
        job
    }

    fn add_session(&self, stream: TcpStream, outbox: Sender<Outgoing>) -> Arc<SimPoolSession> {
        let extranonce1 = self.next_extranonce1();
        let mut sessions = self.sessions.lock();
        sessions.opened = SimSessionId(sessions.opened.0 + 1);
        let id = sessions.opened;
        let session = Arc::new(SimPoolSession::new(id, stream, outbox, extranonce1, &self.options));
        sessions.by_id.insert(id, Arc::clone(&session));
        drop(sessions);
        self.stats.update(|stats| stats.connections_now += 1);
        session
    }

    fn remove_session(&self, id: SimSessionId) {
        if self.sessions.lock().by_id.remove(&id).is_some() {
            self.stats.update(|stats| stats.connections_now -= 1);
        }
    }

    fn close_all(&self) {
        for session in self.sessions() {
            session.close();
        }
    }

    fn sessions(&self) -> Vec<Arc<SimPoolSession>> {
        self.sessions.lock().by_id.values().cloned().collect()
    }

    /// The next of a counter, cut to the length that is asked for.
    fn next_extranonce1(&self) -> Extranonce1 {
        let mut sessions = self.sessions.lock();
        sessions.extranonces = sessions.extranonces.wrapping_add(1);
        let mut bytes = sessions.extranonces.to_le_bytes().to_vec();
        bytes.resize(self.options.extranonce1_length.min(Extranonce1::MAX), 0);
        bytes.reverse();
        Extranonce1::from_bytes(bytes).unwrap_or_default()
    }
}
