//! Name resolution in the background. `getaddrinfo` can block for any time, so each name has a thread
//! of its own. A caller gets the last answer, and waits only if there is none yet. The old answer stays
//! valid if the name server fails.
//!
//! If no address answers, the name is resolved again at once, and then every few seconds until a
//! connection succeeds, because the pool may have moved.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::util::os_error::describe;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise::{self, service};

/// Age after which an answer is refreshed.
const REFRESH: Duration = Duration::from_secs(60);
/// Pause before a lookup is repeated that failed, or whose addresses do not answer.
const RETRY: Duration = Duration::from_secs(5);
/// Shortest time between two lookups, so that a farm that reconnects does not flood the name server.
const MIN_BETWEEN: Duration = Duration::from_secs(1);
/// Time between two checks whether the program ends.
const STOP_CHECK: Duration = Duration::from_millis(250);

/// Resolves one host and port.
#[derive(Debug, Clone)]
pub struct Resolver {
    shared: Arc<ResolverShared>,
}

#[derive(Debug)]
struct ResolverShared {
    host: String,
    port: u16,
    /// The host is an address, which needs no lookup.
    is_literal: bool,
    answer: Mutex<ResolvedAddresses>,
    /// Notified of each answer.
    changed: Condvar,
    /// Notified when a lookup is requested.
    wanted: Condvar,
}

#[derive(Debug, Default)]
struct ResolvedAddresses {
    addresses: Vec<SocketAddr>,
    /// The failure of the last lookup.
    failure: Option<String>,
    /// Number of completed lookups.
    count: u64,
    /// Number of times the addresses have changed.
    changes: u64,
    answered_at: Option<Instant>,
    is_wanted: bool,
    /// The known addresses do not answer.
    is_doubted: bool,
}

/// A lookup in progress.
#[derive(Debug, Clone, Copy)]
pub struct PendingAnswer(u64);

impl Resolver {
    /// Starts to resolve `host` periodically until `stop`. An address needs no thread.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(host: &str, port: u16, stop: &Stop) -> io::Result<Resolver> {
        let literal = host.parse::<IpAddr>().ok();
        let addresses = literal.map(|address| SocketAddr::new(address, port)).into_iter().collect();
        let shared = Arc::new(ResolverShared {
            host: host.to_owned(),
            port,
            is_literal: literal.is_some(),
            answer: Mutex::new(ResolvedAddresses { addresses, ..ResolvedAddresses::default() }),
            changed: Condvar::new(),
            wanted: Condvar::new(),
        });
        if literal.is_none() {
            let (shared, stop) = (shared.clone(), stop.clone());
            // The thread is not joined: a name server may block it long after the end.
            // Without a heartbeat limit: a name server may block it for any time.
            service(format!("dns-{host}")).start(move || shared.run(&stop))?;
        }
        Ok(Resolver { shared })
    }

    /// The addresses, in the system's order of preference. If there are none, a lookup is requested, unless
    /// one has just failed.
    ///
    /// # Errors
    /// `TimedOut` if there is no answer by the deadline; `NotFound` with the system's reason if the name
    /// could not be resolved.
    pub fn addresses(&self, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
        let mut answer = self.shared.answer.lock();
        loop {
            if !answer.addresses.is_empty() {
                return Ok(answer.addresses.clone());
            }
            let failure = answer.failure.clone();
            if let Some(failure) = failure.filter(|_| self.shared.request(&mut answer).is_none()) {
                return Err(io::Error::new(io::ErrorKind::NotFound, failure));
            }
            if self.shared.changed.wait_until(&mut answer, deadline).timed_out() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the name server does not answer"));
            }
        }
    }

    /// Requests a new lookup because the known addresses do not answer. `None` if it could not give other
    /// addresses.
    pub fn resolve_again(&self) -> Option<PendingAnswer> {
        let mut answer = self.shared.answer.lock();
        answer.is_doubted = true;
        self.shared.request(&mut answer)
    }

    /// Reports a successful connection.
    pub fn confirm(&self) {
        self.shared.answer.lock().is_doubted = false;
    }

    /// Waits for the answer of a lookup, for at most `time`.
    pub fn wait_for(&self, answer: PendingAnswer, time: Duration) -> Option<Vec<SocketAddr>> {
        let mut known = self.shared.answer.lock();
        self.shared.changed.wait_while_for(&mut known, |known| known.count < answer.0, time);
        (known.count >= answer.0).then(|| known.addresses.clone())
    }

    /// Number of times the name's addresses have changed.
    pub fn changes(&self) -> u64 {
        self.shared.answer.lock().changes
    }
}

impl ResolverShared {
    fn run(&self, stop: &Stop) -> Result<(), Stopped> {
        loop {
            supervise::beat();
            let pause = self.take(look_up(&self.host, self.port));
            self.wait(pause, stop)?;
        }
    }

    /// Waits for `pause`, or until a lookup is requested.
    fn wait(&self, pause: Duration, stop: &Stop) -> Result<(), Stopped> {
        let asked_at = Instant::now();
        let mut answer = self.answer.lock();
        loop {
            stop.check()?;
            let pause = match (answer.is_wanted, answer.is_doubted) {
                (true, _) => MIN_BETWEEN.min(pause),
                (false, true) => RETRY.min(pause),
                (false, false) => pause,
            };
            let left = pause.saturating_sub(asked_at.elapsed());
            if left.is_zero() {
                answer.is_wanted = false;
                return Ok(());
            }
            let time = left.min(STOP_CHECK);
            self.wanted.wait_for(&mut answer, time);
        }
    }

    /// Requests a lookup, unless there was one just now.
    fn request(&self, answer: &mut ResolvedAddresses) -> Option<PendingAnswer> {
        let is_fresh = answer.answered_at.is_some_and(|at| at.elapsed() < MIN_BETWEEN);
        if self.is_literal || is_fresh {
            return None;
        }
        answer.is_wanted = true;
        self.wanted.notify_all();
        Some(PendingAnswer(answer.count + 1))
    }

    /// Stores a good answer, or a failure if there was no good answer before. Returns the next pause.
    fn take(&self, asked: io::Result<Vec<SocketAddr>>) -> Duration {
        let mut answer = self.answer.lock();
        answer.count += 1;
        answer.answered_at = Some(Instant::now());
        let pause = match asked {
            Ok(addresses) if !addresses.is_empty() => {
                let is_same = addresses.iter().all(|address| answer.addresses.contains(address));
                answer.changes += u64::from(!is_same);
                (answer.addresses, answer.failure) = (addresses, None);
                REFRESH
            }
            Ok(_) => {
                answer.failure = Some(format!("{} has no address", self.host));
                RETRY
            }
            Err(error) => {
                answer.failure = Some(format!(
                    "can't resolve {}: {}; is the name right, and does this machine reach a name server?",
                    self.host,
                    describe(&error)
                ));
                RETRY
            }
        };
        drop(answer);
        self.changed.notify_all();
        pause
    }
}

/// Addresses of names in tests, which are not looked up.
static TEST_NAMES: Mutex<BTreeMap<String, Vec<IpAddr>>> = Mutex::new(BTreeMap::new());

/// Sets the addresses of a name in this process, for tests. With none, the name is unknown.
#[doc(hidden)]
pub fn set_test_name(name: &str, addresses: &[IpAddr]) {
    TEST_NAMES.lock().insert(name.to_owned(), addresses.to_vec());
}

fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let given = TEST_NAMES.lock().get(host).cloned();
    match given {
        Some(addresses) => Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()),
        None => (host, port).to_socket_addrs().map(Iterator::collect),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn an_address_needs_no_question() {
        let resolver = Resolver::start("::1", 3333, &Stop::new()).unwrap();
        assert_eq!(resolver.addresses(soon()).unwrap(), ["[::1]:3333".parse().unwrap()]);
    }

    #[test]
    fn a_name_is_resolved() {
        let stop = Stop::new();
        let resolver = Resolver::start("localhost", 3333, &stop).unwrap();
        assert!(resolver.addresses(soon()).unwrap().iter().all(|address| address.ip().is_loopback()));
        stop.stop();
    }

    #[test]
    fn an_old_answer_outlives_a_failure() {
        let resolver = Resolver::start("127.0.0.1", 1, &Stop::new()).unwrap();
        let pause = resolver.shared.take(Err(io::Error::other("server failure")));
        assert_eq!(pause, RETRY);
        assert_eq!(resolver.addresses(soon()).unwrap().len(), 1);
    }

    #[test]
    fn a_failure_is_told_without_waiting() {
        let resolver = Resolver::start("127.0.0.1", 1, &Stop::new()).unwrap();
        resolver.shared.answer.lock().addresses.clear();
        resolver.shared.take(Ok(Vec::new()));
        assert!(resolver.resolve_again().is_none(), "it was asked just now");
        let error = resolver.addresses(soon()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let resolver = Resolver::start("127.0.0.1", 1, &Stop::new()).unwrap();
        resolver.shared.answer.lock().addresses.clear();
        assert_eq!(resolver.addresses(Instant::now()).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_name_is_asked_for_again_when_its_address_is_doubted_or_it_has_none() {
        let (stop, name) = (Stop::new(), "moves.resolve.test");
        let addresses = |last: u8| [IpAddr::from([127, 0, 0, last])];
        set_test_name(name, &[]);
        let resolver = Resolver::start(name, 7, &stop).unwrap();
        assert_eq!(resolver.addresses(soon()).unwrap_err().kind(), io::ErrorKind::NotFound);
        set_test_name(name, &addresses(2));
        // Too soon after the last question; a moment later it is asked.
        let found =
            std::iter::repeat_with(|| resolver.addresses(soon()).ok()).find_map(|found| found).unwrap();
        assert_eq!((found[0], resolver.changes()), ("127.0.0.2:7".parse().unwrap(), 1));
        set_test_name(name, &addresses(3));
        let next = std::iter::repeat_with(|| resolver.resolve_again()).find_map(|next| next).unwrap();
        let found = resolver.wait_for(next, Duration::from_secs(5)).unwrap();
        assert_eq!((found[0], resolver.changes()), ("127.0.0.3:7".parse().unwrap(), 2));
        stop.stop();
    }
}
