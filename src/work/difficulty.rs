//! Difficulty as a number for people and statistics. Decisions are made on [`Target`]s.

use super::hash::BlockHash;
use super::target::{Target, TargetError};
use crate::stratum::{Difficulty, Nbits};

/// The hashes per unit of difficulty, by every pool's convention: 2^32 (wire reference, section 3.2). The exact number
/// is [`expected_hashes`] of 1.
pub const HASHES_PER_DIFFICULTY: f64 = 4_294_967_296.0;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// The difficulty of a hash: the target of difficulty 1 divided by the hash, within one unit in the last
/// place of an f64. Infinite for a hash of zero.
pub fn share_difficulty(hash: &BlockHash) -> f64 {
    Target::of_hash(hash).difficulty()
}

/// The network's difficulty with these nbits.
///
/// # Errors
/// When the nbits are no target.
pub fn network_difficulty(nbits: Nbits) -> Result<f64, TargetError> {
    Ok(Target::from_nbits(nbits)?.difficulty())
}

/// The average number of hashes for a share of this difficulty: `difficulty × 2^256 / T1` with the target
/// `T1 = 65535 × 2^208`, which is 4 295 032 833.000015 for 1 and not quite 2^32.
pub fn expected_hashes(difficulty: Difficulty) -> f64 {
    difficulty.value() * (2_f64.powi(48) / 65_535.0)
}

/// The expected number of blocks in a day. `None` if the hash rate or the network's difficulty is unknown.
pub fn blocks_per_day(hash_rate: f64, network_difficulty: Option<f64>) -> Option<f64> {
    let difficulty = Difficulty::new(network_difficulty?).ok()?;
    let blocks = hash_rate * SECONDS_PER_DAY / expected_hashes(difficulty);
    (blocks > 0.0 && blocks.is_finite()).then_some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difficulty_and_target_agree() {
        for value in [1e-7, 0.000_15, 1.0, 42.0, 16383.75, 1e12] {
            let target = Target::from_difficulty(Difficulty::new(value).unwrap());
            let mut hash = target.to_be_bytes();
            hash.reverse();
            let share = share_difficulty(&BlockHash::from_bytes(hash));
            assert!((share / value - 1.0).abs() < 1e-12, "{value} became {share}");
        }
    }

    #[test]
    fn a_hash_of_zero_is_worth_anything() {
        assert_eq!(share_difficulty(&BlockHash::from_bytes([0; 32])), f64::INFINITY);
    }

    #[test]
    fn a_block_takes_a_home_miner_millions_of_days() {
        // A NerdMiner at 300 kH/s and a Bitaxe at 1.2 TH/s on a network of 127.45 T.
        let network = Some(127.45e12);
        let nerdminer = blocks_per_day(300e3, network).unwrap();
        assert!((1.0 / nerdminer / 21.1e12 - 1.0).abs() < 0.01, "{nerdminer}");
        let bitaxe = blocks_per_day(1.2e12, network).unwrap();
        assert!((1.0 / bitaxe / 5.28e6 - 1.0).abs() < 0.01, "{bitaxe}");
        assert_eq!((blocks_per_day(0.0, network), blocks_per_day(1.0, None)), (None, None));
    }
}
