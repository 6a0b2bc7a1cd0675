//! The simulated miner: two threads, one that reads and one that hashes.

mod hasher;
mod model;
mod options;
mod session;
mod shared;
mod stats;
mod work;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use socket2::{Domain, Socket, Type};

pub use model::MinerModel;
pub use options::{MinerOptions, SimHashRate};
pub use stats::MinerStats;

use self::session::{SessionEnd, SimMinerSession};
use self::shared::SimMinerShared;
use super::random::Random;
use crate::util::stop::{Stop, Stopped};
use crate::util::thread::{SESSION_STACK, spawn};

/// Time between two connections of a NerdMiner, which does not wait but needs this long for one turn
/// of its loop.
const NERDMINER_TURN: Duration = Duration::from_millis(50);

/// Numbers the miners of this process, for the names of their threads.
static MINERS: AtomicU64 = AtomicU64::new(1);

/// A miner that connects, hashes and submits until it is stopped. Dropping it stops it.
#[derive(Debug)]
pub struct SimMiner {
    shared: Arc<SimMinerShared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SimMiner {
    /// Starts a miner. That the pool cannot be reached is no error: it will try again.
    ///
    /// # Errors
    /// When the system has no room for its threads.
    pub fn start(options: MinerOptions) -> io::Result<SimMiner> {
        let number = MINERS.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(SimMinerShared::new(options, Stop::new()));
        let miner = SimMiner { shared: Arc::clone(&shared), threads: Mutex::new(Vec::new()) };
        let hashing = Arc::clone(&shared);
        miner.keep(spawn(format!("{number}-miner-hash"), SESSION_STACK, move || hasher::hash(&hashing))?);
        let network = move || reconnect_loop(&shared, number).or(Ok::<(), Stopped>(()));
        miner.keep(spawn(format!("{number}-miner-net"), SESSION_STACK, network)?);
        Ok(miner)
    }

    /// The present statistics.
    pub fn stats(&self) -> MinerStats {
        self.shared.stats.look(MinerStats::clone)
    }

    /// Waits until `done` holds for the statistics, and says whether it did before the deadline.
    pub fn wait_until(&self, deadline: Instant, done: impl FnMut(&MinerStats) -> bool) -> bool {
        self.shared.stats.wait_until(deadline, done)
    }

    /// Has it go on without hashing, as a device does whose chips hang: it stays connected and sends no share.
    pub fn set_stalled(&self, is_stalled: bool) {
        self.shared.is_stalled.store(is_stalled, Ordering::Relaxed);
    }

    /// Ends it. The statistics stay.
    pub fn stop(&self) {
        self.shared.stop.stop();
        self.shared.wake();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // The thread that started it logs how it ended.
            let _ = thread.join();
        }
    }

    fn keep(&self, thread: JoinHandle<()>) {
        self.threads.lock().push(thread);
    }
}

impl Drop for SimMiner {
    fn drop(&mut self) {
        self.stop();
    }
}

fn reconnect_loop(shared: &SimMinerShared, seed: u64) -> Result<(), Stopped> {
    let mut random = Random::new(seed);
    let mut redirected: Option<SocketAddr> = None;
    loop {
        shared.stop.check()?;
        let peer = redirected.take().unwrap_or(shared.options.pool);
        let wait = match connect(&shared.options, peer) {
            Ok(stream) => match SimMinerSession::run(shared, stream, peer) {
                SessionEnd::Stopped => return Err(Stopped),
                SessionEnd::Reconnect(target) => {
                    redirected = target;
                    NERDMINER_TURN
                }
                _ if shared.options.model == MinerModel::NerdMiner => NERDMINER_TURN,
                _ => retry_wait(shared, &mut random),
            },
            Err(error) => {
                let reason = format!("no connection to {peer}: {error}");
                shared.stats.update(|stats| stats.record_end(reason));
                retry_wait(shared, &mut random)
            }
        };
        shared.stop.sleep(wait)?;
    }
}

/// Connects, from the address that the miner is to have.
fn connect(options: &MinerOptions, peer: SocketAddr) -> io::Result<TcpStream> {
    let limit = options.model.connect_timeout();
    let Some(own) = options.connects_from else { return TcpStream::connect_timeout(&peer, limit) };
    let socket = Socket::new(Domain::for_address(peer), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(own, 0).into())?;
    socket.connect_timeout(&peer.into(), limit)?;
    Ok(socket.into())
}

fn retry_wait(shared: &SimMinerShared, random: &mut Random) -> Duration {
    shared.options.retry_wait.unwrap_or_else(|| {
        let range = shared.options.model.retry_wait();
        Duration::from_secs(range.start() + random.next() % (range.end() - range.start() + 1))
    })
}
