//! Jobs that came before the pool had answered the subscribe: they are judged when the search space is known.

use std::collections::VecDeque;

use super::super::current_work::Oddness;
use crate::net::Stamp;
use crate::stratum::{Difficulty, JobReading};

/// The most jobs that wait. An honest pool sends one, a few send one for each difficulty.
const MAX_JOBS: usize = 8;
/// The most bytes of coinbases and branches that wait: four of the largest jobs in use.
const MAX_BYTES: usize = 128 * 1024;

/// A job as it came.
#[derive(Debug)]
pub(super) struct EarlyJob {
    pub(super) readings: Vec<JobReading>,
    pub(super) oddness: Oddness,
    pub(super) at: Stamp,
    /// What the pool asked for when the job came.
    pub(super) assigned: Difficulty,
}

/// The jobs that wait, the newest last.
#[derive(Debug, Default)]
pub(super) struct EarlyJobs {
    jobs: VecDeque<EarlyJob>,
    bytes: usize,
}

impl EarlyJobs {
    /// Keeps a job; the oldest make room. Returns whether there was room for this one.
    pub(super) fn keep(&mut self, job: EarlyJob) -> bool {
        let bytes = job.bytes();
        if bytes > MAX_BYTES {
            return false;
        }
        while self.jobs.len() >= MAX_JOBS || self.bytes + bytes > MAX_BYTES {
            let Some(oldest) = self.jobs.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
        self.bytes += bytes;
        self.jobs.push_back(job);
        true
    }

    /// Takes out all of them, the oldest first.
    pub(super) fn take(&mut self) -> VecDeque<EarlyJob> {
        self.bytes = 0;
        std::mem::take(&mut self.jobs)
    }
}

impl EarlyJob {
    fn bytes(&self) -> usize {
        let of = |reading: &JobReading| {
            let job = &reading.job;
            job.coinb1.len() + job.coinb2.len() + 32 * job.branches.len() + job.job_id.as_str().len()
        };
        self.readings.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stratum::{Agreement, JobId, Nbits, Notify, Ntime, PrevHash, Version};

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
            readings: vec![JobReading { job, agreement: Agreement::All }],
            oddness: Oddness { shape: None, has_exact_name: true },
            at: Stamp::from_nanos(id),
            assigned: Difficulty::ONE,
        }
    }

    #[test]
    fn the_newest_are_kept_and_their_bytes_are_bounded() {
        let mut early = EarlyJobs::default();
        assert!((1..=20).all(|id| early.keep(job(id, 100))));
        let kept: Vec<u64> = early.take().iter().map(|job| job.at.as_nanos()).collect();
        assert_eq!(kept, (13..=20).collect::<Vec<_>>());
        assert!((1..=5).all(|id| early.keep(job(id, MAX_BYTES / 2 - 10))));
        assert!(!early.keep(job(6, MAX_BYTES + 1)));
        let kept: Vec<u64> = early.take().iter().map(|job| job.at.as_nanos()).collect();
        assert_eq!(kept, [4, 5]);
        assert!(early.take().is_empty());
    }
}
