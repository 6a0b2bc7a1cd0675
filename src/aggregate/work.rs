//! Jobs: as the pool gave them, and as miners get them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::connection::{Connection, Space};
use crate::net::Stamp;
use crate::stratum::{Difficulty, JobId, Notify, Ntime};

/// Tells connections to pools apart. Extranonces, slots and the pools' job ids mean something within
/// one of them only (wire reference, section 5.3, 28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Epoch(pub(super) u64);

/// A job of the pool's.
#[derive(Debug)]
pub(super) struct PoolJob {
    pub(super) epoch: Epoch,
    /// Where its shares go, as long as that is there.
    pub(super) source: Weak<Connection>,
    /// Where they are searched.
    pub(super) space: Space,
    /// With the pool's own job id.
    pub(super) notify: Notify,
    /// What the pool asked for when the job came.
    pub(super) difficulty: Difficulty,
    /// How often the pool had declared earlier jobs dead by then. A job of a lower generation is stale.
    pub(super) generation: u64,
    pub(super) readable_at: Stamp,
    pub(super) received: Instant,
    /// The pool has given other work the same id: a share of this one would be taken for one of that.
    pub(super) is_replaced: AtomicBool,
}

/// A job with the id under which miners have it. The same job can be given several times, with later
/// times: then it is other work, and nobody repeats what was done already.
#[derive(Debug)]
pub(super) struct Task {
    /// Counts up over all connections.
    pub(super) number: u64,
    pub(super) id: JobId,
    pub(super) job: Arc<PoolJob>,
    /// As it is given to miners, the id and the time replaced.
    pub(super) notify: Notify,
    line: String,
    clean_line: String,
    /// Whether all earlier jobs are dead.
    pub(super) clean: bool,
}

/// Numbers tasks.
#[derive(Debug, Default)]
pub(super) struct TaskNumbers(AtomicU64);

impl TaskNumbers {
    /// The job as it came. Where it is the same work as `before`, its time goes on from there: pools
    /// send the same job twice, and a miner that gets it under another id would do it all again (wire
    /// reference, section 5.3, 29).
    pub(super) fn first(&self, job: Arc<PoolJob>, clean: bool, before: Option<&Task>) -> Arc<Task> {
        let same = before.filter(|before| !is_other_work(&before.job.notify, &job.notify));
        let least = same.map_or(0, |before| before.notify.ntime.0.saturating_add(1));
        let ntime = job.notify.ntime.0.max(least.min(job.notify.ntime.0.saturating_add(MOST_ROLLED)));
        Arc::new(self.task(job, Ntime(ntime), clean))
    }

    /// The same job once more, later: its time has gone on with the clock, by a second at least, and by
    /// no more than pools allow (wire reference, section 3.4).
    pub(super) fn again(&self, task: &Task, now: Instant) -> Arc<Task> {
        let job = task.job.clone();
        let passed = now.saturating_duration_since(job.received).as_secs();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        let later = job.notify.ntime.0.saturating_add(passed).max(task.notify.ntime.0.saturating_add(1));
        let ntime = Ntime(later.min(job.notify.ntime.0.saturating_add(MOST_ROLLED)));
        Arc::new(self.task(job, ntime, false))
    }

    fn task(&self, job: Arc<PoolJob>, ntime: Ntime, clean: bool) -> Task {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let id = JobId::from_counter(number);
        let notify = Notify { job_id: id.clone(), ntime, clean_jobs: Some(clean), ..job.notify.clone() };
        let line = Notify { clean_jobs: Some(false), ..notify.clone() }.line();
        let clean_line = Notify { clean_jobs: Some(true), ..notify.clone() }.line();
        Task { number, id, job, notify, line, clean_line, clean }
    }
}

/// No share of the one can be a share of the other, whatever its time.
pub(super) fn is_other_work(one: &Notify, other: &Notify) -> bool {
    (one.prevhash, one.version, one.nbits) != (other.prevhash, other.version, other.nbits)
        || one.branches != other.branches
        || one.coinb1 != other.coinb1
        || one.coinb2 != other.coinb2
}

/// Half of what ckpool accepts, in seconds; the rest is the miner's.
const MOST_ROLLED: u32 = 3500;

impl Task {
    /// As it is sent. The first job after new extranonces is clean, whatever the pool said.
    pub(super) fn line(&self, clean: bool) -> &str {
        if clean { &self.clean_line } else { &self.line }
    }
}

#[cfg(test)]
impl PoolJob {
    /// Of no connection.
    pub(super) fn sample(epoch: Epoch, notify: Notify, generation: u64) -> PoolJob {
        let split = Split::of(Extranonce2Size::new(8).unwrap()).unwrap();
        PoolJob {
            epoch,
            source: Weak::new(),
            space: Space { epoch, extranonce1: Extranonce1::default(), split },
            notify,
            difficulty: Difficulty::ONE,
            generation,
            readable_at: Stamp::from_nanos(1),
            received: Instant::now(),
            is_replaced: AtomicBool::new(false),
        }
    }
}

#[cfg(test)]
use super::split::Split;
#[cfg(test)]
use crate::stratum::{Extranonce1, Extranonce2Size};

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stratum::{Nbits, PrevHash, Version};

    fn job() -> Arc<PoolJob> {
        let notify = Notify {
            job_id: JobId::from_text("bf").unwrap(),
            prevhash: PrevHash::from_wire_bytes([7; 32]),
            coinb1: vec![1; 60],
            coinb2: vec![2; 90],
            branches: Vec::new(),
            version: Version(0x2000_0000),
            nbits: Nbits(0x1d00_ffff),
            ntime: Ntime(1000),
            clean_jobs: Some(false),
        };
        Arc::new(PoolJob::sample(Epoch(1), notify, 0))
    }

    #[test]
    fn the_same_job_given_again_is_other_work() {
        let (numbers, job) = (TaskNumbers::default(), job());
        let received = job.received;
        let first = numbers.first(job, true, None);
        assert!(first.clean && first.notify.ntime == Ntime(1000));
        let at_once = numbers.again(&first, received);
        let later = numbers.again(&at_once, received + Duration::from_secs(40));
        let much_later = numbers.again(&later, received + Duration::from_secs(90_000));
        let times = [at_once.notify.ntime.0, later.notify.ntime.0, much_later.notify.ntime.0];
        assert_eq!(times, [1001, 1040, 1000 + MOST_ROLLED]);
        assert!(first.id != later.id && !later.clean);
        assert_eq!(later.job.notify.job_id.as_str(), "bf");
    }

    #[test]
    fn the_same_job_sent_twice_is_other_work() {
        let numbers = TaskNumbers::default();
        let first = numbers.first(job(), true, None);
        let given_again = numbers.again(&first, first.job.received);
        let second = numbers.first(job(), false, Some(&given_again));
        assert_eq!((given_again.notify.ntime.0, second.notify.ntime.0), (1001, 1002));
    }

    #[test]
    fn a_line_is_clean_when_it_is_asked_to_be() {
        let task = TaskNumbers::default().first(job(), false, None);
        assert!(task.line(false).trim_end().ends_with("false]}"));
        assert!(task.line(true).trim_end().ends_with("true]}"));
    }
}
