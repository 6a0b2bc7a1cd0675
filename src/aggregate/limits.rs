//! How much patience there is with a peer that takes nothing, and how long it is left without a word.

use std::time::Duration;

/// Limits that no configuration sets; tests choose shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A miner that was sent nothing for so long is reminded of its difficulty. Some leave after 90 s
    /// of silence (wire reference, section 1.6: cgminer).
    pub remind_after: Duration,
    /// So long a peer may take nothing of what waits for it.
    pub write: Duration,
    /// The most that waits for one peer, in bytes: a hundred jobs, which is an hour of them (wire
    /// reference, section 1.2: public-pool has 256 KiB).
    pub most_queued: usize,
    /// So long a miner that has to come again is kept by shares that the pool has not answered.
    pub dismissal: Duration,
    /// So long a miner may go on rolling version bits that were taken from it.
    pub narrowing: Duration,
}

impl Limits {
    /// Those of a connection to a pool: what all miners together may have open, at 300 bytes a share. A
    /// pool that reads nothing for a moment is no reason to lose the shares of all.
    pub(super) fn of_pool(self) -> Limits {
        Limits { most_queued: self.most_queued.saturating_mul(32), ..self }
    }

    /// The most lines that wait, however short.
    pub(super) fn most_lines(&self) -> usize {
        self.most_queued / 64
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            remind_after: Duration::from_secs(55),
            write: Duration::from_secs(20),
            most_queued: 256 * 1024,
            dismissal: Duration::from_secs(2),
            narrowing: Duration::from_secs(5),
        }
    }
}
