//! TCP connections to the addresses of one name, in parallel; the name is resolved again if no known
//! address answers.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use super::options::{time_left, tune_towards_pool};
use super::process;
use super::resolve::{PendingAnswer, Resolver};
use crate::util::os_error::describe;
use crate::util::stop::Stop;

/// Head start of an address before the next is tried in parallel (RFC 8305, section 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// Time between two checks whether the program ends.
const STOP_CHECK: Duration = Duration::from_millis(100);
/// Longest wait for new addresses if all known ones have failed. A NerdMiner gives up after 1.2 s,
/// and the next pool must be tried within that time.
const RESOLVE_AGAIN_WAIT: Duration = Duration::from_millis(300);
/// Caps the addresses that are tried.
const MAX_ADDRESSES: usize = 8;

/// Connects to the first of `addresses` that answers. Each has a head start over the next, which is
/// tried at once if it fails; address families alternate (RFC 8305).
///
/// # Errors
/// The last failure if all have failed; `TimedOut` at the deadline;
/// [`Stopped`](crate::util::stop::Stopped) inside `Other`.
pub fn connect_any(addresses: &[SocketAddr], deadline: Instant, stop: &Stop) -> io::Result<TcpStream> {
    ConnectAttempts::new(addresses, None, None).connect(deadline, stop)
}

/// Connection attempts that run in parallel.
pub(super) struct ConnectAttempts<'a> {
    waiting: VecDeque<SocketAddr>,
    /// All addresses that were or will be tried.
    known: Vec<SocketAddr>,
    trying: Vec<(SocketAddr, Socket)>,
    next_at: Instant,
    /// Resolves the name again if these addresses do not answer.
    resolver: Option<&'a Resolver>,
    port: Option<u16>,
    began: Instant,
    /// The new lookup of the name, once it was started.
    lookup: Option<NewLookup>,
}

/// A new lookup of the name.
#[derive(Clone, Copy)]
enum NewLookup {
    Open(PendingAnswer, Instant),
    /// Answered, or not possible.
    Closed,
}

impl<'a> ConnectAttempts<'a> {
    /// Prepares the attempts. `port` replaces the port of the addresses.
    pub(super) fn new(
        addresses: &[SocketAddr],
        resolver: Option<&'a Resolver>,
        port: Option<u16>,
    ) -> ConnectAttempts<'a> {
        let alternating = alternate_families(addresses).into_iter().take(MAX_ADDRESSES);
        let known: Vec<_> = alternating.map(|address| at_port(address, port)).collect();
        ConnectAttempts {
            waiting: known.iter().copied().collect(),
            known,
            trying: Vec::new(),
            next_at: Instant::now(),
            resolver,
            port,
            began: Instant::now(),
            lookup: None,
        }
    }

    pub(super) fn connect(mut self, deadline: Instant, stop: &Stop) -> io::Result<TcpStream> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "there is no address");
        let mut has_failed = false;
        loop {
            if !self.waiting.is_empty() && (self.trying.is_empty() || Instant::now() >= self.next_at) {
                self.next_at = Instant::now() + NEXT_ADDRESS;
                if let Some(address) = self.waiting.pop_front() {
                    match begin(address) {
                        Ok(socket) => self.trying.push((address, socket)),
                        Err(error) if process::is_out_of_fds(&error) => return Err(error),
                        Err(error) => (failure, has_failed) = (with_address(address, &error), true),
                    }
                }
                continue;
            }
            if has_failed || self.began.elapsed() >= NEXT_ADDRESS {
                self.resolve_again();
            }
            if self.trying.is_empty() {
                if self.wait_for_new_addresses(deadline) {
                    continue;
                }
                return Err(failure);
            }
            self.take_new_addresses(Duration::ZERO);
            stop.check().map_err(io::Error::other)?;
            if !wait_writable(&self.trying, self.wake(deadline))? {
                time_left(deadline).map_err(|error| match self.trying.last() {
                    Some((address, _)) => with_address(*address, &error),
                    None => error,
                })?;
            }
            let mut index = 0;
            while index < self.trying.len() {
                match outcome(&self.trying[index].1) {
                    None => index += 1,
                    Some(Ok(())) => return finish(self.trying.swap_remove(index).1),
                    Some(Err(error)) => {
                        let (address, _) = self.trying.remove(index);
                        (failure, has_failed) = (with_address(address, &error), true);
                        self.next_at = Instant::now();
                    }
                }
            }
        }
    }

    /// When the next step is due.
    fn wake(&self, deadline: Instant) -> Instant {
        let look_at = deadline.min(Instant::now() + STOP_CHECK);
        if self.waiting.is_empty() { look_at } else { look_at.min(self.next_at) }
    }

    /// Resolves the name again, once, because the known addresses do not answer.
    fn resolve_again(&mut self) {
        if self.lookup.is_none() {
            let next = self.resolver.and_then(Resolver::resolve_again);
            self.lookup = Some(next.map_or(NewLookup::Closed, |next| NewLookup::Open(next, Instant::now())));
        }
    }

    /// Waits shortly for new addresses. Whether there are any.
    fn wait_for_new_addresses(&mut self, deadline: Instant) -> bool {
        let Some(NewLookup::Open(_, asked_at)) = self.lookup else { return false };
        let by = deadline.min(asked_at + RESOLVE_AGAIN_WAIT);
        self.take_new_addresses(by.saturating_duration_since(Instant::now()));
        !self.waiting.is_empty()
    }

    fn take_new_addresses(&mut self, time: Duration) {
        let (Some(NewLookup::Open(next, _)), Some(resolver)) = (self.lookup, self.resolver) else { return };
        let Some(addresses) = resolver.wait_for(next, time) else { return };
        self.lookup = Some(NewLookup::Closed);
        for address in alternate_families(&addresses) {
            let address = at_port(address, self.port);
            if !self.known.contains(&address) && self.known.len() < 2 * MAX_ADDRESSES {
                self.known.push(address);
                self.waiting.push_back(address);
            }
        }
    }
}

fn at_port(mut address: SocketAddr, port: Option<u16>) -> SocketAddr {
    if let Some(port) = port {
        address.set_port(port);
    }
    address
}

/// Starts a connection without waiting for it.
fn begin(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    tune_towards_pool(&socket)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => Ok(socket),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(socket),
        Err(error) => Err(error),
        Ok(()) => Ok(socket),
    }
}

/// True if one of the attempts has an outcome before `wake`.
fn wait_writable(trying: &[(SocketAddr, Socket)], wake: Instant) -> io::Result<bool> {
    let mut entries: Vec<PollFd<'_>> =
        trying.iter().map(|(_, socket)| PollFd::new(socket.as_fd(), PollFlags::POLLOUT)).collect();
    let left = wake.saturating_duration_since(Instant::now()).as_millis() + 1;
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    match poll(&mut entries, timeout) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The outcome of an attempt; `None` while it is in progress.
fn outcome(socket: &Socket) -> Option<io::Result<()>> {
    match socket.take_error() {
        Err(error) | Ok(Some(error)) => Some(Err(error)),
        Ok(None) => socket.peer_addr().is_ok().then_some(Ok(())),
    }
}

fn finish(socket: Socket) -> io::Result<TcpStream> {
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

fn with_address(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{address}: {}", describe(error)))
}

/// Alternates address families, beginning with that of the first; keeps the order within each.
fn alternate_families(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut mixed = Vec::with_capacity(addresses.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        match (first.next(), second.next()) {
            (None, None) => return mixed,
            (a, b) => mixed.extend(a.into_iter().chain(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    /// An address where nobody listens.
    fn refusing() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[test]
    fn the_second_address_is_taken_when_the_first_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let stream = connect_any(&[refusing(), good], soon(), &Stop::new()).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(stream.nodelay().unwrap());
    }

    #[test]
    fn all_refusing_names_an_address() {
        let address = refusing();
        let error = connect_any(&[address], soon(), &Stop::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains(&address.to_string()));
    }

    #[test]
    fn families_alternate_from_the_first() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (a, b, c) = (parse("[::1]:1"), parse("[::2]:1"), parse("127.0.0.1:1"));
        assert_eq!(alternate_families(&[a, b, c]), [a, c, b]);
        assert_eq!(alternate_families(&[c, a, b]), [c, a, b]);
    }
}
