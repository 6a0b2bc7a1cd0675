//! The page's HTTP server. `tiny_http` serves a private socket and never meets the network, because
//! one request with a huge Content-Length ends the whole process there; what stands at the public
//! port is a small gate of ours.
//!
//! The way of a request, file by file:
//!
//! 1. [`gate`] accepts, [`visitors`] bounds how many are there and closes who has been there longest;
//! 2. [`connection`] is one visitor's thread: it reads, judges, passes on, answers;
//! 3. [`head`] reads the head under a deadline and a limit, with [`target`], [`percent`], [`query`],
//!    [`host`] and [`body`] for its parts; all reads and writes with a deadline are in [`timed`];
//! 4. [`access`] decides whether it is let through: [`host`] against DNS rebinding, [`token`] for the
//!    secret, [`token_attempts`] against guessing;
//! 5. [`relay`] passes a rewritten request over the [`unix_socket`] socket and takes the answer into memory;
//! 6. [`tiny_http`] is `tiny_http`, started again should it die; its [`worker`]s call the [`Handler`];
//! 7. [`reply`] is the answer as it goes out; [`refusal`] is every answer of the gate's own;
//!    [`log_once`] keeps the log short.
//!
//! One request a connection. A visitor may take 5 s for the head, 5 s for the body, 10 s for taking
//! the answer; the handler has 10 s.

mod access;
mod answer;
mod body;
mod connection;
mod gate;
mod head;
mod host;
mod log_once;
mod percent;
mod query;
mod refusal;
mod relay;
mod reply;
mod target;
mod timed;
mod tiny_http;
mod token;
mod token_attempts;
mod unix_socket;
mod visitors;
mod worker;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::config;
use crate::net::listen;
use crate::util::stop::Stop;

pub use answer::HttpAnswer;
pub use query::{QueryParams, QueryParamsError};

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
}

/// What is asked for. HEAD is answered by the gate, as GET without the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    /// Changes something; only ever with the token in a header.
    Post,
}

/// Answers a request. It is called by two threads at most at the same time; a panic in it is a 500.
pub type Handler = Arc<dyn Fn(&GatedRequest) -> HttpAnswer + Send + Sync>;

/// The page's port, before anybody is answered there.
#[derive(Debug)]
pub struct PagePort {
    listener: TcpListener,
    address: SocketAddr,
}

/// The running server. Dropping it shuts it down.
pub struct HttpServer {
    address: SocketAddr,
    gate: Option<Gate>,
}

impl HttpServer {
    /// Listens on `http.listen` (port 0 works) and serves until [`HttpServer::shut_down`]; once `stop`
    /// is stopped, nobody new is served. `None` when `http.listen` is off.
    ///
    /// # Errors
    /// An address in use or not available, with the address in the text; no place for the private
    /// socket; no room for a thread.
    pub fn start(http: &config::HttpConfig, handler: Handler, stop: &Stop) -> io::Result<Option<HttpServer>> {
        let Some(port) = HttpServer::bind(http)? else { return Ok(None) };
        port.serve(http, handler, stop).map(Some)
    }

    /// Listens on `http.listen`; visitors wait until [`PagePort::serve`]. `None` when that is off.
    ///
    /// # Errors
    /// An address in use or not available, with the address in the text.
    pub fn bind(http: &config::HttpConfig) -> io::Result<Option<PagePort>> {
        let Some(address) = http.listen else { return Ok(None) };
        let listener = listen::bind(address)?;
        let address = listener.local_addr()?;
        Ok(Some(PagePort { listener, address }))
    }

    /// Where it listens, with the port the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port, lets answers that are on their way go out for half a second, and removes the
    /// private socket. Returns within a second, whatever the visitors and the handler do.
    pub fn shut_down(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.shut_down();
        }
    }
}

impl PagePort {
    /// Serves until [`HttpServer::shut_down`]; once `stop` is stopped, nobody new is served.
    ///
    /// # Errors
    /// No place for the private socket; no room for a thread.
    pub fn serve(self, http: &config::HttpConfig, handler: Handler, stop: &Stop) -> io::Result<HttpServer> {
        let PagePort { listener, address } = self;
        let inner = TinyHttp::start(handler).map_err(|error| {
            io::Error::new(error.kind(), format!("can't start what answers behind {address}: {error}"))
        })?;
        let access = Access::new(http.token.as_ref(), &http.hosts);
        let gate = Gate::start(listener, access, inner, stop.clone())?;
        Ok(HttpServer { address, gate: Some(gate) })
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer").field("address", &self.address).finish_non_exhaustive()
    }
}
