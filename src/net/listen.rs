//! Listening sockets.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::options;
use crate::util::os_error::describe;

/// Connections the kernel may hold before they are accepted: a farm's reconnect wave comes at once.
const BACKLOG: i32 = 4096;

/// A listening socket from which one thread accepts, and whose wait another thread can end.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    /// `None` for a socket of our own, whose wait ends when the socket is shut down. An inherited one is the service
    /// manager's, too, and must go on listening: connections wait in it for the next start. Its wait ends when the first
    /// of these is shut down.
    wake: Option<(UnixStream, UnixStream)>,
}

impl Listener {
    /// Binds and listens, see [`bind`].
    ///
    /// # Errors
    /// Errors of the system, with the address in the text.
    pub fn bind(address: SocketAddr) -> io::Result<Listener> {
        Ok(Listener { socket: bind(address)?, wake: None })
    }

    /// Takes over a socket that the service manager has opened.
    ///
    /// # Errors
    /// Its options can't be set, or there are no descriptors left.
    pub fn inherited(socket: TcpListener) -> io::Result<Listener> {
        options::tune(&socket)?;
        // Otherwise a connection that is gone when it is accepted could hold up the end of the program.
        socket.set_nonblocking(true)?;
        Ok(Listener { socket, wake: Some(UnixStream::pair()?) })
    }

    /// The address it listens on, with the port that the system chose.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for the next connection. `None` once `is_stopped`, which is followed by [`Listener::close`]. From then on
    /// nothing is taken out of an inherited socket.
    ///
    /// # Errors
    /// Errors of the system; some concern one connection only ([`is_peer_error`]).
    pub fn accept(&self, is_stopped: impl Fn() -> bool) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        loop {
            let is_woken = match &self.wake {
                Some((_, woken)) => wait(woken, &self.socket)?,
                None => false,
            };
            if is_woken || is_stopped() {
                return Ok(None);
            }
            match self.socket.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The socket was shut down, or a connection came at the last moment.
                _ if is_stopped() => return Ok(None),
                accepted => return accepted.map(Some),
            }
        }
    }

    /// Ends the wait in [`Listener::accept`], even when the address has left this machine meanwhile. A socket of our own
    /// takes no connection any more.
    pub fn close(&self) {
        let _ = match &self.wake {
            Some((wake, _)) => wake.shutdown(Shutdown::Both),
            None => SockRef::from(&self.socket).shutdown(Shutdown::Both),
        };
    }
}

/// Waits for a connection or the wake-up, and tells whether the latter has come.
fn wait(woken: &UnixStream, socket: &TcpListener) -> io::Result<bool> {
    let mut waiting =
        [PollFd::new(woken.as_fd(), PollFlags::POLLIN), PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    match poll(&mut waiting, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(waiting[0].any().unwrap_or(true)),
        Err(error) => Err(error.into()),
    }
}

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
    use std::sync::atomic::{AtomicBool, Ordering};

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

    /// The test does what a service manager does: it keeps a copy of the socket for the next start.
    #[test]
    fn an_inherited_socket_goes_on_listening_when_its_user_ends() {
        let managers = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = managers.local_addr().unwrap();
        for round in 0..3 {
            let listener = Listener::inherited(managers.try_clone().unwrap()).unwrap();
            let stopped = AtomicBool::new(false);
            std::thread::scope(|threads| {
                let accepting = threads.spawn(|| {
                    let mut accepted = 0;
                    while listener.accept(|| stopped.load(Ordering::Acquire)).unwrap().is_some() {
                        accepted += 1;
                        // The second one of each round waits for the next.
                        stopped.store(true, Ordering::Release);
                    }
                    accepted
                });
                let _first = TcpStream::connect(address).unwrap();
                let _second = (round < 2).then(|| TcpStream::connect(address).unwrap());
                while !stopped.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                listener.close();
                assert_eq!(accepting.join().unwrap(), 1);
            });
        }
        // Two rounds have left one each, and those are taken before the newer ones.
        managers.set_nonblocking(true).unwrap();
        assert!(managers.accept().is_ok() && managers.accept().is_ok());
    }

    #[test]
    fn the_wait_for_a_connection_ends_when_the_listener_is_closed() {
        let own = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let inherited = Listener::inherited(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        for (listener, listens_on) in [(own, false), (inherited, true)] {
            let stopped = AtomicBool::new(false);
            std::thread::scope(|threads| {
                let waiting = threads.spawn(|| listener.accept(|| stopped.load(Ordering::Acquire)).unwrap());
                stopped.store(true, Ordering::Release);
                listener.close();
                assert!(waiting.join().unwrap().is_none());
            });
            assert_eq!(TcpStream::connect(listener.address().unwrap()).is_ok(), listens_on);
        }
    }

    #[test]
    fn what_is_accepted_inherits_no_delay() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
    }
}
