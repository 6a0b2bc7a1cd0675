//! The times and intervals of all references.

use std::time::Duration;

use crate::util::backoff::Backoff;

/// Intervals and time-outs of references. The defaults are polite to strangers'
/// servers; tests set shorter ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceTimings {
    /// A pool that sends nothing for this long has failed. Pools send a job every 30 to 60 s.
    pub silence_timeout: Duration,
    /// The least time between two published tips of one reference.
    pub min_gap: Duration,
    /// An unchanged tip is published again after this time: the receiver may have forgotten it.
    pub repeat_after: Duration,
    /// The pause after a pool's first failure. Each further failure doubles it.
    pub min_backoff: Duration,
    /// The longest pause between two connections to a pool.
    pub max_backoff: Duration,
    /// A connection that lasts this long resets the back-off.
    pub stable_after: Duration,
    /// The pause between two requests to a node.
    pub poll_interval: Duration,
    /// The longest pause between two requests to a node that fails.
    pub max_poll_interval: Duration,
    /// The time limit of one request to a node.
    pub request_timeout: Duration,
}

impl Default for ReferenceTimings {
    fn default() -> ReferenceTimings {
        ReferenceTimings {
            silence_timeout: Duration::from_secs(180),
            min_gap: Duration::from_secs(1),
            repeat_after: Duration::from_secs(120),
            min_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(300),
            stable_after: Duration::from_secs(60),
            poll_interval: Duration::from_secs(5),
            max_poll_interval: Duration::from_secs(60),
            request_timeout: Duration::from_secs(10),
        }
    }
}

/// Pauses from `min` to `max`, including up to a quarter of jitter.
pub(super) fn backoff(min: Duration, max: Duration) -> Backoff {
    Backoff::new(min, max.mul_f64(0.8).max(min))
}
