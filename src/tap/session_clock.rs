//! The times of the events that show whether a pool gives a session work and answers it. Measured by the monotonic
//! clock: a Raspberry Pi sets its system clock by days after a start.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The analyzer updates every session twice a second. After this long without an update it has stopped or cannot keep
/// up, and the times are out of date.
const MAX_UPDATE_AGE: Duration = Duration::from_secs(5);

/// The event times of one session. Each is written by one thread and read by others without a lock.
#[derive(Debug)]
pub struct SessionClock {
    since: Instant,
    accepted: SessionTime,
    refused: SessionTime,
    job: SessionTime,
    submit: SessionTime,
    updated: SessionTime,
}

/// Nanoseconds from the session's begin to an event, at least 1; 0 if it has not happened.
#[derive(Debug, Default)]
struct SessionTime(AtomicU64);

impl SessionClock {
    pub(crate) fn new(since: Instant) -> SessionClock {
        let never = SessionTime::default;
        SessionClock {
            since,
            accepted: never(),
            refused: never(),
            job: never(),
            submit: never(),
            updated: never(),
        }
    }

    /// Records that the pool accepted a `mining.authorize`. Only the first time counts.
    pub fn authorize_accepted(&self) {
        if !self.accepted.has_happened() {
            self.accepted.set(self.since.elapsed());
        }
    }

    /// Records that the pool refused a `mining.subscribe` or `mining.authorize`. Only the first time counts.
    pub fn miner_refused(&self) {
        if !self.refused.has_happened() {
            self.refused.set(self.since.elapsed());
        }
    }

    /// Records that the pool sent a job.
    pub fn job_came(&self) {
        self.job.set(self.since.elapsed());
    }

    /// Sets the age of the oldest share without an answer; `None` if there is none.
    pub fn set_oldest_unanswered(&self, age: Option<Duration>) {
        match age {
            Some(age) => self.submit.set(self.since.elapsed().saturating_sub(age)),
            None => self.submit.0.store(0, Ordering::Relaxed),
        }
    }

    /// Records that the analyzer has just updated the session.
    pub(crate) fn mark_current(&self) {
        self.updated.set(self.since.elapsed());
    }

    /// Returns whether the analyzer keeps these times up to date.
    pub fn is_current(&self) -> bool {
        self.updated.ago(self.since).is_some_and(|age| age < MAX_UPDATE_AGE)
    }

    /// The time since the pool accepted the first `mining.authorize`.
    pub fn accepted_ago(&self) -> Option<Duration> {
        self.accepted.ago(self.since)
    }

    /// The time since the pool first refused the miner.
    pub fn refused_ago(&self) -> Option<Duration> {
        self.refused.ago(self.since)
    }

    /// The time since the newest job.
    pub fn job_ago(&self) -> Option<Duration> {
        self.job.ago(self.since)
    }

    /// The age of the oldest share without an answer.
    pub fn unanswered_for(&self) -> Option<Duration> {
        self.submit.ago(self.since)
    }
}

impl SessionTime {
    fn has_happened(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    fn set(&self, after: Duration) {
        let nanos = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        self.0.store(nanos.max(1), Ordering::Relaxed);
    }

    fn ago(&self, since: Instant) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(since.elapsed().saturating_sub(Duration::from_nanos(nanos))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_known_once_the_event_has_happened() {
        let clock = SessionClock::new(Instant::now());
        assert_eq!((clock.accepted_ago(), clock.job_ago(), clock.unanswered_for()), (None, None, None));
        assert_eq!(clock.refused_ago(), None);
        clock.authorize_accepted();
        clock.miner_refused();
        clock.job_came();
        clock.set_oldest_unanswered(Some(Duration::ZERO));
        assert!(clock.accepted_ago().is_some() && clock.job_ago().is_some());
        assert!(clock.refused_ago().is_some());
        assert!(clock.unanswered_for().is_some_and(|age| age < Duration::from_secs(5)));
        assert!(!clock.is_current());
        clock.mark_current();
        assert!(clock.is_current());
        clock.set_oldest_unanswered(None);
        assert_eq!(clock.unanswered_for(), None);
    }
}
