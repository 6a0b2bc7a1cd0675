//! The figures that a pool publishes about its miner, and their comparison with the proven work.
//!
//! `poller` requests them; `pool_api` knows the paths and parsers of each API, with `numbers` for their number formats;
//! `comparison` compares. Off unless `[pool_stats]` is set.

mod comparison;
mod figures;
mod numbers;
mod poller;
mod pool_api;

pub use comparison::{AcceptedWork, CreditVerdict, compare};
pub use figures::{AnswerError, PoolFigures, PublishedHashRate};
pub(crate) use numbers::with_unit;
pub use poller::{PublishedStats, StatsHealth};
pub use pool_api::read;
