//! Names to addresses, ahead of need. `getaddrinfo` can block for as long as it likes, so it runs
//! in a thread of its own for each name; whoever dials takes the last answer, and waits only where
//! there has never been one. An old answer outlives a name server that fails.
//!
//! If an address does not answer, the name is asked for again at once, and every few seconds until a
//! connection is made: the pool may have moved.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::util::os_error::describe;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;
use crate::util::supervise::service;

/// How old an answer may grow before it is asked for again.
const REFRESH: Duration = Duration::from_secs(60);
/// How soon a failed question is asked again, and one whose addresses do not answer.
const RETRY: Duration = Duration::from_secs(5);
/// The least time between two questions, whoever asks: a farm that reconnects should not flood the name
/// server.
const MIN_BETWEEN: Duration = Duration::from_secs(1);
/// How often the waiting thread looks whether the program ends.
const STOP_CHECK: Duration = Duration::from_millis(250);

/// One host and port, and where they are.
#[derive(Debug, Clone)]
pub struct Resolver {
    shared: Arc<ResolverShared>,
}

#[derive(Debug)]
struct ResolverShared {
    host: String,
    port: u16,
    /// An address as text needs no question.
    is_literal: bool,
    answer: Mutex<ResolvedAddresses>,
    /// Told of each answer.
    changed: Condvar,
    /// Told when an answer is wanted sooner.
    wanted: Condvar,
}

#[derive(Debug, Default)]
struct ResolvedAddresses {
    addresses: Vec<SocketAddr>,
    /// The last question's failure.
    failure: Option<String>,
    /// How many questions were answered, or failed.
    count: u64,
    /// How often the addresses became others.
    changes: u64,
    answered_at: Option<Instant>,
    is_wanted: bool,
    /// Nobody answers at the known addresses.
    is_doubted: bool,
}

/// Stands for the answer to a question that is being asked.
#[derive(Debug, Clone, Copy)]
pub struct PendingAnswer(u64);

impl Resolver {
    /// Begins to resolve `host`, and goes on until `stop`. An address needs no thread.
    ///
    /// # Errors
    /// When no thread can be started.
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
            // The thread is not joined: a name server may hold it for long after the end.
            // Without a limit for its heartbeat: a name server may hold it for as long as it likes.
            service(format!("dns-{host}")).start(move || shared.run(&stop))?;
        }
        Ok(Resolver { shared })
    }

    /// The addresses, in the system's order of preference. Where there are none, the name is asked for
    /// again, unless that has just failed.
    ///
    /// # Errors
    /// `TimedOut` when there is no answer by the deadline; `NotFound` with the system's reason when
    /// the name could not be resolved.
    pub fn addresses(&self, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
        let mut answer = self.shared.lock();
        loop {
            if !answer.addresses.is_empty() {
                return Ok(answer.addresses.clone());
            }
            let failure = answer.failure.clone();
            if let Some(failure) = failure.filter(|_| self.shared.request(&mut answer).is_none()) {
                return Err(io::Error::new(io::ErrorKind::NotFound, failure));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the name server does not answer"));
            }
            answer = self.shared.changed.wait_timeout(answer, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nobody answers at the known addresses: the name is asked for again. `None` if the answer could not be
    /// another one.
    pub fn resolve_again(&self) -> Option<PendingAnswer> {
        let mut answer = self.shared.lock();
        answer.is_doubted = true;
        self.shared.request(&mut answer)
    }

    /// A connection was made.
    pub fn confirm(&self) {
        self.shared.lock().is_doubted = false;
    }

    /// The addresses, once the question was answered. Waits for `time` at most.
    pub fn wait_for(&self, answer: PendingAnswer, time: Duration) -> Option<Vec<SocketAddr>> {
        let deadline = Instant::now() + time;
        let mut known = self.shared.lock();
        while known.count < answer.0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            known = self.shared.changed.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(known.addresses.clone())
    }

    /// How often the name's addresses have become others.
    pub fn changes(&self) -> u64 {
        self.shared.lock().changes
    }
}

impl ResolverShared {
    fn run(&self, stop: &Stop) -> Result<(), Stopped> {
        loop {
            supervise::beat();
            let pause = self.take(look_up(&self.host, self.port));
            if self.wait(pause, stop).is_err() {
                return Ok(());
            }
        }
    }

    /// Waits for `pause`, or until an answer is wanted sooner.
    fn wait(&self, pause: Duration, stop: &Stop) -> Result<(), Stopped> {
        let asked_at = Instant::now();
        let mut answer = self.lock();
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
            answer = self.wanted.wait_timeout(answer, time).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has the name asked for again, unless that was done just now.
    fn request(&self, answer: &mut ResolvedAddresses) -> Option<PendingAnswer> {
        let is_fresh = answer.answered_at.is_some_and(|at| at.elapsed() < MIN_BETWEEN);
        if self.is_literal || is_fresh {
            return None;
        }
        answer.is_wanted = true;
        self.wanted.notify_all();
        Some(PendingAnswer(answer.count + 1))
    }

    /// Keeps a good answer; a failure only where there was no good one.
    fn take(&self, asked: io::Result<Vec<SocketAddr>>) -> Duration {
        let mut answer = self.lock();
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

    fn lock(&self) -> MutexGuard<'_, ResolvedAddresses> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses that tests give to names, which no name server is asked for then.
static TEST_NAMES: OnceLock<Mutex<HashMap<String, Vec<IpAddr>>>> = OnceLock::new();

/// Gives a name these addresses in this process, for tests: a name that moves needs no name server. `None`
/// of them: the name is not known.
#[doc(hidden)]
pub fn set_test_name(name: &str, addresses: &[IpAddr]) {
    let names = TEST_NAMES.get_or_init(Mutex::default);
    let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
    names.insert(name.to_owned(), addresses.to_vec());
}

fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let given = TEST_NAMES
        .get()
        .and_then(|names| names.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned());
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
        resolver.shared.lock().addresses.clear();
        resolver.shared.take(Ok(Vec::new()));
        assert!(resolver.resolve_again().is_none(), "it was asked just now");
        let error = resolver.addresses(soon()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let resolver = Resolver::start("127.0.0.1", 1, &Stop::new()).unwrap();
        resolver.shared.lock().addresses.clear();
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
        let found = loop {
            if let Ok(found) = resolver.addresses(soon()) {
                break found;
            }
        };
        assert_eq!((found[0], resolver.changes()), ("127.0.0.2:7".parse().unwrap(), 1));
        set_test_name(name, &addresses(3));
        let next = loop {
            if let Some(next) = resolver.resolve_again() {
                break next;
            }
        };
        let found = resolver.wait_for(next, Duration::from_secs(5)).unwrap();
        assert_eq!((found[0], resolver.changes()), ("127.0.0.3:7".parse().unwrap(), 2));
        stop.stop();
    }
}
