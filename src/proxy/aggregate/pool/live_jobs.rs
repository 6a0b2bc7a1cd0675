//! The jobs of a connection that shares may still be for: all since the last clean one, within limits (wire
//! reference, section 3.7).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::proxy::aggregate::PoolJob;
use crate::proxy::aggregate::jobs::{MAX_JOB_BYTES, is_other_work};
use crate::stratum::{Notify, Ntime};

/// Caps the jobs that are kept, as for each miner.
const MAX_JOBS: usize = 600;

/// The jobs that are kept, the newest last.
#[derive(Debug, Default)]
pub(crate) struct LiveJobs {
    jobs: VecDeque<Arc<PoolJob>>,
    bytes: usize,
}

impl LiveJobs {
    /// The latest time with which this work was issued. `None` when it never was. Pools send a job twice, or
    /// return to the one before the last.
    pub(crate) fn latest_time_of(&self, work: &Notify) -> Option<Ntime> {
        let same = self.jobs.iter().filter(|job| !is_other_work(job.notify(), work));
        same.map(|job| job.latest_ntime()).max()
    }

    /// Keeps a job that shares may be for from now on. A job of the same id with other work is replaced.
    pub(crate) fn keep(&mut self, job: &Arc<PoolJob>) {
        self.jobs.retain(|live| live.generation == job.generation);
        for live in &self.jobs {
            let (one, other) = (live.notify(), job.notify());
            if one.job_id == other.job_id && is_other_work(one, other) {
                live.is_replaced.store(true, Ordering::Release);
            }
        }
        self.jobs.push_back(job.clone());
        self.bytes = self.jobs.iter().map(|job| job.bytes()).sum();
        while self.jobs.len() > MAX_JOBS || (self.bytes > MAX_JOB_BYTES && self.jobs.len() > 1) {
            self.bytes -= self.jobs.pop_front().map_or(0, |job| job.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::aggregate::jobs::tests::job_of;

    #[test]
    fn kept_jobs_are_bounded_in_number_and_in_bytes() {
        let mut live = LiveJobs::default();
        for number in 0..1000 {
            live.keep(&Arc::new(job_of(1, 7, vec![1; 60], number)));
        }
        assert_eq!(live.jobs.len(), MAX_JOBS);
        for number in 0..1000 {
            live.keep(&Arc::new(job_of(1, 7, vec![1; 60_000], number)));
        }
        assert!(
            live.bytes <= MAX_JOB_BYTES && live.jobs.len() > 200,
            "{} of {}",
            live.bytes,
            live.jobs.len()
        );
        // However large it is, there is the newest.
        live.keep(&Arc::new(job_of(1, 7, vec![1; 2 * MAX_JOB_BYTES], 1000)));
        assert_eq!(live.jobs.len(), 1);
        // A clean one is alone.
        live.keep(&Arc::new(job_of(2, 7, vec![1; 60], 1001)));
        assert_eq!((live.jobs.len(), live.bytes), (1, live.jobs[0].bytes()));
    }
}
