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
mod pool_supervisor;
mod pool_to_miner;
mod pump;
mod session;
mod turned_away;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::{ListenerContext, Proxy, Registry, start_upstreams};
use crate::config::Config;
use crate::net::process::{self, OWN_DESCRIPTORS, SOCKETS_PER_SESSION};
use crate::tap::ToAnalyzer;
use crate::upstream::{SetupError, Upstreams};
use crate::util::budget::Budget;
use crate::util::stop::Stop;

use session::PassthroughSession;
use turned_away::UnservedSessions;

/// The file descriptors of a pipe: its two ends.
pub const DESCRIPTORS_PER_PIPE: u64 = 2;

/// Shared by all sessions. Nothing in it is locked between a read and its send.
#[derive(Debug)]
struct PassthroughServices {
    config: Config,
    upstreams: Upstreams,
    listener_context: ListenerContext,
    registry: Registry<PassthroughSession>,
    unserved: UnservedSessions,
    to_analyzer: ToAnalyzer,
    pipes: Budget,
    next_session: AtomicU64,
    /// Whether it was logged that splice is not possible.
    splice_refused: AtomicBool,
}

/// Starts the mode. Copies of what is forwarded go to `to_analyzer`. `own`: the addresses that miners connect
/// to, which are no pools.
///
/// # Errors
/// [`SetupError`] when an upstream or a thread can't be set up.
pub(crate) fn start(
    config: &Config,
    to_analyzer: ToAnalyzer,
    own: &[SocketAddr],
    stop: &Stop,
) -> Result<Arc<dyn Proxy>, SetupError> {
    let (listener_context, upstreams) = start_upstreams(config, own, stop)?;
    let services = Arc::new(PassthroughServices {
        listener_context,
        config: config.clone(),
        upstreams,
        registry: Registry::default(),
        unserved: UnservedSessions::default(),
        to_analyzer,
        pipes: pipe_budget(config.listen.max_miners),
        next_session: AtomicU64::new(1),
        splice_refused: AtomicBool::new(false),
    });
    pool_supervisor::start(&services, stop).map_err(SetupError::thread)?;
    failback::start(&services, stop).map_err(SetupError::thread)?;
    Ok(services)
}

/// The pipes that this process's limit leaves when `max_miners` are connected. A session on the splice path needs up
/// to ten descriptors where copying needs two. Without a limit they would be used up before `listen.max_miners` is
/// reached, and none would be left to accept and connect with.
fn pipe_budget(max_miners: usize) -> Budget {
    let kept = OWN_DESCRIPTORS + SOCKETS_PER_SESSION * max_miners as u64;
    let pipes = process::fd_limit().saturating_sub(kept) / DESCRIPTORS_PER_PIPE;
    Budget::new(usize::try_from(pipes).unwrap_or(usize::MAX))
}
