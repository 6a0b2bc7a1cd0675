//! What every mode does around a miner's session: let it in, receive it, look at its first bytes,
//! pass copies on, say how it goes. What a session is, the mode says.
//!
//! The way of a miner: [`acceptor`] (asks the gatekeeper) → the mode's [`Host`], with a [`Visitor`] →
//! [`arrival`] (PROXY header, TLS) → [`mod@first_bytes`] (is it a miner at all) → the mode's session,
//! with a [`Tap`] for each direction.

mod acceptor;
mod arrival;
pub mod enforcement;
mod fair_share;
mod first_bytes;
mod foreign;
mod linger;
mod observer;
mod reception;
mod start_error;
mod talk;
mod tap;
mod tuner;
mod watch;

pub use observer::{Observed, Observer, UpstreamState, Volume};
pub use start_error::StartError;
pub use tap::ToAnalyzer;
pub use tuner::{Tuned, Tuner};

pub(crate) use acceptor::{Acceptor, Host, Listener, open_all};
pub(crate) use arrival::Visitor;
pub(crate) use first_bytes::{FirstBytes, first_bytes};
pub(crate) use linger::linger;
pub(crate) use reception::Reception;
pub(crate) use talk::{Topic, say};
pub(crate) use tap::{Tap, announce, offer_hash};
pub(crate) use watch::{Patience, Patient, Watch};
