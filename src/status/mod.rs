//! The status page, JSON, metrics and console. `snapshot` gathers what they show; the rest renders it.

mod charts;
pub mod console;
pub mod daily_summary;
mod event_filter;
mod forms;
mod free_memory;
pub mod json;
pub mod metrics;
pub mod page;
pub mod server;
pub mod snapshot;
mod user_agent;
mod verdicts;
pub mod web;
mod worker_facts;
