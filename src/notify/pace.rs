//! Rate limits, time limits and retries of messages.

use std::time::Duration;

/// The limits that all recipients share. `run` uses the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendPacing {
    /// Messages that may be sent at once.
    pub burst: u32,
    /// After that, the time between two messages.
    pub interval: Duration,
    /// Shortest time between two messages with the same alert and subject.
    pub repeat_interval: Duration,
    /// The pauses between the attempts to send a message; there is one attempt more than pauses.
    pub retry_pauses: Vec<Duration>,
    /// The longest `Retry-After` that is respected.
    pub longest_pause: Duration,
    /// Time limit of a request.
    pub request_limit: Duration,
    /// Time limit of an e-mail: a mail server may make strangers wait.
    pub mail_limit: Duration,
    /// Time after which a program is killed.
    pub program_limit: Duration,
    /// Longest time [`Notifier::finish`](super::Notifier::finish) waits.
    pub finish_limit: Duration,
    /// Caps the alerts queued for one recipient.
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
            mail_limit: Duration::from_secs(30),
            program_limit: Duration::from_secs(30),
            finish_limit: Duration::from_secs(2),
            queue: 64,
        }
    }
}

/// A failed attempt. The reason contains no secret, so it may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SendFailure {
    pub reason: String,
    pub again: Retry,
}

/// The use of a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// No: it would fail the same way.
    Never,
    /// Yes, after the time that the server asked for, if any.
    Later(Option<Duration>),
}

impl SendFailure {
    /// A permanent failure.
    pub fn never(reason: impl Into<String>) -> SendFailure {
        SendFailure { reason: reason.into(), again: Retry::Never }
    }

    /// A temporary failure.
    pub fn later(reason: impl Into<String>) -> SendFailure {
        SendFailure { reason: reason.into(), again: Retry::Later(None) }
    }
}
