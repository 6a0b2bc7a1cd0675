//! The public port: it accepts a bounded number of connections and starts a thread for each.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::access::Access;
use super::connection;
use super::log_once::LogOnce;
use super::refusal::GateRefusal;
use super::tiny_http::TinyHttp;
use super::visitors::Visitors;
use crate::limits::AddressKey;
use crate::net::listen::{Listener, is_peer_error};
use crate::net::{process, sched};
use crate::util::address::canonical;
use crate::util::os_error::describe;
use crate::util::stop::Stop;
use crate::util::supervise::{self, service};
use crate::util::thread::{SESSION_STACK, join_within, spawn};

/// The pause after a failed accept. Without free descriptors the next one would fail as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Caps the rejected connections that stay open for a while. If they were closed at once, with the
/// request unread, the reset would overtake the answer.
const MAX_LINGERING: usize = 32;

/// To accept a connection and start its thread takes a millisecond. A loop that is still at it after this time hangs.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// The time for pending answers at shutdown, and then for their threads.
const ANSWER_GRACE: Duration = Duration::from_millis(400);
const THREAD_GRACE: Duration = Duration::from_millis(200);

/// The state that all visitor threads share.
#[derive(Debug)]
pub(super) struct GateShared {
    pub(super) access: Access,
    pub(super) inner: TinyHttp,
}

/// The running accept loop.
#[derive(Debug)]
pub(super) struct Gate {
    /// The same socket as the loop's.
    listener: Arc<Listener>,
    shared: Arc<GateShared>,
    visitors: Arc<Visitors>,
    /// Stops this gate only, not the program.
    gate_stop: Stop,
    thread: JoinHandle<()>,
}

impl Gate {
    /// Starts to accept connections.
    pub(super) fn start(listener: Listener, access: Access, inner: TinyHttp, stop: Stop) -> io::Result<Gate> {
        let listener = Arc::new(listener);
        let shared = Arc::new(GateShared { access, inner });
        let visitors = Arc::new(Visitors::default());
        let gate_stop = Stop::new();
        let mut accept_loop = AcceptLoop {
            listener: listener.clone(),
            shared: shared.clone(),
            visitors: visitors.clone(),
            stops: [gate_stop.clone(), stop],
            lingering: VecDeque::new(),
        };
        let service = service("http").stack(SESSION_STACK).beats_within(STUCK_AFTER).watched();
        let thread = service.start(move || {
            // Threads that this one starts inherit its scheduling.
            sched::yield_to_others("the page");
            accept_loop.run();
            // The other handle would keep the port open, and visitors waiting, when the program stops.
            accept_loop.listener.close();
        })?;
        Ok(Gate { listener, shared, visitors, gate_stop, thread })
    }

    pub(super) fn shared(&self) -> Arc<GateShared> {
        self.shared.clone()
    }

    /// Closes the port, and every connection after a short time for pending answers.
    pub(super) fn shut_down(self) {
        self.gate_stop.stop();
        self.listener.close();
        if !join_within(self.thread, THREAD_GRACE) {
            log::debug!("the page's port is still being closed");
        }
        drop(self.listener);
        self.visitors.stop_reading();
        if !self.visitors.wait_empty(ANSWER_GRACE) {
            self.visitors.close_all();
            self.visitors.wait_empty(THREAD_GRACE);
        }
        self.shared.inner.shut_down();
    }
}

struct AcceptLoop {
    listener: Arc<Listener>,
    shared: Arc<GateShared>,
    visitors: Arc<Visitors>,
    stops: [Stop; 2],
    lingering: VecDeque<TcpStream>,
}

impl AcceptLoop {
    fn run(&mut self) {
        let failures = LogOnce::default();
        loop {
            supervise::rest();
            let accepted = self.listener.accept(|| self.is_stopped());
            supervise::beat();
            match accepted {
                Ok(None) => return,
                Ok(Some((socket, peer))) => self.serve(socket, canonical(peer)),
                Err(error) if is_peer_error(&error) => {}
                Err(error) => {
                    if failures.is_first(Instant::now()) {
                        log::error!("the page's port can't accept connections: {}", describe(&error));
                    }
                    // Lingering connections hold descriptors.
                    self.lingering.clear();
                    if process::is_out_of_fds(&error) {
                        self.visitors.evict_oldest(Instant::now());
                    }
                    if self.stops[0].sleep(ACCEPT_PAUSE).is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stops.iter().any(Stop::is_stopped)
    }

    fn serve(&mut self, socket: TcpStream, peer: SocketAddr) {
        let socket = Arc::new(socket);
        let Some(slot) = self.visitors.admit(&socket, AddressKey::from(peer.ip()), Instant::now()) else {
            log::debug!("http {peer}: rejected, too many visitors");
            self.reject(socket);
            return;
        };
        let (shared, visitor_socket) = (self.shared.clone(), socket.clone());
        let name = format!("http-{}", slot.number);
        let started = spawn(name, SESSION_STACK, move || {
            connection::serve(&shared, &slot, &visitor_socket, peer);
        });
        if let Err(error) = started {
            log::debug!("http {peer}: no thread: {error}");
            self.reject(socket);
        }
    }

    /// Answers that the server is full, without waiting.
    fn reject(&mut self, socket: Arc<TcpStream>) {
        // No other thread holds the socket any more.
        let Some(socket) = Arc::into_inner(socket) else { return };
        if socket.set_nonblocking(true).is_err() {
            return;
        }
        let answer = GateRefusal::Full.answer();
        let _ = (&socket).write(&[answer.head(), answer.body].concat());
        let _ = (&socket).read(&mut [0; 4096]);
        let _ = socket.shutdown(Shutdown::Write);
        self.lingering.push_back(socket);
        if self.lingering.len() > MAX_LINGERING {
            self.lingering.pop_front();
        }
    }
}
