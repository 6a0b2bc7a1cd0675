//! Rebuilds the header that the miner hashed from a submit.

use std::fmt;

use super::coinbase::{assemble_coinbase, coinbase_txid};
use super::difficulty::share_difficulty;
use super::hash::{BlockHash, MerkleRoot};
use super::header::Header;
use super::merkle::merkle_root;
use super::prevhash::parent_hash;
use super::rolling::VersionConvention;
use super::target::Target;
use crate::stratum::{
    Difficulty, Extranonce1, Extranonce2, Extranonce2Size, Notify, Submit, Version, VersionBits, VersionMask,
};
use crate::util::plural::count;

/// The terms agreed between a connection and its pool for a job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShareTerms {
    pub extranonce2_size: Extranonce2Size,
    /// `None` when no version rolling was negotiated.
    pub version_mask: Option<VersionMask>,
    /// The difficulty that the share should reach. It decides between the conventions of version rolling if
    /// they differ, and [`RebuiltShare::meets_terms`].
    pub difficulty: Difficulty,
}

/// A share as it was hashed.
#[derive(Debug, Clone, PartialEq)]
pub struct RebuiltShare {
    pub header: Header,
    pub hash: BlockHash,
    /// Difficulty of the hash; infinite for a hash of zero.
    pub difficulty: f64,
    /// The convention by which the version bits were read; BIP310 if all give the same.
    pub convention: VersionConvention,
    /// True if the hash reaches the difficulty of the terms.
    pub meets_terms: bool,
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
        Target::from_difficulty(difficulty).is_met_by(&self.hash)
    }
}

/// A submit that violates the terms. It includes the share if there is something to hash, because the
/// pool may decide differently.
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
                write!(
                    f,
                    "extranonce2 \"{found}\" has {} instead of {want}",
                    count(found.as_bytes().len() as u64, "byte")
                )
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

/// Rebuilds one share of `job`, on a connection with this extranonce1. For many shares of a job
/// there is [`PreparedJob`](super::PreparedJob).
///
/// The version bits are understood as BIP310 has it or, when the hash then misses the difficulty
/// expected, as one of the other conventions (wire reference, section 3.3). When it always misses,
/// the best hash decides: a wrong guess gives a random one, far below any real share.
///
/// # Errors
/// If the submit violates the terms. The caller checks the ntime with
/// [`Ntime::is_within`](crate::stratum::Ntime::is_within), and that it is the right job.
pub fn rebuild(
    job: &Notify,
    extranonce1: &Extranonce1,
    submit: &Submit,
    terms: &ShareTerms,
) -> Result<RebuiltShare, RebuildError> {
    check_length(submit, terms)?;
    let coinbase = assemble_coinbase(&job.coinb1, extranonce1, &submit.extranonce2, &job.coinb2);
    let root = merkle_root(&coinbase_txid(&coinbase), &job.branches);
    let network_target = Target::from_nbits(job.nbits).ok();
    let joined = Joined { job, parent: parent_hash(&job.prevhash), root, network_target, known: None };
    rebuild_over(&joined, submit, terms)
}

/// The parts of a share's header that do not come from the submit.
pub(super) struct Joined<'a> {
    pub job: &'a Notify,
    pub parent: BlockHash,
    pub root: MerkleRoot,
    /// `None` when the nbits are no target.
    pub network_target: Option<Target>,
    /// A header whose hash is known.
    pub known: Option<(Header, BlockHash)>,
}

/// # Errors
/// If the extranonce2 does not have the agreed length.
pub(super) fn check_length(submit: &Submit, terms: &ShareTerms) -> Result<(), RebuildError> {
    let want = terms.extranonce2_size;
    if submit.extranonce2.has_size(want) {
        return Ok(());
    }
    Err(RebuildError::Extranonce2Length { found: submit.extranonce2.clone(), want })
}

/// Completes a rebuild with the merkle root.
///
/// # Errors
/// If version bits are not allowed.
pub(super) fn rebuild_over(
    joined: &Joined<'_>,
    submit: &Submit,
    terms: &ShareTerms,
) -> Result<RebuiltShare, RebuildError> {
    let target = Target::from_difficulty(terms.difficulty);
    let guess = VersionGuess::best(joined, submit, terms, &target);
    let share = RebuiltShare {
        difficulty: share_difficulty(&guess.hash),
        meets_terms: target.is_met_by(&guess.hash),
        is_block: joined.network_target.is_some_and(|target| target.is_met_by(&guess.hash)),
        header: guess.header,
        hash: guess.hash,
        convention: guess.convention,
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

/// A header by one convention of version bits.
struct VersionGuess {
    convention: VersionConvention,
    header: Header,
    hash: BlockHash,
}

impl VersionGuess {
    /// The first that meets `target`, else the one with the best hash.
    fn best(joined: &Joined<'_>, submit: &Submit, terms: &ShareTerms, target: &Target) -> VersionGuess {
        let job = joined.job.version;
        let first = VersionGuess::new(VersionConvention::Bip310, job, joined, submit, terms);
        // Without a sixth param there are no version bits.
        if submit.version_bits.is_none() || target.is_met_by(&first.hash) {
            return first;
        }
        let mut best = first;
        for convention in [VersionConvention::Xor, VersionConvention::Or] {
            let other = VersionGuess::new(convention, job, joined, submit, terms);
            if Target::of_hash(&other.hash) < Target::of_hash(&best.hash) {
                best = other;
            }
            if target.is_met_by(&best.hash) {
                break;
            }
        }
        best
    }

    fn new(
        convention: VersionConvention,
        job: Version,
        joined: &Joined<'_>,
        submit: &Submit,
        terms: &ShareTerms,
    ) -> VersionGuess {
        let version = match submit.version_bits {
            Some(VersionBits(0)) if terms.version_mask.is_none() => job,
            // Bits that were rolled without an agreement are part of what was hashed.
            Some(bits) => convention.apply(job, terms.version_mask.unwrap_or(VersionMask::BIP320), bits),
            None => job,
        };
        let header = Header {
            version,
            parent: joined.parent,
            merkle_root: joined.root,
            ntime: submit.ntime,
            nbits: joined.job.nbits,
            nonce: submit.nonce,
        };
        let known = joined.known.filter(|(known, _)| *known == header);
        VersionGuess { convention, header, hash: known.map_or_else(|| header.hash(), |(_, hash)| hash) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stratum::{JobId, Nbits, Nonce, Ntime, PrevHash};

    /// A job whose version has bits inside the mask of BIP320, so that the conventions differ.
    fn job() -> Notify {
        Notify {
            job_id: JobId::from_counter(1),
            prevhash: PrevHash::from_wire_bytes([7; 32]),
            coinb1: vec![1; 60],
            coinb2: vec![2; 90],
            branches: Vec::new(),
            version: Version(0x2000_6000),
            nbits: Nbits(0x1d00_ffff),
            ntime: Ntime(0x6854_68d7),
            clean_jobs: Some(true),
        }
    }

    fn submit(bits: Option<u32>, nonce: u32) -> Submit {
        Submit {
            worker: "w".to_owned(),
            job_id: JobId::from_counter(1),
            extranonce2: Extranonce2::from_bytes(vec![0; 4]),
            ntime: Ntime(0x6854_68d7),
            nonce: Nonce(nonce),
            version_bits: bits.map(VersionBits),
        }
    }

    fn terms(mask: Option<VersionMask>, difficulty: f64) -> ShareTerms {
        ShareTerms {
            extranonce2_size: Extranonce2Size::new(4).unwrap(),
            version_mask: mask,
            difficulty: Difficulty::new(difficulty).unwrap(),
        }
    }

    fn run(submit: &Submit, terms: &ShareTerms) -> Result<RebuiltShare, RebuildError> {
        rebuild(&job(), &Extranonce1::default(), submit, terms)
    }

    /// A nonce whose hash with `version` reaches a difficulty of 2^-20, for some 4096 hashes.
    fn nonce_for(version: Version) -> Nonce {
        let share = run(&submit(None, 0), &terms(None, 1.0)).unwrap();
        let target = Target::from_difficulty(Difficulty::new(2_f64.powi(-20)).unwrap());
        let header = |nonce| Header { version, nonce: Nonce(nonce), ..share.header };
        (0..).map(header).find(|header| target.is_met_by(&header.hash())).unwrap().nonce
    }

    #[test]
    fn the_convention_is_the_one_that_gives_a_share() {
        let mask = VersionMask::BIP320;
        for (convention, version) in [
            (VersionConvention::Bip310, 0x2000_a000),
            (VersionConvention::Xor, 0x2000_c000),
            (VersionConvention::Or, 0x2000_e000),
        ] {
            let nonce = nonce_for(Version(version));
            // Also when the share is too low: a wrong guess would be far lower.
            for (difficulty, meets) in [(2_f64.powi(-20), true), (1e9, false)] {
                let share = run(&submit(Some(0xa000), nonce.0), &terms(Some(mask), difficulty)).unwrap();
                assert_eq!((share.convention, share.version()), (convention, Version(version)));
                assert_eq!(share.meets_terms, meets);
            }
        }
    }

    #[test]
    fn a_fault_is_named_and_the_share_is_there_all_the_same() {
        let mask = VersionMask::BIP320;
        let outside = run(&submit(Some(1), 5), &terms(Some(mask), 1e-9)).unwrap_err();
        assert!(matches!(outside, RebuildError::BitsOutsideMask { .. }), "{outside}");
        assert!(outside.share().is_some());

        let unasked = run(&submit(Some(0x2000), 5), &terms(None, 1e-9)).unwrap_err();
        assert!(matches!(unasked, RebuildError::RollingNotAgreed { .. }), "{unasked}");
        assert_eq!(unasked.share().unwrap().header.nonce, Nonce(5));

        let mut long = submit(None, 5);
        long.extranonce2 = Extranonce2::from_bytes(vec![0; 5]);
        let error = run(&long, &terms(None, 1.0)).unwrap_err();
        assert_eq!(error.to_string(), "extranonce2 \"0000000000\" has 5 bytes instead of 4");
        assert_eq!(error.share(), None);
    }

    #[test]
    fn bits_of_zero_need_no_agreement_and_change_nothing_without_one() {
        let share = run(&submit(Some(0), 5), &terms(None, 1.0)).unwrap();
        assert_eq!(share.version(), Version(0x2000_6000));
        assert_eq!(run(&submit(None, 5), &terms(Some(VersionMask::BIP320), 1.0)).unwrap(), share);
    }

    #[test]
    fn nbits_that_are_no_target_make_no_block() {
        let job = Notify { nbits: Nbits(0x1d80_ffff), ..job() };
        let share = rebuild(&job, &Extranonce1::default(), &submit(None, 5), &terms(None, 1e-9)).unwrap();
        assert!(!share.is_block);
    }
}
