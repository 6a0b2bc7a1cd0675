//! What is shown: `sight` gathers it, the rest says it in its own way. Nothing here owns a truth.

pub mod chart;
pub mod console;
pub mod device;
pub mod figures;
mod free_memory;
pub mod http;
pub mod json;
pub mod metrics;
pub mod page;
pub mod ready;
pub mod sight;
pub mod verdicts;
pub mod web;
mod words;
