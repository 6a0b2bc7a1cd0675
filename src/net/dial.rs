//! Connecting to a pool: name, TCP, SOCKS5, TLS, each step under its own limit and all of them under
//! the caller's deadline.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use super::descriptors;
use super::options::{is_timeout, time_left, tune};
use super::resolve::Resolver;
use super::socks5::{self, Credentials, Socks5Error};
use super::stream::Stream;
use super::tls::TlsClient;
use super::tls_words;
use crate::stop::Stop;
use crate::util::os_error::describe;

/// The most that resolving and connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The most that a TLS handshake may take.
const TLS_LIMIT: Duration = Duration::from_secs(5);
/// How long one address is tried alone before the next is tried beside it (RFC 8305, section 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// How often a wait for TCP looks whether the program ends.
const STOP_CHECK: Duration = Duration::from_millis(100);
/// More addresses than this are not tried.
const MOST_ADDRESSES: usize = 8;

/// Everything that is needed to reach one pool.
#[derive(Debug)]
pub struct Route {
    /// As in the URL; what the SOCKS5 proxy is asked for.
    pub host: String,
    pub port: u16,
    pub tls: Option<TlsClient>,
    pub way: Way,
}

/// Directly, or through a proxy.
#[derive(Debug)]
pub enum Way {
    Direct(Resolver),
    Socks5 { proxy: Resolver, login: Option<Login> },
}

/// For the proxy; the password does not print.
#[derive(Clone)]
pub struct Login {
    pub user: String,
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, ***)", self.user)
    }
}

/// How long each step of a connection took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DialTimes {
    /// Zero for an address, and for a name that was known already.
    pub resolve: Duration,
    /// TCP to the pool, or to the proxy.
    pub connect: Duration,
    /// From the proxy's greeting to its connection to the pool.
    pub socks5: Option<Duration>,
    pub tls: Option<Duration>,
}

/// Which step failed, and how.
#[derive(Debug)]
pub enum DialError {
    Resolve(io::Error),
    Connect(io::Error),
    Socks5(Socks5Error),
    Tls(io::Error),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialError::Tls(error) if is_timeout(error) => f.write_str("the TLS handshake took too long"),
            DialError::Socks5(_) if self.is_timeout() => f.write_str("the SOCKS5 proxy took too long"),
            DialError::Resolve(error) => f.write_str(&describe(error)),
            DialError::Connect(error) => write!(f, "can't connect: {}", describe(error)),
            DialError::Socks5(error) => write!(f, "the SOCKS5 proxy can't connect: {error}"),
            DialError::Tls(error) => write!(f, "TLS failed: {}", tls_words::of_client(error)),
        }
    }
}

impl std::error::Error for DialError {}

impl DialError {
    /// Whether the time was over before there was an outcome.
    pub fn is_timeout(&self) -> bool {
        match self {
            DialError::Resolve(error) | DialError::Connect(error) | DialError::Tls(error) => {
                is_timeout(error)
            }
            DialError::Socks5(Socks5Error::Io(error)) => is_timeout(error),
            DialError::Socks5(_) => false,
        }
    }

    /// Whether the fault lies here, and says nothing about the pool: no descriptor was left.
    pub fn is_ours(&self) -> bool {
        matches!(self, DialError::Connect(error) if descriptors::are_used_up(error))
    }
}

impl Route {
    /// Connects. The stream has no timeouts afterwards.
    ///
    /// # Errors
    /// The step that failed, at the latest at `deadline`; waiting for TCP ends early with `stop`.
    pub fn dial(&self, deadline: Instant, stop: &Stop) -> Result<Stream, DialError> {
        self.dial_timed(deadline, stop).map(|(stream, _)| stream)
    }

    /// As [`Route::dial`], and says how long each step took.
    ///
    /// # Errors
    /// As [`Route::dial`].
    pub fn dial_timed(&self, deadline: Instant, stop: &Stop) -> Result<(Stream, DialTimes), DialError> {
        let mut times = DialTimes::default();
        let mut step = Lap(Instant::now());
        let connect_by = deadline.min(Instant::now() + CONNECT_LIMIT);
        let (Way::Direct(resolver) | Way::Socks5 { proxy: resolver, .. }) = &self.way;
        let addresses = resolver.addresses(connect_by).map_err(DialError::Resolve)?;
        times.resolve = step.next();
        let socket = connect_any(&addresses, connect_by, stop).map_err(DialError::Connect)?;
        times.connect = step.next();
        if let Way::Socks5 { login, .. } = &self.way {
            let credentials =
                login.as_ref().map(|login| Credentials { user: &login.user, password: &login.password });
            // Tor builds a circuit in this step, which may take all the time there is.
            socks5::connect(&socket, &self.host, self.port, credentials, deadline)
                .map_err(DialError::Socks5)?;
            times.socks5 = Some(step.next());
        }
        match &self.tls {
            None => Ok((Stream::Plain(socket), times)),
            Some(tls) => {
                let tls_by = deadline.min(Instant::now() + TLS_LIMIT);
                let tls = tls.connect(socket, tls_by).map_err(DialError::Tls)?;
                times.tls = Some(step.next());
                Ok((Stream::Tls(Box::new(tls)), times))
            }
        }
    }
}

/// Where the last step ended.
struct Lap(Instant);

impl Lap {
    fn next(&mut self) -> Duration {
        let before = std::mem::replace(&mut self.0, Instant::now());
        self.0.duration_since(before)
    }
}

/// Connects to the first of `addresses` that answers. Each gets a head start over the next, which
/// is tried at once when it fails; families alternate (RFC 8305).
///
/// # Errors
/// The last failure when all have failed; `TimedOut` at the deadline; [`Stopped`](crate::stop::Stopped) inside `Other`.
pub fn connect_any(addresses: &[SocketAddr], deadline: Instant, stop: &Stop) -> io::Result<TcpStream> {
    let mut waiting = alternate_families(addresses).into_iter().take(MOST_ADDRESSES);
    let mut trying: Vec<(SocketAddr, Socket)> = Vec::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "there is no address");
    let mut next_at = Instant::now();
    let mut more = true;
    loop {
        if more && (trying.is_empty() || Instant::now() >= next_at) {
            next_at = Instant::now() + NEXT_ADDRESS;
            match waiting.next() {
                None => more = false,
                Some(address) => match begin(address) {
                    Ok(socket) => trying.push((address, socket)),
                    Err(error) if descriptors::are_used_up(&error) => return Err(error),
                    Err(error) => failure = named(address, &error),
                },
            }
            continue;
        }
        if trying.is_empty() {
            return Err(failure);
        }
        stop.check().map_err(io::Error::other)?;
        let look_at = deadline.min(Instant::now() + STOP_CHECK);
        let wake = if more { look_at.min(next_at) } else { look_at };
        if !wait_writable(&trying, wake)? {
            time_left(deadline).map_err(|error| match trying.last() {
                Some((address, _)) => named(*address, &error),
                None => error,
            })?;
        }
        let mut index = 0;
        while index < trying.len() {
            match outcome(&trying[index].1) {
                None => index += 1,
                Some(Ok(())) => return finish(trying.swap_remove(index).1),
                Some(Err(error)) => {
                    let (address, _) = trying.remove(index);
                    failure = named(address, &error);
                    next_at = Instant::now();
                }
            }
        }
    }
}

/// Starts a connection without waiting for it.
fn begin(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    tune(&socket)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => Ok(socket),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(socket),
        Err(error) => Err(error),
        Ok(()) => Ok(socket),
    }
}

/// Whether any of the connections has an outcome before `wake`.
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

/// `None` while the connection is still being made.
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

fn named(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{address}: {}", describe(error)))
}

/// Keeps the order within each family, and begins with the family of the first.
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

    #[test]
    fn a_password_does_not_print() {
        let login = Login { user: "me".into(), password: "secret".into() };
        assert_eq!(format!("{login:?}"), "Login(me, ***)");
    }
}
