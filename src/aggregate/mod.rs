//! Many miners on one connection to the pool: the parts that only reckon. No sockets, threads or
//! clocks; times are passed in.
//!
//! | file | what it is |
//! |---|---|
//! | `kind` | what a miner's user agent tells: the difficulty to start with, and the lowest |
//! | `vardiff` | one miner's difficulty: when it changes, and to what |
//! | `window` | how many shares a miner found, over the last hours |
//! | `split` | how the pool's extranonce2 is divided between prefix and miner |
//! | `slots` | which prefixes are in use |

pub mod kind;
pub mod slots;
pub mod split;
pub mod vardiff;
mod window;

pub use kind::Kind;
pub use slots::{Prefix, Slots};
pub use split::{Split, SplitError};
pub use vardiff::{Retarget, Vardiff};
