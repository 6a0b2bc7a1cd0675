//! A job prepared for the shares of one connection.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::hash::{BlockHash, MerkleRoot, Txid, parent_hash};
use super::header::Header;
use super::merkle::merkle_root;
use super::target::{Target, TargetError};
use crate::stratum::{Extranonce1, Extranonce2, Nonce, Notify, Ntime};

/// A job with all work done that does not depend on the share. The coinbase up to the extranonce2 is
/// hashed once, so a share costs the rest of it, a merkle step for each branch, and the header. That
/// pays off with the long coinbases of pooled payout; ckpool's has its extranonces within the first 64
/// bytes, which are one step of SHA-256.
#[derive(Debug, Clone)]
pub struct PreparedJob {
    pub(super) job: Arc<Notify>,
    extranonce1: Extranonce1,
    /// The first SHA-256 of the coinbase, up to and including the extranonce1.
    start: Sha256,
    pub(super) parent: BlockHash,
    pub(super) network_target: Result<Target, TargetError>,
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

    /// The merkle root with this extranonce2.
    pub fn merkle_root(&self, extranonce2: &Extranonce2) -> MerkleRoot {
        let first = self.start.clone().chain_update(extranonce2.as_bytes()).chain_update(&self.job.coinb2);
        let txid = Txid::from_bytes(Sha256::digest(first.finalize()).into());
        merkle_root(&txid, &self.job.branches)
    }

    /// Both extranonces, as they stand in the coinbase.
    fn extranonces<'a>(&'a self, extranonce2: &'a Extranonce2) -> impl Iterator<Item = &'a u8> {
        self.extranonce1.as_bytes().iter().chain(extranonce2.as_bytes())
    }
}

/// A share that was hashed already, with all that its hash was made of. Where one connection divides the
/// search space of another, the share is the same on both: only the place where the extranonces part differs.
#[derive(Debug, Clone)]
pub struct HashedShare {
    pub job: Arc<PreparedJob>,
    pub extranonce2: Extranonce2,
    pub header: Header,
    pub hash: BlockHash,
}

impl HashedShare {
    /// True if a share of this job with this extranonce2 has the same merkle root.
    pub(super) fn has_root_of(&self, job: &PreparedJob, extranonce2: &Extranonce2) -> bool {
        let (one, other) = (self.job.job(), job.job());
        self.job.extranonces(&self.extranonce2).eq(job.extranonces(extranonce2))
            && one.coinb1 == other.coinb1
            && one.coinb2 == other.coinb2
            && one.branches == other.branches
    }

    /// A number by which the share is found, wherever its extranonces part.
    pub fn key(job: &PreparedJob, extranonce2: &Extranonce2, ntime: Ntime, nonce: Nonce) -> u64 {
        let mut hasher = DefaultHasher::new();
        (ntime.0, nonce.0).hash(&mut hasher);
        job.extranonces(extranonce2).for_each(|byte| hasher.write_u8(*byte));
        hasher.finish()
    }
}
