//! When something happened: by a clock that only goes forward, and by the one on the wall.

use std::time::Duration;

use crate::clock::NtpTime;

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    /// Since the connection was made.
    pub since: Duration,
    /// NTP time, or the system's.
    pub clock: NtpTime,
}
