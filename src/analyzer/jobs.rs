//! The jobs of one session. All since the last clean one can still get shares, and late shares of
//! the one before are to be told from unknown ones (wire reference, section 3.7).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::job_store::{JobStore, LARGE_JOB, StoredJob};

use crate::net::Stamp;
use crate::stratum::{Difficulty, Extranonce1, Extranonce2Size, JobId, Notify, PrevHash};
use crate::work::{Coinbase, Height, PreparedJob, network_difficulty};

/// The most jobs that are kept: at one in 15 s, ten minutes' worth and more.
const MOST_JOBS: usize = 64;
/// The most bytes that the jobs of one session may have, the newest apart: twice as much as 64 of the largest
/// in use take.
const MAX_BYTES: usize = 4 << 20;
/// So many stay when the jobs of all sessions take too much: most shares are for one of these.
const FEW_JOBS: usize = 4;
/// ckpool takes shares of a job for ten minutes.
const LONGEST_LIFE: Duration = Duration::from_secs(600);
/// For so long after a clean job shares of the older ones may still be under way.
const LATE: Duration = Duration::from_secs(120);

/// One job as it came.
#[derive(Debug)]
pub(super) struct SessionJob {
    pub(super) prepared: PreparedJob,
    /// As this session has it.
    id: JobId,
    clean_jobs: Option<bool>,
    /// Its content, which other sessions may share.
    stored: Arc<StoredJob>,
    pub(super) received_at: Stamp,
    /// A later clean job has made shares of this one stale.
    pub(super) dead_since: Option<Stamp>,
    /// When another one came after it.
    pub(super) followed_at: Option<Stamp>,
    /// By BIP34, when the coinbase can be decoded.
    pub(super) height: Option<Height>,
    /// Of its nbits, when they are a target.
    pub(super) network_difficulty: Option<f64>,
    /// What the pool asked for when the job came.
    pub(super) assigned: Difficulty,
    /// The highest difficulty in force since the job came.
    pub(super) highest: Difficulty,
    /// As agreed when the job came; its extranonce1 is in `prepared`.
    pub(super) extranonce2_size: Extranonce2Size,
}

/// A job that was just added.
#[derive(Debug)]
pub(super) struct Added<'a> {
    pub(super) job: &'a SessionJob,
    /// `None` when it can't be decoded.
    pub(super) coinbase: Option<Coinbase>,
    /// It has ended those before it.
    pub(super) clean: bool,
}

/// The jobs of one session, the newest last.
#[derive(Debug, Default)]
pub(super) struct SessionJobs {
    store: JobStore,
    jobs: VecDeque<SessionJob>,
    /// Of these jobs together.
    bytes: usize,
    prevhash: Option<PrevHash>,
    /// When the block of the newest job was first seen.
    block_since: Option<Stamp>,
    /// The difficulty in force, for every miner; `None` before the pool has set one.
    difficulty: Option<Difficulty>,
}

impl SessionJobs {
    /// None yet; their contents will be in `store`.
    pub(super) fn new(store: JobStore) -> SessionJobs {
        SessionJobs { store, ..SessionJobs::default() }
    }

    /// A job has come. One of the same id takes the older one's place: pools that restart count
    /// from one again.
    pub(super) fn add(
        &mut self,
        notify: Notify,
        extranonce1: &Extranonce1,
        extranonce2_size: Extranonce2Size,
        assigned: Difficulty,
        at: Stamp,
    ) -> Added<'_> {
        let clean = notify.is_clean_after(self.prevhash.as_ref());
        if clean {
            self.kill_all(at);
        }
        if self.prevhash.as_ref() != Some(&notify.prevhash) {
            self.prevhash = Some(notify.prevhash);
            self.block_since = Some(at);
        }
        self.jobs.retain(|job| *job.id() != notify.job_id && !job.is_over(at));
        if self.jobs.len() >= MOST_JOBS {
            self.jobs.pop_front();
        }
        self.shrink();
        if let Some(last) = self.jobs.back_mut() {
            last.followed_at.get_or_insert(at);
        }
        let coinbase = Coinbase::of_job(&notify, extranonce1, extranonce2_size).ok();
        let height = coinbase.as_ref().and_then(|coinbase| coinbase.height().ok());
        let network_difficulty = network_difficulty(notify.nbits).ok();
        let (id, clean_jobs) = (notify.job_id.clone(), notify.clean_jobs);
        let stored = self.store.keep(notify);
        self.jobs.push_back(SessionJob {
            prepared: PreparedJob::new(stored.notify.clone(), extranonce1.clone()),
            id,
            clean_jobs,
            stored,
            received_at: at,
            dead_since: None,
            followed_at: None,
            height,
            network_difficulty,
            assigned,
            highest: assigned.max(self.difficulty.unwrap_or(Difficulty::ONE)),
            extranonce2_size,
        });
        self.bytes = self.jobs.iter().map(|job| job.stored.bytes).sum();
        let is_too_much = |jobs: &SessionJobs| {
            (jobs.bytes > MAX_BYTES && jobs.jobs.len() > 1)
                || (jobs.store.is_full() && jobs.jobs.len() > FEW_JOBS)
        };
        while is_too_much(self) {
            self.bytes -= self.jobs.pop_front().map_or(0, |job| job.stored.bytes);
        }
        Added { job: &self.jobs[self.jobs.len() - 1], coinbase, clean }
    }

    /// The pool sets a difficulty. A message that some miners ignore lowers nothing.
    pub(super) fn set_difficulty(&mut self, difficulty: Difficulty, is_ordinary: bool) {
        let known = self.difficulty.unwrap_or(Difficulty::ONE);
        self.difficulty = Some(if is_ordinary { difficulty } else { difficulty.max(known) });
        for job in &mut self.jobs {
            job.highest = job.highest.max(difficulty);
        }
    }

    /// All sessions' jobs take too much: this one's go, but for the newest unless that is large.
    pub(super) fn make_room(&mut self) {
        let newest = self.jobs.pop_back().filter(|job| job.stored.bytes <= LARGE_JOB);
        self.jobs = newest.into_iter().collect();
        self.bytes = self.jobs.iter().map(|job| job.stored.bytes).sum();
    }

    /// Gives memory back when a burst of jobs is over.
    fn shrink(&mut self) {
        if self.jobs.capacity() > 8 && self.jobs.capacity() > 4 * self.jobs.len() {
            self.jobs.shrink_to(2 * self.jobs.len() + 1);
        }
    }

    /// The job of this id, dead ones included.
    pub(super) fn get(&self, id: &JobId) -> Option<&SessionJob> {
        self.jobs.iter().rev().find(|job| job.id() == id)
    }

    /// The job that came last.
    pub(super) fn newest(&self) -> Option<&SessionJob> {
        self.jobs.back()
    }

    /// For how long the newest job's block has been known.
    pub(super) fn block_age(&self, now: Stamp) -> Option<Duration> {
        self.block_since.and_then(|since| now.since(since))
    }

    /// The extranonce1 has changed: jobs that are out are worth nothing with the new one, shares of
    /// the old one may still be under way.
    pub(super) fn kill_all(&mut self, at: Stamp) {
        for job in &mut self.jobs {
            job.dead_since.get_or_insert(at);
        }
    }
}

impl SessionJob {
    pub(super) fn id(&self) -> &JobId {
        &self.id
    }

    /// The whole job as this session has it.
    pub(super) fn notify(&self) -> Notify {
        Notify { job_id: self.id.clone(), clean_jobs: self.clean_jobs, ..(*self.stored.notify).clone() }
    }

    fn is_over(&self, now: Stamp) -> bool {
        let older = |since: Stamp, limit| now.since(since).is_some_and(|age| age > limit);
        older(self.received_at, LONGEST_LIFE) || self.dead_since.is_some_and(|dead| older(dead, LATE))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::stratum::{Nbits, Ntime, PrevHash, Version};

    /// A job whose coinbase has so many bytes.
    pub(in super::super) fn notify(id: &str, ntime: u32, coinbase: usize) -> Notify {
        Notify {
            job_id: JobId::from_text(id).unwrap(),
            prevhash: PrevHash::from_wire_bytes([7; 32]),
            coinb1: vec![1; 40],
            coinb2: vec![2; coinbase],
            branches: Vec::new(),
            version: Version(0x2000_0000),
            nbits: Nbits(0x1702_3a04),
            ntime: Ntime(ntime),
            clean_jobs: Some(id == "0"),
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
            for (place, session) in sessions.iter_mut().enumerate() {
                add(session, notify(&format!("{ntime}-{place}"), ntime, 28_000));
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
            for (place, session) in sessions.iter_mut().enumerate() {
                // Each its own.
                add(session, notify(&number.to_string(), number * 1000 + place as u32, 1 << 20));
                assert!(session.bytes <= MAX_BYTES && session.newest().is_some());
            }
        }
        // Whatever their number, each session has no more than its few.
        assert!(
            store.is_full() && store.bytes() < 80 * (FEW_JOBS + 1) * ((1 << 20) + 1000),
            "{}",
            store.bytes()
        );
        sessions.iter_mut().for_each(SessionJobs::make_room);
        assert_eq!(store.bytes(), 0, "large ones are forgotten");
        add(&mut sessions[0], notify("a", 1, 10_000));
        add(&mut sessions[0], notify("b", 2, 10_000));
        sessions[0].make_room();
        assert_eq!(sessions[0].newest().unwrap().id().as_str(), "b");
    }
}
