//! A share from its submit to its outcome.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::jobs::SessionJob;
use crate::net::Stamp;
use crate::record::{HistoryShare, ShareOutcome};
use crate::stratum::{
    Difficulty, DifficultyRange, Extranonce1, Notify, Ntime, ResponseVerdict, Submit, VersionMask, shorten,
    shortened,
};
use crate::tap::SessionId;
use crate::work::{HashedShare, Height, RebuiltShare, ShareTerms};

/// Sluice's reply to a share when the pool is connected but has not answered in time. Such a share counts as
/// unanswered, not as rejected (wire reference, section 5.4, 37).
pub const POOL_SILENT: &str = "The pool does not answer";
/// Sluice's reply to a share whose pool connection has ended.
pub const POOL_LOST: &str = "The connection to the pool was lost";
/// Sluice's reply to a share when the pool owes too many answers.
pub const TOO_MANY_PENDING: &str = "Too many shares wait for the pool";
/// Sluice's reply to a share of a miner that it disconnects before the pool has answered.
pub const MINER_CLOSED: &str = "Closed before the pool has answered";

/// A share that was sent, before its answer.
#[derive(Debug, Clone, Default)]
pub struct PendingShare {
    pub worker: String,
    /// The submit without its worker, which is above.
    pub submit: Option<Submit>,
    /// The time when its bytes became readable.
    pub at: Stamp,
    /// The submit's message id as the miner wrote it, shortened.
    pub id: Box<str>,
    /// The extranonce1 of its job. The connection's may have changed since.
    pub extranonce1: Option<Extranonce1>,
    /// The age of its job; `None` for an unknown job.
    pub job_age: Option<Duration>,
    /// A later clean job had come before it.
    pub stale: bool,
    /// The time since the next job came.
    pub superseded_for: Option<Duration>,
    /// The difficulty in force when its job came.
    pub assigned: Option<Difficulty>,
    /// The lowest difficulty that the pool may ask for it.
    pub lowest: Option<Difficulty>,
    /// The difficulties that the pool may ask for it without being wrong.
    pub range: Option<DifficultyRange>,
    /// The reason why its job was not read; `None` if it was.
    pub unseen_job: Option<UnseenJob>,
    /// The ntime of its job.
    pub job_ntime: Option<Ntime>,
    pub rebuilt: Option<RebuiltShare>,
    /// The same hash was sent before, so it proves no work.
    pub is_repeated: bool,
    /// The whole job, if the share meets the network's target.
    pub block_job: Option<Box<Notify>>,
    /// The reason why it breaks its terms or could not be rebuilt.
    pub fault: Option<String>,
    pub height: Option<Height>,
    pub network_difficulty: Option<f64>,
}

/// The reason why a share's job was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnseenJob {
    /// No copies were lost: the pool sent the job in a form that could not be read.
    Unread,
    /// Copies of the pool's bytes were lost shortly before.
    MaybeMissed,
}

/// A share with its outcome.
#[derive(Debug)]
pub struct JudgedShare {
    pub session: SessionId,
    pub miner: SocketAddr,
    pub user_agent: Arc<str>,
    pub extranonce1: Option<Extranonce1>,
    pub upstream: Option<usize>,
    pub share: PendingShare,
    pub outcome: ShareOutcome,
    /// The time from the submit to its answer.
    pub answered_after: Option<Duration>,
}

impl JudgedShare {
    /// The difficulty that the pool credits, if it has accepted the share.
    pub(super) fn credited(&self) -> f64 {
        let is_accepted = self.outcome == ShareOutcome::Accepted;
        self.share.assigned.filter(|_| is_accepted).map_or(0.0, Difficulty::value)
    }

    /// The part of it that the charts' history counts.
    pub(super) fn for_history(&self) -> HistoryShare<'_> {
        HistoryShare {
            work: self.share.proven(),
            difficulty: self.share.difficulty(),
            outcome: &self.outcome,
            stale: self.share.stale,
        }
    }
}

impl PendingShare {
    /// Rebuilds the header that the miner hashed, if its job is known. `hashed` is the share as aggregate mode hashed
    /// it; its hash is used only if it matches the conversation.
    pub(super) fn new(
        mut submit: Submit,
        id: &str,
        at: Stamp,
        job: Option<&SessionJob>,
        (range, version_mask): (Option<DifficultyRange>, Option<VersionMask>),
        hashed: Option<&HashedShare>,
    ) -> PendingShare {
        let mut share = PendingShare {
            worker: shorten(std::mem::take(&mut submit.worker)),
            at,
            id: shortened(id).into(),
            range,
            lowest: range.map(|range| range.lowest),
            ..PendingShare::default()
        };
        match job {
            Some(job) => share.rebuild(&submit, job, version_mask, hashed),
            None => share.fault = Some("its job is not known".to_owned()),
        }
        if share.is_block() {
            share.block_job = job.map(|job| Box::new(job.notify()));
        }
        share.submit = Some(submit);
        share
    }

    /// Rebuilds the header that the miner hashed for this job.
    fn rebuild(
        &mut self,
        submit: &Submit,
        job: &SessionJob,
        version_mask: Option<VersionMask>,
        hashed: Option<&HashedShare>,
    ) {
        self.extranonce1 = Some(job.extranonce1.clone());
        self.job_age = self.at.since(job.received_at);
        self.stale = job.stale_since.is_some_and(|stale| stale < self.at);
        self.superseded_for = job.followed_at.and_then(|followed| self.at.since(followed));
        self.assigned = Some(job.assigned);
        self.job_ntime = Some(job.content().ntime);
        (self.height, self.network_difficulty) = (job.height, job.network_difficulty());
        let difficulty = self.lowest.unwrap_or(job.assigned);
        let terms = ShareTerms { extranonce2_size: job.extranonce2_size, version_mask, difficulty };
        match job.prepared().rebuild_knowing(hashed, submit, &terms) {
            Ok(rebuilt) => self.rebuilt = Some(rebuilt),
            Err(error) => {
                self.fault = Some(error.to_string());
                self.rebuilt = error.share().cloned();
            }
        }
    }

    /// A submit whose params cannot be read.
    pub(super) fn unreadable(worker: String, id: &str, at: Stamp, fault: String) -> PendingShare {
        let id = shortened(id).into();
        PendingShare { worker, at, id, fault: Some(fault), ..PendingShare::default() }
    }

    /// The difficulty of the share's hash.
    pub fn difficulty(&self) -> Option<f64> {
        self.rebuilt.as_ref().map(|rebuilt| rebuilt.difficulty)
    }

    /// The work that the hash proves, whatever the pool answers: the assigned difficulty if the hash meets it.
    pub fn proven(&self) -> Option<Difficulty> {
        let (rebuilt, assigned) = (self.rebuilt.as_ref()?, self.assigned?);
        (rebuilt.meets(assigned) && !self.is_repeated).then_some(assigned)
    }

    /// Returns whether its hash meets the network's target.
    pub fn is_block(&self) -> bool {
        self.rebuilt.as_ref().is_some_and(|rebuilt| rebuilt.is_block)
    }

    /// Returns whether every share at the assigned difficulty is worth `part` of a block, as on regtest.
    pub(super) fn is_every_share_worth(&self, part: f64) -> bool {
        let asked = self.lowest.or(self.assigned);
        asked.zip(self.network_difficulty).is_some_and(|(asked, network)| network * part <= asked.value())
    }

    #[cfg(test)]
    pub(super) fn for_tests(worker: &str) -> PendingShare {
        PendingShare::unreadable(worker.to_owned(), "1", Stamp::from_nanos(1), String::new())
    }
}

/// The outcome of a share by the pool's verdict.
pub(super) fn outcome_of(verdict: ResponseVerdict) -> ShareOutcome {
    match verdict {
        ResponseVerdict::Accepted => ShareOutcome::Accepted,
        ResponseVerdict::Refused { code, reason } => {
            ShareOutcome::Rejected { code, reason: reason.as_deref().map(shortened) }
        }
    }
}

/// Returns whether Sluice rejected the share in place of the pool.
pub(super) fn is_local_refusal(outcome: &ShareOutcome) -> bool {
    let ShareOutcome::Rejected { reason: Some(reason), .. } = outcome else { return false };
    [POOL_SILENT, POOL_LOST, TOO_MANY_PENDING, MINER_CLOSED].contains(&reason.as_str())
}
