//! Listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::options;
use crate::util::os_error::describe;

/// Connections the kernel may hold before they are accepted: a farm's reconnect wave comes at once.
const BACKLOG: i32 = 4096;

/// Binds and listens. `SO_REUSEADDR` is set, so that a restart need not wait for old connections to
/// time out. An IPv6 address accepts IPv6 only, so that `0.0.0.0` and `[::]` can be used together.
/// Accepted connections inherit the socket's options.
///
/// # Errors
/// Errors of the system (address in use, not available, permission), with the address in the text.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    bind_bare(address)
        .map_err(|e| io::Error::new(e.kind(), format!("can't listen on {address}: {}", describe(&e))))
}

/// Like [`bind`], with the plain error of the system.
///
/// # Errors
/// The system's own.
pub fn bind_bare(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    options::tune(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// True if an error of accept concerns one connection only, which is gone.
pub fn is_peer_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_names_the_address() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }

    #[test]
    fn both_families_share_a_port() {
        let four = bind("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = four.local_addr().unwrap().port();
        if let Err(error) = bind(SocketAddr::new("::".parse().unwrap(), port)) {
            // A machine without IPv6 can't show it.
            assert_ne!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
        }
    }

    #[test]
    fn what_is_accepted_inherits_no_delay() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
    }
}
