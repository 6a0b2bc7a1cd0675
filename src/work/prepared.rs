//! A job prepared for the shares of one connection.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::hash::{BlockHash, MerkleRoot, Txid};
use super::header::Header;
use super::merkle::merkle_root;
use super::prevhash::parent_hash;
use super::rebuild::{Joined, RebuildError, RebuiltShare, ShareTerms, check_length, rebuild_over};
use super::target::{Target, TargetError};
use crate::stratum::{Extranonce1, Extranonce2, Nonce, Notify, Ntime, Submit};

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
        self.rebuild_knowing(None, submit, terms)
    }

    /// Rebuilds a share like [`PreparedJob::rebuild`], without hashing again what `known` has hashed. `known` is
    /// used only as far as everything that went into its hashes is the same here.
    ///
    /// # Errors
    /// The errors of [`PreparedJob::rebuild`].
    pub fn rebuild_knowing(
        &self,
        known: Option<&HashedShare>,
        submit: &Submit,
        terms: &ShareTerms,
    ) -> Result<RebuiltShare, RebuildError> {
        check_length(submit, terms)?;
        let known = known.filter(|known| known.has_root_of(self, &submit.extranonce2));
        let joined = Joined {
            job: &self.job,
            parent: self.parent,
            root: known
                .map_or_else(|| self.merkle_root(&submit.extranonce2), |known| known.header.merkle_root),
            network_target: self.network_target.ok(),
            known: known.map(|known| (known.header, known.hash)),
        };
        rebuild_over(&joined, submit, terms)
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
    fn has_root_of(&self, job: &PreparedJob, extranonce2: &Extranonce2) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stratum::{
        Difficulty, Extranonce2Size, JobId, Nbits, PrevHash, Version, VersionBits, VersionMask,
    };

    fn job(extranonce1: &[u8]) -> PreparedJob {
        let notify = Notify {
            job_id: JobId::from_counter(1),
            prevhash: PrevHash::from_wire_bytes([7; 32]),
            coinb1: vec![1; 60],
            coinb2: vec![2; 90],
            branches: Vec::new(),
            version: Version(0x2000_0000),
            nbits: Nbits(0x1d00_ffff),
            ntime: Ntime(1000),
            clean_jobs: Some(true),
        };
        PreparedJob::new(notify, Extranonce1::from_bytes(extranonce1.to_vec()).unwrap())
    }

    fn submit(extranonce2: &[u8]) -> Submit {
        Submit {
            worker: "w".to_owned(),
            job_id: JobId::from_counter(1),
            extranonce2: Extranonce2::from_bytes(extranonce2.to_vec()),
            ntime: Ntime(1000),
            nonce: Nonce(5),
            version_bits: Some(VersionBits(0x2000)),
        }
    }

    fn terms(size: u8) -> ShareTerms {
        ShareTerms {
            extranonce2_size: Extranonce2Size::new(size).unwrap(),
            version_mask: Some(VersionMask::BIP320),
            difficulty: Difficulty::new(1e-12).unwrap(),
        }
    }

    /// The share of `submit` with a hash that nobody finds by hashing, so that its use shows.
    fn marked(job: PreparedJob, submit: &Submit) -> HashedShare {
        let share = job.rebuild(submit, &terms(submit.extranonce2.as_bytes().len() as u8)).unwrap();
        HashedShare {
            job: Arc::new(job),
            extranonce2: submit.extranonce2.clone(),
            header: share.header,
            hash: BlockHash::from_bytes([1; 32]),
        }
    }

    #[test]
    fn a_share_that_was_hashed_is_not_hashed_again_wherever_its_extranonces_part() {
        let known = marked(job(&[9]), &submit(&[8, 7, 6, 5]));
        let share = job(&[9, 8]).rebuild_knowing(Some(&known), &submit(&[7, 6, 5]), &terms(3)).unwrap();
        assert_eq!((share.header, share.hash), (known.header, known.hash));
        let key = |job: &PreparedJob, submit: &Submit| {
            HashedShare::key(job, &submit.extranonce2, submit.ntime, submit.nonce)
        };
        assert_eq!(key(&job(&[9]), &submit(&[8, 7, 6, 5])), key(&job(&[9, 8]), &submit(&[7, 6, 5])));
    }

    #[test]
    fn what_differs_in_anything_that_was_hashed_is_hashed() {
        let good = submit(&[7, 6, 5]);
        let known = marked(job(&[9, 8]), &good);
        let check = |job: PreparedJob, submit: &Submit| {
            let found = job.rebuild_knowing(Some(&known), submit, &terms(3));
            assert_eq!(found, job.rebuild(submit, &terms(3)), "{submit:?}");
        };
        check(job(&[9, 9]), &good);
        check(job(&[9, 8]), &submit(&[7, 6, 4]));
        for other in [
            Submit { nonce: Nonce(6), ..good.clone() },
            Submit { ntime: Ntime(1001), ..good.clone() },
            Submit { version_bits: Some(VersionBits(0x4000)), ..good.clone() },
            Submit { version_bits: None, ..good.clone() },
        ] {
            check(job(&[9, 8]), &other);
        }
        for change in [
            |job: &mut Notify| job.coinb1[0] = 3,
            |job: &mut Notify| job.coinb2[0] = 3,
            |job: &mut Notify| job.branches.push(crate::stratum::MerkleBranch([3; 32])),
            |job: &mut Notify| job.prevhash = PrevHash::from_wire_bytes([8; 32]),
            |job: &mut Notify| job.nbits = Nbits(0x1d00_fffe),
            |job: &mut Notify| job.version = Version(0x2000_0001),
        ] {
            let mut notify = job(&[9, 8]).job().clone();
            change(&mut notify);
            check(PreparedJob::new(notify, job(&[9, 8]).extranonce1().clone()), &good);
        }
    }
}
