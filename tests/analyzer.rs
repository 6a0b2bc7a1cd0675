//! What the analyzer makes of conversations: every share with its hash, its difficulty and its
//! verdict, also when ids repeat, copies come late or are lost.

/// Held by a test that measures this process's memory, or that needs much of it.
static MEMORY: std::sync::Mutex<()> = std::sync::Mutex::new(());

mod captures;
mod clocks;
mod copies;
mod counts;
mod doubtful_spaces;
mod ids;
mod killed;
mod matching;
mod memory;
mod simulated;
mod stall;
