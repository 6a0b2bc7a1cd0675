//! The sessions by their number.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::session::AnalyzedSession;
use crate::tap::SessionId;

/// The sessions by their number. Each has an allocation of its own: a table of them would hold room for twice as many.
pub(super) type SessionMap = HashMap<SessionId, Box<AnalyzedSession>, BuildHasherDefault<NumberHasher>>;

/// Hashes session numbers. This program counts them, so that nobody can choose numbers that collide.
#[derive(Debug, Default)]
pub(super) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // Multiplied by 2^64 over the golden ratio (Knuth), and mixed: the table uses the lowest and the highest bits.
        let product = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_spread_over_a_table() {
        let places = (1..=1000_u64).map(|number| {
            let mut hasher = NumberHasher::default();
            hasher.write_u64(number);
            // A table takes the place from the low bits, and compares the high ones first.
            (hasher.finish() & 0xfff, hasher.finish() >> 57)
        });
        assert!(places.collect::<std::collections::HashSet<_>>().len() > 900);
    }
}
