//! Aggregate mode through real sockets: miners of every kind on one connection to a simulated pool,
//! and pools whose every line the test writes itself.

mod common;

#[path = "aggregate/basics.rs"]
mod basics;
#[path = "aggregate/ending.rs"]
mod ending;
#[path = "aggregate/failing.rs"]
mod failing;
#[path = "aggregate/joining.rs"]
mod joining;
#[path = "aggregate/moving.rs"]
mod moving;
#[path = "aggregate/naming.rs"]
mod naming;
#[path = "aggregate/opened.rs"]
mod opened;
#[path = "aggregate/racing.rs"]
mod racing;
#[path = "aggregate/scripted.rs"]
mod scripted;
#[path = "aggregate/site.rs"]
mod site;
