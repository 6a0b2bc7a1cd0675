//! Targets: the number a hash must not exceed.

use std::fmt;

use bitcoin::CompactTarget;

use super::hash::BlockHash;
use crate::stratum::{Difficulty, Nbits, debug_as_display, encode_hex};

/// The target of difficulty 1 is `0xFFFF × 2^208` (wire reference, section 3.2).
const DIFFICULTY_1: (u64, i32) = (0xffff, 208);

/// The number a hash must not exceed, from 0 to 2^256 − 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(bitcoin::Target);

impl Target {
    /// The target of a share difficulty: that of difficulty 1 divided by it, rounded down, exact for every f64. Below a
    /// difficulty of about 2.3e-10 it would pass 256 bits and is their largest number.
    pub fn from_difficulty(difficulty: Difficulty) -> Target {
        // An f64 above zero is mantissa × 2^exponent, so the quotient is one of integers.
        let (mantissa, exponent) = parts(difficulty.value());
        let (value, shift) = DIFFICULTY_1;
        let bytes = match usize::try_from(shift - exponent) {
            Ok(shift) => shifted_quotient(value, shift, mantissa),
            // Divided by more than 2^208, and the mantissa has more bits than 0xFFFF.
            Err(_) => [0; 32],
        };
        Target(bitcoin::Target::from_be_bytes(bytes))
    }

    /// The network target: `mantissa × 256^(exponent − 3)`.
    ///
    /// # Errors
    /// When the number is negative, zero, or has more than 256 bits, none of which a block can have.
    pub fn from_nbits(nbits: Nbits) -> Result<Target, TargetError> {
        let (exponent, mantissa) = (nbits.0 >> 24, nbits.0 & 0x007f_ffff);
        let bits = 8 * exponent + (32 - mantissa.leading_zeros());
        if mantissa == 0 {
            return Err(TargetError::Zero(nbits));
        }
        if nbits.0 & 0x0080_0000 != 0 {
            return Err(TargetError::Negative(nbits));
        }
        if bits > 256 + 3 * 8 {
            return Err(TargetError::TooLarge(nbits));
        }
        let target = bitcoin::Target::from_compact(CompactTarget::from_consensus(nbits.0));
        if target == bitcoin::Target::ZERO { Err(TargetError::Zero(nbits)) } else { Ok(Target(target)) }
    }

    /// True if `hash` is at or below the target.
    pub fn is_met_by(&self, hash: &BlockHash) -> bool {
        Target::of_hash(hash) <= *self
    }

    /// The hardest target that `hash` meets: itself, as a number. Lower is better.
    pub fn of_hash(hash: &BlockHash) -> Target {
        Target(bitcoin::Target::from_le_bytes(*hash.as_bytes()))
    }

    /// The highest 32 bits: a hash whose own are larger does not meet the target.
    pub fn high(&self) -> u32 {
        let [first, second, third, fourth, ..] = self.to_be_bytes();
        u32::from_be_bytes([first, second, third, fourth])
    }

    /// Big-endian bytes.
    pub fn to_be_bytes(&self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// The target of difficulty 1 divided by this one, to the nearest f64; infinite for zero.
    pub(super) fn difficulty(&self) -> f64 {
        self.0.difficulty_float()
    }
}

/// 64 hex digits, big-endian.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_hex(&self.to_be_bytes()))
    }
}

debug_as_display!(Target);

/// An nbits that is no target of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetError {
    Negative(Nbits),
    Zero(Nbits),
    TooLarge(Nbits),
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nbits, what) = match self {
            TargetError::Negative(nbits) => (nbits, "a negative target"),
            TargetError::Zero(nbits) => (nbits, "a target of zero"),
            TargetError::TooLarge(nbits) => (nbits, "a target of more than 256 bits"),
        };
        write!(f, "nbits {nbits} is {what}: no block can have it, so this job is not Bitcoin's")
    }
}

impl std::error::Error for TargetError {}

/// `value × 2^shift / divisor`, rounded down, as big-endian bytes; the largest number if it has more than 256 bits.
/// `value` and `divisor` are not zero.
fn shifted_quotient(value: u64, shift: usize, divisor: u64) -> [u8; 32] {
    // The quotient has at least this many bits less one, whatever the divisor.
    if shift >= 256 + 64 {
        return [0xff; 32];
    }
    // Room for value × 2^shift with a shift below 320, and the limb it may spill into; the lowest limb first.
    let mut limbs = [0_u64; 7];
    let wide = u128::from(value) << (shift % 64);
    (limbs[shift / 64], limbs[shift / 64 + 1]) = (wide as u64, (wide >> 64) as u64);
    let mut remainder = 0_u64;
    for limb in limbs.iter_mut().rev() {
        let part = u128::from(remainder) << 64 | u128::from(*limb);
        *limb = (part / u128::from(divisor)) as u64;
        remainder = (part % u128::from(divisor)) as u64;
    }
    if limbs[4..] != [0; 3] {
        return [0xff; 32];
    }
    let mut bytes = [0; 32];
    for (limb, chunk) in limbs[..4].iter().rev().zip(bytes.chunks_exact_mut(8)) {
        chunk.copy_from_slice(&limb.to_be_bytes());
    }
    bytes
}

/// A finite f64 above zero as mantissa × 2^exponent (IEEE 754), with the mantissa above zero.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let exponent = (bits >> 52 & 0x7ff) as i32;
    // Subnormal numbers have no implied leading one.
    if exponent == 0 { (fraction.max(1), -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(difficulty: f64) -> Target {
        Target::from_difficulty(Difficulty::new(difficulty).unwrap())
    }

    #[test]
    fn powers_of_two_only_shift() {
        assert_eq!(target(1.0), Target::from_nbits(Nbits(0x1d00_ffff)).unwrap());
        assert_eq!(target(256.0), Target::from_nbits(Nbits(0x1c00_ffff)).unwrap());
        assert_eq!(
            target(0.5).to_string(),
            "00000001fffe0000000000000000000000000000000000000000000000000000"
        );
    }

    #[test]
    fn extremes_are_clamped() {
        assert_eq!(target(1e-12).to_be_bytes(), [0xff; 32]);
        assert_eq!(target(f64::MIN_POSITIVE / 4.0).to_be_bytes(), [0xff; 32]);
        assert_eq!(target(f64::MAX).to_be_bytes(), [0; 32]);
        assert_eq!(target(1e60).to_be_bytes()[..24], [0; 24]);
    }

    #[test]
    fn quotients_are_exact() {
        let low = |bytes: [u8; 32]| u64::from_be_bytes(bytes[24..].try_into().unwrap());
        assert_eq!(low(shifted_quotient(7, 0, 2)), 3);
        // 2^64 / 3 rounded down.
        assert_eq!(low(shifted_quotient(1, 64, 3)), 0x5555_5555_5555_5555);
        assert_eq!(shifted_quotient(1, 260, 1 << 60), shifted_quotient(1, 200, 1));
        assert_eq!(shifted_quotient(1, 256, 1), [0xff; 32]);
        assert_eq!(shifted_quotient(1, 100_000, u64::MAX), [0xff; 32]);
    }

    #[test]
    fn equality_meets_the_target() {
        let mut hash = target(1.0).to_be_bytes();
        hash.reverse();
        assert!(target(1.0).is_met_by(&BlockHash::from_bytes(hash)));
        hash[0] = 1;
        assert!(!target(1.0).is_met_by(&BlockHash::from_bytes(hash)));
    }

    #[test]
    fn what_is_no_target_is_refused() {
        assert_eq!(Target::from_nbits(Nbits(0x1d80_ffff)), Err(TargetError::Negative(Nbits(0x1d80_ffff))));
        assert_eq!(Target::from_nbits(Nbits(0)), Err(TargetError::Zero(Nbits(0))));
        assert_eq!(Target::from_nbits(Nbits(0x0100_1234)), Err(TargetError::Zero(Nbits(0x0100_1234))));
        assert_eq!(Target::from_nbits(Nbits(0x2300_ffff)), Err(TargetError::TooLarge(Nbits(0x2300_ffff))));
        assert!(Target::from_nbits(Nbits(0x2000_ffff)).is_ok());
        assert_eq!(Target::from_nbits(Nbits(0x0312_3456)).unwrap().to_be_bytes()[29..], [0x12, 0x34, 0x56]);
    }
}
