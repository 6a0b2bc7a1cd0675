//! What following a conversation brings up, for the ledger.

use std::time::Duration;

use super::block::BlockSeen;
use super::jobs::Job;
use super::share::JudgedShare;
use super::{Conversation, Direction, SessionId};
use crate::net::Stamp;
use crate::stratum::{JobId, Ntime};
use crate::work::Height;

/// What following a line has brought up.
#[derive(Debug)]
pub(super) enum Finding {
    /// A share was sent. Its verdict follows.
    Submitted,
    /// The same, of a share that is worth a block: nothing waits for its verdict.
    Block(Box<BlockSeen>),
    Judged(Box<JudgedShare>),
    Job(JobSeen),
    Unreadable,
    /// A message, whatever it was.
    Message(Direction),
    AuthorizeRefused {
        session: SessionId,
        worker: String,
    },
}

/// A job as it came, for the record.
#[derive(Debug)]
pub(super) struct JobSeen {
    pub(super) session: SessionId,
    pub(super) upstream: Option<usize>,
    pub(super) job_id: JobId,
    pub(super) height: Option<Height>,
    pub(super) ntime: Ntime,
    pub(super) at: Stamp,
    /// Since the job before.
    pub(super) gap: Option<Duration>,
    /// Since the first job of its block.
    pub(super) block_age: Option<Duration>,
    pub(super) branches: usize,
    pub(super) network_difficulty: Option<f64>,
}

impl JobSeen {
    /// For `geek.log`.
    pub(super) fn describe(&self) -> String {
        format!(
            "session {} job {}: height {}, {} branches, network difficulty {}",
            self.session,
            self.job_id,
            self.height.map_or_else(|| "?".to_owned(), |height| height.to_string()),
            self.branches,
            self.network_difficulty.unwrap_or_default(),
        )
    }

    pub(super) fn new(conversation: &Conversation, job: &Job, gap: Option<Duration>) -> JobSeen {
        let notify = job.prepared.job();
        JobSeen {
            session: conversation.id,
            upstream: conversation.upstream(),
            job_id: notify.job_id.clone(),
            height: job.height,
            ntime: notify.ntime,
            at: job.received_at,
            gap,
            block_age: None,
            branches: notify.branches.len(),
            network_difficulty: job.network_difficulty,
        }
    }
}
