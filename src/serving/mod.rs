//! What every mode does around a miner's session: let it in, receive it, look at its first bytes,
//! pass copies on, say how it goes. What a session is, the mode says.
//!
//! The way of a miner: [`acceptor`] (asks the gatekeeper) → [`Proxy::serve`] of the mode, with a [`Visitor`] →
//! [`arrival`] (PROXY header, TLS) → [`mod@first_bytes`] (is it a miner at all) → the mode's session,
//! with a [`Tap`] for each direction.

mod acceptor;
mod arrival;
mod drain;
pub mod enforcement;
mod fair_share;
mod first_bytes;
mod foreign;
mod linger;
mod proxy;
mod reception;
mod registry;
mod server;
mod start_error;
mod stats;
mod talk;
mod tap;
mod watch;

pub use proxy::{PoolUsage, Proxy};
pub use server::ProxyServer;
pub use start_error::StartError;
pub use stats::{ProxyStats, UpstreamState, Volume};
pub use tap::ToAnalyzer;

pub(crate) use arrival::Visitor;
pub(crate) use drain::drain;
pub(crate) use first_bytes::{FirstBytes, first_bytes};
pub(crate) use linger::linger;
pub(crate) use reception::Reception;
pub(crate) use registry::{ProxySession, Registry};
pub(crate) use server::start_upstreams;
pub(crate) use talk::{Topic, say};
pub(crate) use tap::{Tap, announce, offer_hash};
pub(crate) use watch::{Patience, Patient, Watch};
