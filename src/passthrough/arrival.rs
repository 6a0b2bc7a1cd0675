//! What may stand before a miner's first byte: a PROXY header, a TLS handshake. Off the accept
//! path and under a deadline.

use std::fmt;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::TlsPort;
use crate::net::Stream;
use crate::net::options::time_left;
use crate::net::proxy_protocol::{self, Parsed, ProxyError};

/// The most a PROXY header may have; also the bound of [`proxy_protocol`].
const MOST_HEADER: usize = 1024;

/// Why a connection never became a session.
#[derive(Debug)]
pub(super) enum ArrivalError {
    NoProxyHeader(io::Error),
    BadProxyHeader(ProxyError),
    Tls(io::Error),
}

impl fmt::Display for ArrivalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArrivalError::NoProxyHeader(error) => {
                write!(
                    f,
                    "listen.proxy_protocol asks this address for a PROXY header, but none came: {error}"
                )
            }
            ArrivalError::BadProxyHeader(error) => {
                write!(f, "listen.proxy_protocol asks this address for a PROXY header: {error}")
            }
            ArrivalError::Tls(error) => write!(f, "the TLS handshake failed: {error}"),
        }
    }
}

/// Reads a PROXY header: whom the peer speaks for; `None` when for itself.
pub(super) fn read_proxy_header(
    mut socket: &TcpStream,
    deadline: Instant,
) -> Result<Option<SocketAddr>, ArrivalError> {
    let mut header = Vec::with_capacity(128);
    loop {
        match proxy_protocol::parse(&header) {
            Err(error) => return Err(ArrivalError::BadProxyHeader(error)),
            Ok(Parsed::Header { source, .. }) => {
                socket.set_read_timeout(None).map_err(ArrivalError::NoProxyHeader)?;
                return Ok(source);
            }
            Ok(Parsed::Incomplete) if header.len() >= MOST_HEADER => {
                let error = io::Error::new(io::ErrorKind::InvalidData, "the header is too long");
                return Err(ArrivalError::NoProxyHeader(error));
            }
            Ok(Parsed::Incomplete) => {}
        }
        // Byte by byte: what follows the header belongs to the miner.
        let mut byte = [0];
        let read = time_left(deadline)
            .and_then(|left| socket.set_read_timeout(Some(left)))
            .and_then(|()| socket.read_exact(&mut byte));
        read.map_err(ArrivalError::NoProxyHeader)?;
        header.extend(byte);
    }
}

/// The miner's stream, after the handshake on a TLS port.
pub(super) fn establish(
    socket: TcpStream,
    port: &TlsPort,
    deadline: Instant,
) -> Result<Stream, ArrivalError> {
    match port {
        TlsPort::Plain => Ok(Stream::Plain(socket)),
        TlsPort::Tls(server) => {
            let tls = server.accept(socket, deadline).map_err(ArrivalError::Tls)?;
            Ok(Stream::Tls(Box::new(tls)))
        }
    }
}
