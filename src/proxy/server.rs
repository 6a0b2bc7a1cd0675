//! The listeners that miners connect to, and the mode behind them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::listener::{Acceptor, OpenListener, open_all};
use super::{ListenerContext, Proxy};
use crate::config::{Config, ListenConfig};
use crate::net::inherited::InheritedSockets;
use crate::upstream::{SetupError, Upstreams};
use crate::util::stop::Stop;

/// A proxy with its listeners.
#[derive(Debug)]
pub struct ProxyServer {
    pub proxy: Arc<dyn Proxy>,
    /// Listeners that do not accept yet; connections wait in the kernel.
    listeners: Vec<OpenListener>,
    acceptors: Vec<Acceptor>,
    /// The addresses that miners can connect to. A port configured as 0 has its real number.
    pub addresses: Vec<SocketAddr>,
    stop: Stop,
}

impl ProxyServer {
    /// Opens the listeners, or takes inherited ones, then starts the mode. No connection is accepted yet.
    ///
    /// # Errors
    /// [`SetupError`] when a listener, a certificate or an upstream can't be set up; nothing runs then.
    pub fn open(
        listen: &ListenConfig,
        inherited: &mut InheritedSockets,
        stop: &Stop,
        start: impl FnOnce(&[SocketAddr]) -> Result<Arc<dyn Proxy>, SetupError>,
    ) -> Result<ProxyServer, SetupError> {
        let listeners = open_all(listen, inherited)?;
        let addresses: Vec<_> = listeners.iter().map(|listener| listener.address).collect();
        let proxy = start(&addresses)?;
        Ok(ProxyServer { proxy, listeners, acceptors: Vec::new(), addresses, stop: stop.clone() })
    }

    /// Starts to accept miners, once everything that they need is there.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn accept(&mut self) -> Result<(), SetupError> {
        for listener in self.listeners.drain(..) {
            let acceptor = listener.start(&self.proxy, &self.stop).map_err(SetupError::thread)?;
            self.acceptors.push(acceptor);
        }
        Ok(())
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

/// Sets up the access control of the listeners and the pools, which both modes need. `own`: the addresses
/// that Sluice itself listens on, which are no pools.
///
/// # Errors
/// When a pool can't be set up.
pub(crate) fn start_upstreams(
    config: &Config,
    own: &[SocketAddr],
    stop: &Stop,
) -> Result<(ListenerContext, Upstreams), SetupError> {
    let listener_context = ListenerContext::new(&config.listen, &config.ratelimit);
    let gatekeeper = listener_context.gatekeeper.clone();
    let on_failure = move || gatekeeper.pool_failed(Instant::now());
    let upstreams = Upstreams::start(own, &config.upstreams, &config.failover, on_failure, stop)?;
    Ok((listener_context, upstreams))
}
