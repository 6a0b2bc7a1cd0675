//! One upstream: how it is reached, and its state.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::UpstreamsShared;
use super::health::{PoolFailure, PoolHealth};
use super::list::UpstreamId;
use super::probe_logins::ProbeLogins;
use super::route::{SetupError, route_to};
use super::spare::SpareConnections;
use crate::config;
use crate::net::Stream;
use crate::net::dial::{DialError, Route};
use crate::util::stop::Stop;

/// The state of an upstream, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolStatus {
    /// Sluice has not been connected to it yet.
    Untried,
    Up,
    Failed,
    /// Out of rotation because of an alert, until a person clears it or the program restarts.
    Blocked,
}

impl fmt::Display for PoolStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PoolStatus::Untried => "not tried yet",
            PoolStatus::Up => "up",
            PoolStatus::Failed => "FAILED",
            PoolStatus::Blocked => "BLOCKED",
        })
    }
}

/// The state of an upstream, as connecting and probing know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamState {
    /// Host and port, as configured.
    pub name: String,
    /// The URL, as configured.
    pub url: String,
    /// The template of the names that the pool knows miners by, in aggregate mode.
    pub user: String,
    /// The number of pools that are preferred to it. `None` if it is not listed any more.
    pub rank: Option<usize>,
    pub standing: PoolStatus,
    /// The sessions on this pool now.
    pub sessions: usize,
    /// The shortest time since the pool last sent something to one of them.
    pub heard_ago: Option<Duration>,
    /// The reason that it is out of rotation until a person clears it.
    pub blocked: Option<String>,
    /// The last failure, and the time until the next try.
    pub trouble: Option<(String, Duration)>,
    /// Whether it failed because it accepts miners and sends no job.
    pub gives_no_work: bool,
    /// Whether the sessions that it has can mine. New ones may fail.
    pub serves_sessions: bool,
}

/// Shows, as long as it exists, that miners use a pool.
#[derive(Debug, Clone, Default)]
pub struct PoolInUse(Arc<()>);

#[derive(Debug)]
pub(super) struct UpstreamEntry {
    pub(super) id: UpstreamId,
    pub(super) configured: Arc<config::UpstreamConfig>,
    /// Host and port, for people.
    pub(super) name: Arc<str>,
    route: Route,
    /// The addresses that this program listens on for miners.
    own_addresses: Vec<SocketAddr>,
    health: Mutex<PoolHealth>,
    /// The reason that it is out of rotation until a person clears it.
    blocked: Mutex<Option<String>>,
    /// Sluice has connected to the pool at least once.
    reached: AtomicBool,
    /// Copied for each connection that miners use.
    usage: PoolInUse,
    probe_logins: Mutex<ProbeLogins>,
    /// Notified when there is something to probe.
    probe_wanted: Condvar,
    pub(super) spares: SpareConnections,
    /// Stopped when it is not listed any more, or the program ends.
    pub(super) stop: Stop,
}

impl UpstreamEntry {
    /// Sets the upstream up. Names are resolved in the background from now on, until `stop`.
    ///
    /// # Errors
    /// [`SetupError`] for unusable certificates, or when a thread can't be started.
    pub(super) fn new(
        id: UpstreamId,
        configured: &config::UpstreamConfig,
        UpstreamsShared { failover, own_addresses, .. }: &UpstreamsShared,
        stop: Stop,
    ) -> Result<UpstreamEntry, SetupError> {
        Ok(UpstreamEntry {
            id,
            configured: Arc::new(configured.clone()),
            name: configured.name().into(),
            route: route_to(configured, &stop)?,
            own_addresses: own_addresses.clone(),
            health: Mutex::new(PoolHealth::new(failover.backoff_min, failover.backoff_max, Instant::now())),
            blocked: Mutex::new(None),
            reached: AtomicBool::new(false),
            usage: PoolInUse::default(),
            probe_logins: Mutex::default(),
            probe_wanted: Condvar::new(),
            spares: SpareConnections::new(configured.warm),
            stop,
        })
    }

    /// Keeps a blocked pool out of rotation when it is listed with other settings. A person clears it.
    pub(super) fn inherit_block(&self, before: &[Arc<UpstreamEntry>]) {
        let is_it = |other: &&Arc<UpstreamEntry>| other.name == self.name && other.blocked().is_some();
        if let Some(blocked) = before.iter().find(is_it) {
            let why = blocked.blocked().clone();
            log::warn!("pool {} {} stays out of rotation until a person clears it", self.id, self.name);
            *self.blocked() = why;
        }
    }

    pub(super) fn health(&self) -> MutexGuard<'_, PoolHealth> {
        self.health.lock()
    }

    /// The reason that it is out of rotation.
    pub(super) fn blocked(&self) -> MutexGuard<'_, Option<String>> {
        self.blocked.lock()
    }

    /// Counts as a use of the pool until it is dropped.
    pub(super) fn usage(&self) -> PoolInUse {
        self.usage.clone()
    }

    /// Whether miners have a connection to it.
    pub(super) fn is_used(&self) -> bool {
        Arc::strong_count(&self.usage.0) > 1
    }

    /// The logins that probes use.
    pub(super) fn probe_logins(&self) -> MutexGuard<'_, ProbeLogins> {
        self.probe_logins.lock()
    }

    /// Since when it has counted as up.
    pub(super) fn up_since(&self) -> Option<Instant> {
        self.health().up_since().filter(|_| self.blocked().is_none())
    }

    pub(super) fn state(
        &self,
        rank: Option<usize>,
        sessions: usize,
        heard_ago: Option<Duration>,
    ) -> UpstreamState {
        let blocked = self.blocked().clone();
        let health = self.health();
        let due = health.due();
        UpstreamState {
            name: self.name.to_string(),
            url: self.configured.to_string(),
            user: self.configured.user.clone(),
            rank,
            standing: match due {
                _ if blocked.is_some() => PoolStatus::Blocked,
                Some(_) => PoolStatus::Failed,
                None if self.is_reached() => PoolStatus::Up,
                None => PoolStatus::Untried,
            },
            sessions,
            heard_ago,
            blocked,
            trouble: due.map(|(until, failure)| {
                (failure.to_string(), until.saturating_duration_since(Instant::now()))
            }),
            gives_no_work: health.gives_no_work() && !health.turns_miners_away(),
            serves_sessions: !health.gives_no_work(),
        }
    }

    /// Takes a spare connection, or dials.
    pub(super) fn dial(&self, deadline: Instant) -> Result<Stream, DialError> {
        let stream = match self.spares.take() {
            Some(stream) => stream,
            None => self.dial_new(deadline)?,
        };
        self.note_reached();
        Ok(stream)
    }

    /// Dials.
    pub(super) fn dial_new(&self, deadline: Instant) -> Result<Stream, DialError> {
        let stream = self.route.dial(deadline, &self.stop)?;
        if is_itself(&stream, &self.own_addresses) {
            return Err(DialError::Itself);
        }
        Ok(stream)
    }

    /// Dials its host at another port.
    pub(super) fn dial_at(&self, port: u16, deadline: Instant) -> Result<Stream, DialError> {
        self.route.dial_port(port, deadline, &self.stop).map(|(stream, _)| stream)
    }

    /// The number of times that its addresses have changed.
    pub(super) fn address_changes(&self) -> u64 {
        self.route.address_changes()
    }

    /// Marks it as failed. Returns the pause until the next try, unless it had failed already.
    pub(super) fn fail(&self, failure: PoolFailure) -> Option<Duration> {
        let pause = self.health().failed(failure, Instant::now());
        self.probe_wanted.notify_all();
        self.spares.clear();
        pause
    }

    /// Has a probe find out whether it has failed.
    pub(super) fn suspect(&self, failure: PoolFailure) {
        self.health().suspect(failure);
        self.probe_wanted.notify_all();
    }

    /// Marks it as working. `true` when it had counted as failed.
    pub(super) fn recover(&self) -> bool {
        self.note_reached();
        self.health().recovered(Instant::now())
    }

    /// Notes that Sluice has connected to it.
    pub(super) fn note_reached(&self) {
        self.reached.store(true, Ordering::Relaxed);
    }

    /// Whether Sluice has connected to it at least once.
    pub(super) fn is_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Sleeps for `time`, or until there is something new to probe.
    pub(super) fn wait_for_probe_request(&self, time: Duration, known: bool) {
        let mut health = self.health();
        if known || !health.wants_probe() {
            self.probe_wanted.wait_for(&mut health, time);
        }
    }
}

/// Whether the connection goes to a port on which this program listens, on this machine. Both ends then have the
/// same address, or both a loopback address: many systems give their own name the address 127.0.1.1.
fn is_itself(stream: &Stream, own_addresses: &[SocketAddr]) -> bool {
    let socket = stream.socket();
    let (Ok(own), Ok(peer)) = (socket.local_addr(), socket.peer_addr()) else { return false };
    let is_there = |at: &SocketAddr| {
        let is_address = at.ip().is_unspecified() || at.ip() == peer.ip();
        at.port() == peer.port() && is_address
    };
    let is_here = own.ip() == peer.ip() || (own.ip().is_loopback() && peer.ip().is_loopback());
    is_here && own_addresses.iter().any(is_there)
}
