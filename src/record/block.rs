//! A file of `blocks/`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::json;

use super::json::escape_json;
use super::shares_csv::ShareOutcome;
use crate::clock::NtpTime;
use crate::stratum::{Extranonce1, Notify, Submit, encode_hex};
use crate::tap::SessionId;
use crate::work::{BlockHash, Header, Height};

/// The directory's name in the data directory.
pub const BLOCKS_DIR: &str = "blocks";

/// A share that is worth a block, with everything needed to build the block or to prove that it was
/// found.
#[derive(Debug, Clone)]
pub struct BlockRecord {
    /// When the submit arrived.
    pub at: NtpTime,
    pub header: Header,
    /// The transaction without witness, as it is hashed.
    pub coinbase: Vec<u8>,
    pub height: Option<Height>,
    pub share_difficulty: f64,
    pub network_difficulty: f64,
    pub job: Notify,
    pub share: Submit,
    pub extranonce1: Extranonce1,
    pub miner: SocketAddr,
    pub session: SessionId,
    pub upstream: String,
    pub user_agent: String,
    /// `None` until the pool has answered. Recording the same share again with the outcome
    /// replaces the file.
    pub outcome: Option<ShareOutcome>,
}

impl BlockRecord {
    /// The header's hash.
    pub fn hash(&self) -> BlockHash {
        self.header.hash()
    }

    /// `blocks/<time>-<hash>.json`; the time is that of the submit, such as `20261121T021340.123Z`.
    pub fn file(&self) -> PathBuf {
        let time = self.at.timestamp().strftime("%Y%m%dT%H%M%S%.3fZ").to_string();
        [BLOCKS_DIR.to_owned(), format!("{time}-{}.json", self.hash())].iter().collect()
    }

    pub(super) fn to_json(&self) -> String {
        let (job, share) = (&self.job, &self.share);
        let value = json!({
            "time": self.at.to_string(),
            "hash": self.hash().to_string(),
            "header": encode_hex(&self.header.to_bytes()),
            "coinbase": encode_hex(&self.coinbase),
            "height": self.height.map(|height| height.0),
            "share_difficulty": self.share_difficulty,
            "network_difficulty": self.network_difficulty,
            "job": {
                "job_id": job.job_id.as_str(),
                "prevhash": job.prevhash.to_string(),
                "coinb1": encode_hex(&job.coinb1),
                "coinb2": encode_hex(&job.coinb2),
                "branches": job.branches.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "version": job.version.to_string(),
                "nbits": job.nbits.to_string(),
                "ntime": job.ntime.to_string(),
            },
            "share": {
                "worker": share.worker,
                "job_id": share.job_id.as_str(),
                "extranonce1": self.extranonce1.to_string(),
                "extranonce2": share.extranonce2.to_string(),
                "ntime": share.ntime.to_string(),
                "nonce": share.nonce.to_string(),
                "version_bits": share.version_bits.map(|bits| bits.to_string()),
            },
            "miner": self.miner.to_string(),
            "session": self.session.0,
            "upstream": self.upstream,
            "user_agent": self.user_agent,
            "verdict": self.outcome.as_ref().map(verdict),
        });
        escape_json(&format!("{value:#}\n"))
    }
}

fn verdict(outcome: &ShareOutcome) -> serde_json::Value {
    match outcome {
        ShareOutcome::Rejected { code, reason } => {
            json!({ "result": outcome.name(), "code": code, "reason": reason })
        }
        _ => json!({ "result": outcome.name() }),
    }
}
