//! Aggregate mode through real sockets: miners of every kind on one connection to a simulated pool,
//! and pools whose every line the test writes itself.

mod common;

#[path = "aggregate/basics.rs"]
mod basics;
#[path = "aggregate/scripted.rs"]
mod scripted;
#[path = "aggregate/site.rs"]
mod site;
