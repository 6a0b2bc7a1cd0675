//! What is shown, from the analyzer's snapshots.

pub mod console;
pub mod http;
