//! The page in a real browser: what a visitor sees, on a phone and on a desk, with and without
//! script, and what nobody should be able to do to it.
//!
//! Without a browser these tests say so and pass, except where `CI` or `SLUICE_REQUIRE_BROWSER` is
//! set.

mod common;

#[path = "page/fixed.rs"]
mod fixed;
#[path = "page/hostile.rs"]
mod hostile;
#[path = "page/live.rs"]
mod live;
#[path = "page/look.rs"]
mod look;
#[path = "page/pictures.rs"]
mod pictures;
#[path = "page/plain.rs"]
mod plain;
#[path = "page/token.rs"]
mod token;
#[path = "page/verdicts.rs"]
mod verdicts;
#[path = "page/welcome.rs"]
mod welcome;
