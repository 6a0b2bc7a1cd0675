//! The page in a real browser: what a visitor sees, on a phone and on a desk, with and without
//! script, and what nobody should be able to do to it.
//!
//! Without a browser these tests say so and pass, except where `CI` or `SLUICE_REQUIRE_BROWSER` is
//! set.

mod fixed;
mod hostile;
mod lists;
mod live;
mod look;
mod miner;
mod pictures;
mod plain;
mod token;
mod verdicts;
mod welcome;
