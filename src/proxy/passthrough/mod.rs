//! Passthrough mode: each miner's session has its own connection to the pool, and two threads that forward
//! the bytes.
//!
//! The path of a byte: [`crate::proxy`] (accept, PROXY header, TLS, first bytes) → [`first_answer`] (until
//! the pool's first answer) → [`miner_to_pool`] and [`pool_to_miner`], each a [`pump`], which gives the tap
//! its copy → [`half_close`].

mod failback;
mod first_answer;
mod half_close;
mod handshake_scan;
mod miner_timeouts;
mod miner_to_pool;
mod mode;
mod pipes;
mod pool_supervisor;
mod pool_to_miner;
mod pump;
mod session;
mod turned_away;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::{ListenerContext, Proxy, Registry, StartError, start_upstreams};
use crate::config::Config;
use crate::tap::ToAnalyzer;
use crate::upstream::Upstreams;
use crate::util::stop::Stop;

use pipes::PipeBudget;
pub use pipes::{DESCRIPTORS_PER_PIPE, OWN_DESCRIPTORS, SOCKETS_PER_SESSION};
use session::PassthroughSession;
use turned_away::UnservedSessions;

/// Shared by all sessions. Nothing in it is locked between a read and its send.
#[derive(Debug)]
struct PassthroughServices {
    config: Config,
    upstreams: Upstreams,
    listener_context: ListenerContext,
    registry: Registry<PassthroughSession>,
    unserved: UnservedSessions,
    to_analyzer: ToAnalyzer,
    pipes: PipeBudget,
    next_session: AtomicU64,
    /// Whether it was logged that splice is not possible.
    splice_refused: AtomicBool,
}

/// Starts the mode. Copies of what is forwarded go to `to_analyzer`. `own`: the addresses that miners connect
/// to, which are no pools.
///
/// # Errors
/// [`StartError`] when an upstream or a thread can't be set up.
pub(crate) fn start(
    config: &Config,
    to_analyzer: ToAnalyzer,
    own: &[SocketAddr],
    stop: &Stop,
) -> Result<Arc<dyn Proxy>, StartError> {
    let (listener_context, upstreams) = start_upstreams(config, own, stop)?;
    let services = Arc::new(PassthroughServices {
        listener_context,
        config: config.clone(),
        upstreams,
        registry: Registry::default(),
        unserved: UnservedSessions::default(),
        to_analyzer,
        pipes: PipeBudget::for_miners(config.listen.max_miners),
        next_session: AtomicU64::new(1),
        splice_refused: AtomicBool::new(false),
    });
    pool_supervisor::start(&services, stop).map_err(StartError::Thread)?;
    failback::start(&services, stop).map_err(StartError::Thread)?;
    Ok(services)
}
