//! A row of `shares.csv`.

use std::net::SocketAddr;
use std::time::Duration;

use super::csv::Row;
use crate::clock::NtpTime;
use crate::stratum::{Difficulty, Extranonce1, Extranonce2, JobId, Nonce, Ntime, Version};
use crate::tap::SessionId;
use crate::work::{BlockHash, Height};

/// One share and its outcome. Every text is untrusted.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareRow {
    /// When the submit arrived.
    pub at: NtpTime,
    pub miner: SocketAddr,
    pub worker: String,
    pub job_id: JobId,
    pub nonce: Nonce,
    /// Difficulty of the hash; `None` if it could not be computed.
    pub share_difficulty: Option<f64>,
    /// Time since the job was sent to the miner; `None` for an unknown job.
    pub job_age: Option<Duration>,
    /// True if the hash meets the network's target; `None` if it could not be computed.
    pub is_block: Option<bool>,
    /// The submit's id as on the wire.
    pub msg_id: String,
    pub assigned_difficulty: Option<Difficulty>,
    pub outcome: ShareOutcome,
    /// Time from the submit to its answer.
    pub response: Option<Duration>,
    pub ntime: Ntime,
    pub version: Option<Version>,
    pub extranonce1: Option<Extranonce1>,
    pub extranonce2: Extranonce2,
    pub hash: Option<BlockHash>,
    pub height: Option<Height>,
    pub network_difficulty: Option<f64>,
    pub upstream: String,
    pub session: SessionId,
    pub user_agent: String,
}

/// The pool's answer to a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareOutcome {
    Accepted,
    /// Rejected, with the pool's code and reason.
    Rejected {
        code: Option<i64>,
        reason: Option<String>,
    },
    /// No answer within `share_timeout`.
    Unanswered,
    /// The session ended, or copies were dropped, before an answer was seen.
    Unknown,
}

impl ShareOutcome {
    /// `accepted`, `rejected`, `unanswered` or `unknown`.
    pub fn name(&self) -> &'static str {
        match self {
            ShareOutcome::Accepted => "accepted",
            ShareOutcome::Rejected { .. } => "rejected",
            ShareOutcome::Unanswered => "unanswered",
            ShareOutcome::Unknown => "unknown",
        }
    }
}

impl ShareRow {
    /// The header of `shares.csv`. The first nine are those of the proxy that Sluice succeeds.
    pub const COLUMNS: [&str; 24] = [
        "timestamp",
        "miner_addr",
        "worker",
        "job_id",
        "nonce",
        "share_difficulty",
        "job_age_seconds",
        "is_block",
        "msg_id",
        "assigned_difficulty",
        "result",
        "reject_code",
        "reject_reason",
        "response_ms",
        "ntime",
        "version",
        "extranonce1",
        "extranonce2",
        "hash",
        "height",
        "network_difficulty",
        "upstream",
        "session",
        "user_agent",
    ];

    pub(super) fn to_csv(&self) -> Vec<u8> {
        let (code, reason) = match &self.outcome {
            ShareOutcome::Rejected { code, reason } => (*code, reason.as_deref()),
            _ => (None, None),
        };
        Row::new()
            .value(self.at)
            .value(self.miner)
            .text(&self.worker)
            .text(self.job_id.as_str())
            .value(self.nonce)
            .number(self.share_difficulty)
            .seconds(self.job_age)
            .optional(self.is_block)
            .text(&self.msg_id)
            .number(self.assigned_difficulty.map(Difficulty::value))
            .value(self.outcome.name())
            .optional(code)
            .text(reason.unwrap_or_default())
            .milliseconds(self.response)
            .value(self.ntime)
            .optional(self.version)
            .optional(self.extranonce1.as_ref())
            .value(&self.extranonce2)
            .optional(self.hash)
            .optional(self.height)
            .number(self.network_difficulty)
            .text(&self.upstream)
            .value(self.session)
            .text(&self.user_agent)
            .end()
    }
}
