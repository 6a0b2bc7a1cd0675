//! The figures that a pool publishes about its miner, and their comparison with the proven work.
//!
//! `poller` requests them; `pool_api` knows the paths and parsers of each API (`ckpool`, `public_pool`,
//! `ocean`, `braiins`, with `numbers` for their number formats); `comparison` compares. Off unless
//! `[pool_stats]` is set.

mod braiins;
mod ckpool;
mod comparison;
mod figures;
mod numbers;
mod ocean;
mod poller;
mod pool_api;
mod public_pool;

pub use comparison::{CreditVerdict, ProvenWork, compare};
pub use figures::{AnswerError, PoolFigures, PublishedHashRate};
pub use poller::{PublishedStats, StatsHealth};
pub use pool_api::read;
