//! The 256-bit arithmetic of targets. Numbers are 64-bit limbs, the lowest first.

/// An unsigned 256-bit number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct U256(pub [u64; 4]);

impl U256 {
    pub const MAX: U256 = U256([u64::MAX; 4]);

    pub fn from_le_bytes(bytes: &[u8; 32]) -> U256 {
        let mut limbs = [0; 4];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
            *limb = chunk.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        }
        U256(limbs)
    }

    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (limb, chunk) in self.0.iter().rev().zip(bytes.chunks_exact_mut(8)) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// `value × 2^shift`; `None` when that is 2^256 or more.
    pub fn shifted(value: u64, shift: u32) -> Option<U256> {
        if value == 0 {
            return Some(U256([0; 4]));
        }
        if shift + (64 - value.leading_zeros()) > 256 {
            return None;
        }
        let (limb, bits) = ((shift / 64) as usize, shift % 64);
        let wide = u128::from(value) << bits;
        let mut limbs = [0; 4];
        limbs[limb] = wide as u64;
        if limb < 3 {
            limbs[limb + 1] = (wide >> 64) as u64;
        }
        Some(U256(limbs))
    }

    /// The nearest f64, ties to even.
    pub fn to_f64(self) -> f64 {
        let bits = self.bits();
        if bits <= 64 {
            return self.0[0] as f64;
        }
        // The highest 64 bits; whether anything lies below them decides a tie, so it is kept in
        // the lowest bit, which is itself far below an f64's precision.
        let shift = bits - 64;
        let (limb, offset) = ((shift / 64) as usize, shift % 64);
        let mut high = self.0[limb] >> offset;
        if offset > 0 && limb < 3 {
            high |= self.0[limb + 1] << (64 - offset);
        }
        let below = self.0[..limb].iter().any(|limb| *limb != 0)
            || (offset > 0 && self.0[limb] << (64 - offset) != 0);
        (high | u64::from(below)) as f64 * 2_f64.powi(shift as i32)
    }

    /// The number's length in bits.
    fn bits(self) -> u32 {
        match self.0.iter().rposition(|limb| *limb != 0) {
            Some(limb) => limb as u32 * 64 + 64 - self.0[limb].leading_zeros(),
            None => 0,
        }
    }
}

impl PartialOrd for U256 {
    fn partial_cmp(&self, other: &U256) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for U256 {
    fn cmp(&self, other: &U256) -> std::cmp::Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

/// `value × 2^shift / divisor`, rounded down; `None` when that is 2^256 or more. `divisor` is not
/// zero.
pub(super) fn shifted_quotient(value: u64, shift: u32, divisor: u64) -> Option<U256> {
    // The quotient has at least this many bits less one, whatever the divisor.
    if value != 0 && shift >= 256 + 64 {
        return None;
    }
    // Room for value × 2^shift with a shift below 320, and the limb it may spill into.
    let mut limbs = [0_u64; 7];
    let (limb, bits) = ((shift / 64) as usize, shift % 64);
    let wide = u128::from(value) << bits;
    if value != 0 {
        limbs[limb] = wide as u64;
        limbs[limb + 1] = (wide >> 64) as u64;
    }
    let mut remainder = 0_u64;
    for limb in limbs.iter_mut().rev() {
        let part = u128::from(remainder) << 64 | u128::from(*limb);
        *limb = (part / u128::from(divisor)) as u64;
        remainder = (part % u128::from(divisor)) as u64;
    }
    let (low, high) = limbs.split_at(4);
    if high.iter().any(|limb| *limb != 0) {
        return None;
    }
    Some(U256([low[0], low[1], low[2], low[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_in_little_endian_and_come_out_big_endian() {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes[31] = 0xff;
        let wide = U256::from_le_bytes(&bytes);
        bytes.reverse();
        assert_eq!(wide.to_be_bytes(), bytes);
    }

    #[test]
    fn shifts_stop_at_2_to_the_256() {
        assert_eq!(U256::shifted(0xffff, 208).unwrap().to_f64(), 65535.0 * 2_f64.powi(208));
        assert!(U256::shifted(1, 255).is_some());
        assert!(U256::shifted(1, 256).is_none());
        assert!(U256::shifted(3, 255).is_none());
        assert_eq!(U256::shifted(0, 4000), Some(U256([0; 4])));
    }

    #[test]
    fn rounding_to_f64_is_to_nearest_with_ties_to_even() {
        assert_eq!(U256::MAX.to_f64(), 2_f64.powi(256));
        assert_eq!(U256([0; 4]).to_f64(), 0.0);
        // 2^53 + 1 lies between two f64: a tie goes to the even one, one bit below it does not.
        let tie = U256::shifted((1 << 53) + 1, 64).unwrap();
        assert_eq!(tie.to_f64(), 2_f64.powi(53 + 64));
        let above = U256([1, tie.0[1], tie.0[2], tie.0[3]]);
        assert_eq!(above.to_f64(), (2_f64.powi(53) + 2.0) * 2_f64.powi(64));
    }

    #[test]
    fn quotients_are_exact() {
        assert_eq!(shifted_quotient(0xffff, 208, 1), U256::shifted(0xffff, 208));
        assert_eq!(shifted_quotient(1, 260, 1 << 60), U256::shifted(1, 200));
        assert_eq!(shifted_quotient(1, 256, 1), None);
        assert_eq!(shifted_quotient(1, 100_000, u64::MAX), None);
        assert_eq!(shifted_quotient(7, 0, 2), Some(U256([3, 0, 0, 0])));
        // 2^64 / 3 rounded down.
        assert_eq!(shifted_quotient(1, 64, 3), Some(U256([0x5555_5555_5555_5555, 0, 0, 0])));
    }
}
