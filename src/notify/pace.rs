//! How much is sent, and how long is waited.

use std::time::Duration;

/// The times and numbers that all recipients share. The default is what `run` uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendPacing {
    /// Messages that may follow each other at once.
    pub burst: u32,
    /// After that, one in so long.
    pub interval: Duration,
    /// The same about the same subject is told once in so long.
    pub repeat_interval: Duration,
    /// The pauses between the tries of one message; there is one try more than pauses.
    pub retry_pauses: Vec<Duration>,
    /// The longest `Retry-After` that is heeded.
    pub longest_pause: Duration,
    /// A request is given up after so long.
    pub request_limit: Duration,
    /// A program is killed after so long.
    pub program_limit: Duration,
    /// How long [`Notifier::finish`](super::Notifier::finish) waits.
    pub finish_limit: Duration,
    /// Alerts that may wait for one recipient.
    pub queue: usize,
}

impl Default for SendPacing {
    fn default() -> SendPacing {
        SendPacing {
            burst: 5,
            // Twenty an hour.
            interval: Duration::from_secs(180),
            repeat_interval: Duration::from_secs(3600),
            retry_pauses: [1, 10, 60, 300].map(Duration::from_secs).to_vec(),
            longest_pause: Duration::from_secs(300),
            request_limit: Duration::from_secs(10),
            program_limit: Duration::from_secs(30),
            finish_limit: Duration::from_secs(2),
            queue: 64,
        }
    }
}
