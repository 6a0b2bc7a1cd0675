//! Sockets. Nothing here knows of Stratum: names to addresses, addresses to connections, SOCKS5
//! and TLS on top, one [`Stream`] for both plain and TLS, and the options every socket gets.

#![allow(unsafe_code, reason = "some system calls have no safe wrapper; each block says why it is sound")]

pub mod connect;
pub mod dial;
pub mod fd_limit;
pub mod heap;
pub mod https;
pub mod interfaces;
pub mod listen;
pub mod options;
pub mod pem;
pub mod port_owner;
pub mod proxy_protocol;
pub mod resolve;
pub mod sched;
pub mod socks5;
pub mod splice;
pub mod stamp;
pub mod stream;
pub mod tls;
pub mod tls_stream;
mod tls_verify;
pub mod tls_words;

pub use stamp::Stamp;
pub use stream::{Received, Stream, StreamReader};
