//! Time and size limits of aggregate mode.

use std::time::Duration;

/// Limits that no configuration sets. Tests choose shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A miner that was sent nothing for this long gets its difficulty once more. Some leave after 90 s of
    /// silence (wire reference, section 1.6: cgminer).
    pub remind_after: Duration,
    /// The time after which a peer that takes nothing of what waits for it is closed.
    pub write_timeout: Duration,
    /// The time after which a pool is asked again about a name that it has refused, or not judged.
    pub authorize_retry: Duration,
    /// Caps the bytes that wait for one peer: a hundred jobs, which is an hour of them (wire reference,
    /// section 1.2: public-pool has 256 KiB).
    pub max_queued_bytes: usize,
    /// The time to wait for a new connection's first job, and for the pool's verdict on the names, before
    /// miners that have no other pool are moved to it all the same.
    pub first_job: Duration,
    /// The time that miners go on with what they have when an unreadable job may have ended it.
    pub unreadable_job_grace: Duration,
    /// The shortest time between two reconnections at the pool's request.
    pub redirect_interval: Duration,
    /// A pool whose connection is lost repeatedly within this time has failed.
    pub disconnect_window: Duration,
    /// The time that a miner which must reconnect is kept for shares that the pool has not answered.
    pub disconnect_wait: Duration,
    /// The time that a miner may go on rolling version bits that were taken from it.
    pub mask_grace: Duration,
}

impl Limits {
    /// The limits of a connection to a pool: all miners' open shares together, at 300 bytes each. A pool that
    /// reads nothing for a moment is no reason to lose the shares of all.
    pub(crate) fn of_pool(self) -> Limits {
        Limits { max_queued_bytes: self.max_queued_bytes.saturating_mul(32), ..self }
    }

    /// Caps the lines that wait, however short.
    pub(crate) fn max_queued_lines(&self) -> usize {
        self.max_queued_bytes / 64
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            remind_after: Duration::from_secs(55),
            write_timeout: Duration::from_secs(20),
            authorize_retry: Duration::from_secs(60),
            max_queued_bytes: 256 * 1024,
            first_job: Duration::from_secs(5),
            unreadable_job_grace: Duration::from_secs(2),
            redirect_interval: Duration::from_secs(5),
            disconnect_window: Duration::from_secs(300),
            disconnect_wait: Duration::from_secs(2),
            mask_grace: Duration::from_secs(5),
        }
    }
}
