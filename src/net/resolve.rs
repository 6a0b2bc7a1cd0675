//! Names to addresses, ahead of need. `getaddrinfo` can block for as long as it likes, so it runs
//! in a thread of its own for each name; whoever dials takes the last answer, and waits only where
//! there has never been one. An old answer outlives a name server that fails.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::stop::{Stop, Stopped};
use crate::thread::{SERVICE_STACK, spawn};
use crate::util::os_error::describe;

/// How old an answer may grow before it is asked for again.
const REFRESH: Duration = Duration::from_secs(60);
/// How soon a failed question is asked again.
const RETRY: Duration = Duration::from_secs(5);

/// One host and port, and where they are.
#[derive(Debug, Clone)]
pub struct Resolver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    host: String,
    port: u16,
    answer: Mutex<Answer>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Answer {
    addresses: Vec<SocketAddr>,
    /// The last question's failure.
    failure: Option<String>,
}

impl Resolver {
    /// Begins to resolve `host`, and goes on until `stop`. An address needs no thread.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(host: &str, port: u16, stop: &Stop) -> io::Result<Resolver> {
        let literal = host.parse::<IpAddr>().ok();
        let addresses = literal.map(|address| SocketAddr::new(address, port)).into_iter().collect();
        let shared = Arc::new(Shared {
            host: host.to_owned(),
            port,
            answer: Mutex::new(Answer { addresses, failure: None }),
            changed: Condvar::new(),
        });
        if literal.is_none() {
            let (shared, stop) = (shared.clone(), stop.clone());
            // The thread is not joined: a name server may hold it for long after the end.
            spawn(format!("dns-{host}"), SERVICE_STACK, move || shared.keep_asking(&stop))?;
        }
        Ok(Resolver { shared })
    }

    /// The addresses, in the system's order of preference.
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
            if let Some(failure) = &answer.failure {
                return Err(io::Error::new(io::ErrorKind::NotFound, failure.clone()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the name server does not answer"));
            }
            answer = self.shared.changed.wait_timeout(answer, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn keep_asking(&self, stop: &Stop) -> Result<(), Stopped> {
        loop {
            let asked = (self.host.as_str(), self.port).to_socket_addrs();
            let pause = self.take(asked.map(Iterator::collect));
            if stop.sleep(pause).is_err() {
                return Ok(());
            }
        }
    }

    /// Keeps a good answer; a failure only where there was no good one.
    fn take(&self, asked: io::Result<Vec<SocketAddr>>) -> Duration {
        let mut answer = self.lock();
        let pause = match asked {
            Ok(addresses) if !addresses.is_empty() => {
                *answer = Answer { addresses, failure: None };
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

    fn lock(&self) -> MutexGuard<'_, Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
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
        let error = resolver.addresses(soon()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let resolver = Resolver::start("127.0.0.1", 1, &Stop::new()).unwrap();
        resolver.shared.lock().addresses.clear();
        assert_eq!(resolver.addresses(Instant::now()).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
