//! Settings of a simulated miner.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::model::MinerModel;

/// Hashes per second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct SimHashRate(pub f64);

/// Settings of a [`SimMiner`](super::SimMiner).
#[derive(Debug, Clone)]
pub struct MinerOptions {
    /// The address it connects to: the pool, or a proxy before it.
    pub pool: SocketAddr,
    /// The address of this machine that it connects from; `None` for any. Each of 127/8 can be one.
    pub connects_from: Option<IpAddr>,
    pub model: MinerModel,
    /// The user name, usually `address.worker`.
    pub worker: String,
    /// Its hash rate limit; `None` uses a whole CPU.
    pub hash_rate_limit: Option<SimHashRate>,
    /// Pause between two connection attempts; `None` for the model's default, up to a minute.
    pub retry_wait: Option<Duration>,
    /// Time without a line (a NerdMiner: without a job) after which it reconnects; `None` for the model's
    /// default, up to ten minutes or for ever.
    pub silence_timeout: Option<Duration>,
    /// The difficulty that it suggests, if its model suggests one; `None` for the model's.
    pub suggested_difficulty: Option<f64>,
    /// How long it goes on with a job that was replaced, as miners do that work off a queue first.
    pub job_switch_delay: Duration,
    /// True if a Bitaxe asks for extranonce changes, which its owner has to switch on.
    pub extranonce_subscribe: bool,
}

impl MinerOptions {
    /// A miner without limits, with the pauses of its model.
    pub fn new(pool: SocketAddr, habit: MinerModel, worker: impl Into<String>) -> MinerOptions {
        MinerOptions {
            pool,
            connects_from: None,
            model: habit,
            worker: worker.into(),
            hash_rate_limit: None,
            retry_wait: None,
            silence_timeout: None,
            suggested_difficulty: None,
            job_switch_delay: Duration::ZERO,
            extranonce_subscribe: false,
        }
    }
}
