//! The page's HTTP server through real sockets: what it answers, and what it survives.

mod access;
mod attacks;
pub mod client;
mod crowds;
mod descriptors;
mod ending;
mod header_injection;
mod process;
mod requests;
mod smuggling;
mod toy;
