//! The page's HTTP server through real sockets: what it answers, and what it survives.

mod common;

#[path = "http/access.rs"]
mod access;
#[path = "http/attacks.rs"]
mod attacks;
#[path = "http/client.rs"]
mod client;
#[path = "http/crowds.rs"]
mod crowds;
#[path = "http/descriptors.rs"]
mod descriptors;
#[path = "http/ending.rs"]
mod ending;
#[path = "http/header_injection.rs"]
mod header_injection;
#[path = "http/process.rs"]
mod process;
#[path = "http/requests.rs"]
mod requests;
#[path = "http/smuggling.rs"]
mod smuggling;
#[path = "http/toy.rs"]
mod toy;
