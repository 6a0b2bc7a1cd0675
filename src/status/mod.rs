//! What is shown, from the analyzer's snapshots.

pub mod chart;
pub mod console;
