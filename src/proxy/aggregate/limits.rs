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
    /// After so long a pool is asked again about a name that it has refused, or not judged.
    pub ask_again: Duration,
    /// The most that waits for one peer, in bytes: a hundred jobs, which is an hour of them (wire
    /// reference, section 1.2: public-pool has 256 KiB).
    pub most_queued: usize,
    /// How long a new connection's first job, and the pool's verdict on our names, are waited for before
    /// miners that have no other pool are seated all the same.
    pub first_job: Duration,
    /// So long miners go on with what they have when a job can't be read that may have ended it.
    pub unread_job: Duration,
    /// A pool that wants to be connected to again is obeyed so often at most.
    pub obey_again: Duration,
    /// A pool whose connection is lost again and again within this time has failed.
    pub losses_within: Duration,
    /// So long a miner that has to come again is kept by shares that the pool has not answered.
    pub dismissal: Duration,
    /// So long a miner may go on rolling version bits that were taken from it.
    pub narrowing: Duration,
}

impl Limits {
    /// Those of a connection to a pool: what all miners together may have open, at 300 bytes a share. A
    /// pool that reads nothing for a moment is no reason to lose the shares of all.
    pub(crate) fn of_pool(self) -> Limits {
        Limits { most_queued: self.most_queued.saturating_mul(32), ..self }
    }

    /// The most lines that wait, however short.
    pub(crate) fn most_lines(&self) -> usize {
        self.most_queued / 64
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            remind_after: Duration::from_secs(55),
            write: Duration::from_secs(20),
            ask_again: Duration::from_secs(60),
            most_queued: 256 * 1024,
            first_job: Duration::from_secs(5),
            unread_job: Duration::from_secs(2),
            obey_again: Duration::from_secs(5),
            losses_within: Duration::from_secs(300),
            dismissal: Duration::from_secs(2),
            narrowing: Duration::from_secs(5),
        }
    }
}
