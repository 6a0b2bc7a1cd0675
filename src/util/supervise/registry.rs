//! The registry of service threads: their health, and the restarts of the process.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::util::stop::Stop;

/// Restarts that are kept with their reasons. They are reported twice a second, so that few are enough.
const MAX_KEPT_RESTARTS: usize = 64;

/// A panic after which a service was restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    pub thread: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceHealth {
    pub name: String,
    pub restarts: u64,
    /// Why the service does not work at present; `None` if it does.
    pub trouble: Option<String>,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    /// The thread has panicked and is not restarted.
    is_off: AtomicBool,
    restarts: AtomicU64,
    /// The time of the last heartbeat, in milliseconds since [`STARTED_AT`]; [`RESTING`] while it waits for work.
    last_beat: AtomicU64,
    stale_after: Option<Duration>,
    is_watched: bool,
}

/// The heartbeat of a thread that waits for work: never late.
const RESTING: u64 = u64::MAX;

/// The reason why a service does not work.
enum Trouble {
    Off,
    Stuck { quiet: Duration },
}

/// A service's entry in the registry. Dropping it removes the entry, unless the service has failed.
#[derive(Debug)]
pub(super) struct ServiceGuard(pub Arc<Service>);

#[derive(Debug, Default)]
struct ServiceRegistry {
    services: Vec<Arc<Service>>,
    /// All restarts since the start of the process, including those of threads that have ended.
    restarts: u64,
    /// The newest restarts.
    newest: VecDeque<Restart>,
    /// Shuts the program down in order.
    stop: Option<Stop>,
    failure: Option<String>,
}

static STARTED_AT: LazyLock<Instant> = LazyLock::new(Instant::now);
static REGISTRY: LazyLock<Mutex<ServiceRegistry>> = LazyLock::new(Mutex::default);

thread_local! {
    static CURRENT: RefCell<Option<Arc<Service>>> = const { RefCell::new(None) };
}

/// Registers the handle by which a failed service ends the program.
pub fn end_program_through(stop: &Stop) {
    REGISTRY.lock().stop = Some(stop.clone());
}

/// True if a service can end the program in order. It can't where another program uses this library.
pub fn ends_program() -> bool {
    REGISTRY.lock().stop.is_some()
}

/// The service that ended the program, and the reason; `None` if none did.
pub fn failure() -> Option<String> {
    REGISTRY.lock().failure.clone()
}

/// The health of every service that runs or has failed, sorted by name.
pub fn health() -> Vec<ServiceHealth> {
    let services = REGISTRY.lock().services.clone();
    let mut health: Vec<ServiceHealth> = services.iter().map(|service| service.health()).collect();
    health.sort_by(|one, other| one.name.cmp(&other.name));
    health
}

/// A line for each service that does not work, with its name and the reason.
pub fn unwell() -> Vec<String> {
    let troubled = health().into_iter().filter_map(|one| Some((one.name, one.trouble?)));
    troubled.map(|(name, trouble)| format!("thread {name} {trouble}")).collect()
}

/// A line for each service that the watchdog looks after and that does not work. `with_off`: including those that have
/// panicked and stay off.
pub fn unwell_watched(with_off: bool) -> Vec<String> {
    let services = REGISTRY.lock().services.clone();
    services.iter().filter_map(|service| service.watched_trouble(with_off)).collect()
}

/// The number of restarts so far, and the restarts after the first `seen`, as far as they are kept.
pub fn restarts(seen: u64) -> (u64, Vec<Restart>) {
    let registry = REGISTRY.lock();
    let new = usize::try_from(registry.restarts.saturating_sub(seen)).unwrap_or(usize::MAX);
    let skipped = registry.newest.len().saturating_sub(new);
    (registry.restarts, registry.newest.range(skipped..).cloned().collect())
}

/// Counts a panic that the current service has caught itself, without a restart.
pub fn note_restart(reason: &str) {
    with_current(|service| service.restarted(reason));
}

pub(super) fn set_current(service: &Arc<Service>) {
    CURRENT.with(|current| *current.borrow_mut() = Some(service.clone()));
}

pub(super) fn with_current(act: impl FnOnce(&Arc<Service>)) {
    // Fails while the thread's local storage is being destroyed.
    let _ = CURRENT.try_with(|current| current.borrow().as_ref().map(act));
}

pub(super) fn end_program(name: &str, reason: &str) {
    let mut registry = REGISTRY.lock();
    registry.failure.get_or_insert_with(|| format!("thread {name} panicked: {reason}"));
    let stop = registry.stop.clone();
    drop(registry);
    if let Some(stop) = stop {
        stop.stop();
    }
}

impl ServiceGuard {
    pub(super) fn new(name: &str, stale_after: Option<Duration>, is_watched: bool) -> ServiceGuard {
        let service = Arc::new(Service::new(name, stale_after, is_watched));
        REGISTRY.lock().services.push(service.clone());
        ServiceGuard(service)
    }
}

impl Drop for ServiceGuard {
    fn drop(&mut self) {
        if !self.0.is_off() {
            REGISTRY.lock().services.retain(|other| !Arc::ptr_eq(other, &self.0));
        }
    }
}

impl Service {
    fn new(name: &str, stale_after: Option<Duration>, is_watched: bool) -> Service {
        Service {
            name: name.to_owned(),
            is_off: AtomicBool::new(false),
            restarts: AtomicU64::new(0),
            last_beat: AtomicU64::new(millis_since_start()),
            stale_after,
            is_watched,
        }
    }

    pub(super) fn beat(&self) {
        self.last_beat.store(millis_since_start(), Ordering::Relaxed);
    }

    pub(super) fn rest(&self) {
        self.last_beat.store(RESTING, Ordering::Relaxed);
    }

    /// Marks the service as failed; it stays in the registry.
    pub(super) fn stay_off(&self) {
        self.is_off.store(true, Ordering::Relaxed);
    }

    pub(super) fn restarted(&self, reason: &str) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.beat();
        let mut registry = REGISTRY.lock();
        registry.restarts += 1;
        registry.newest.push_back(Restart { thread: self.name.clone(), reason: reason.to_owned() });
        if registry.newest.len() > MAX_KEPT_RESTARTS {
            registry.newest.pop_front();
        }
    }

    fn is_off(&self) -> bool {
        self.is_off.load(Ordering::Relaxed)
    }

    fn trouble(&self) -> Option<Trouble> {
        if self.is_off() {
            return Some(Trouble::Off);
        }
        let quiet = Duration::from_millis(
            millis_since_start().saturating_sub(self.last_beat.load(Ordering::Relaxed)),
        );
        self.stale_after.filter(|limit| quiet > *limit).map(|_| Trouble::Stuck { quiet })
    }

    fn watched_trouble(&self, with_off: bool) -> Option<String> {
        match self.trouble()? {
            _ if !self.is_watched => None,
            Trouble::Off if !with_off => None,
            trouble => Some(format!("thread {} {trouble}", self.name)),
        }
    }

    fn health(&self) -> ServiceHealth {
        let trouble = self.trouble().map(|trouble| trouble.to_string());
        ServiceHealth { name: self.name.clone(), restarts: self.restarts.load(Ordering::Relaxed), trouble }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Off => f.write_str("has panicked and does not run"),
            Trouble::Stuck { quiet } => write!(f, "has not moved for {} s", quiet.as_secs()),
        }
    }
}

fn millis_since_start() -> u64 {
    u64::try_from(STARTED_AT.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_thread_that_is_off_counts_only_if_it_is_asked_for() {
        for is_watched in [true, false] {
            let service = Service::new("t-off", None, is_watched);
            assert_eq!(service.watched_trouble(true), None);
            service.stay_off();
            let line = String::from("thread t-off has panicked and does not run");
            assert_eq!(service.watched_trouble(true), is_watched.then_some(line));
            assert_eq!(service.watched_trouble(false), None);
        }
    }
}
