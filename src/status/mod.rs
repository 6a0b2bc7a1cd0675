//! The status page, JSON, metrics and console. `snapshot` gathers what they show; the rest renders it.

pub mod charts;
pub mod console;
mod free_memory;
pub mod json;
pub mod metrics;
pub mod page;
pub mod ready;
pub mod server;
pub mod snapshot;
pub mod user_agent;
pub mod verdicts;
pub mod web;
