//! The failure of one attempt to send a message, and whether a retry is of use.

use std::time::Duration;

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
