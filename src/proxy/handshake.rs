//! The steps before a miner's first byte: a PROXY header, a TLS handshake. They run off the accept path and
//! under a deadline.

use std::fmt;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use super::ListenerContext;
use super::peer_log::LogTopic;
use crate::limits::Admission;
use crate::net::Stream;
use crate::net::options::time_left;
use crate::net::proxy_protocol::{self, Parsed, ProxyHeaderError};
use crate::net::tls::TlsServer;
use crate::net::tls_errors;
use crate::util::address::canonical;
use crate::util::os_error::describe;

/// Caps a PROXY header, in bytes. [`proxy_protocol`] has the same limit.
const MAX_PROXY_HEADER: usize = 1024;

/// The transport of a listener.
#[derive(Debug)]
pub enum TlsPort {
    Plain,
    Tls(TlsServer),
}

/// An accepted connection on its way to a miner\'s stream.
#[derive(Debug)]
pub struct IncomingConnection {
    socket: TcpStream,
    /// The address that the connection speaks for: the peer's own until a PROXY header names another.
    miner: SocketAddr,
    peer: SocketAddr,
    port: Arc<TlsPort>,
    /// `None`: a PROXY header must come first.
    admission: Option<Admission>,
}

impl IncomingConnection {
    pub(crate) fn new(
        socket: TcpStream,
        peer: SocketAddr,
        port: Arc<TlsPort>,
        admission: Option<Admission>,
    ) -> IncomingConnection {
        IncomingConnection { socket, miner: peer, peer, port, admission }
    }

    /// The address that connected.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The miner's stream, after everything that comes before it. `announce` gets the miner's address, `keep` what
    /// counts the connection against that address. Logs why, if there is no miner.
    pub fn receive(
        mut self,
        listener_context: &ListenerContext,
        accepted_at: Instant,
        announce: impl FnOnce(SocketAddr),
        keep: impl FnOnce(Admission),
    ) -> Option<Arc<Stream>> {
        let deadline = listener_context.handshake_deadline(accepted_at);
        announce(self.introduce(listener_context, deadline)?);
        keep(self.admit(listener_context)?);
        self.establish(listener_context, deadline).map(Arc::new)
    }

    /// The miner's address, read from the PROXY header if the peer has to send one.
    fn introduce(&mut self, listener_context: &ListenerContext, deadline: Instant) -> Option<SocketAddr> {
        if self.admission.is_none() {
            match read_proxy_header(&self.socket, deadline) {
                Ok(source) => self.miner = source.map_or(self.peer, canonical),
                Err(error) => {
                    listener_context.log_peer(self.peer, LogTopic::Handshake, &error);
                    return None;
                }
            }
        }
        Some(self.miner)
    }

    /// Counts the connection against the miner's address for as long as the result is kept. `None` if it is
    /// refused.
    fn admit(&mut self, listener_context: &ListenerContext) -> Option<Admission> {
        if let Some(admission) = self.admission.take() {
            return Some(admission);
        }
        match listener_context.gatekeeper.admit(self.miner.ip(), Instant::now()) {
            Ok(admission) => Some(admission),
            Err(refusal) => {
                listener_context.log_peer(self.miner, LogTopic::Refused, &format_args!("refused: {refusal}"));
                None
            }
        }
    }

    /// The miner's stream, after the handshake on a TLS port.
    fn establish(self, listener_context: &ListenerContext, deadline: Instant) -> Option<Stream> {
        match establish(self.socket, &self.port, deadline) {
            Ok(stream) => Some(stream),
            Err(error) => {
                listener_context.log_peer(self.miner, LogTopic::Handshake, &error);
                None
            }
        }
    }
}

/// The reason that a connection never became a session.
#[derive(Debug)]
enum HandshakeError {
    NoProxyHeader(io::Error),
    BadProxyHeader(ProxyHeaderError),
    Tls(io::Error),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::NoProxyHeader(error) => {
                write!(
                    f,
                    "listen.proxy_protocol asks this address for a PROXY header, but none came: {}",
                    describe(error)
                )
            }
            HandshakeError::BadProxyHeader(error) => {
                write!(f, "listen.proxy_protocol asks this address for a PROXY header: {error}")
            }
            HandshakeError::Tls(error) => {
                write!(f, "the TLS handshake failed: {}", tls_errors::describe_miner_error(error))
            }
        }
    }
}

/// Reads a PROXY header and returns the address that the peer speaks for. `None`: the peer speaks for itself.
fn read_proxy_header(
    mut socket: &TcpStream,
    deadline: Instant,
) -> Result<Option<SocketAddr>, HandshakeError> {
    let mut header = Vec::with_capacity(128);
    loop {
        match proxy_protocol::parse(&header) {
            Err(error) => return Err(HandshakeError::BadProxyHeader(error)),
            Ok(Parsed::Header { source, .. }) => {
                socket.set_read_timeout(None).map_err(HandshakeError::NoProxyHeader)?;
                return Ok(source);
            }
            Ok(Parsed::Incomplete) if header.len() >= MAX_PROXY_HEADER => {
                let error = io::Error::new(io::ErrorKind::InvalidData, "the header is too long");
                return Err(HandshakeError::NoProxyHeader(error));
            }
            Ok(Parsed::Incomplete) => {}
        }
        // Byte by byte: what follows the header belongs to the miner.
        let mut byte = [0];
        let read = time_left(deadline)
            .and_then(|left| socket.set_read_timeout(Some(left)))
            .and_then(|()| socket.read_exact(&mut byte));
        read.map_err(HandshakeError::NoProxyHeader)?;
        header.extend(byte);
    }
}

/// Performs the handshake on a TLS port.
fn establish(socket: TcpStream, port: &TlsPort, deadline: Instant) -> Result<Stream, HandshakeError> {
    match port {
        TlsPort::Plain => Ok(Stream::Plain(socket)),
        TlsPort::Tls(server) => {
            let tls = server.accept(socket, deadline).map_err(HandshakeError::Tls)?;
            Ok(Stream::Tls(Box::new(tls)))
        }
    }
}
