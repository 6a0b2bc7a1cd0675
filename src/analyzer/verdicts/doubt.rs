//! Why a verdict on the newest job that was read may not be about what miners work on now.

use std::fmt;

/// In the order of how much they matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkDoubt {
    /// No job has come for longer than the pool's own cadence allows.
    Old,
    /// Copies of what the pool sent were lost, and no job was read since.
    Missed,
    /// A job before the newest one was made before the pool knew the miner, and pays others.
    Excused,
    /// Miners may read the job in another way.
    Ambiguous,
    /// A newer job, or what may be one, could not be read.
    Unread,
}

impl WorkDoubt {
    /// Whether the pool has sent something that could not be read for certain.
    pub(in super::super) fn is_about_reading(self) -> bool {
        matches!(self, WorkDoubt::Ambiguous | WorkDoubt::Unread)
    }
}

impl fmt::Display for WorkDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WorkDoubt::Old => "the pool has sent no job for longer than it usually takes",
            WorkDoubt::Missed => "Sluice missed some of what the pool sent; a newer job may be among it",
            WorkDoubt::Excused => {
                "a job that came before the pool knew the miner pays others, and no share proves yet that the \
                 miner works on a later one"
            }
            WorkDoubt::Ambiguous => "miners may read the pool's newest job in another way than Sluice does",
            WorkDoubt::Unread => "the pool sent a job that miners may read and Sluice cannot",
        })
    }
}
