//! The time limits of a direction while its thread waits in a read.

use std::io;
use std::time::Duration;

/// The reaction to a read timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeout {
    /// Read on, with the timeout that is set by now.
    Wait,
    /// End the session.
    End,
}

/// Watches over one direction, beside its bytes.
pub trait Watch {
    /// A read timeout has expired.
    fn on_timeout(&mut self) -> OnTimeout;

    /// The connection that is read has failed, otherwise than by a read timeout.
    fn on_error(&mut self, _error: &io::Error) {}

    /// Bytes were forwarded. On the hot path: nothing slow here.
    fn on_bytes(&mut self) -> OnTimeout {
        OnTimeout::Wait
    }
}

/// A watch that sets the read timeouts itself.
pub trait TimedWatch: Watch {
    /// The time that the next bytes may take. `None`: no limit.
    fn read_timeout(&mut self) -> Option<Duration>;
}
