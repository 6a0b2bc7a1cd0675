//! Why a message did not arrive.

use std::time::Duration;

/// A try that failed. The reason holds no secret and may go to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SendFailure {
    pub reason: String,
    pub again: Retry,
}

/// Whether another try makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// It would fail the same way.
    Never,
    /// Perhaps, after the time that was asked for, if any.
    Later(Option<Duration>),
}

impl SendFailure {
    /// One that would only be repeated.
    pub fn never(reason: impl Into<String>) -> SendFailure {
        SendFailure { reason: reason.into(), again: Retry::Never }
    }

    /// One that may pass.
    pub fn later(reason: impl Into<String>) -> SendFailure {
        SendFailure { reason: reason.into(), again: Retry::Later(None) }
    }
}
