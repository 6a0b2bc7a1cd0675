//! Listening sockets that the service manager has opened for the program (`sd_listen_fds(3)`). It keeps them open while
//! the program restarts, so that the connections of that time wait instead of being refused.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;
use socket2::{Domain, Socket, Type};

use super::listen::Listener;
use crate::util::escape::printable;
use crate::util::os_error::describe;

/// The first passed descriptor.
const FIRST_DESCRIPTOR: RawFd = 3;

/// Caps the passed descriptors: a wrong number must not touch descriptors that the program opens later.
const MAX_SOCKETS: RawFd = 64;

/// The sockets that the service manager has passed and that nobody has taken yet.
#[derive(Debug, Default)]
pub struct InheritedSockets(Vec<InheritedSocket>);

#[derive(Debug)]
struct InheritedSocket {
    /// The name in `LISTEN_FDNAMES`, for messages.
    name: String,
    address: SocketAddr,
    /// A socket for `[::]` that takes IPv4 connections, too.
    is_dual: bool,
    socket: TcpListener,
}

impl InheritedSockets {
    /// Takes the sockets that are passed to this process. To be called before the program opens descriptors; further calls
    /// return none.
    ///
    /// # Errors
    /// A message for each descriptor that is no listening TCP socket.
    pub fn from_environment() -> Result<InheritedSockets, Vec<String>> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Ok(InheritedSockets::default());
        }
        let variable = |name| std::env::var(name).unwrap_or_default();
        let count = passed(&variable("LISTEN_PID"), &variable("LISTEN_FDS"), std::process::id());
        let names = variable("LISTEN_FDNAMES");
        let mut names = names.split(':').map(printable);
        let (mut sockets, mut faults) = (Vec::new(), Vec::new());
        for descriptor in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + count {
            let name = names.next().filter(|name| !name.is_empty());
            let name = name.map_or_else(|| format!("descriptor {descriptor}"), |name| name.into_owned());
            match adopt(descriptor).and_then(|descriptor| InheritedSocket::new(name.clone(), descriptor)) {
                Ok(socket) => sockets.push(socket),
                Err(reason) => faults.push(format!(
                    "the service manager passes {name}, which can't be used: {}; a socket unit for Sluice has \
                     ListenStream= with an address and a port, and Accept=no",
                    describe(&reason)
                )),
            }
        }
        if faults.is_empty() { Ok(InheritedSockets(sockets)) } else { Err(faults) }
    }

    /// Whether there is a socket for this address.
    pub fn has(&self, address: SocketAddr) -> bool {
        self.place(address).is_some()
    }

    /// A listener on this address: an inherited socket, or else a new one.
    ///
    /// # Errors
    /// Errors of the system, with the address in the text.
    pub fn listen(&mut self, address: SocketAddr) -> io::Result<Listener> {
        match self.place(address) {
            Some(place) => Listener::inherited(self.0.swap_remove(place).socket),
            None => Listener::bind(address),
        }
    }

    /// A message for each socket that is for none of these addresses. Nobody would ever answer there, and a miner would
    /// wait for ever.
    pub fn without_use(&self, configured: &[SocketAddr]) -> Vec<String> {
        let mut unused: Vec<&InheritedSocket> = self.0.iter().collect();
        for address in configured {
            if let Some(place) = place(unused.iter().copied(), *address) {
                unused.swap_remove(place);
            }
        }
        let message = |socket: &InheritedSocket| {
            format!(
                "{}: the service manager listens on {} for Sluice, but no other address than {} is configured: \
                 set ListenStream= of the socket unit to an address of the configuration, or the other way round",
                socket.name,
                socket.address,
                configured.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
            )
        };
        unused.into_iter().map(message).collect()
    }

    fn place(&self, address: SocketAddr) -> Option<usize> {
        place(self.0.iter(), address)
    }
}

/// The place of the socket for this address: the one with the same address, or else one for all addresses of both
/// families (`ListenStream=3334`) if `0.0.0.0` is configured.
fn place<'s>(
    sockets: impl Iterator<Item = &'s InheritedSocket> + Clone,
    address: SocketAddr,
) -> Option<usize> {
    let is_all = address.ip() == Ipv4Addr::UNSPECIFIED;
    let both = |socket: &InheritedSocket| is_all && socket.is_dual && socket.address.port() == address.port();
    sockets.clone().position(|socket| socket.address == address).or_else(|| sockets.clone().position(both))
}

impl InheritedSocket {
    /// Checks that it is a TCP socket that listens.
    fn new(name: String, descriptor: OwnedFd) -> io::Result<InheritedSocket> {
        let socket = Socket::from(descriptor);
        let is_tcp = socket.r#type()? == Type::STREAM;
        let is_listening = is_tcp && socket.is_listener()?;
        let address = socket.local_addr()?.as_socket();
        let Some(address) = address.filter(|_| is_listening) else {
            return Err(io::Error::other("it is no listening TCP socket"));
        };
        let is_dual =
            socket.domain()? == Domain::IPV6 && address.ip() == Ipv6Addr::UNSPECIFIED && !socket.only_v6()?;
        Ok(InheritedSocket { name, address, is_dual, socket: socket.into() })
    }
}

/// The number of descriptors that are passed to this process.
fn passed(listen_pid: &str, listen_fds: &str, own_pid: u32) -> RawFd {
    match (listen_pid.parse::<u32>(), listen_fds.parse::<RawFd>()) {
        (Ok(pid), Ok(count)) if pid == own_pid => count.clamp(0, MAX_SOCKETS),
        _ => 0,
    }
}

/// Makes a passed descriptor this program's own: no program that it starts inherits it.
fn adopt(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two numbers, and fails if the descriptor is not open.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open. The service manager has opened it for this process and nobody else owns it: it is looked at
    // once, before the program opens descriptors.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn inherited(name: &str, descriptor: impl Into<OwnedFd>) -> io::Result<InheritedSocket> {
        InheritedSocket::new(name.to_owned(), descriptor.into())
    }

    #[test]
    fn only_this_process_is_meant_and_numbers_are_bounded() {
        assert_eq!(passed("7", "2", 7), 2);
        assert_eq!(passed("7", "1000000", 7), MAX_SOCKETS);
        for (pid, count) in [("8", "2"), ("", "2"), ("7", ""), ("7", "-1"), ("7", "x"), ("", "")] {
            assert_eq!(passed(pid, count, 7), 0, "{pid} {count}");
        }
    }

    #[test]
    fn only_listening_tcp_sockets_can_be_used() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(inherited("stream", stream).is_err());
        assert!(inherited("udp", UdpSocket::bind("127.0.0.1:0").unwrap()).is_err());
        assert!(inherited("file", std::fs::File::open("/dev/null").unwrap()).is_err());
        let directory = tempfile::tempdir().unwrap();
        assert!(inherited("unix", UnixListener::bind(directory.path().join("s")).unwrap()).is_err());
        assert!(inherited("bound", Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).is_err());
        let address = listener.local_addr().unwrap();
        assert_eq!(inherited("good", listener).unwrap().address, address);
    }

    #[test]
    fn a_socket_is_found_by_its_address_and_one_without_use_is_named() {
        let bound = |address: &str| TcpListener::bind(address).unwrap();
        let (one, other) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
        let (here, there) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let mut sockets = InheritedSockets(vec![
            inherited("sluice.socket", one).unwrap(),
            inherited("more.socket", other).unwrap(),
        ]);
        assert!(sockets.without_use(&[here, there]).is_empty());
        let faults = sockets.without_use(&[here, "127.0.0.1:1".parse().unwrap()]);
        assert_eq!(faults.len(), 1);
        for part in ["more.socket", &there.to_string(), &here.to_string(), "127.0.0.1:1", "ListenStream="] {
            assert!(faults[0].contains(part), "{faults:?}");
        }
        assert!(sockets.has(here));
        assert_eq!(sockets.listen(here).unwrap().address().unwrap(), here);
        assert!(!sockets.has(here) && sockets.has(there));
        // Sluice opens an address itself that nobody passes.
        let own = sockets.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(own.address().unwrap(), there);
    }

    #[test]
    fn a_socket_for_both_families_is_the_one_for_all_addresses_of_ipv4() {
        // A machine without IPv6 can't show it.
        let Ok(socket) = TcpListener::bind("[::]:0") else { return };
        let port = socket.local_addr().unwrap().port();
        let sockets = InheritedSockets(vec![inherited("sluice.socket", socket).unwrap()]);
        let all = |ip: &str| SocketAddr::new(ip.parse().unwrap(), port);
        assert!(sockets.has(all("0.0.0.0")) && sockets.has(all("::")));
        assert!(!sockets.has(all("127.0.0.1")));
        assert!(sockets.without_use(&[all("0.0.0.0")]).is_empty());
        assert_eq!(sockets.without_use(&[all("127.0.0.1")]).len(), 1);
    }
}
