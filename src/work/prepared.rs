//! A job prepared for the shares of one connection.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::coinbase::assemble_coinbase;
use super::hash::{BlockHash, MerkleRoot, Txid};
use super::merkle::merkle_root;
use super::prevhash::parent_hash;
use super::rebuild::{Joined, RebuildError, RebuiltShare, ShareTerms, check_length, rebuild_over};
use super::target::{Target, TargetError};
use crate::stratum::{Extranonce1, Extranonce2, Notify, Submit};

/// A job with all work done that does not depend on the share. The coinbase up to the extranonce2 is
/// hashed once, so a share costs the rest of it, a merkle step for each branch, and the header. That
/// pays off with the long coinbases of pooled payout; ckpool's has its extranonces within the first 64
/// bytes, which are one step of SHA-256.
#[derive(Debug, Clone)]
pub struct PreparedJob {
    job: Arc<Notify>,
    extranonce1: Extranonce1,
    /// The first SHA-256 of the coinbase, up to and including the extranonce1.
    start: Sha256,
    parent: BlockHash,
    network_target: Result<Target, TargetError>,
}

impl PreparedJob {
    /// Prepares `job`, which others may share, for a connection with this extranonce1. When that changes,
    /// the job is prepared again.
    pub fn new(job: impl Into<Arc<Notify>>, extranonce1: Extranonce1) -> PreparedJob {
        let job = job.into();
        PreparedJob {
            start: Sha256::new().chain_update(&job.coinb1).chain_update(extranonce1.as_bytes()),
            parent: parent_hash(&job.prevhash),
            network_target: Target::from_nbits(job.nbits),
            job,
            extranonce1,
        }
    }

    /// The job.
    pub fn job(&self) -> &Notify {
        &self.job
    }

    /// The extranonce1 it was prepared with.
    pub fn extranonce1(&self) -> &Extranonce1 {
        &self.extranonce1
    }

    /// The hash of the block the job builds on.
    pub fn parent(&self) -> BlockHash {
        self.parent
    }

    /// The target of a block.
    ///
    /// # Errors
    /// When the job's nbits are no target.
    pub fn network_target(&self) -> Result<Target, TargetError> {
        self.network_target
    }

    /// The merkle root with this extranonce2.
    pub fn merkle_root(&self, extranonce2: &Extranonce2) -> MerkleRoot {
        let first = self.start.clone().chain_update(extranonce2.as_bytes()).chain_update(&self.job.coinb2);
        let txid = Txid::from_bytes(Sha256::digest(first.finalize()).into());
        merkle_root(&txid, &self.job.branches)
    }

    /// Does the same as the function [`rebuild`](super::rebuild()), at less cost.
    ///
    /// # Errors
    /// If the submit violates the terms.
    pub fn rebuild(&self, submit: &Submit, terms: &ShareTerms) -> Result<RebuiltShare, RebuildError> {
        check_length(submit, terms)?;
        let joined = Joined {
            job: &self.job,
            parent: self.parent,
            root: self.merkle_root(&submit.extranonce2),
            network_target: self.network_target.ok(),
        };
        let coinbase =
            assemble_coinbase(&self.job.coinb1, &self.extranonce1, &submit.extranonce2, &self.job.coinb2);
        rebuild_over(&joined, coinbase, submit, terms)
    }
}
