//! The page's HTTP server. `tiny_http` serves a private socket and is never exposed to the network,
//! because one request with a huge Content-Length aborts the whole process there. A small gate of our
//! own serves the public port.
//!
//! The path of a request, file by file:
//!
//! 1. [`gate`] accepts connections; [`visitors`] bounds their number and evicts the oldest;
//! 2. [`connection`] is one visitor's thread: it reads, checks, relays and answers;
//! 3. [`head`] reads the head with a deadline and a size limit, with [`target`], [`percent`], [`query`] and
//!    [`host`] for its parts; all reads and writes with a deadline are in [`timed`];
//! 4. [`access`] checks the request: [`host`] against DNS rebinding, [`token`] for the secret,
//!    [`token_attempts`] against guessing, [`form_origin`] against forms of other sites, [`login_page`] for the form with
//!    the token;
//! 5. [`relay`] sends a rewritten request over the [`unix_socket`] and reads the answer into memory;
//! 6. [`tiny_http`] runs `tiny_http` and restarts it if it dies; its [`worker`]s call the [`Handler`];
//! 7. [`answer`] is what the visitor gets; [`refusal`] has every answer of the gate itself; [`log_once`]
//!    keeps the log short.
//!
//! A connection serves one request. A visitor has 5 s for the head, 5 s for the body and 10 s to receive
//! the answer; the handler has 10 s.

mod access;
mod answer;
mod connection;
mod form_origin;
mod gate;
mod head;
mod host;
mod log_once;
mod login_page;
mod percent;
mod query;
mod refusal;
mod relay;
mod target;
mod timed;
mod tiny_http;
mod token;
mod token_attempts;
mod unix_socket;
mod visitors;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config;
use crate::net::inherited::InheritedSockets;
use crate::net::listen::Listener;
use crate::util::stop::Stop;
use crate::util::supervise::or_test_limit;

pub use answer::HttpAnswer;
pub(in crate::status) use percent::encode as percent_encode;
pub use query::QueryParams;

use access::Access;
use gate::Gate;
use tiny_http::TinyHttp;

/// A request that has passed the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatedRequest {
    pub method: Method,
    /// Percent-decoded; begins with one `/`, holds no control characters and no `.` or `..` segments.
    pub path: String,
    /// Without the token.
    pub query: QueryParams,
    /// At most 4 KiB; empty for [`Method::Get`].
    pub body: Vec<u8>,
    /// The Host header's value as the visitor wrote it, checked; `None` only with HTTP/1.0.
    pub host: Option<String>,
    /// The visitor may change something with a form of the page.
    pub may_change: bool,
}

/// The method of a request. The gate answers HEAD as GET without the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    /// A change. The gate requires the token in a header, or a form of the page and its cookie.
    Post,
}

/// Answers a request. At most two threads call it at the same time. If it panics, the answer is 500.
pub type Handler = Arc<dyn Fn(&GatedRequest) -> HttpAnswer + Send + Sync>;

/// A handler takes milliseconds. When all have taken this long, the page serves nobody any more.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// The page's open port, before it serves requests.
#[derive(Debug)]
pub struct PagePort {
    listener: Listener,
    address: SocketAddr,
}

/// The running server. Dropping it shuts it down.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    gate: Option<Gate>,
}

impl HttpServer {
    /// Listens on `http.listen` (port 0 works) and serves until [`HttpServer::shut_down`]. Once `stop` is
    /// stopped, new visitors are not served. `None` if `http.listen` is off.
    ///
    /// # Errors
    /// The address is in use or not available (the text names it), the private socket can't be created,
    /// or no thread can be started.
    pub fn start(http: &config::HttpConfig, handler: Handler, stop: &Stop) -> io::Result<Option<HttpServer>> {
        let Some(port) = HttpServer::bind(http)? else { return Ok(None) };
        port.serve(http, handler, stop).map(Some)
    }

    /// Listens on `http.listen`. Visitors wait until [`PagePort::serve`]. `None` if `http.listen` is off.
    ///
    /// # Errors
    /// The address is in use or not available; the text names it.
    pub fn bind(http: &config::HttpConfig) -> io::Result<Option<PagePort>> {
        HttpServer::bind_or_inherit(http, &mut InheritedSockets::default())
    }

    /// Takes the inherited socket for `http.listen`, or else does the same as [`HttpServer::bind`].
    ///
    /// # Errors
    /// The same as [`HttpServer::bind`].
    pub fn bind_or_inherit(
        http: &config::HttpConfig,
        inherited: &mut InheritedSockets,
    ) -> io::Result<Option<PagePort>> {
        let Some(address) = http.listen else { return Ok(None) };
        let listener = inherited.listen(address)?;
        let address = listener.address()?;
        Ok(Some(PagePort { listener, address }))
    }

    /// The address it listens on, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A check whether every thread that answers requests hangs. It may outlive the server.
    pub(crate) fn stuck_check(&self) -> impl Fn() -> bool + Send + use<> {
        let (shared, limit) = (self.gate.as_ref().map(Gate::shared), or_test_limit(STUCK_AFTER));
        move || shared.as_ref().is_some_and(|shared| shared.inner.is_stuck(limit))
    }

    /// Closes the port, gives pending answers half a second, and removes the private socket. Returns
    /// within a second, whatever the visitors and the handler do.
    pub fn shut_down(self) {
        drop(self);
    }
}

impl PagePort {
    /// The address it listens on, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until [`HttpServer::shut_down`]. Once `stop` is stopped, new visitors are not served.
    ///
    /// # Errors
    /// The private socket can't be created, or no thread can be started.
    pub fn serve(self, http: &config::HttpConfig, handler: Handler, stop: &Stop) -> io::Result<HttpServer> {
        let PagePort { listener, address } = self;
        let inner = TinyHttp::start(handler).map_err(|error| {
            io::Error::new(error.kind(), format!("can't start the page's server behind {address}: {error}"))
        })?;
        let access = Access::new(http);
        let gate = Gate::start(listener, access, inner, stop.clone())?;
        Ok(HttpServer { address, gate: Some(gate) })
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.shut_down();
        }
    }
}
