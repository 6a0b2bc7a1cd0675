//! A miner's session: its own connection to the pool, and two threads that carry the bytes.
//!
//! The way of a byte: [`crate::proxy`] (accept, PROXY header, TLS, first bytes) → [`first_answer`] (until
//! the pool's first answer) → [`miner_to_pool`] and [`pool_to_miner`], each a [`pump`], which gives the tap its copy
//! → [`half_close`].

mod failback;
mod first_answer;
mod half_close;
mod handshake_scan;
mod hosting;
mod miner_timeouts;
mod miner_to_pool;
mod observed;
mod pipes;
mod pool_supervisor;
mod pool_to_miner;
mod pump;
mod registry;
mod session;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::{Acceptor, ListenerContext, Observer, OpenListener, StartError, Tuner, enforcement, open_all};
use crate::analyzer::EnforcementRequest;
use crate::config::Config;
use crate::tap::Conversation;
use crate::tap::ToAnalyzer;
use crate::upstream::{UpstreamId, Upstreams};
use crate::util::plural::count;
use crate::util::stop::Stop;

use pipes::PipeBudget;
pub use pipes::{DESCRIPTORS_PER_PIPE, OWN_DESCRIPTORS, SOCKETS_PER_SESSION};
use registry::SessionRegistry;

/// How long shares in flight may take to be answered at the end of the program.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How often the end looks whether they are.
const ANSWER_CHECK: Duration = Duration::from_millis(5);
/// How long sessions may take to end once they were told to.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

/// What all sessions share. Nothing in it is locked between a read and its send.
#[derive(Debug)]
struct PassthroughServices {
    config: Config,
    upstreams: Upstreams,
    reception: ListenerContext,
    registry: Arc<SessionRegistry>,
    to_analyzer: ToAnalyzer,
    pipes: PipeBudget,
    next_session: AtomicU64,
    /// No more is read from miners; what is in flight gets its answers.
    /// Whether it was said that splice is not possible.
    splice_refused: AtomicBool,
}

/// The running listeners and sessions.
#[derive(Debug)]
pub struct Passthrough {
    services: Arc<PassthroughServices>,
    /// Listeners that nobody is accepted on yet; connections wait in the kernel.
    listeners: Vec<OpenListener>,
    acceptors: Vec<Acceptor>,
    addresses: Vec<SocketAddr>,
    stop: Stop,
}

impl Passthrough {
    /// Opens the listeners and begins to serve. Copies of what is forwarded go to `to_analyzer`.
    ///
    /// # Errors
    /// [`StartError`] when a listener, a certificate or an upstream can't be set up; nothing runs then.
    pub fn start(config: &Config, to_analyzer: ToAnalyzer, stop: &Stop) -> Result<Passthrough, StartError> {
        let mut proxy = Passthrough::prepare(config, to_analyzer, stop)?;
        proxy.accept()?;
        Ok(proxy)
    }

    /// As [`Passthrough::start`], without accepting anybody yet.
    ///
    /// # Errors
    /// As [`Passthrough::start`].
    pub fn prepare(config: &Config, to_analyzer: ToAnalyzer, stop: &Stop) -> Result<Passthrough, StartError> {
        let listeners = open_all(&config.listen)?;
        let addresses = listeners.iter().map(OpenListener::address).collect();
        let reception = ListenerContext::new(&config.listen, &config.ratelimit);
        let forgiving = reception.gatekeeper.clone();
        let on_failure = move || forgiving.pool_failed(Instant::now());
        let upstreams = Upstreams::start(&config.upstreams, &config.failover, on_failure, stop)
            .map_err(StartError::Upstream)?;
        let services = Arc::new(PassthroughServices {
            reception,
            config: config.clone(),
            upstreams,
            registry: Arc::new(SessionRegistry::default()),
            to_analyzer,
            pipes: PipeBudget::beside(config.listen.max_miners),
            next_session: AtomicU64::new(1),
            splice_refused: AtomicBool::new(false),
        });
        pool_supervisor::start(&services, stop).map_err(StartError::Thread)?;
        failback::start(&services, stop).map_err(StartError::Thread)?;
        Ok(Passthrough { services, listeners, acceptors: Vec::new(), addresses, stop: stop.clone() })
    }

    /// Begins to accept miners, once everything that they need is there.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn accept(&mut self) -> Result<(), StartError> {
        for listener in self.listeners.drain(..) {
            let acceptor = listener.start(&self.services, &self.stop).map_err(StartError::Thread)?;
            self.acceptors.push(acceptor);
        }
        Ok(())
    }

    /// Acts upon what the analyzer finds, where the configuration says so.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn enforce(&self, offences: Receiver<EnforcementRequest>) -> io::Result<()> {
        enforcement::start(&self.services, offences, &self.stop)
    }

    /// Where miners can connect; ports that were asked for as 0 have their number.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// How many sessions there are now.
    pub fn sessions(&self) -> usize {
        self.services.registry.count()
    }

    /// For whoever shows how it goes.
    pub fn observer(&self) -> Observer {
        Observer::new(self.services.clone())
    }

    /// For whoever reads the configuration again.
    pub fn tuner(&self) -> Tuner {
        Tuner::new(self.services.clone())
    }

    /// Whether the upstream of this number is thought to work.
    pub fn is_up(&self, place: usize) -> bool {
        place < self.services.upstreams.count() && self.services.upstreams.is_up(UpstreamId(place))
    }

    /// The sessions' shared facts, for reports.
    pub fn conversations(&self) -> Vec<Arc<Conversation>> {
        self.services.registry.all().iter().map(|session| session.conversation.clone()).collect()
    }

    /// Ends: nobody is accepted any more, nothing more is read from miners, shares in flight get
    /// their answers (for a bounded time), then the sessions close.
    pub fn shut_down(self) {
        self.stop.stop();
        for acceptor in self.acceptors {
            acceptor.join();
        }
        let registry = &self.services.registry;
        let deadline = Instant::now() + DRAIN_LIMIT;
        for session in registry.all() {
            session.pause_miner();
        }
        let watched = self.services.to_analyzer.is_some();
        let mut waiting = registry.all();
        loop {
            // Each is closed as soon as its own answers are in.
            let is_late = Instant::now() >= deadline;
            waiting.retain(|session| {
                let is_answered = session.is_answered(watched);
                if is_answered || is_late {
                    session.close();
                }
                !is_answered
            });
            if is_late || waiting.is_empty() {
                break;
            }
            std::thread::sleep(ANSWER_CHECK);
        }
        if !waiting.is_empty() {
            let late = count(waiting.len() as u64, "session");
            log::warn!("{late} closed before the pool answered all shares");
        }
        if !registry.wait_empty(Instant::now() + CLOSE_LIMIT) {
            log::warn!("{} did not end in time", count(registry.count() as u64, "session"));
        }
    }
}
