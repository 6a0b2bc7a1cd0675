//! Jobs that came before the pool answered the subscribe. They are judged once the search space is known.

use std::collections::VecDeque;
use std::mem::size_of;

use crate::analyzer::current_work::Oddness;
use crate::net::Stamp;
use crate::stratum::{Difficulty, JobReading};
use crate::util::budget::{Budget, Reservation};

/// The most jobs that wait. An honest pool sends one, a few send one for each difficulty.
const MAX_JOBS: usize = 8;
/// The most bytes of one session's waiting jobs: four of the largest jobs in use.
const MAX_BYTES: usize = 128 * 1024;
/// The most bytes of all sessions' waiting jobs: 6 KiB each if 5,000 sessions reconnect at once. Without this bound
/// they could take 640 MB.
const MAX_BYTES_OF_ALL: usize = 32 * 1024 * 1024;

/// The memory for waiting jobs, which all sessions share.
#[derive(Debug, Clone)]
pub(in crate::analyzer) struct WaitingMemory(Budget);

/// A job as it came.
#[derive(Debug)]
pub(super) struct WaitingJob {
    pub(super) readings: Vec<JobReading>,
    pub(super) oddness: Oddness,
    pub(super) at: Stamp,
    /// The difficulty in force when the job came.
    pub(super) assigned: Difficulty,
    /// The number of unreadable lines that had come before.
    pub(super) unread_count: u64,
}

/// The waiting jobs of one session, the newest last.
#[derive(Debug)]
pub(super) struct WaitingJobs {
    jobs: VecDeque<(WaitingJob, Reservation)>,
    memory: WaitingMemory,
}

impl Default for WaitingMemory {
    fn default() -> WaitingMemory {
        WaitingMemory(Budget::new(MAX_BYTES_OF_ALL))
    }
}

impl WaitingJobs {
    pub(super) fn new(memory: WaitingMemory) -> WaitingJobs {
        WaitingJobs { jobs: VecDeque::new(), memory }
    }

    /// Keeps a job and drops the oldest ones if there is no room. Returns whether there was room for this one.
    pub(super) fn keep(&mut self, job: WaitingJob) -> bool {
        let bytes = job.bytes();
        if bytes > MAX_BYTES {
            return false;
        }
        while self.jobs.len() >= MAX_JOBS || self.bytes() + bytes > MAX_BYTES {
            if self.jobs.pop_front().is_none() {
                break;
            }
        }
        let reserved = self.memory.0.reserve(bytes);
        let has_room = reserved.is_some();
        self.jobs.extend(reserved.map(|reserved| (job, reserved)));
        has_room
    }

    /// Takes out all of them, the oldest first.
    pub(super) fn take(&mut self) -> impl Iterator<Item = WaitingJob> + use<> {
        std::mem::take(&mut self.jobs).into_iter().map(|(job, _)| job)
    }

    fn bytes(&self) -> usize {
        self.jobs.iter().map(|(_, reserved)| reserved.amount()).sum()
    }
}

impl WaitingJob {
    fn bytes(&self) -> usize {
        size_of::<WaitingJob>() + self.readings.iter().map(JobReading::bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stratum::{Notify, ReadingAgreement};

    fn job(id: u64, length: usize) -> WaitingJob {
        let job = Notify::with_coinbase(vec![0; length], Vec::new());
        WaitingJob {
            readings: vec![JobReading { job, agreement: ReadingAgreement::All }],
            oddness: Oddness { shape: None, has_exact_name: true },
            at: Stamp::from_nanos(id),
            assigned: Difficulty::ONE,
            unread_count: 0,
        }
    }

    fn kept(waiting: &mut WaitingJobs) -> Vec<u64> {
        waiting.take().map(|job| job.at.as_nanos()).collect()
    }

    #[test]
    fn the_newest_are_kept_and_their_bytes_are_bounded() {
        let mut waiting = WaitingJobs::new(WaitingMemory::default());
        assert!((1..=20).all(|id| waiting.keep(job(id, 100))));
        assert_eq!(kept(&mut waiting), (13..=20).collect::<Vec<_>>());
        assert!((1..=5).all(|id| waiting.keep(job(id, MAX_BYTES / 2 - 1000))));
        assert!(!waiting.keep(job(6, MAX_BYTES + 1)));
        assert_eq!(kept(&mut waiting), [4, 5]);
        assert!(kept(&mut waiting).is_empty());
    }

    #[test]
    fn all_sessions_share_the_memory_and_give_it_back() {
        let memory = WaitingMemory::default();
        let length = MAX_BYTES - 1000;
        let mut sessions: Vec<WaitingJobs> = (0..5000).map(|_| WaitingJobs::new(memory.clone())).collect();
        let with_room =
            sessions.iter_mut().filter_map(|waiting| waiting.keep(job(1, length)).then_some(())).count();
        assert!((256..300).contains(&with_room), "{with_room}");
        assert!(memory.0.used() <= MAX_BYTES_OF_ALL);
        assert!(!sessions[4999].keep(job(2, length)));
        // A job that takes the place of an older one finds room, and so does one after others were taken.
        assert!(sessions[0].keep(job(2, length)));
        assert_eq!(kept(&mut sessions[0]), [2]);
        assert!(sessions[4999].keep(job(3, length)));
        drop(sessions);
        assert_eq!(memory.0.used(), 0);
    }
}
