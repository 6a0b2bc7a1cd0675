//! Jobs: as the pool sent them, and as miners get them. A job is hashed as far as its extranonces and
//! rendered once; all miners get that same buffer.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::net::Stamp;
use crate::proxy::aggregate::{ExtranonceSpace, SharedConnection};
use crate::stratum::{Difficulty, JobId, Notify, Ntime, VersionMask};
use crate::work::PreparedJob;

/// The number of a search space, of which a connection to a pool has one at a time. Extranonces, prefixes and
/// the pool's job ids have a meaning within one of them only (wire reference, section 5.3, 28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SpaceId(pub(crate) u64);

/// Caps the bytes of the jobs that are kept: jobs of the usual size need far fewer, and at 60 KB each (wire
/// reference, section 1.2: the largest is of 34) hundreds still fit.
pub(crate) const MAX_JOB_BYTES: usize = 16 * 1024 * 1024;

/// A job as it came on one connection to a pool.
#[derive(Debug)]
pub(crate) struct PoolJob {
    /// The connection that its shares go to, while that exists.
    pub(crate) source: Weak<SharedConnection>,
    /// The search space of its shares.
    pub(crate) space: ExtranonceSpace,
    /// The job with the pool's own id, ready for the shares of all miners, whose search spaces are parts of
    /// the pool's.
    pub(crate) prepared: Arc<PreparedJob>,
    /// The bits of the lowest difficulty that the pool has asked for while this was its newest job.
    difficulty: AtomicU64,
    /// The latest ntime that miners got with it.
    latest_ntime: AtomicU32,
    /// The number of times that the pool had cleaned its jobs by then. A job of a lower generation is stale.
    pub(crate) generation: u64,
    /// The version bits that the pool let miners roll when it gave the job.
    pub(crate) mask: Option<VersionMask>,
    pub(crate) readable_at: Stamp,
    pub(crate) received: Instant,
    /// The pool has given other work the same id: it would take a share of this job for one of that.
    pub(crate) is_replaced: AtomicBool,
}

impl PoolJob {
    /// A job that has just come from the pool.
    pub(crate) fn new(
        (source, space): (Weak<SharedConnection>, ExtranonceSpace),
        notify: Notify,
        difficulty: Difficulty,
        mask: Option<VersionMask>,
        generation: u64,
        readable_at: Stamp,
    ) -> PoolJob {
        PoolJob {
            source,
            difficulty: AtomicU64::new(difficulty.value().to_bits()),
            latest_ntime: AtomicU32::new(notify.ntime.0),
            prepared: Arc::new(PreparedJob::new(notify, space.extranonce1.clone())),
            space,
            generation,
            mask,
            readable_at,
            received: Instant::now(),
            is_replaced: AtomicBool::new(false),
        }
    }

    /// The job as the pool sent it.
    pub(crate) fn notify(&self) -> &Notify {
        self.prepared.job()
    }

    /// The lowest difficulty that the pool has asked for with this job. If the pool lowers the difficulty in
    /// between, miners get this job at the lower one, and their shares are forwarded to the pool (wire
    /// reference, section 3.6, rule 1).
    pub(crate) fn difficulty(&self) -> Difficulty {
        Difficulty::new(f64::from_bits(self.difficulty.load(Ordering::Acquire))).unwrap_or(Difficulty::ONE)
    }

    /// Notes the difficulty that the pool asks for while this is the newest job.
    pub(crate) fn lower_difficulty(&self, difficulty: Difficulty) {
        // Numbers above zero have the order of their bits.
        self.difficulty.fetch_min(difficulty.value().to_bits(), Ordering::AcqRel);
    }

    /// The latest ntime that miners got with it.
    pub(crate) fn latest_ntime(&self) -> Ntime {
        Ntime(self.latest_ntime.load(Ordering::Acquire))
    }

    /// The memory that it takes, roughly, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let Notify { coinb1, coinb2, branches, .. } = self.notify();
        size_of::<PoolJob>()
            + size_of::<PreparedJob>()
            + coinb1.len()
            + coinb2.len()
            + size_of_val(branches.as_slice())
    }
}

/// A job with the id under which miners have it. The same job can be issued several times, with later times:
/// then it is other work, and no miner repeats what was done already.
#[derive(Debug)]
pub(crate) struct MinerJob {
    /// Counts up over all connections.
    pub(crate) number: u64,
    pub(crate) id: JobId,
    pub(crate) pool_job: Arc<PoolJob>,
    /// The ntime that miners get with it.
    pub(crate) ntime: Ntime,
    /// The notification as miners get it: one that ends all earlier jobs, and one that does not.
    clean_line: Arc<str>,
    plain_line: Arc<str>,
    /// Whether it ends all earlier jobs.
    pub(crate) clean: bool,
}

/// Numbers the jobs that miners get.
#[derive(Debug, Default)]
pub(crate) struct JobNumbers(AtomicU64);

impl JobNumbers {
    /// Issues a job as it came. If the same work was issued `before`, with this time at the latest, its time
    /// goes on from there: pools send the same job twice, and a miner that gets it under another id would do
    /// it all again (wire reference, section 5.3, 29).
    pub(crate) fn issue(&self, job: Arc<PoolJob>, clean: bool, before: Option<Ntime>) -> Arc<MinerJob> {
        let least = before.map_or(0, |before| before.0.saturating_add(1));
        let own = job.notify().ntime.0;
        let ntime = own.max(least.min(own.saturating_add(MAX_NTIME_ADVANCE)));
        Arc::new(self.miner_job(job, Ntime(ntime), clean))
    }

    /// Issues the same job once more, with a later time: it has advanced with the clock, by a second at
    /// least, and by no more than pools allow (wire reference, section 3.4).
    pub(crate) fn reissue(&self, miner_job: &MinerJob, now: Instant) -> Arc<MinerJob> {
        let job = miner_job.pool_job.clone();
        let passed = now.saturating_duration_since(job.received).as_secs();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        let own = job.notify().ntime.0;
        let later = own.saturating_add(passed).max(miner_job.ntime.0.saturating_add(1));
        let ntime = Ntime(later.min(own.saturating_add(MAX_NTIME_ADVANCE)));
        Arc::new(self.miner_job(job, ntime, false))
    }

    fn miner_job(&self, job: Arc<PoolJob>, ntime: Ntime, clean: bool) -> MinerJob {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let id = JobId::from_counter(number);
        job.latest_ntime.fetch_max(ntime.0, Ordering::AcqRel);
        let notify = Notify { job_id: id.clone(), ntime, clean_jobs: Some(true), ..job.notify().clone() };
        let clean_line = notify.line();
        let plain_line = [clean_line.strip_suffix(CLEAN_END).unwrap_or(&clean_line), END].concat();
        MinerJob {
            number,
            id,
            ntime,
            clean_line: clean_line.into(),
            plain_line: plain_line.into(),
            pool_job: job,
            clean,
        }
    }
}

/// Whether no share of the one can be a share of the other, whatever its time.
pub(crate) fn is_other_work(one: &Notify, other: &Notify) -> bool {
    (one.prevhash, one.version, one.nbits) != (other.prevhash, other.version, other.nbits)
        || one.branches != other.branches
        || one.coinb1 != other.coinb1
        || one.coinb2 != other.coinb2
}

/// Caps the seconds by which a job's time is advanced: half of what ckpool accepts; the rest is the miner's.
const MAX_NTIME_ADVANCE: u32 = 3500;

/// The end of the line of a clean job, and of another one.
const CLEAN_END: &str = "true]}\n";
const END: &str = "false]}\n";

impl MinerJob {
    /// The notification as it is sent. The first job after new extranonces is clean, whatever the pool said.
    pub(crate) fn line(&self, clean: bool) -> &Arc<str> {
        if clean { &self.clean_line } else { &self.plain_line }
    }

    /// The memory that it takes, roughly, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<MinerJob>() + self.clean_line.len() + self.plain_line.len() + self.pool_job.bytes()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proxy::aggregate::ExtranonceSplit;
    use crate::stratum::{Extranonce1, Extranonce2Size, PrevHash};

    /// A job without a connection, of this generation and block, with this second part of the coinbase.
    pub(in super::super) fn job_of(generation: u64, block: u8, coinb2: Vec<u8>, number: u32) -> PoolJob {
        let notify = Notify {
            job_id: JobId::from_counter(u64::from(number)),
            prevhash: PrevHash::from_wire_bytes([block; 32]),
            clean_jobs: Some(false),
            ..Notify::with_coinbase(number.to_be_bytes().to_vec(), coinb2)
        };
        let split = ExtranonceSplit::of(Extranonce2Size::new(8).unwrap()).unwrap();
        let space = ExtranonceSpace { space_id: SpaceId(1), extranonce1: Extranonce1::default(), split };
        PoolJob::new((Weak::new(), space), notify, Difficulty::ONE, None, generation, Stamp::from_nanos(1))
    }

    fn job() -> Arc<PoolJob> {
        Arc::new(job_of(0, 7, vec![2; 90], 0xbf))
    }

    #[test]
    fn the_same_job_given_again_is_other_work() {
        let (numbers, job) = (JobNumbers::default(), job());
        let received = job.received;
        let first = numbers.issue(job, true, None);
        assert!(first.clean && first.ntime == Ntime(1000));
        let at_once = numbers.reissue(&first, received);
        let later = numbers.reissue(&at_once, received + Duration::from_secs(40));
        let much_later = numbers.reissue(&later, received + Duration::from_secs(90_000));
        assert_eq!(
            [at_once.ntime.0, later.ntime.0, much_later.ntime.0],
            [1001, 1040, 1000 + MAX_NTIME_ADVANCE]
        );
        assert!(first.id != later.id && !later.clean);
        assert_eq!(later.pool_job.notify().job_id, JobId::from_counter(0xbf));
    }

    #[test]
    fn the_same_job_sent_twice_is_other_work() {
        let numbers = JobNumbers::default();
        let first = numbers.issue(job(), true, None);
        let given_again = numbers.reissue(&first, first.pool_job.received);
        let second = numbers.issue(job(), false, Some(first.pool_job.latest_ntime()));
        assert_eq!((given_again.ntime.0, second.ntime.0), (1001, 1002));
    }

    #[test]
    fn a_line_is_clean_when_it_is_asked_to_be() {
        let miner_job = JobNumbers::default().issue(job(), false, None);
        for (clean, end) in [(false, ",false]}\n"), (true, ",true]}\n")] {
            let line = miner_job.line(clean);
            assert!(line.ends_with(end) && line.matches("]}").count() == 1, "{line}");
        }
    }

    #[test]
    fn a_job_keeps_the_lowest_difficulty_that_it_had() {
        let job = job();
        for (asked, lowest) in [(5.0, 1.0), (1e-7, 1e-7), (1e-9, 1e-9), (2.0, 1e-9)] {
            job.lower_difficulty(Difficulty::new(asked).unwrap());
            assert_eq!(job.difficulty().value(), lowest);
        }
    }
}
