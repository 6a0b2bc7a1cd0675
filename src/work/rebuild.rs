//! Rebuilds the header that the miner hashed from a submit.

use std::fmt;

use super::difficulty::share_difficulty;
use super::hash::BlockHash;
use super::header::Header;
use super::prepared::{HashedShare, PreparedJob};
use super::rolling::VersionConvention;
use super::target::Target;
use crate::stratum::{Difficulty, Extranonce2, Extranonce2Size, Submit, Version, VersionBits, VersionMask};
use crate::util::format::count;

/// Far more than the error of a difficulty that was rounded to an f64, as a part of it.
const ROUNDING: f64 = 1e-9;

/// The terms agreed between a connection and its pool for a job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShareTerms {
    pub extranonce2_size: Extranonce2Size,
    /// `None` when no version rolling was negotiated.
    pub version_mask: Option<VersionMask>,
    /// The difficulty that the share should reach. It decides between the conventions of version rolling if they
    /// differ.
    pub difficulty: Difficulty,
}

/// A share as it was hashed.
#[derive(Debug, Clone, PartialEq)]
pub struct RebuiltShare {
    pub header: Header,
    pub hash: BlockHash,
    /// Difficulty of the hash; infinite for a hash of zero.
    pub difficulty: f64,
    /// True if the hash meets the job's nbits. Never for nbits that are no target.
    pub is_block: bool,
}

impl RebuiltShare {
    /// The version that was hashed.
    pub fn version(&self) -> Version {
        self.header.version
    }

    /// True if the hash reaches `difficulty`, equality included.
    pub fn meets(&self, difficulty: Difficulty) -> bool {
        reaches(&self.hash, self.difficulty, difficulty)
    }
}

/// A submit that violates the terms. It includes the share if there is something to hash, because the pool may decide
/// differently.
#[derive(Debug, Clone, PartialEq)]
pub enum RebuildError {
    /// The hashed header is unknown, because some pools cut or pad an extranonce2 of the wrong length.
    Extranonce2Length { found: Extranonce2, want: Extranonce2Size },
    /// The miner changed bits that it may not.
    BitsOutsideMask { bits: VersionBits, mask: VersionMask, share: Box<RebuiltShare> },
    /// The miner changed bits though no version rolling was negotiated.
    RollingNotAgreed { bits: VersionBits, share: Box<RebuiltShare> },
}

impl RebuildError {
    /// The share as far as it could be rebuilt.
    pub fn share(&self) -> Option<&RebuiltShare> {
        match self {
            RebuildError::Extranonce2Length { .. } => None,
            RebuildError::BitsOutsideMask { share, .. } | RebuildError::RollingNotAgreed { share, .. } => {
                Some(share)
            }
        }
    }
}

impl fmt::Display for RebuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RebuildError::Extranonce2Length { found, want } => {
                let length = count(found.as_bytes().len() as u64, "byte");
                write!(f, "extranonce2 \"{found}\" has {length} instead of {want}")
            }
            RebuildError::BitsOutsideMask { bits, mask, .. } => {
                write!(f, "the version bits {bits} lie outside the mask {mask}")
            }
            RebuildError::RollingNotAgreed { bits, .. } => {
                write!(f, "there are version bits {bits}, but version rolling was not negotiated")
            }
        }
    }
}

impl std::error::Error for RebuildError {}

impl PreparedJob {
    /// Rebuilds one share of the job.
    ///
    /// The version bits are understood as BIP310 has it or, when the hash then misses the difficulty expected, as one
    /// of the other conventions (wire reference, section 3.3). When it always misses, the best hash decides: a wrong
    /// guess gives a random one, far below any real share.
    ///
    /// # Errors
    /// If the submit violates the terms. The caller checks the ntime with
    /// [`Ntime::is_within`](crate::stratum::Ntime::is_within), and that it is the right job.
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
        let (want, found) = (terms.extranonce2_size, &submit.extranonce2);
        if !found.has_size(want) {
            return Err(RebuildError::Extranonce2Length { found: found.clone(), want });
        }
        let (header, hash) = self.best_hash(known, submit, terms);
        let share = RebuiltShare {
            difficulty: share_difficulty(&hash),
            is_block: self.network_target.is_ok_and(|target| target.is_met_by(&hash)),
            header,
            hash,
        };
        match (submit.version_bits, terms.version_mask) {
            (Some(bits), Some(mask)) if !mask.allows(bits) => {
                Err(RebuildError::BitsOutsideMask { bits, mask, share: Box::new(share) })
            }
            // ESP-Miner sends zeros even when rolling was refused.
            (Some(bits), None) if bits.0 != 0 => {
                Err(RebuildError::RollingNotAgreed { bits, share: Box::new(share) })
            }
            _ => Ok(share),
        }
    }

    /// The header and hash by the first convention of version bits that reaches the difficulty, else by the one with
    /// the best hash.
    fn best_hash(
        &self,
        known: Option<&HashedShare>,
        submit: &Submit,
        terms: &ShareTerms,
    ) -> (Header, BlockHash) {
        let known = known.filter(|known| known.has_root_of(self, &submit.extranonce2));
        // Bits that were rolled without an agreement are part of what was hashed.
        let mask = terms.version_mask.unwrap_or(VersionMask::BIP320);
        let rolled = submit.version_bits.filter(|bits| bits.0 != 0 || terms.version_mask.is_some());
        let version = self.job.version;
        let versions = VersionConvention::ALL
            .map(|convention| rolled.map_or(version, |bits| convention.apply(version, mask, bits)));
        let header = Header {
            version: versions[0],
            parent: self.parent,
            merkle_root: known
                .map_or_else(|| self.merkle_root(&submit.extranonce2), |known| known.header.merkle_root),
            ntime: submit.ntime,
            nbits: self.job.nbits,
            nonce: submit.nonce,
        };
        let hash_of = |header: &Header| match known {
            Some(known) if known.header == *header => known.hash,
            _ => header.hash(),
        };
        let mut best = (header, hash_of(&header));
        for version in versions {
            let is_other = version != best.0.version;
            if !is_other || reaches(&best.1, share_difficulty(&best.1), terms.difficulty) {
                continue;
            }
            let header = Header { version, ..header };
            let hash = hash_of(&header);
            if Target::of_hash(&hash) < Target::of_hash(&best.1) {
                best = (header, hash);
            }
        }
        best
    }
}

/// True if the hash, whose difficulty is `found`, reaches `difficulty`. The target decides only where the two are so
/// close that rounding could: its division costs more than all the rest.
fn reaches(hash: &BlockHash, found: f64, difficulty: Difficulty) -> bool {
    let asked = difficulty.value();
    if found > asked * (1.0 + ROUNDING) {
        true
    } else if found < asked * (1.0 - ROUNDING) {
        false
    } else {
        Target::from_difficulty(difficulty).is_met_by(hash)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stratum::{Extranonce1, JobId, MerkleBranch, Nbits, Nonce, Notify, Ntime, PrevHash};

    /// A job whose version has bits inside the mask of BIP320, so that the conventions differ.
    fn notify() -> Notify {
        Notify { version: Version(0x2000_6000), ..Notify::with_coinbase(vec![1; 60], vec![2; 90]) }
    }

    fn job(extranonce1: &[u8]) -> PreparedJob {
        PreparedJob::new(notify(), Extranonce1::from_bytes(extranonce1.to_vec()).unwrap())
    }

    fn submit(bits: Option<u32>, nonce: u32) -> Submit {
        Submit {
            worker: "w".to_owned(),
            job_id: JobId::from_counter(1),
            extranonce2: Extranonce2::from_bytes(vec![0; 4]),
            ntime: Ntime(1000),
            nonce: Nonce(nonce),
            version_bits: bits.map(VersionBits),
        }
    }

    /// A submit that rolls the version, with an extranonce2 of these bytes.
    fn rolled(extranonce2: &[u8]) -> Submit {
        Submit { extranonce2: Extranonce2::from_bytes(extranonce2.to_vec()), ..submit(Some(0x2000), 5) }
    }

    fn terms(size: u8, version_mask: Option<VersionMask>, difficulty: f64) -> ShareTerms {
        let extranonce2_size = Extranonce2Size::new(size).unwrap();
        ShareTerms { extranonce2_size, version_mask, difficulty: Difficulty::new(difficulty).unwrap() }
    }

    fn run(
        submit: &Submit,
        version_mask: Option<VersionMask>,
        difficulty: f64,
    ) -> Result<RebuiltShare, RebuildError> {
        job(&[]).rebuild(submit, &terms(4, version_mask, difficulty))
    }

    /// A nonce whose hash with `version` reaches a difficulty of 2^-20, for some 4096 hashes.
    fn nonce_for(version: Version) -> Nonce {
        let share = run(&submit(None, 0), None, 1.0).unwrap();
        let target = Target::from_difficulty(Difficulty::new(2_f64.powi(-20)).unwrap());
        let header = |nonce| Header { version, nonce: Nonce(nonce), ..share.header };
        (0..).map(header).find(|header| target.is_met_by(&header.hash())).unwrap().nonce
    }

    #[test]
    fn the_convention_is_the_one_that_gives_a_share() {
        for version in [0x2000_a000, 0x2000_c000, 0x2000_e000].map(Version) {
            let nonce = nonce_for(version);
            // Also when the share is too low: a wrong guess would be far lower.
            for (difficulty, meets) in [(2_f64.powi(-20), true), (1e9, false)] {
                let share =
                    run(&submit(Some(0xa000), nonce.0), Some(VersionMask::BIP320), difficulty).unwrap();
                assert_eq!(share.version(), version);
                assert_eq!(share.meets(Difficulty::new(difficulty).unwrap()), meets);
            }
        }
    }

    #[test]
    fn a_fault_is_named_and_the_share_is_there_all_the_same() {
        let outside = run(&submit(Some(1), 5), Some(VersionMask::BIP320), 1e-9).unwrap_err();
        assert!(matches!(outside, RebuildError::BitsOutsideMask { .. }), "{outside}");
        assert!(outside.share().is_some());

        let unasked = run(&submit(Some(0x2000), 5), None, 1e-9).unwrap_err();
        assert!(matches!(unasked, RebuildError::RollingNotAgreed { .. }), "{unasked}");
        assert_eq!(unasked.share().unwrap().header.nonce, Nonce(5));

        let error = run(&rolled(&[0; 5]), None, 1.0).unwrap_err();
        assert_eq!(error.to_string(), "extranonce2 \"0000000000\" has 5 bytes instead of 4");
        assert_eq!(error.share(), None);
    }

    #[test]
    fn bits_of_zero_need_no_agreement_and_change_nothing_without_one() {
        let share = run(&submit(Some(0), 5), None, 1.0).unwrap();
        assert_eq!(share.version(), Version(0x2000_6000));
        assert_eq!(run(&submit(None, 5), Some(VersionMask::BIP320), 1.0).unwrap(), share);
    }

    #[test]
    fn nbits_that_are_no_target_make_no_block() {
        let job = PreparedJob::new(Notify { nbits: Nbits(0x1d80_ffff), ..notify() }, Extranonce1::default());
        assert!(!job.rebuild(&submit(None, 5), &terms(4, None, 1e-9)).unwrap().is_block);
    }

    /// The share of `submit` with a hash that nobody finds by hashing, so that its use shows.
    fn marked(job: PreparedJob, submit: &Submit) -> HashedShare {
        let size = submit.extranonce2.as_bytes().len() as u8;
        let share = job.rebuild(submit, &terms(size, Some(VersionMask::BIP320), 1e-12)).unwrap();
        HashedShare {
            job: Arc::new(job),
            extranonce2: submit.extranonce2.clone(),
            header: share.header,
            hash: BlockHash::from_bytes([1; 32]),
        }
    }

    #[test]
    fn a_share_that_was_hashed_is_not_hashed_again_wherever_its_extranonces_part() {
        let known = marked(job(&[9]), &rolled(&[8, 7, 6, 5]));
        let terms = terms(3, Some(VersionMask::BIP320), 1e-12);
        let share = job(&[9, 8]).rebuild_knowing(Some(&known), &rolled(&[7, 6, 5]), &terms).unwrap();
        assert_eq!((share.header, share.hash), (known.header, known.hash));
        let key = |job: &PreparedJob, submit: &Submit| {
            HashedShare::key(job, &submit.extranonce2, submit.ntime, submit.nonce)
        };
        assert_eq!(key(&job(&[9]), &rolled(&[8, 7, 6, 5])), key(&job(&[9, 8]), &rolled(&[7, 6, 5])));
    }

    #[test]
    fn what_differs_in_anything_that_was_hashed_is_hashed() {
        let good = rolled(&[7, 6, 5]);
        let known = marked(job(&[9, 8]), &good);
        let terms = terms(3, Some(VersionMask::BIP320), 1e-12);
        let check = |job: PreparedJob, submit: &Submit| {
            let found = job.rebuild_knowing(Some(&known), submit, &terms);
            assert_eq!(found, job.rebuild(submit, &terms), "{submit:?}");
        };
        check(job(&[9, 9]), &good);
        check(job(&[9, 8]), &rolled(&[7, 6, 4]));
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
            |job: &mut Notify| job.branches.push(MerkleBranch([3; 32])),
            |job: &mut Notify| job.prevhash = PrevHash::from_wire_bytes([8; 32]),
            |job: &mut Notify| job.nbits = Nbits(0x1d00_fffe),
            |job: &mut Notify| job.version = Version(0x2000_0001),
        ] {
            let mut notify = notify();
            change(&mut notify);
            check(PreparedJob::new(notify, job(&[9, 8]).extranonce1().clone()), &good);
        }
    }
}
