//! The listeners that miners connect to, and the mode behind them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::listener::{Acceptor, OpenListener, open_all};
use super::{ListenerContext, Proxy};
use crate::config::{Config, ListenConfig};
use crate::net::tls::TlsError;
use crate::upstream::{SetupError, Upstreams};
use crate::util::os_error::describe;
use crate::util::stop::Stop;

/// A proxy with its listeners.
#[derive(Debug)]
pub struct ProxyServer {
    proxy: Arc<dyn Proxy>,
    /// Listeners that do not accept yet; connections wait in the kernel.
    listeners: Vec<OpenListener>,
    acceptors: Vec<Acceptor>,
    addresses: Vec<SocketAddr>,
    stop: Stop,
}

impl ProxyServer {
    /// Opens the listeners, then starts the mode. No connection is accepted yet.
    ///
    /// # Errors
    /// [`StartError`] when a listener, a certificate or an upstream can't be set up; nothing runs then.
    pub fn open(
        listen: &ListenConfig,
        stop: &Stop,
        start: impl FnOnce(&[SocketAddr]) -> Result<Arc<dyn Proxy>, StartError>,
    ) -> Result<ProxyServer, StartError> {
        let listeners = open_all(listen)?;
        let addresses: Vec<_> = listeners.iter().map(OpenListener::address).collect();
        let proxy = start(&addresses)?;
        Ok(ProxyServer { proxy, listeners, acceptors: Vec::new(), addresses, stop: stop.clone() })
    }

    /// Starts to accept miners, once everything that they need is there.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn accept(&mut self) -> Result<(), StartError> {
        for listener in self.listeners.drain(..) {
            let acceptor = listener.start(&self.proxy, &self.stop).map_err(StartError::Thread)?;
            self.acceptors.push(acceptor);
        }
        Ok(())
    }

    /// The addresses that miners can connect to. A port configured as 0 has its real number.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub fn proxy(&self) -> &Arc<dyn Proxy> {
        &self.proxy
    }

    /// Closes the listeners, lets shares in flight get their answers, and ends all sessions.
    pub fn shut_down(self) {
        self.stop.stop();
        for acceptor in self.acceptors {
            acceptor.join();
        }
        self.proxy.drain();
    }
}

/// The reason that a mode could not start.
#[derive(Debug)]
pub enum StartError {
    Listen(io::Error),
    Tls(Box<TlsError>),
    Upstream(SetupError),
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen(why) => f.write_str(&describe(why)),
            StartError::Tls(why) => write!(f, "listen.tls: {why}"),
            StartError::Upstream(why) => write!(f, "{why}"),
            StartError::Thread(why) => write!(f, "can't start a thread: {}", describe(why)),
        }
    }
}

impl std::error::Error for StartError {}

/// Sets up the access control of the listeners and the pools, which both modes need. `own`: the addresses
/// that Sluice itself listens on, which are no pools.
///
/// # Errors
/// When a pool can't be set up.
pub(crate) fn start_upstreams(
    config: &Config,
    own: &[SocketAddr],
    stop: &Stop,
) -> Result<(ListenerContext, Upstreams), StartError> {
    let listener_context = ListenerContext::new(&config.listen, &config.ratelimit);
    let gatekeeper = listener_context.gatekeeper.clone();
    let on_failure = move || gatekeeper.pool_failed(Instant::now());
    let upstreams = Upstreams::start(own, &config.upstreams, &config.failover, on_failure, stop)
        .map_err(StartError::Upstream)?;
    Ok((listener_context, upstreams))
}
