//! A share from its submit to its verdict.

use std::net::SocketAddr;
use std::time::Duration;

use super::block::BlockFinder;
use super::jobs::SessionJob;
use crate::net::Stamp;
use crate::record::{HistoryShare, ShareOutcome};
use crate::stratum::{
    Difficulty, DifficultyRange, Extranonce1, Notify, Ntime, ResponseVerdict, Submit, VersionMask, shortened,
};
use crate::tap::SessionId;
use crate::work::{HashedShare, Height, RebuiltShare, ShareTerms};

/// A share that was sent, as far as it is known without the pool's word.
#[derive(Debug)]
pub struct PendingShare {
    pub worker: String,
    pub submit: Option<Submit>,
    /// When it became readable.
    pub at: Stamp,
    /// The submit's message id, as it is written; of a very long one the beginning.
    pub id: Box<str>,
    /// That of its job: the connection's can have changed since.
    pub extranonce1: Option<Extranonce1>,
    /// How old its job was; `None` for an unknown job.
    pub job_age: Option<Duration>,
    /// A later clean job had come before it.
    pub stale: bool,
    /// For how long a newer job had been there.
    pub followed: Option<Duration>,
    /// What the pool had asked for with its job.
    pub assigned: Option<Difficulty>,
    /// The least that the pool may ask for it: the lower of then and now.
    pub lowest: Option<Difficulty>,
    /// What the pool may ask for it without being wrong.
    pub range: Option<DifficultyRange>,
    /// Its job is none that was read; `None` for a job that was.
    pub unseen_job: Option<UnseenJob>,
    /// Its job's time.
    pub job_ntime: Option<Ntime>,
    pub rebuilt: Option<RebuiltShare>,
    /// The same hash was sent before: no work was done for it.
    pub is_repeated: bool,
    /// The whole job, of a share that meets the network's target.
    pub block_job: Option<Box<Notify>>,
    /// Why it is not as agreed, or could not be rebuilt.
    pub fault: Option<String>,
    pub height: Option<Height>,
    pub network_difficulty: Option<f64>,
}

/// Why a share's job is none that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnseenJob {
    /// Nothing was lost: the pool sent it in a form that could not be read.
    Unread,
    /// Copies of what the pool sent were lost not long before.
    PerhapsMissed,
}

/// A share with everything that will ever be known of it.
#[derive(Debug)]
pub struct JudgedShare {
    pub session: SessionId,
    pub miner: SocketAddr,
    pub user_agent: String,
    pub extranonce1: Option<Extranonce1>,
    pub upstream: Option<usize>,
    pub share: PendingShare,
    pub outcome: ShareOutcome,
    /// From the submit's sending to the answer.
    pub answered_after: Option<Duration>,
}

impl JudgedShare {
    /// The part of it that the charts' history counts.
    pub(super) fn for_history(&self) -> HistoryShare<'_> {
        HistoryShare {
            work: self.share.proven(),
            difficulty: self.share.difficulty(),
            outcome: &self.outcome,
            stale: self.share.stale,
        }
    }

    pub(super) fn facts(&self) -> BlockFinder {
        BlockFinder {
            session: self.session,
            miner: self.miner,
            user_agent: self.user_agent.clone(),
            upstream: self.upstream,
        }
    }
}

impl PendingShare {
    /// Rebuilds what the miner hashed, as far as its job is known. `hashed`: where it was hashed already; its hash is
    /// taken only if it was made of what the conversation shows.
    pub(super) fn new(
        mut submit: Submit,
        id: &str,
        at: Stamp,
        job: Option<&SessionJob>,
        (range, version_mask): (Option<DifficultyRange>, Option<VersionMask>),
        hashed: Option<&HashedShare>,
    ) -> PendingShare {
        let lowest = range.map(|range| range.lowest);
        submit.worker = shortened(&submit.worker);
        let mut share = PendingShare {
            worker: submit.worker.clone(),
            at,
            id: shortened(id).into(),
            extranonce1: job.map(|job| job.prepared.extranonce1().clone()),
            job_age: job.and_then(|job| at.since(job.received_at)),
            stale: job.is_some_and(|job| job.dead_since.is_some_and(|dead| dead < at)),
            followed: job.and_then(|job| at.since(job.followed_at?)),
            assigned: job.map(|job| job.assigned),
            lowest,
            range,
            unseen_job: None,
            job_ntime: job.map(|job| job.prepared.job().ntime),
            rebuilt: None,
            is_repeated: false,
            block_job: None,
            fault: None,
            height: job.and_then(|job| job.height),
            network_difficulty: job.and_then(|job| job.network_difficulty),
            submit: None,
        };
        match job {
            Some(job) => {
                let difficulty = lowest.unwrap_or(job.assigned);
                let terms = ShareTerms { extranonce2_size: job.extranonce2_size, version_mask, difficulty };
                match job.prepared.rebuild_knowing(hashed, &submit, &terms) {
                    Ok(rebuilt) => share.rebuilt = Some(rebuilt),
                    Err(error) => {
                        share.fault = Some(error.to_string());
                        share.rebuilt = error.share().cloned();
                    }
                }
            }
            None => share.fault = Some("its job is not known".to_owned()),
        }
        if share.is_block() {
            share.block_job = job.map(|job| Box::new(job.notify()));
        }
        share.submit = Some(submit);
        share
    }

    /// A submit whose params can't be read.
    pub(super) fn unreadable(worker: String, id: &str, at: Stamp, fault: String) -> PendingShare {
        PendingShare {
            worker,
            submit: None,
            at,
            id: shortened(id).into(),
            extranonce1: None,
            job_age: None,
            stale: false,
            followed: None,
            assigned: None,
            lowest: None,
            range: None,
            unseen_job: None,
            job_ntime: None,
            rebuilt: None,
            is_repeated: false,
            block_job: None,
            fault: Some(fault),
            height: None,
            network_difficulty: None,
        }
    }

    /// The share's own difficulty, by its hash.
    pub fn difficulty(&self) -> Option<f64> {
        self.rebuilt.as_ref().map(|rebuilt| rebuilt.difficulty)
    }

    /// Work that the hash proves whatever the pool says of it: what was asked for, when it was met.
    pub fn proven(&self) -> Option<Difficulty> {
        let (rebuilt, assigned) = (self.rebuilt.as_ref()?, self.assigned?);
        (rebuilt.meets(assigned) && !self.is_repeated).then_some(assigned)
    }

    /// Whether its hash meets the network's target.
    pub fn is_block(&self) -> bool {
        self.rebuilt.as_ref().is_some_and(|rebuilt| rebuilt.is_block)
    }

    /// Whether every share that was asked for is worth `part` of a block, as on regtest.
    pub(super) fn is_every_share_worth(&self, part: f64) -> bool {
        let asked = self.lowest.or(self.assigned);
        asked.zip(self.network_difficulty).is_some_and(|(asked, network)| network * part <= asked.value())
    }

    #[cfg(test)]
    pub(super) fn for_tests(worker: &str) -> PendingShare {
        PendingShare::unreadable(worker.to_owned(), "1", Stamp::from_nanos(1), String::new())
    }
}

/// What a verdict makes of a share.
pub(super) fn outcome_of(verdict: ResponseVerdict) -> ShareOutcome {
    match verdict {
        ResponseVerdict::Accepted => ShareOutcome::Accepted,
        ResponseVerdict::Refused { code, reason } => {
            ShareOutcome::Rejected { code, reason: reason.as_deref().map(shortened) }
        }
    }
}
