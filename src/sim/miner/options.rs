//! How a simulated miner behaves.

use std::net::SocketAddr;
use std::time::Duration;

use super::model::MinerModel;
use crate::stratum::Difficulty;

/// Hashes per second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct SimHashRate(pub f64);

/// What a [`SimMiner`](super::SimMiner) is told.
#[derive(Debug, Clone)]
pub struct MinerOptions {
    /// Where it connects: the pool, or the proxy before it.
    pub pool: SocketAddr,
    pub model: MinerModel,
    /// The user name, usually `address.worker`.
    pub worker: String,
    pub password: String,
    /// How fast it hashes at most; `None` takes a whole processor.
    pub hash_rate_limit: Option<SimHashRate>,
    /// The wait between two attempts to connect; `None` is the habit's own, up to a minute.
    pub retry_wait: Option<Duration>,
    /// Without a line (a NerdMiner: without a job) for so long it reconnects; `None` is the habit's
    /// own, up to ten minutes or for ever.
    pub silence_timeout: Option<Duration>,
    /// What it suggests; `None` is the habit's own, if it has one.
    pub suggested_difficulty: Option<Difficulty>,
    /// Whether a Bitaxe asks for extranonce changes, which its owner has to switch on.
    pub extranonce_subscribe: bool,
}

impl MinerOptions {
    /// A miner without limits and with the waits of its habit.
    pub fn new(pool: SocketAddr, habit: MinerModel, worker: impl Into<String>) -> MinerOptions {
        MinerOptions {
            pool,
            model: habit,
            worker: worker.into(),
            password: "x".to_owned(),
            hash_rate_limit: None,
            retry_wait: None,
            silence_timeout: None,
            suggested_difficulty: None,
            extranonce_subscribe: false,
        }
    }
}
