//! The proof a share must give before its job counts as the one that the miner works on.
//!
//! A miner that ignores a job still sends shares under its id, if an older job has the same one. Rebuilt with the
//! ignored job, such a share has a hash that nobody worked for: a random one. The pool chooses the difficulty, so
//! meeting it proves nothing by itself.

use super::jobs::SessionJob;
use super::share::PendingShare;
use crate::stratum::Difficulty;
use crate::work::RebuiltShare;

/// The number of shares that may try with the least work. Beyond that the work asked for grows with their number, so that a
/// flood of shares at a low difficulty does not prove anything by chance: all of a million tries together succeed
/// once in 5,000 cases.
const TRIES: u64 = 16;

/// The proof that a session's miner owes while it is in doubt what it works on.
#[derive(Debug)]
pub(super) struct WorkProof {
    least: Difficulty,
    /// Shares with new hashes that came while a proof was owed.
    tries: u64,
}

impl WorkProof {
    /// A share must have at least this difficulty, by its hash.
    pub(super) fn of(least: Difficulty) -> WorkProof {
        WorkProof { least, tries: 0 }
    }

    /// Whether this share proves that the miner works on its job as it was read. `is_owed`: something depends
    /// on it.
    pub(super) fn is_given_by(&mut self, share: &PendingShare, job: &SessionJob, is_owed: bool) -> bool {
        if !is_owed {
            self.tries = 0;
        }
        let Some(rebuilt) = new_hash(share) else { return false };
        self.tries += 1;
        let least = self.least.value() * (self.tries as f64 / TRIES as f64).max(1.0);
        rebuilt.meets(job.highest) && rebuilt.difficulty >= least
    }

    /// Whether so much work was done for it that its miner works on its job, though it may miss what the pool asks
    /// for. That is enough where the pool has nothing to gain from it.
    pub(super) fn has_work(&self, share: &PendingShare) -> bool {
        new_hash(share).is_some_and(|rebuilt| rebuilt.difficulty >= self.least.value())
    }
}

/// The rebuilt share, unless the miner has sent the same before.
fn new_hash(share: &PendingShare) -> Option<&RebuiltShare> {
    share.rebuilt.as_ref().filter(|_| !share.is_repeated)
}

#[cfg(test)]
mod tests {
    use super::super::jobs::{SessionJobs, tests::notify};
    use super::*;
    use crate::net::Stamp;
    use crate::stratum::{Extranonce1, Extranonce2, Extranonce2Size, JobId, Nonce, Ntime, Submit};

    const LEAST: f64 = 1e-8;

    fn difficulty(value: f64) -> Difficulty {
        Difficulty::new(value).unwrap()
    }

    /// A session's jobs at a low difficulty, with one that is called 0.
    fn jobs() -> SessionJobs {
        let mut jobs = SessionJobs::default();
        jobs.set_difficulty(difficulty(1e-300), true);
        let size = Extranonce2Size::new(4).unwrap();
        let extranonce1 = Extranonce1::from_text("08000002").unwrap();
        jobs.add(notify("0", 7, 100), &extranonce1, size, difficulty(1e-300), Stamp::from_nanos(1));
        jobs
    }

    fn job(jobs: &SessionJobs) -> &SessionJob {
        jobs.newest().unwrap()
    }

    /// The first share from this nonce on with a difficulty of `least` to `most`.
    fn share(jobs: &SessionJobs, from: u32, (least, most): (f64, f64)) -> PendingShare {
        let share = |nonce| {
            let submit = Submit {
                worker: String::new(),
                job_id: JobId::from_text("0").unwrap(),
                extranonce2: Extranonce2::from_text("00000001").unwrap(),
                ntime: Ntime(7),
                nonce: Nonce(nonce),
                version_bits: None,
            };
            PendingShare::new(submit, "1", Stamp::from_nanos(2), Some(job(jobs)), (None, None), None)
        };
        (from..).map(share).find(|share| (least..most).contains(&share.difficulty().unwrap())).unwrap()
    }

    #[test]
    fn a_share_that_meets_only_what_the_pool_asks_for_proves_nothing() {
        let jobs = jobs();
        let mut proof = WorkProof::of(difficulty(LEAST));
        let poor = share(&jobs, 0, (1e-10, LEAST));
        assert!(poor.proven().is_some() && !proof.is_given_by(&poor, job(&jobs), true));
        let rich = share(&jobs, 0, (LEAST, f64::INFINITY));
        assert!(proof.is_given_by(&rich, job(&jobs), true));
        assert!(!proof.is_given_by(&PendingShare { is_repeated: true, ..rich }, job(&jobs), true));
    }

    /// The job came while hardly any work was asked for.
    #[test]
    fn a_share_must_meet_what_was_asked_for_since_its_job() {
        for is_ordinary in [true, false] {
            let mut jobs = jobs();
            let mut proof = WorkProof::of(difficulty(LEAST));
            let rich = share(&jobs, 0, (LEAST, 1e-3));
            assert!(proof.is_given_by(&rich, job(&jobs), true));
            jobs.set_difficulty(difficulty(10_000.0), is_ordinary);
            jobs.set_difficulty(difficulty(1e-300), true);
            assert!(rich.proven().is_some() && !proof.is_given_by(&rich, job(&jobs), true));
        }
    }

    #[test]
    fn a_message_that_some_miners_ignore_lowers_nothing() {
        let mut jobs = jobs();
        jobs.set_difficulty(difficulty(1.0), true);
        jobs.set_difficulty(difficulty(1e-300), false);
        let extranonce1 = Extranonce1::from_text("08000002").unwrap();
        let size = Extranonce2Size::new(4).unwrap();
        jobs.add(notify("0", 8, 100), &extranonce1, size, difficulty(1e-300), Stamp::from_nanos(1));
        let rich = share(&jobs, 0, (LEAST, 1e-3));
        assert!(!WorkProof::of(difficulty(LEAST)).is_given_by(&rich, job(&jobs), true));
    }

    #[test]
    fn many_tries_need_more_work() {
        let jobs = jobs();
        let mut proof = WorkProof::of(difficulty(LEAST));
        let rich = share(&jobs, 0, (LEAST, 2.0 * LEAST));
        let poor = share(&jobs, 0, (1e-10, LEAST));
        assert!((0..4 * TRIES).all(|_| !proof.is_given_by(&poor, job(&jobs), true)));
        assert!(!proof.is_given_by(&rich, job(&jobs), true));
        assert!(!proof.is_given_by(&poor, job(&jobs), false));
        assert!(proof.is_given_by(&rich, job(&jobs), true), "no tries are left from an older doubt");
    }
}
