//! The jobs of one session. All since the last clean one can still get shares, and late shares of
//! the one before are to be told from unknown ones (wire reference, section 3.7).

use std::collections::VecDeque;
use std::time::Duration;

use crate::net::Stamp;
use crate::stratum::{Difficulty, Extranonce1, Extranonce2Size, JobId, Notify, PrevHash};
use crate::work::{Coinbase, Height, PreparedJob, network_difficulty};

/// The most jobs that are kept: at one in 15 s, ten minutes' worth and more.
const MOST_JOBS: usize = 64;
/// ckpool takes shares of a job for ten minutes.
const LONGEST_LIFE: Duration = Duration::from_secs(600);
/// For so long after a clean job shares of the older ones may still be under way.
const LATE: Duration = Duration::from_secs(120);

/// One job as it came.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) prepared: PreparedJob,
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
    /// As agreed when the job came; its extranonce1 is in `prepared`.
    pub(super) extranonce2_size: Extranonce2Size,
}

/// A job that was just added.
#[derive(Debug)]
pub(super) struct Added<'a> {
    pub(super) job: &'a Job,
    /// `None` when it can't be decoded.
    pub(super) coinbase: Option<Coinbase>,
    /// It has ended those before it.
    pub(super) clean: bool,
}

/// The jobs of one session, the newest last.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    jobs: VecDeque<Job>,
    prevhash: Option<PrevHash>,
    /// When the block of the newest job was first seen.
    block_since: Option<Stamp>,
}

impl Jobs {
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
        if let Some(last) = self.jobs.back_mut() {
            last.followed_at.get_or_insert(at);
        }
        let coinbase = Coinbase::of_job(&notify, extranonce1, extranonce2_size).ok();
        let height = coinbase.as_ref().and_then(|coinbase| coinbase.height().ok());
        let network_difficulty = network_difficulty(notify.nbits).ok();
        self.jobs.push_back(Job {
            prepared: PreparedJob::new(notify, extranonce1.clone()),
            received_at: at,
            dead_since: None,
            followed_at: None,
            height,
            network_difficulty,
            assigned,
            extranonce2_size,
        });
        Added { job: &self.jobs[self.jobs.len() - 1], coinbase, clean }
    }

    /// The job of this id, dead ones included.
    pub(super) fn get(&self, id: &JobId) -> Option<&Job> {
        self.jobs.iter().rev().find(|job| job.id() == id)
    }

    /// The job that came last.
    pub(super) fn newest(&self) -> Option<&Job> {
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

impl Job {
    pub(super) fn id(&self) -> &JobId {
        &self.prepared.job().job_id
    }

    fn is_over(&self, now: Stamp) -> bool {
        let older = |since: Stamp, limit| now.since(since).is_some_and(|age| age > limit);
        older(self.received_at, LONGEST_LIFE) || self.dead_since.is_some_and(|dead| older(dead, LATE))
    }
}
