//! Shared by both modes: a miner's connection is accepted, its handshake is done, its first bytes are
//! checked, copies of what is forwarded go to the analyzer, and the end is logged. The mode defines the
//! session itself.
//!
//! The steps of a miner's connection: [`listener`] (asks the gatekeeper) → [`Proxy::serve`] of the mode, with
//! an [`IncomingConnection`] → [`handshake`] (PROXY header, TLS) → [`mod@first_bytes`] (is it a miner at all)
//! → the mode's session, with a [`Tap`](crate::tap::Tap) for each direction.

pub mod aggregate;
mod drain;
pub mod enforcement;
mod first_bytes;
mod handshake;
mod listener;
mod listener_context;
mod mode;
pub mod passthrough;
mod peer_log;
mod protocol_guess;
mod read_watch;
mod registry;
mod server;
mod stats;

pub use mode::{PoolUsage, Proxy};
pub use server::ProxyServer;
pub use stats::{ProxyStats, Volume};

pub(crate) use drain::drain;
pub(crate) use first_bytes::{FirstBytes, first_bytes};
pub(crate) use handshake::IncomingConnection;
pub(crate) use listener_context::ListenerContext;
pub(crate) use peer_log::LogTopic;
pub(crate) use registry::{ProxySession, Registry};
pub(crate) use server::start_upstreams;

pub(crate) use read_watch::{OnTimeout, Watch, linger};
