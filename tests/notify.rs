//! Messages about alerts, to servers and programs of the test's own.

mod common;

#[path = "notify/floods.rs"]
mod floods;
#[path = "notify/process.rs"]
mod process;
#[path = "notify/programs.rs"]
mod programs;
#[path = "notify/proxy.rs"]
mod proxy;
#[path = "notify/requests.rs"]
mod requests;
#[path = "notify/retries.rs"]
mod retries;
#[path = "notify/selection.rs"]
mod selection;
#[path = "notify/server.rs"]
mod server;
#[path = "notify/tools.rs"]
mod tools;
