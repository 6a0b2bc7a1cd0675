//! What the pool publishes about its miner, and whether it credits what was proven.
//!
//! `poller` asks, politely; `kinds` says what is asked of whom and reads the answers (`ckpool`,
//! `public_pool`, `ocean`, `braiins`, with `numbers` for their ways to write numbers); `comparison`
//! judges. Off unless `[pool_stats]` is set: nobody is called without being asked.

mod braiins;
mod ckpool;
mod comparison;
mod figures;
mod kinds;
mod numbers;
mod ocean;
mod poller;
mod public_pool;

pub use comparison::{CreditVerdict, ProvenWork, compare};
pub use figures::{AnswerError, PoolFigures, PublishedHashRate};
pub use kinds::read;
pub use poller::{PublishedStats, StatsHealth};
