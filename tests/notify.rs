//! Messages about alerts, to servers and programs of the test's own.

mod email;
mod floods;
mod mail_server;
mod process;
mod programs;
mod proxy;
mod requests;
mod retries;
mod selection;
pub mod server;
mod timetable;
pub mod tools;
