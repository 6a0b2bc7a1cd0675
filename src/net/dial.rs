//! Connects to a pool: name resolution, TCP, SOCKS5, TLS. Each step has its own time limit, and all of
//! them the caller's deadline.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

pub use super::happy_eyeballs::connect_any;

use super::happy_eyeballs::ConnectAttempts;
use super::options::is_timeout;
use super::process;
use super::resolve::Resolver;
use super::socks5::{self, ProxyLogin, Socks5Error};
use super::stream::Stream;
use super::tls::TlsClient;
use super::tls_errors;
use crate::util::os_error::describe;
use crate::util::stop::Stop;

/// Time limit for resolving and connecting.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Time limit for a TLS handshake.
const TLS_LIMIT: Duration = Duration::from_secs(5);

/// The route to one pool.
#[derive(Debug)]
pub struct Route {
    /// The host as in the URL; also sent to a SOCKS5 proxy.
    pub host: String,
    pub port: u16,
    pub tls: Option<TlsClient>,
    pub kind: RouteKind,
}

/// A direct route, or one through a proxy.
#[derive(Debug)]
pub enum RouteKind {
    Direct(Resolver),
    Socks5 { proxy: Resolver, login: Option<ProxyLogin> },
}

/// The duration of each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DialTimes {
    /// Zero for an address, and for a name that was resolved before.
    pub resolve: Duration,
    /// TCP connection to the pool or the proxy.
    pub connect: Duration,
    /// SOCKS5 handshake, including the proxy's connection to the pool.
    pub socks5: Option<Duration>,
    pub tls: Option<Duration>,
}

/// The step that failed, and its error.
#[derive(Debug)]
pub enum DialError {
    Resolve(io::Error),
    Connect(io::Error),
    Socks5(Socks5Error),
    Tls(io::Error),
    /// The connection leads back to this program.
    Itself,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialError::Tls(error) if is_timeout(error) => f.write_str("the TLS handshake took too long"),
            DialError::Socks5(_) if self.is_timeout() => f.write_str("the SOCKS5 proxy took too long"),
            DialError::Itself => f.write_str(
                "this address is Sluice's own listening address; set the pool's address in [[upstream]]",
            ),
            DialError::Resolve(error) => f.write_str(&describe(error)),
            DialError::Connect(error) => write!(f, "can't connect: {}", describe(error)),
            DialError::Socks5(error) => write!(f, "the SOCKS5 proxy can't connect: {error}"),
            DialError::Tls(error) => write!(f, "TLS failed: {}", tls_errors::describe_client_error(error)),
        }
    }
}

impl std::error::Error for DialError {}

impl DialError {
    /// True if the step timed out.
    pub fn is_timeout(&self) -> bool {
        match self {
            DialError::Resolve(error) | DialError::Connect(error) | DialError::Tls(error) => {
                is_timeout(error)
            }
            DialError::Socks5(Socks5Error::Io(error)) => is_timeout(error),
            DialError::Socks5(_) | DialError::Itself => false,
        }
    }

    /// True if the cause is local and says nothing about the pool: no file descriptor was left.
    pub fn is_local(&self) -> bool {
        matches!(self, DialError::Connect(error) if process::is_out_of_fds(error))
    }
}

impl Route {
    /// Number of times the addresses of the pool, or of its proxy, have changed.
    pub fn address_changes(&self) -> u64 {
        let (RouteKind::Direct(resolver) | RouteKind::Socks5 { proxy: resolver, .. }) = &self.kind;
        resolver.changes()
    }

    /// Connects. The returned stream has no timeouts.
    ///
    /// # Errors
    /// The step that failed, at the latest at `deadline`. `stop` ends a wait for TCP early.
    pub fn dial(&self, deadline: Instant, stop: &Stop) -> Result<Stream, DialError> {
        self.dial_port(self.port, deadline, stop).map(|(stream, _)| stream)
    }

    /// Connects to a port of the host, which may be another one than the route's. Also returns the duration of each
    /// step.
    ///
    /// # Errors
    /// Like [`Route::dial`].
    pub fn dial_port(
        &self,
        port: u16,
        deadline: Instant,
        stop: &Stop,
    ) -> Result<(Stream, DialTimes), DialError> {
        let mut times = DialTimes::default();
        let mut step = StepTimer(Instant::now());
        let connect_by = deadline.min(Instant::now() + CONNECT_LIMIT);
        let (RouteKind::Direct(resolver) | RouteKind::Socks5 { proxy: resolver, .. }) = &self.kind;
        // The proxy's own port does not change.
        let direct_port = matches!(self.kind, RouteKind::Direct(_)).then_some(port);
        let addresses = resolver.addresses(connect_by).map_err(DialError::Resolve)?;
        times.resolve = step.next();
        let socket = ConnectAttempts::new(&addresses, Some(resolver), direct_port)
            .connect(connect_by, stop)
            .map_err(DialError::Connect)?;
        resolver.confirm();
        times.connect = step.next();
        if let RouteKind::Socks5 { login, .. } = &self.kind {
            // Tor builds a circuit in this step, which may take all the remaining time.
            socks5::connect(&socket, &self.host, port, login.as_ref(), deadline)
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

/// Measures steps; holds the end of the last one.
struct StepTimer(Instant);

impl StepTimer {
    fn next(&mut self) -> Duration {
        let before = std::mem::replace(&mut self.0, Instant::now());
        self.0.duration_since(before)
    }
}
