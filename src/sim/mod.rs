//! A pool and miners to try things with: behind `sluice demo`, the tests and the benchmarks. Both
//! are real at the wire and in their arithmetic (the pool makes valid jobs and judges every share
//! by its hash, the miners hash) and simulated in everything else: there is no node, so the blocks
//! and their transactions are invented.
//!
//! | file | what it is |
//! |---|---|
//! | `pool` | [`SimPool`]: a TCP server with the habits, and on request the misbehaviour, of real pools |
//! | `miner` | [`SimMiner`]: a client with the habits of one of four real miners |
//! | `lines` | lines out of a byte stream |
//! | `watched` | a value that can be waited for |
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
