//! Connects to the most preferred pool that works.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::{PoolInUse, UpstreamEntry};
use super::{PoolFailure, UpstreamId, Upstreams};
use crate::net::{Stream, process};

/// A connection attempt that had less time than this shows nothing about the pool.
const MIN_DIAL_TIME: Duration = Duration::from_secs(3);

/// A connection to a pool.
#[derive(Debug)]
pub struct PoolConnection {
    pub stream: Arc<Stream>,
    pub upstream: UpstreamId,
    /// Kept for as long as miners use the connection.
    pub usage: PoolInUse,
}

/// The reason that there is no connection to any upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoUpstream {
    /// No upstream could be reached in time.
    Unreachable,
    /// This process can open no more files; no pool is at fault.
    NoDescriptors,
}

impl fmt::Display for NoUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoUpstream::Unreachable => f.write_str("no pool could be reached"),
            NoUpstream::NoDescriptors => {
                write!(f, "no connection to a pool can be opened: {}", process::fd_advice())
            }
        }
    }
}

impl std::error::Error for NoUpstream {}

impl PoolConnection {
    fn new(stream: Stream, upstream: &UpstreamEntry) -> PoolConnection {
        PoolConnection { stream: Arc::new(stream), upstream: upstream.id, usage: upstream.usage() }
    }
}

impl Upstreams {
    /// Connects to the most preferred upstream that is healthy and not among `tried`. If one fails, it is
    /// marked as failed, and the next is tried at once. If none is healthy, one that only gives no work is
    /// taken: it may have some soon. If there is none of these either, this waits for one to come back,
    /// unless `tried` names any: a caller that looks for a second pool has something else to do.
    ///
    /// # Errors
    /// [`NoUpstream`] at the deadline and at the end of the program.
    pub fn connect(&self, tried: &[UpstreamId], deadline: Instant) -> Result<PoolConnection, NoUpstream> {
        loop {
            let candidates = self.candidates(tried);
            for (index, upstream) in candidates.iter().enumerate() {
                // A pool that drops all packets may not use up the others' time.
                let left = deadline.saturating_duration_since(Instant::now());
                let share = left / u32::try_from(candidates.len() - index).unwrap_or(1);
                if let Some(connection) = self.dial(upstream, share)? {
                    return Ok(connection);
                }
            }
            if Instant::now() >= deadline || !tried.is_empty() {
                return Err(NoUpstream::Unreachable);
            }
            self.wait_for_any(deadline)?;
        }
    }

    /// Connects to this upstream's host at another port, because the pool asks for that. The outcome shows
    /// nothing about the configured port.
    ///
    /// # Errors
    /// [`NoUpstream`] when it can't be reached.
    pub fn connect_to_port(
        &self,
        id: UpstreamId,
        port: u16,
        deadline: Instant,
    ) -> Result<PoolConnection, NoUpstream> {
        let upstream = self.entry(id);
        match upstream.dial_at(port, deadline) {
            Ok(stream) => Ok(PoolConnection::new(stream, &upstream)),
            Err(error) => {
                log::warn!(
                    "pool {id} {}: it asks Sluice to connect to port {port}, which fails: {error}",
                    upstream.name
                );
                Err(NoUpstream::Unreachable)
            }
        }
    }

    /// Connects to this upstream.
    ///
    /// # Errors
    /// [`NoUpstream`] when it can't be reached; it is marked as failed then.
    pub fn connect_to(&self, id: UpstreamId, deadline: Instant) -> Result<PoolConnection, NoUpstream> {
        self.dial(&self.entry(id), deadline.saturating_duration_since(Instant::now()))?
            .ok_or(NoUpstream::Unreachable)
    }

    fn candidates(&self, tried: &[UpstreamId]) -> Vec<Arc<UpstreamEntry>> {
        let listed = self.listed();
        let untried = listed.list.order.iter().filter(|id| !tried.contains(id));
        let untried: Vec<_> = untried.map(|id| &listed.upstreams[id.0]).collect();
        let healthy: Vec<_> =
            untried.iter().filter(|entry| entry.up_since().is_some()).copied().cloned().collect();
        if !healthy.is_empty() || !tried.is_empty() {
            return healthy;
        }
        let is_idle =
            |entry: &&&Arc<UpstreamEntry>| entry.blocked().is_none() && entry.health().gives_no_work();
        untried.iter().filter(is_idle).copied().cloned().collect()
    }

    /// Connects to one upstream. `None` when it could not be reached; it is marked as failed then. An error
    /// when no other could be reached either.
    fn dial(&self, upstream: &UpstreamEntry, time: Duration) -> Result<Option<PoolConnection>, NoUpstream> {
        let error = match upstream.dial(Instant::now() + time) {
            Ok(stream) => return Ok(Some(PoolConnection::new(stream, upstream))),
            Err(error) => error,
        };
        // No pool is at fault, and no other pool would be reached either.
        if error.is_local() {
            return Err(NoUpstream::NoDescriptors);
        }
        if self.shared.stop.is_stopped() {
            return Err(NoUpstream::Unreachable);
        }
        let failure = PoolFailure::Dial(error.to_string());
        if error.is_timeout() && time < MIN_DIAL_TIME {
            // There was too little time for a pool that is far away: a probe has more.
            upstream.suspect(failure);
        } else {
            self.fail(upstream, failure);
        }
        Ok(None)
    }

    fn wait_for_any(&self, deadline: Instant) -> Result<(), NoUpstream> {
        let mut guard = self.shared.waiters.lock();
        while self.candidates(&[]).is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.shared.stop.is_stopped() {
                return Err(NoUpstream::Unreachable);
            }
            self.shared.changed.wait_for(&mut guard, left);
        }
        Ok(())
    }
}
