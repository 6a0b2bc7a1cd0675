//! `tiny_http` behind its private socket. It is restarted when it has died, because one failed accept,
//! for lack of a descriptor or a thread, ends it for good.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use parking_lot::{Condvar, Mutex};
use tiny_http::Server;

use super::Handler;
use super::answer::HttpAnswer;
use super::log_once::LogOnce;
use super::refusal::GateRefusal;
use super::relay::{self, ExchangeError};
use super::unix_socket::{self, PrivateDirectory};
use super::worker::{self, WORKER_COUNT, WorkerShared};
use crate::net::process;

/// Caps concurrent requests, since each occupies a thread of `tiny_http`. Others wait.
const MAX_CONCURRENT: usize = 8;

/// When every worker has been in the handler for this long, requests are no longer relayed.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// The shortest time between two restarts, since the idle threads of a dead server take five seconds
/// to end.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Caps the attempts for one request.
const MAX_ATTEMPTS: usize = 3;

/// The time that workers in the handler get at shutdown. After it they are abandoned.
const WORKER_GRACE: Duration = Duration::from_millis(200);

/// The inner server across its restarts.
pub(super) struct TinyHttp {
    handler: Handler,
    directory: PrivateDirectory,
    /// The secret by which the workers recognise the gate.
    pub(super) key: String,
    state: Mutex<TinyHttpState>,
    freed: Condvar,
    failures: LogOnce,
}

struct TinyHttpState {
    instance: Option<Arc<Instance>>,
    /// The number of the next instance.
    number: u64,
    started: Instant,
    in_flight: usize,
    ended: bool,
}

struct Instance {
    /// Owned by the workers. When the last of them ends, the server ends and drops open requests.
    server: Weak<Server>,
    address: PathBuf,
    work: Arc<WorkerShared>,
    /// Disconnects when every worker has ended.
    alive: Receiver<Infallible>,
}

/// The permit to relay one request, until dropped.
struct Permit<'i>(&'i TinyHttp);

impl TinyHttp {
    pub(super) fn start(handler: Handler) -> io::Result<TinyHttp> {
        let (directory, key) = (PrivateDirectory::new()?, unix_socket::random_name());
        let instance = Instance::start(&handler, &directory, &key, 0)?;
        let state = TinyHttpState {
            instance: Some(Arc::new(instance)),
            number: 1,
            started: Instant::now(),
            in_flight: 0,
            ended: false,
        };
        let (state, freed) = (Mutex::new(state), Condvar::new());
        Ok(TinyHttp { handler, directory, key, state, freed, failures: LogOnce::default() })
    }

    /// Relays `request` and returns its answer, or the gate's refusal if there is none by `deadline`. A request
    /// that `is_repeatable` is sent again if the server dies over it. `reserve` reserves memory.
    pub(super) fn relay_request(
        &self,
        request: &[u8],
        is_repeatable: bool,
        deadline: Instant,
        reserve: &dyn Fn(usize) -> bool,
    ) -> Result<HttpAnswer, GateRefusal> {
        let _permit = self.permit(deadline)?;
        let mut reason = io::Error::other("it does not answer");
        for _ in 0..MAX_ATTEMPTS {
            let instance =
                self.instance(deadline).map_err(|error| self.failed(GateRefusal::Unavailable, &error))?;
            if instance.work.is_stuck(STUCK_AFTER) {
                let what = "all its threads are stuck in a request";
                return Err(self.failed(GateRefusal::Unavailable, &what));
            }
            let connected =
                unix_socket::check_free_fds().and_then(|()| UnixStream::connect(&instance.address));
            let result = match connected {
                Ok(socket) => relay::exchange(&socket, request, deadline, reserve),
                Err(error) if process::is_out_of_fds(&error) => {
                    return Err(self.failed(GateRefusal::Unavailable, &error));
                }
                Err(error) => {
                    reason = error;
                    instance.work.end();
                    continue;
                }
            };
            match result {
                Ok(answer) => return Ok(answer),
                Err(ExchangeError::NoMemory) => return Err(GateRefusal::Full),
                Err(ExchangeError::TooLarge(bytes)) => {
                    let what = format!("an answer of {bytes} bytes is too large");
                    return Err(self.failed(GateRefusal::AnswerTooLarge, &what));
                }
                Err(ExchangeError::TimedOut) => {
                    return Err(self.failed(GateRefusal::HandlerTimeout, &"it took too long to answer"));
                }
                Err(ExchangeError::Failed(error)) => {
                    reason = error;
                    instance.work.end();
                    if !is_repeatable {
                        break;
                    }
                }
            }
        }
        Err(self.failed(GateRefusal::Unavailable, &reason))
    }

    /// Whether every worker has been in the handler for this time.
    pub(super) fn is_stuck(&self, time: Duration) -> bool {
        let instance = self.state.lock().instance.clone();
        instance.is_some_and(|instance| instance.work.is_stuck(time))
    }

    /// Ends the server and removes its socket.
    pub(super) fn shut_down(&self) {
        let instance = {
            let mut state = self.state.lock();
            state.ended = true;
            state.instance.take()
        };
        self.freed.notify_all();
        if let Some(instance) = instance {
            instance.retire();
            // Returns an error when all workers have ended, since nothing is ever sent.
            let _ = instance.alive.recv_timeout(WORKER_GRACE);
            drop(instance);
        }
        self.directory.remove();
    }

    /// Logs the first failure of a series, and returns its refusal.
    fn failed(&self, refusal: GateRefusal, what: &dyn fmt::Display) -> GateRefusal {
        if self.failures.is_first(Instant::now()) {
            log::error!("the status page can't answer a request: {what}");
        }
        refusal
    }

    fn permit(&self, deadline: Instant) -> Result<Permit<'_>, GateRefusal> {
        let mut state = self.state.lock();
        while state.in_flight >= MAX_CONCURRENT {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(GateRefusal::HandlerTimeout);
            }
            if state.ended {
                return Err(GateRefusal::Unavailable);
            }
            self.freed.wait_for(&mut state, left);
        }
        state.in_flight += 1;
        Ok(Permit(self))
    }

    /// The running instance. One that has died is replaced.
    fn instance(&self, deadline: Instant) -> io::Result<Arc<Instance>> {
        let mut state = self.state.lock();
        loop {
            if state.ended {
                return Err(io::Error::other("it has ended"));
            }
            if let Some(instance) = state.instance.as_ref().filter(|each| !each.work.has_ended()) {
                return Ok(instance.clone());
            }
            let now = Instant::now();
            let next = state.started + RESTART_PAUSE;
            if now >= next {
                break;
            }
            if now >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let pause = next.saturating_duration_since(now);
            self.freed.wait_for(&mut state, pause);
        }
        if let Some(dead) = state.instance.take() {
            dead.retire();
        }
        state.started = Instant::now();
        let number = state.number;
        state.number += 1;
        let instance = Arc::new(Instance::start(&self.handler, &self.directory, &self.key, number)?);
        log::debug!("the page's inner server was restarted");
        state.instance = Some(instance.clone());
        Ok(instance)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.state.lock().in_flight -= 1;
        self.0.freed.notify_one();
    }
}

impl Instance {
    fn start(
        handler: &Handler,
        directory: &PrivateDirectory,
        key: &str,
        number: u64,
    ) -> io::Result<Instance> {
        let (listener, address) = directory.listen(number)?;
        let server =
            Server::from_listener(tiny_http::Listener::from(listener), None).map_err(io::Error::other)?;
        let (server, work) = (Arc::new(server), Arc::new(WorkerShared::default()));
        let (holds, alive) = bounded(0);
        let instance = Instance { server: Arc::downgrade(&server), address, work, alive };
        let started = worker::start(&server, handler, key, &instance.work, &holds);
        if started.is_err() {
            instance.retire();
        }
        started.map(|()| instance)
    }

    /// Ends the workers, and the server with them.
    fn retire(&self) {
        self.work.end();
        if let Some(server) = self.server.upgrade() {
            for _ in 0..WORKER_COUNT {
                server.unblock();
            }
        }
    }
}

impl fmt::Debug for TinyHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TinyHttp").field("directory", &self.directory).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
