//! A simulated pool and simulated miners, for `sluice demo`, the tests and the benchmarks. Their
//! protocol and arithmetic are real: the pool makes valid jobs and validates every share by its hash,
//! and the miners hash. There is no node, so blocks and transactions are invented.
//!
//! | file | what it is |
//! |---|---|
//! | `pool` | [`SimPool`]: a TCP server with the habits, and on request the misbehaviour, of real pools |
//! | `miner` | [`SimMiner`]: a client with the habits of one of four real miners |
//! | `lines` | lines out of a byte stream |
//! | `observable` | a value that can be waited for |
//! | `random` | repeatable random numbers |

mod lines;
mod miner;
mod observable;
mod pool;
mod random;

pub use miner::{MinerModel, MinerOptions, MinerStats, SimHashRate, SimMiner};
pub use pool::{
    AcceptedShare, Misbehaviour, OpeningOrder, PoolOptions, SimPayout, SimPool, SimPoolStats, SimVardiff,
    WorkerStats,
};
