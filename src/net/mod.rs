//! Sockets, without any knowledge of Stratum: name resolution, connections, SOCKS5 and TLS, one
//! [`Stream`] for plain and TLS connections, and the options of every socket.

#![allow(unsafe_code, reason = "some system calls have no safe wrapper; each block says why it is sound")]

pub mod dial;
mod happy_eyeballs;
pub mod https;
pub mod inherited;
pub mod interfaces;
pub mod listen;
pub mod options;
pub mod pem;
pub mod port_owner;
pub mod process;
pub mod proxy_protocol;
pub mod read_buffer;
pub mod resolve;
pub mod sched;
pub mod service_manager;
pub mod socks5;
pub mod splice;
pub mod stack;
pub mod stamp;
pub mod stream;
pub mod tls;
pub mod tls_errors;
pub mod tls_stream;
mod tls_verify;

pub use read_buffer::ReadBuffer;
pub use stamp::Stamp;
pub use stream::{Received, Stream, StreamReader};
