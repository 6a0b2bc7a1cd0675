//! The accept loop of one listener. It asks the gatekeeper and hands the connection to the mode, which starts
//! a thread for it. Whatever can wait for the network happens in that thread.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::handshake::IncomingConnection;
use super::peer_log::LogTopic;
use super::{ListenerContext, Proxy};
use crate::config::{ListenConfig, ProxyProtocol};
use crate::limits::{Admission, AdmissionError};
use crate::net::inherited::InheritedSockets;
use crate::net::listen::{Listener, is_peer_error};
use crate::net::process;
use crate::net::tls::TlsServer;
use crate::upstream::SetupError;
use crate::util::address::canonical;
use crate::util::os_error::describe;
use crate::util::stop::Stop;
use crate::util::supervise::{self, OnPanic, service};
use crate::util::thread::{join_within, panic_text};

/// The pause after a failed accept. Without file descriptors, the next try would fail as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The time that the loop may take to end. It only hands over the last connection.
const MAX_CLOSE_TIME: Duration = Duration::from_secs(2);

/// To accept a connection and start its threads takes a millisecond. A loop that is still at it after this time hangs.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// A listening socket that does not accept yet.
#[derive(Debug)]
pub struct OpenListener {
    socket: Arc<Listener>,
    pub address: SocketAddr,
    /// `None` on a plain port.
    tls: Option<TlsServer>,
}

/// A running accept loop.
#[derive(Debug)]
pub struct Acceptor {
    /// The same socket as the loop's.
    socket: Arc<Listener>,
    address: SocketAddr,
    thread: JoinHandle<()>,
}

/// Opens every listener of the configuration, or none. Inherited sockets are used for their addresses.
pub fn open_all(
    config: &ListenConfig,
    inherited: &mut InheritedSockets,
) -> Result<Vec<OpenListener>, SetupError> {
    let mut listeners = Vec::new();
    for address in &config.stratum {
        listeners.push(OpenListener::open(*address, None, inherited)?);
    }
    if let Some(tls) = &config.tls {
        let server =
            TlsServer::new(&tls.cert, &tls.key).map_err(|why| SetupError(format!("listen.tls: {why}")))?;
        for address in &tls.listen {
            listeners.push(OpenListener::open(*address, Some(server.clone()), inherited)?);
        }
    }
    Ok(listeners)
}

impl OpenListener {
    fn open(
        address: SocketAddr,
        tls: Option<TlsServer>,
        inherited: &mut InheritedSockets,
    ) -> Result<OpenListener, SetupError> {
        let failed = |why: io::Error| SetupError(describe(&why));
        let socket = inherited.listen(address).map_err(failed)?;
        let address = socket.address().map_err(failed)?;
        Ok(OpenListener { socket: Arc::new(socket), address, tls })
    }

    /// Starts to accept.
    pub fn start(self, proxy: &Arc<dyn Proxy>, stop: &Stop) -> io::Result<Acceptor> {
        let (proxy, stop, address) = (proxy.clone(), stop.clone(), self.address);
        let socket = self.socket.clone();
        let thread = service(format!("listen-{}", address.port()))
            .on_panic(OnPanic::EndProgram)
            .beats_within(STUCK_AFTER)
            .watched()
            .start(move || self.accept_all(&proxy, &stop))?;
        Ok(Acceptor { socket, address, thread })
    }

    fn accept_all(&self, proxy: &Arc<dyn Proxy>, stop: &Stop) {
        let mut failing = false;
        loop {
            supervise::rest();
            let accepted = self.socket.accept(|| stop.is_stopped());
            supervise::beat();
            match accepted {
                Ok(None) => return,
                Ok(Some((socket, peer))) => {
                    failing = false;
                    let peer = canonical(peer);
                    // A panic over one connection must not end the program.
                    let received = AssertUnwindSafe(|| receive(proxy, socket, peer, self.tls.clone()));
                    if let Err(panic) = catch_unwind(received) {
                        let reason = format!("while it accepted {peer}: {}", panic_text(panic.as_ref()));
                        log::error!("{}: the listener panicked {reason}", self.address);
                        supervise::note_restart(&reason);
                    }
                }
                Err(error) if is_peer_error(&error) => {}
                Err(error) => {
                    if !failing {
                        let why = match process::is_out_of_fds(&error) {
                            true => process::fd_advice(),
                            false => describe(&error),
                        };
                        log::error!("{}: can't accept connections: {why}", self.address);
                    }
                    failing = true;
                    if stop.sleep(ACCEPT_PAUSE).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

impl Acceptor {
    /// Wakes the loop after its stop was requested, and waits for its end for a bounded time.
    pub fn join(self) {
        self.socket.close();
        if !join_within(self.thread, MAX_CLOSE_TIME) {
            log::warn!("{}: the port is still being closed", self.address);
        }
    }
}

/// Admits a connection, or closes it.
fn receive(proxy: &Arc<dyn Proxy>, socket: TcpStream, peer: SocketAddr, tls: Option<TlsServer>) {
    let listener_context = proxy.listener_context();
    match admit(listener_context, proxy.sessions(), peer) {
        Ok(admission) => {
            let incoming = IncomingConnection::new(socket, peer, tls, admission);
            if let Err(error) = proxy.clone().serve(incoming) {
                let text = format!("can't start a session: {}", describe(&error));
                listener_context.log_peer(peer, LogTopic::NoThread, &text);
            }
        }
        Err(refusal) => {
            listener_context.log_peer(peer, LogTopic::Refused, &format_args!("refused: {refusal}"))
        }
    }
}

/// Applies the limits. A peer that has to send a PROXY header is counted when it has sent it.
fn admit(
    listener_context: &ListenerContext,
    sessions: usize,
    peer: SocketAddr,
) -> Result<Option<Admission>, AdmissionError> {
    let limit = listener_context.listen.max_miners;
    if sessions >= limit {
        return Err(AdmissionError::Full { limit });
    }
    if must_send_proxy_header(listener_context, peer) {
        return Ok(None);
    }
    listener_context.gatekeeper.admit(peer.ip(), Instant::now()).map(Some)
}

/// Whether this peer has to begin with a PROXY header.
fn must_send_proxy_header(listener_context: &ListenerContext, peer: SocketAddr) -> bool {
    match &listener_context.listen.proxy_protocol {
        ProxyProtocol::Off => false,
        ProxyProtocol::Everyone => listener_context.gatekeeper.allows(peer.ip()),
        ProxyProtocol::From(blocks) => blocks.iter().any(|block| block.contains(peer.ip())),
    }
}
