//! What the analyzer makes of conversations: every share with its hash, its difficulty and its
//! verdict, also when ids repeat, copies come late or are lost.

mod common;

/// Held by a test that measures this process's memory, or that needs much of it.
static MEMORY: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[path = "analyzer/captures.rs"]
mod captures;
#[path = "analyzer/clocks.rs"]
mod clocks;
#[path = "analyzer/copies.rs"]
mod copies;
#[path = "analyzer/counts.rs"]
mod counts;
#[path = "analyzer/doubtful_spaces.rs"]
mod doubtful_spaces;
#[path = "analyzer/ids.rs"]
mod ids;
#[path = "analyzer/killed.rs"]
mod killed;
#[path = "analyzer/matching.rs"]
mod matching;
#[path = "analyzer/memory.rs"]
mod memory;
#[path = "analyzer/simulated.rs"]
mod simulated;
#[path = "analyzer/stall.rs"]
mod stall;
