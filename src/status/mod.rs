//! What is shown: `sight` gathers it, the rest says it in its own way. Nothing here owns a truth.

pub mod chart;
pub mod console;
pub mod figures;
pub mod http;
pub mod page;
pub mod ready;
pub mod sight;
pub mod web;
