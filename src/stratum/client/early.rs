//! Jobs that come before the answer to the subscribe.

use super::JobLine;

/// The most jobs that wait. Pools send one or two before the answer to subscribe.
const MAX_EARLY_JOBS: usize = 16;
/// The most bytes of waiting jobs, without the newest: as many as the readings of one line can have.
const MAX_EARLY_BYTES: usize = 2 * 1024 * 1024;

/// The waiting jobs: the oldest ones, and always the newest.
#[derive(Debug)]
pub(super) struct EarlyJobs<T> {
    jobs: Vec<(JobLine, T)>,
}

impl<T> Default for EarlyJobs<T> {
    fn default() -> EarlyJobs<T> {
        EarlyJobs { jobs: Vec::new() }
    }
}

impl<T> EarlyJobs<T> {
    /// Keeps a job. Returns the jobs that were dropped to make room, without their readings.
    pub(super) fn keep(&mut self, job: JobLine, at: T) -> Vec<(JobLine, T)> {
        let mut given_up = Vec::new();
        let room = MAX_EARLY_BYTES.saturating_sub(job.bytes());
        while self.jobs.len() >= MAX_EARLY_JOBS || self.bytes() > room {
            let Some((job, at)) = self.jobs.pop() else { break };
            let why = "it came before the answer to mining.subscribe, like many";
            let unreadable = job.unreadable.or_else(|| Some(why.to_owned()));
            given_up.push((JobLine { readings: Vec::new(), unreadable }, at));
        }
        self.jobs.push((job, at));
        given_up
    }

    /// Takes out all jobs in order.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (JobLine, T)> + use<T> {
        std::mem::take(&mut self.jobs).into_iter()
    }

    fn bytes(&self) -> usize {
        self.jobs.iter().map(|(job, _)| job.bytes()).sum()
    }
}
