//! The jobs of one session. All jobs since the last clean one can still get shares. Older ones are kept for a while,
//! to tell a late share from one for an unknown job (wire reference, section 3.7).

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::job_store::{JobStore, LARGE_JOB, StoredJob};
use crate::net::Stamp;
use crate::stratum::{Difficulty, Extranonce1, Extranonce2Size, JobId, Notify, PrevHash};
use crate::work::{Coinbase, Height, PreparedJob};

/// The most jobs that are kept: at a job every 15 s, more than ten minutes' worth.
const MAX_JOBS: usize = 64;
/// The most bytes of one session's jobs, without the newest: twice as much as 64 of the largest in use take.
const MAX_BYTES: usize = 4 << 20;
/// The most jobs of a session while those of all sessions take too much. Most shares are for one of these.
const MAX_JOBS_WHEN_FULL: usize = 4;
/// ckpool takes shares of a job for ten minutes.
const MAX_JOB_AGE: Duration = Duration::from_secs(600);
/// Shares for older jobs may be on their way for this long after a clean job.
const MAX_STALE_AGE: Duration = Duration::from_secs(120);

/// One job of a session. Of most jobs a slow miner sends no share.
#[derive(Debug)]
pub(super) struct SessionJob {
    /// Empty before the first share.
    prepared: OnceCell<Box<PreparedJob>>,
    /// The id in this session.
    id: JobId,
    clean_jobs: Option<bool>,
    /// The content, which other sessions may share.
    stored: Arc<StoredJob>,
    pub(super) received_at: Stamp,
    /// The time of the clean job that made shares for this one stale.
    pub(super) stale_since: Option<Stamp>,
    /// The time of the next job.
    pub(super) followed_at: Option<Stamp>,
    /// The height in the coinbase (BIP34); `None` if the coinbase cannot be decoded.
    pub(super) height: Option<Height>,
    /// The difficulty in force when the job came.
    pub(super) assigned: Difficulty,
    /// The highest difficulty in force since the job came.
    pub(super) highest: Difficulty,
    /// The search space when the job came.
    pub(super) extranonce1: Extranonce1,
    pub(super) extranonce2_size: Extranonce2Size,
}

/// A job that was just added.
#[derive(Debug)]
pub(super) struct AddedJob<'a> {
    pub(super) job: &'a SessionJob,
    /// `None` if it cannot be decoded.
    pub(super) coinbase: Option<Coinbase>,
    /// The job ends the jobs before it.
    pub(super) clean: bool,
}

/// The jobs of one session, the newest last.
#[derive(Debug, Default)]
pub(super) struct SessionJobs {
    store: JobStore,
    jobs: VecDeque<SessionJob>,
    /// The bytes of all these jobs.
    bytes: usize,
    prevhash: Option<PrevHash>,
    /// The time when the newest job's block was first seen.
    block_since: Option<Stamp>,
    /// The difficulty in force, for every miner; `None` before the pool has set one.
    difficulty: Option<Difficulty>,
}

impl SessionJobs {
    /// No jobs yet. Their contents will be kept in `store`.
    pub(super) fn new(store: JobStore) -> SessionJobs {
        SessionJobs { store, ..SessionJobs::default() }
    }

    /// Adds a job. It replaces an older job with the same id: pools that restart count from one again.
    pub(super) fn add(
        &mut self,
        notify: Notify,
        extranonce1: &Extranonce1,
        extranonce2_size: Extranonce2Size,
        assigned: Difficulty,
        at: Stamp,
    ) -> AddedJob<'_> {
        let clean = notify.is_clean_after(self.prevhash.as_ref());
        if clean {
            self.mark_all_stale(at);
        }
        if self.prevhash.as_ref() != Some(&notify.prevhash) {
            self.prevhash = Some(notify.prevhash);
            self.block_since = Some(at);
        }
        self.jobs.retain(|job| *job.id() != notify.job_id && !job.is_expired(at));
        if self.jobs.len() >= MAX_JOBS {
            self.jobs.pop_front();
        }
        self.shrink();
        if let Some(last) = self.jobs.back_mut() {
            last.followed_at.get_or_insert(at);
        }
        let coinbase = Coinbase::of_job(&notify, extranonce1, extranonce2_size).ok();
        let height = coinbase.as_ref().and_then(|coinbase| coinbase.height().ok());
        let (id, clean_jobs) = (notify.job_id.clone(), notify.clean_jobs);
        let stored = self.store.intern(notify);
        if self.jobs.is_empty() {
            // A session that has just begun may get no other job for a while.
            self.jobs.reserve_exact(1);
        }
        self.jobs.push_back(SessionJob {
            prepared: OnceCell::new(),
            id,
            clean_jobs,
            stored,
            received_at: at,
            stale_since: None,
            followed_at: None,
            height,
            assigned,
            highest: assigned.max(self.difficulty.unwrap_or(Difficulty::ONE)),
            extranonce1: extranonce1.clone(),
            extranonce2_size,
        });
        self.bytes = self.jobs.iter().map(|job| job.stored.bytes()).sum();
        let is_too_much = |jobs: &SessionJobs| {
            (jobs.bytes > MAX_BYTES && jobs.jobs.len() > 1)
                || (jobs.store.is_full() && jobs.jobs.len() > MAX_JOBS_WHEN_FULL)
        };
        while is_too_much(self) {
            self.bytes -= self.jobs.pop_front().map_or(0, |job| job.stored.bytes());
        }
        AddedJob { job: &self.jobs[self.jobs.len() - 1], coinbase, clean }
    }

    /// Applies a difficulty. A message that some miners ignore lowers nothing.
    pub(super) fn set_difficulty(&mut self, difficulty: Difficulty, is_ordinary: bool) {
        let known = self.difficulty.unwrap_or(Difficulty::ONE);
        self.difficulty = Some(if is_ordinary { difficulty } else { difficulty.max(known) });
        for job in &mut self.jobs {
            job.highest = job.highest.max(difficulty);
        }
    }

    /// Forgets all jobs but the newest, and that one too if it is large.
    pub(super) fn keep_newest_if_small(&mut self) {
        let newest = self.jobs.pop_back().filter(|job| job.stored.bytes() <= LARGE_JOB);
        self.jobs = newest.into_iter().collect();
        self.bytes = self.jobs.iter().map(|job| job.stored.bytes()).sum();
    }

    /// Gives memory back after a burst of jobs.
    fn shrink(&mut self) {
        if self.jobs.capacity() > 8 && self.jobs.capacity() > 4 * self.jobs.len() {
            self.jobs.shrink_to(2 * self.jobs.len() + 1);
        }
    }

    /// The job with this id, stale or not.
    pub(super) fn get(&self, id: &JobId) -> Option<&SessionJob> {
        self.jobs.iter().rev().find(|job| job.id() == id)
    }

    pub(super) fn newest(&self) -> Option<&SessionJob> {
        self.jobs.back()
    }

    /// The time since the newest job's block was first seen.
    pub(super) fn block_age(&self, now: Stamp) -> Option<Duration> {
        self.block_since.and_then(|since| now.since(since))
    }

    /// Marks all jobs as stale, as a clean job or another extranonce1 does. Shares for them may still be on their
    /// way.
    pub(super) fn mark_all_stale(&mut self, at: Stamp) {
        for job in &mut self.jobs {
            job.stale_since.get_or_insert(at);
        }
    }
}

impl SessionJob {
    pub(super) fn id(&self) -> &JobId {
        &self.id
    }

    /// The job without this session's id and `clean_jobs`.
    pub(super) fn content(&self) -> &Notify {
        &self.stored.notify
    }

    /// The difficulty of the nbits; `None` if they are no target.
    pub(super) fn network_difficulty(&self) -> Option<f64> {
        self.stored.network_difficulty
    }

    /// The job, prepared so that its shares can be hashed.
    pub(super) fn prepared(&self) -> &PreparedJob {
        let prepare = || PreparedJob::new(self.stored.notify.clone(), self.extranonce1.clone());
        self.prepared.get_or_init(|| Box::new(prepare()))
    }

    /// The whole job with this session's id and `clean_jobs`.
    pub(super) fn notify(&self) -> Notify {
        Notify { job_id: self.id.clone(), clean_jobs: self.clean_jobs, ..(*self.stored.notify).clone() }
    }

    fn is_expired(&self, now: Stamp) -> bool {
        let older = |since: Stamp, limit| now.since(since).is_some_and(|age| age > limit);
        older(self.received_at, MAX_JOB_AGE)
            || self.stale_since.is_some_and(|dead| older(dead, MAX_STALE_AGE))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::stratum::{Nbits, Ntime};

    /// A job whose coinbase has about this many bytes.
    pub(in super::super) fn notify(id: &str, ntime: u32, coinbase: usize) -> Notify {
        Notify {
            job_id: JobId::from_text(id).unwrap(),
            nbits: Nbits(0x1702_3a04),
            ntime: Ntime(ntime),
            clean_jobs: Some(id == "0"),
            ..Notify::with_coinbase(vec![1; 40], vec![2; coinbase])
        }
    }

    fn add(jobs: &mut SessionJobs, notify: Notify) {
        let extranonce1 = Extranonce1::from_text("08000002").unwrap();
        let size = Extranonce2Size::new(8).unwrap();
        jobs.add(notify, &extranonce1, size, Difficulty::ONE, Stamp::from_nanos(1));
    }

    #[test]
    fn sessions_share_jobs_and_each_has_its_own_id() {
        let store = JobStore::default();
        let mut sessions: Vec<SessionJobs> = (0..100).map(|_| SessionJobs::new(store.clone())).collect();
        for ntime in 0..64 {
            for (index, session) in sessions.iter_mut().enumerate() {
                add(session, notify(&format!("{ntime}-{index}"), ntime, 28_000));
            }
        }
        // 64 of them, not 6,400.
        assert!(store.bytes() < 64 * 29_000, "{}", store.bytes());
        let job = sessions[42].get(&JobId::from_text("7-42").unwrap()).unwrap();
        assert_eq!(job.notify(), notify("7-42", 7, 28_000));
        drop(sessions);
        assert_eq!(store.bytes(), 0);
    }

    #[test]
    fn a_session_and_all_together_are_bounded_in_bytes() {
        let store = JobStore::default();
        let mut sessions: Vec<SessionJobs> = (0..80).map(|_| SessionJobs::new(store.clone())).collect();
        for number in 0..10 {
            for (index, session) in sessions.iter_mut().enumerate() {
                add(session, notify(&number.to_string(), number * 1000 + index as u32, 1 << 20));
                assert!(session.bytes <= MAX_BYTES && session.newest().is_some());
            }
        }
        // Each session keeps only a few.
        assert!(
            store.is_full() && store.bytes() < 80 * (MAX_JOBS_WHEN_FULL + 1) * ((1 << 20) + 1000),
            "{}",
            store.bytes()
        );
        sessions.iter_mut().for_each(SessionJobs::keep_newest_if_small);
        assert_eq!(store.bytes(), 0, "large ones are forgotten");
        add(&mut sessions[0], notify("a", 1, 10_000));
        add(&mut sessions[0], notify("b", 2, 10_000));
        sessions[0].keep_newest_if_small();
        assert_eq!(sessions[0].newest().unwrap().id().as_str(), "b");
    }
}
