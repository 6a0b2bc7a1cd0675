//! Messages about alerts, to servers and programs of the test's own.

mod floods;
mod process;
mod programs;
mod proxy;
mod requests;
mod retries;
mod selection;
pub mod server;
mod tools;
