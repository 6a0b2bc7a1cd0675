//! Jobs that came before the pool had answered the subscribe: they are judged when the search space is known.

use std::collections::VecDeque;
use std::mem::size_of;

use super::super::current_work::Oddness;
use crate::net::Stamp;
use crate::stratum::{Difficulty, JobReading};
use crate::util::memory_budget::{MemoryBudget, MemoryReservation};

/// The most jobs that wait. An honest pool sends one, a few send one for each difficulty.
const MAX_JOBS: usize = 8;
/// The most bytes of one session's jobs that wait: four of the largest jobs in use.
const MAX_BYTES: usize = 128 * 1024;
/// The most bytes of all sessions' jobs that wait: 5,000 sessions that come back at once have 6 KiB each. Without
/// this bound they could take 640 MB.
const MAX_BYTES_OF_ALL: usize = 32 * 1024 * 1024;

/// The memory for jobs that wait, which all sessions share.
#[derive(Debug, Clone)]
pub(in crate::analyzer) struct EarlyMemory(MemoryBudget);

/// A job as it came.
#[derive(Debug)]
pub(super) struct EarlyJob {
    pub(super) readings: Vec<JobReading>,
    pub(super) oddness: Oddness,
    pub(super) at: Stamp,
    /// What the pool asked for when the job came.
    pub(super) assigned: Difficulty,
    /// How often something had come that could not be read.
    pub(super) unread_count: u64,
}

/// The jobs that wait, the newest last.
#[derive(Debug)]
pub(super) struct EarlyJobs {
    jobs: VecDeque<(EarlyJob, MemoryReservation)>,
    memory: EarlyMemory,
}

impl Default for EarlyMemory {
    fn default() -> EarlyMemory {
        EarlyMemory(MemoryBudget::new(MAX_BYTES_OF_ALL))
    }
}

impl EarlyJobs {
    pub(super) fn new(memory: EarlyMemory) -> EarlyJobs {
        EarlyJobs { jobs: VecDeque::new(), memory }
    }

    /// Keeps a job; the oldest make room. Returns whether there was room for this one.
    pub(super) fn keep(&mut self, job: EarlyJob) -> bool {
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
    pub(super) fn take(&mut self) -> impl Iterator<Item = EarlyJob> + use<> {
        std::mem::take(&mut self.jobs).into_iter().map(|(job, _)| job)
    }

    fn bytes(&self) -> usize {
        self.jobs.iter().map(|(_, reserved)| reserved.bytes()).sum()
    }
}

impl EarlyJob {
    fn bytes(&self) -> usize {
        size_of::<EarlyJob>() + self.readings.iter().map(JobReading::bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stratum::{JobId, Nbits, Notify, Ntime, PrevHash, ReadingAgreement, Version};

    fn job(id: u64, length: usize) -> EarlyJob {
        let job = Notify {
            job_id: JobId::from_counter(id),
            prevhash: PrevHash::from_wire_bytes([0; 32]),
            coinb1: vec![0; length],
            coinb2: Vec::new(),
            branches: Vec::new(),
            version: Version(0),
            nbits: Nbits(0),
            ntime: Ntime(0),
            clean_jobs: None,
        };
        EarlyJob {
            readings: vec![JobReading { job, agreement: ReadingAgreement::All }],
            oddness: Oddness { shape: None, has_exact_name: true },
            at: Stamp::from_nanos(id),
            assigned: Difficulty::ONE,
            unread_count: 0,
        }
    }

    fn kept(early: &mut EarlyJobs) -> Vec<u64> {
        early.take().map(|job| job.at.as_nanos()).collect()
    }

    #[test]
    fn the_newest_are_kept_and_their_bytes_are_bounded() {
        let mut early = EarlyJobs::new(EarlyMemory::default());
        assert!((1..=20).all(|id| early.keep(job(id, 100))));
        assert_eq!(kept(&mut early), (13..=20).collect::<Vec<_>>());
        assert!((1..=5).all(|id| early.keep(job(id, MAX_BYTES / 2 - 1000))));
        assert!(!early.keep(job(6, MAX_BYTES + 1)));
        assert_eq!(kept(&mut early), [4, 5]);
        assert!(kept(&mut early).is_empty());
    }

    #[test]
    fn all_sessions_share_the_memory_and_give_it_back() {
        let memory = EarlyMemory::default();
        let length = MAX_BYTES - 1000;
        let mut sessions: Vec<EarlyJobs> = (0..5000).map(|_| EarlyJobs::new(memory.clone())).collect();
        let with_room =
            sessions.iter_mut().filter_map(|early| early.keep(job(1, length)).then_some(())).count();
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
