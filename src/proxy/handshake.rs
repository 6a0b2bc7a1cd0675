//! The steps before a miner's first byte: a PROXY header, a TLS handshake. They run off the accept path and
//! under a deadline.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use super::ListenerContext;
use super::peer_log::LogTopic;
use crate::limits::Admission;
use crate::net::Stream;
use crate::net::options::time_left;
use crate::net::proxy_protocol::{self, Parsed};
use crate::net::tls::TlsServer;
use crate::net::tls_errors;
use crate::util::address::canonical;
use crate::util::os_error::describe;

/// Caps a PROXY header, in bytes. [`proxy_protocol`] has the same limit.
const MAX_PROXY_HEADER: usize = 1024;

/// An accepted connection on its way to a miner's stream.
#[derive(Debug)]
pub struct IncomingConnection {
    socket: TcpStream,
    /// The address that the connection speaks for: the peer's own until a PROXY header names another.
    miner: SocketAddr,
    /// The address that connected.
    pub peer: SocketAddr,
    /// `None` on a plain port.
    tls: Option<TlsServer>,
    /// `None`: a PROXY header must come first.
    admission: Option<Admission>,
}

impl IncomingConnection {
    pub(crate) fn new(
        socket: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsServer>,
        admission: Option<Admission>,
    ) -> IncomingConnection {
        IncomingConnection { socket, miner: peer, peer, tls, admission }
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
        let Some(server) = &self.tls else { return Some(Stream::Plain(self.socket)) };
        match server.accept(self.socket, deadline) {
            Ok(tls) => Some(Stream::Tls(Box::new(tls))),
            Err(error) => {
                let why = tls_errors::describe_miner_error(&error);
                let text = format!("the TLS handshake failed: {why}");
                listener_context.log_peer(self.miner, LogTopic::Handshake, &text);
                None
            }
        }
    }
}

/// Reads a PROXY header and returns the address that the peer speaks for. `None`: the peer speaks for itself.
fn read_proxy_header(mut socket: &TcpStream, deadline: Instant) -> Result<Option<SocketAddr>, String> {
    let wanted = "listen.proxy_protocol asks this address for a PROXY header";
    let missing = |error: io::Error| format!("{wanted}, but none came: {}", describe(&error));
    let mut header = Vec::with_capacity(128);
    loop {
        match proxy_protocol::parse(&header) {
            Err(error) => return Err(format!("{wanted}: {error}")),
            Ok(Parsed::Header { source, .. }) => {
                socket.set_read_timeout(None).map_err(missing)?;
                return Ok(source);
            }
            Ok(Parsed::Incomplete) if header.len() >= MAX_PROXY_HEADER => {
                return Err(missing(io::Error::new(io::ErrorKind::InvalidData, "the header is too long")));
            }
            Ok(Parsed::Incomplete) => {}
        }
        // Byte by byte: what follows the header belongs to the miner.
        let mut byte = [0];
        let read = time_left(deadline)
            .and_then(|left| socket.set_read_timeout(Some(left)))
            .and_then(|()| socket.read_exact(&mut byte));
        read.map_err(missing)?;
        header.extend(byte);
    }
}
