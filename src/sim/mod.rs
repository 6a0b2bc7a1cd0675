//! A simulated pool and simulated miners, for `sluice demo`, the tests and the benchmarks. Their
//! protocol and arithmetic are real: the pool makes valid jobs and validates every share by its hash,
//! and the miners hash. There is no node, so blocks and transactions are invented.

mod device;
mod lines;
mod miner;
mod observable;
mod pool;
mod random;

pub use device::{SimDevice, SimFigures};
pub use miner::{MinerModel, MinerOptions, MinerStats, SimHashRate, SimMiner};
pub use pool::{
    AcceptedShare, Misbehaviour, OpeningOrder, PoolOptions, SimPayout, SimPool, SimPoolStats, WorkerStats,
};
