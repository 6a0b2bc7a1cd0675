//! Comparison of results computed in two ways: by our code and by the `bitcoin` crate.

use bitcoin::block;
use bitcoin::consensus::encode::serialize;
use bitcoin::hashes::{Hash, HashEngine, sha256d};
use bitcoin::{CompactTarget, TxMerkleNode};
use proptest::prelude::*;

use sluice::stratum::{
    Difficulty, Envelope, Extranonce1, Extranonce2, Extranonce2Size, JobId, MerkleBranch, Nbits, Nonce,
    Notify, Ntime, PrevHash, Submit, Version, VersionBits, VersionMask,
};
use sluice::work::{
    Height, Midstate, PreparedJob, RebuildError, RebuiltShare, ShareTerms, ShareValues, Target, TargetError,
    VersionConvention, parent_hash,
};

prop_compose! {
    fn job()(
        prevhash in any::<[u8; 32]>(),
        coinb1 in prop::collection::vec(any::<u8>(), 0..200),
        coinb2 in prop::collection::vec(any::<u8>(), 0..400),
        branches in prop::collection::vec(any::<[u8; 32]>(), 0..=32),
        (version, nbits, ntime) in any::<(u32, u32, u32)>(),
        clean_jobs in any::<bool>(),
        counter in any::<u64>(),
    ) -> Notify {
        Notify {
            job_id: JobId::from_counter(counter),
            prevhash: PrevHash::from_wire_bytes(prevhash),
            coinb1,
            coinb2,
            branches: branches.into_iter().map(MerkleBranch).collect(),
            version: Version(version),
            nbits: Nbits(nbits),
            ntime: Ntime(ntime),
            clean_jobs: Some(clean_jobs),
        }
    }
}

prop_compose! {
    fn submit()(
        extranonce2 in prop::collection::vec(any::<u8>(), 0..=8),
        (ntime, nonce) in any::<(u32, u32)>(),
        bits in prop::option::of(prop_oneof![Just(0), Just(0x2000), any::<u32>()]),
    ) -> Submit {
        Submit {
            worker: "w".to_owned(),
            job_id: JobId::from_counter(1),
            extranonce2: Extranonce2::from_bytes(extranonce2),
            ntime: Ntime(ntime),
            nonce: Nonce(nonce),
            version_bits: bits.map(VersionBits),
        }
    }
}

fn extranonce1() -> impl Strategy<Value = Extranonce1> {
    prop::collection::vec(any::<u8>(), 0..=Extranonce1::MAX)
        .prop_map(|bytes| Extranonce1::from_bytes(bytes).unwrap())
}

fn difficulty() -> impl Strategy<Value = Difficulty> {
    // Around what random hashes have, so that both verdicts occur, and everything else.
    prop_oneof![1e-11..1e-8, any::<f64>().prop_map(f64::abs)]
        .prop_filter_map("a difficulty", |value| Difficulty::new(value).ok())
}

prop_compose! {
    /// For a submit whose extranonce2 has its size more often than not.
    fn terms(submit: Submit)(
        size in prop_oneof![3 => Just(submit.extranonce2.as_bytes().len() as u8), 1 => 0..=8_u8],
        mask in prop::option::of(prop_oneof![Just(VersionMask::BIP320.0), any::<u32>()]),
        difficulty in difficulty(),
    ) -> ShareTerms {
        ShareTerms {
            extranonce2_size: Extranonce2Size::new(size).unwrap(),
            version_mask: mask.map(VersionMask),
            difficulty,
        }
    }
}

prop_compose! {
    fn share()(submit in submit())(terms in terms(submit.clone()), submit in Just(submit)) -> (Submit, ShareTerms) {
        (submit, terms)
    }
}

/// The root as the `bitcoin` crate's types fold it.
fn folded(coinbase: &[u8], branches: &[MerkleBranch]) -> TxMerkleNode {
    let leaf = TxMerkleNode::from_raw_hash(sha256d::Hash::hash(coinbase));
    branches.iter().fold(leaf, |left, branch| {
        let mut engine = TxMerkleNode::engine();
        engine.input(left.as_byte_array());
        engine.input(&branch.0);
        TxMerkleNode::from_engine(engine)
    })
}

/// Compares with the `bitcoin` crate what a share is made of.
fn check_share(job: &Notify, extranonce1: &Extranonce1, submit: &Submit, share: &RebuiltShare) {
    let coinbase =
        [&job.coinb1[..], extranonce1.as_bytes(), submit.extranonce2.as_bytes(), &job.coinb2].concat();
    let header = block::Header {
        version: block::Version::from_consensus(share.version().0 as i32),
        prev_blockhash: bitcoin::BlockHash::from_byte_array(*parent_hash(&job.prevhash).as_bytes()),
        merkle_root: folded(&coinbase, &job.branches),
        time: submit.ntime.0,
        bits: CompactTarget::from_consensus(job.nbits.0),
        nonce: submit.nonce.0,
    };
    assert_eq!(serialize(&header), share.header.to_bytes());
    assert_eq!(header.block_hash().to_string(), share.hash.to_string());
    let is_block = Target::from_nbits(job.nbits).is_ok() && header.target().is_met_by(header.block_hash());
    assert_eq!(share.is_block, is_block);
    let theirs = bitcoin::Target::from_le_bytes(*share.hash.as_bytes()).difficulty_float();
    assert!((share.difficulty / theirs - 1.0).abs() < 1e-9, "{} and {theirs}", share.difficulty);
}

proptest! {
    #[test]
    fn a_share_is_rebuilt_as_it_was_hashed(
        job in job(), extranonce1 in extranonce1(), (submit, terms) in share(),
    ) {
        let rebuilt = PreparedJob::new(job.clone(), extranonce1.clone()).rebuild(&submit, &terms);
        let share = rebuilt.as_ref().map_or_else(RebuildError::share, Some);
        prop_assert_eq!(share.is_some(), submit.extranonce2.has_size(terms.extranonce2_size));
        if let Some(share) = share {
            check_share(&job, &extranonce1, &submit, share);
            let mask = terms.version_mask.unwrap_or_default();
            let bits = submit.version_bits.unwrap_or_default();
            prop_assert_eq!(rebuilt.is_ok(), mask.allows(bits));
            let read_with = terms.version_mask.unwrap_or(VersionMask::BIP320);
            let is_possible = |convention: VersionConvention| match (submit.version_bits, terms.version_mask) {
                (None, _) | (Some(VersionBits(0)), None) => share.version() == job.version,
                (Some(bits), _) => share.version() == convention.apply(job.version, read_with, bits),
            };
            prop_assert!(VersionConvention::ALL.into_iter().any(is_possible));
        }
    }

    #[test]
    fn the_three_ways_to_assemble_a_share_agree(
        job in job(), extranonce1 in extranonce1(), (submit, terms) in share(),
    ) {
        let values = ShareValues {
            extranonce2: submit.extranonce2.clone(),
            ntime: submit.ntime,
            nonce: submit.nonce,
            version: job.version,
        };
        let header = values.header(&job, &extranonce1);
        let plain = Submit { version_bits: None, ..submit };
        if let Ok(share) = PreparedJob::new(job, extranonce1).rebuild(&plain, &terms) {
            prop_assert_eq!(share.header, header);
        }
        prop_assert_eq!(Midstate::new(&header).hash(header.nonce), header.hash());
    }

    #[test]
    fn what_a_pool_writes_is_what_is_read(job in job()) {
        let line = job.line();
        let envelope = Envelope::read(line.as_bytes()).unwrap();
        prop_assert_eq!(Notify::from_params(envelope.params).unwrap(), job);
    }

    #[test]
    fn targets_of_whole_difficulties(number in prop_oneof![1..1_000_000_u64, 1..1_u64 << 53]) {
        // The target is the only number whose difficulty is `number` while the next one's is less.
        let target = Target::from_difficulty(Difficulty::new(number as f64).unwrap());
        let theirs = bitcoin::Target::from_be_bytes(target.to_be_bytes());
        prop_assert_eq!(theirs.difficulty(bitcoin::Network::Bitcoin), u128::from(number));
        let mut next = target.to_be_bytes();
        for byte in next.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        let next = bitcoin::Target::from_be_bytes(next);
        prop_assert!(next.difficulty(bitcoin::Network::Bitcoin) < u128::from(number));
    }

    #[test]
    fn targets_of_nbits(exponent in 0..0x24_u32, mantissa in 0..0x100_0000_u32) {
        let nbits = Nbits(exponent << 24 | mantissa);
        let theirs = bitcoin::Target::from_compact(CompactTarget::from_consensus(nbits.0));
        match Target::from_nbits(nbits) {
            Ok(target) => prop_assert_eq!(target.to_be_bytes(), theirs.to_be_bytes()),
            // For what is too large they keep the bits that fit. Up to an exponent of 3 they take
            // the sign for a part of the number; Bitcoin Core (arith_uint256, SetCompact) does not.
            Err(TargetError::TooLarge(_)) => {}
            Err(_) if exponent <= 3 => {}
            Err(_) => prop_assert_eq!(theirs, bitcoin::Target::ZERO),
        }
    }

    #[test]
    fn heights_are_read_as_they_are_written(height in any::<u32>(), rest in prop::collection::vec(any::<u8>(), 0..9)) {
        let mut script_sig = Height(height).to_push();
        // As the bitcoin crate pushes the same number.
        let theirs = bitcoin::script::Builder::new().push_int(i64::from(height)).into_script();
        prop_assert_eq!(&script_sig, theirs.as_bytes());
        script_sig.extend(rest);
        prop_assert_eq!(Height::from_script_sig(&script_sig), Ok(Height(height)));
    }
}
