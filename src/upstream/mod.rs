//! Which pool is taken: the order of preference, each one's health, connections kept warm, and the
//! background probes that find out when a failed pool is back.

mod health;
mod probe;
mod warm;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config;
use crate::net::Stream;
use crate::net::dial::{DialError, Login, Route, Way};
use crate::net::resolve::Resolver;
use crate::net::tls::{TlsClient, TlsError, Trust};
use crate::stop::Stop;

pub use health::{Failure, Health};
use warm::WarmConnections;

/// An upstream's place in the order of preference: 0 is the most preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank(pub usize);

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // People count from one, as in `upstream[1]`'s comments they do not.
        write!(f, "#{}", self.0 + 1)
    }
}

/// A dial that ran out of less time than this says nothing about the pool.
const FAIR_SHARE: Duration = Duration::from_secs(3);

/// All configured upstreams. Clones share them.
#[derive(Debug, Clone)]
pub struct Upstreams {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstreams: Vec<Upstream>,
    /// Told whenever an upstream's health changes for the better, and at the end.
    changed: Condvar,
    /// Guards nothing but the wait for `changed`; no miner that finds a healthy upstream takes it.
    waiters: Mutex<()>,
    on_failure: Hook,
    /// How long a probe waits for an answer.
    answer_timeout: Duration,
    stop: Stop,
}

/// Called whenever an upstream has failed or is back: miners will come in a wave.
struct Hook(Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// One upstream: how it is reached, and how it fares.
#[derive(Debug)]
struct Upstream {
    /// As in the configuration, for people.
    name: String,
    route: Route,
    health: Mutex<Health>,
    /// Why a person has to say that it may be used again.
    blocked: Mutex<Option<String>>,
    /// It was connected to at least once.
    reached: AtomicBool,
    /// Told when there is something to probe.
    news: Condvar,
    warm: WarmConnections,
}

/// What is known of an upstream, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No miner needed it yet.
    Untried,
    Up,
    Failed,
    /// Taken out of rotation for what it did, until a person clears it or the program restarts.
    Blocked,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Standing::Untried => "not needed yet",
            Standing::Up => "up",
            Standing::Failed => "FAILED",
            Standing::Blocked => "BLOCKED",
        })
    }
}

/// A connection to a pool.
#[derive(Debug)]
pub struct Link {
    pub stream: Arc<Stream>,
    pub rank: Rank,
}

/// No upstream could be reached in time.
#[derive(Debug)]
pub struct NoUpstream;

impl fmt::Display for NoUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no pool could be reached")
    }
}

impl std::error::Error for NoUpstream {}

/// An upstream that can't be set up at the start.
#[derive(Debug)]
pub enum SetupError {
    Tls { upstream: String, why: Box<TlsError> },
    Thread(io::Error),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::Tls { upstream, why } => write!(f, "upstream {upstream}: {why}"),
            SetupError::Thread(why) => write!(f, "can't start a thread: {why}"),
        }
    }
}

impl std::error::Error for SetupError {}

impl Upstreams {
    /// Sets the upstreams up and starts their background work (names, probes, warm connections),
    /// which goes on until `stop`. `on_failure` is called
    /// whenever one has failed or is back, and while all have failed: miners come in waves then.
    ///
    /// # Errors
    /// [`SetupError`] for unusable certificates, or when a thread can't be started.
    pub fn start(
        configured: &[config::Upstream],
        failover: &config::Failover,
        on_failure: impl Fn() + Send + Sync + 'static,
        stop: &Stop,
    ) -> Result<Upstreams, SetupError> {
        let mut upstreams = Vec::with_capacity(configured.len());
        for one in configured {
            upstreams.push(Upstream {
                name: name_of(one),
                route: route_to(one, stop)?,
                health: Mutex::new(Health::new(failover.backoff_min, failover.backoff_max, Instant::now())),
                blocked: Mutex::new(None),
                reached: AtomicBool::new(false),
                news: Condvar::new(),
                warm: WarmConnections::new(one.warm),
            });
        }
        let shared = Shared {
            upstreams,
            changed: Condvar::new(),
            waiters: Mutex::new(()),
            on_failure: Hook(Box::new(on_failure)),
            answer_timeout: failover.answer_timeout,
            stop: stop.clone(),
        };
        let upstreams = Upstreams { shared: Arc::new(shared) };
        probe::start(&upstreams, failover).map_err(SetupError::Thread)?;
        warm::start(&upstreams).map_err(SetupError::Thread)?;
        Ok(upstreams)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.shared.upstreams.len()
    }

    /// Asked for the end of everything here.
    pub fn stop(&self) -> &Stop {
        &self.shared.stop
    }

    /// Host and port, as configured.
    pub fn name(&self, rank: Rank) -> &str {
        &self.shared.upstreams[rank.0].name
    }

    /// Connects to the most preferred upstream that is healthy and not among `tried`. One that fails
    /// is marked, and the next is tried at once. When none is healthy, waits for one to come back,
    /// unless `tried` names any: whoever looks for a second pool has something else to do.
    ///
    /// # Errors
    /// [`NoUpstream`] at the deadline and at the end of the program.
    pub fn connect(&self, tried: &[Rank], deadline: Instant) -> Result<Link, NoUpstream> {
        loop {
            let candidates = self.candidates(tried);
            for (place, rank) in candidates.iter().enumerate() {
                // A pool that swallows everything may not eat the others' time.
                let left = deadline.saturating_duration_since(Instant::now());
                let share = left / u32::try_from(candidates.len() - place).unwrap_or(1);
                let error = match self.dial(*rank, Instant::now() + share) {
                    Ok(stream) => {
                        self.shared.upstreams[rank.0].reached.store(true, Ordering::Relaxed);
                        return Ok(Link { stream: Arc::new(stream), rank: *rank });
                    }
                    Err(error) => error,
                };
                // No pool's fault, and no other pool would be reached either.
                if self.shared.stop.is_stopped() || error.is_ours() {
                    return Err(NoUpstream);
                }
                let failure = Failure::Dial(error.to_string());
                if error.is_timeout() && share < FAIR_SHARE {
                    // Too little time for a pool that is far away: a probe has more.
                    self.suspect(*rank, failure);
                } else {
                    self.mark_failed(*rank, failure);
                }
            }
            if Instant::now() >= deadline {
                return Err(NoUpstream);
            }
            if !tried.is_empty() {
                return Err(NoUpstream);
            }
            self.wait_for_one(deadline)?;
        }
    }

    /// Remembers that a pool failed, unless that is known already.
    pub fn mark_failed(&self, rank: Rank, failure: Failure) {
        if self.shared.stop.is_stopped() {
            // What fails now was given up.
            return;
        }
        let upstream = &self.shared.upstreams[rank.0];
        let text = failure.to_string();
        let until = upstream.health().failed(failure, Instant::now());
        upstream.news.notify_all();
        upstream.warm.clear();
        if let Some(pause) = until {
            (self.shared.on_failure.0)();
            log::warn!("pool {rank} {}: {text}; next try in {pause:.1?}", upstream.name);
        }
    }

    /// A session was let down by a pool that others hear from: a probe finds out.
    pub fn suspect(&self, rank: Rank, failure: Failure) {
        let upstream = &self.shared.upstreams[rank.0];
        log::debug!("pool {rank} {} is suspected: {failure}", upstream.name);
        upstream.health().suspect(failure);
        upstream.news.notify_all();
    }

    /// The most preferred upstream that has been healthy for `stable`, and since when it has.
    pub fn stable_for(&self, stable: Duration) -> Option<(Rank, Instant)> {
        let is_stable = |(place, upstream): (usize, &Upstream)| {
            let since = upstream.health().up_since().filter(|_| !upstream.is_blocked())?;
            (since.elapsed() >= stable).then_some((Rank(place), since))
        };
        self.shared.upstreams.iter().enumerate().find_map(is_stable)
    }

    /// What is known of the upstream.
    pub fn standing(&self, rank: Rank) -> Standing {
        let upstream = &self.shared.upstreams[rank.0];
        if upstream.is_blocked() {
            return Standing::Blocked;
        }
        match (upstream.health().up_since(), upstream.reached.load(Ordering::Relaxed)) {
            (None, _) => Standing::Failed,
            (Some(_), true) => Standing::Up,
            (Some(_), false) => Standing::Untried,
        }
    }

    /// Takes the upstream out of rotation. `false` when it was already.
    pub fn block(&self, rank: Rank, why: &str) -> bool {
        let upstream = &self.shared.upstreams[rank.0];
        let is_new = lock(&upstream.blocked).replace(why.to_owned()).is_none();
        if is_new {
            upstream.warm.clear();
            // Its miners will come in a wave, and it is not their fault.
            (self.shared.on_failure.0)();
            log::error!("pool {rank} {} is taken out of rotation: {why}", upstream.name);
        }
        is_new
    }

    /// A person says that the upstream may be used again. `false` when it was not blocked.
    pub fn clear(&self, rank: Rank) -> bool {
        let upstream = &self.shared.upstreams[rank.0];
        let was_blocked = lock(&upstream.blocked).take().is_some();
        if was_blocked {
            log::warn!("pool {rank} {} is in rotation again", upstream.name);
            self.wake_waiters();
        }
        was_blocked
    }

    /// Why the upstream is out of rotation.
    pub fn blocked(&self, rank: Rank) -> Option<String> {
        lock(&self.shared.upstreams[rank.0].blocked).clone()
    }

    /// How a failed upstream failed last, and how long until it is probed again.
    pub fn trouble(&self, rank: Rank) -> Option<(String, Duration)> {
        let health = self.shared.upstreams[rank.0].health();
        let (until, failure) = health.due()?;
        Some((failure.to_string(), until.saturating_duration_since(Instant::now())))
    }

    /// Whether the upstream is thought to work.
    pub fn is_up(&self, rank: Rank) -> bool {
        let upstream = &self.shared.upstreams[rank.0];
        upstream.health().up_since().is_some() && !upstream.is_blocked()
    }

    fn candidates(&self, tried: &[Rank]) -> Vec<Rank> {
        (0..self.count()).map(Rank).filter(|rank| !tried.contains(rank) && self.is_up(*rank)).collect()
    }

    /// Dials, or takes a warm connection.
    fn dial(&self, rank: Rank, deadline: Instant) -> Result<Stream, DialError> {
        let upstream = &self.shared.upstreams[rank.0];
        match upstream.warm.take() {
            Some(stream) => Ok(stream),
            None => upstream.route.dial(deadline, &self.shared.stop),
        }
    }

    fn wait_for_one(&self, deadline: Instant) -> Result<(), NoUpstream> {
        let mut guard = lock(&self.shared.waiters);
        while self.candidates(&[]).is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.shared.stop.is_stopped() {
                return Err(NoUpstream);
            }
            guard = self.shared.changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// A probe has shown that the pool works.
    fn mark_up(&self, rank: Rank) {
        let upstream = &self.shared.upstreams[rank.0];
        upstream.reached.store(true, Ordering::Relaxed);
        if upstream.health().recovered(Instant::now()) {
            log::info!("pool {rank} {} is back", upstream.name);
            (self.shared.on_failure.0)();
            self.wake_waiters();
        }
    }

    /// A probe has shown that the pool is still dead.
    fn mark_still_failed(&self, rank: Rank, failure: Failure) {
        self.shared.upstreams[rank.0].health().still_failed(failure, Instant::now());
        // While there is no pool at all, miners have reason to come again and again.
        if !(0..self.count()).map(Rank).any(|rank| self.is_up(rank)) {
            (self.shared.on_failure.0)();
        }
    }

    fn wake_waiters(&self) {
        // Taking the lock once makes sure that nobody is between its look and its wait.
        drop(lock(&self.shared.waiters));
        self.shared.changed.notify_all();
    }
}

impl Upstream {
    fn is_blocked(&self) -> bool {
        lock(&self.blocked).is_some()
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        lock(&self.health)
    }

    /// Sleeps for `time`, or until there is something new to probe.
    fn wait_for_news(&self, time: Duration, known: bool) {
        let health = self.health();
        if known || !health.wants_probe() {
            drop(self.news.wait_timeout(health, time).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Host and port, as configured.
pub(crate) fn name_of(configured: &config::Upstream) -> String {
    if configured.host.contains(':') {
        format!("[{}]:{}", configured.host, configured.port)
    } else {
        format!("{}:{}", configured.host, configured.port)
    }
}

/// The way to a configured pool. A name is resolved in the background from now on, until `stop`.
///
/// # Errors
/// As [`Upstreams::start`].
pub fn route_to(configured: &config::Upstream, stop: &Stop) -> Result<Route, SetupError> {
    let tls = match &configured.tls {
        None => None,
        Some(tls) => {
            let trust = trust_of(tls.insecure_skip_verify, tls.pin_sha256, tls.ca_file.as_deref());
            let client = TlsClient::new(&configured.host, &trust)
                .map_err(|why| SetupError::Tls { upstream: name_of(configured), why: Box::new(why) })?;
            Some(client)
        }
    };
    let way = match &configured.socks5 {
        None => {
            Way::Direct(Resolver::start(&configured.host, configured.port, stop).map_err(SetupError::Thread)?)
        }
        Some(socks5) => Way::Socks5 {
            proxy: Resolver::start(&socks5.host, socks5.port, stop).map_err(SetupError::Thread)?,
            login: socks5.user.as_ref().map(|user| Login {
                user: user.clone(),
                password: socks5.password.as_ref().map_or_else(String::new, |p| p.expose().to_owned()),
            }),
        },
    };
    Ok(Route { host: configured.host.clone(), port: configured.port, tls, way })
}

fn trust_of(insecure: bool, pin: Option<[u8; 32]>, ca_file: Option<&Path>) -> Trust {
    match (insecure, pin, ca_file) {
        (true, _, _) => Trust::Anybody,
        (false, Some(pin), _) => Trust::Pin(pin),
        (false, None, Some(file)) => Trust::Roots(file.to_owned()),
        (false, None, None) => Trust::System,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is changed in single steps.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
