//! Who looks after a direction's time while its thread waits in a read.

use std::io;
use std::time::Duration;

/// What to do when a read timeout has run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeout {
    /// Read on (with the timeout that is set by now).
    Wait,
    /// End the session.
    End,
}

/// Whoever looks after a direction, beside its bytes.
pub trait Watch {
    /// A read timeout has run out.
    fn on_timeout(&mut self) -> OnTimeout;

    /// The connection that is read has failed, otherwise than by a read timeout.
    fn on_error(&mut self, _error: &io::Error) {}

    /// Bytes were forwarded. On the hot path: nothing slow here.
    fn on_bytes(&mut self) -> OnTimeout {
        OnTimeout::Wait
    }
}

/// A watch that knows how long it will wait.
pub trait Patient: Watch {
    /// How long the next bytes may take; `None`: for ever.
    fn time_to_wait(&mut self) -> Option<Duration>;
}
