//! The analyzer's reading of conversations: every share with its hash, its difficulty and its
//! verdict, also when ids repeat, copies come late or are lost.

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
