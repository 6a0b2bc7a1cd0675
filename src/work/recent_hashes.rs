//! Detection of duplicate shares. Bounded, because duplicates are usually sent soon.

use std::collections::{BTreeSet, VecDeque};

use super::hash::BlockHash;

/// Caps the remembered hashes. 1,024 is what a Bitaxe sends in half an hour.
const MAX_HASHES: usize = 1024;

/// The newest hashes of one miner, by their first eight bytes: a share's last bytes are zeros, and a session should
/// cost little memory. Two hashes share these bytes once in 10^16 shares.
#[derive(Debug, Default)]
pub struct RecentHashes {
    known: BTreeSet<u64>,
    order: VecDeque<u64>,
}

impl RecentHashes {
    /// Remembers the hash. `false` if it was there before.
    pub fn is_new(&mut self, hash: BlockHash) -> bool {
        let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
        let hash = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > MAX_HASHES {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_new_once_and_forgotten_in_time() {
        let hash = |n: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&n.to_le_bytes());
            BlockHash::from_bytes(bytes)
        };
        let mut hashes = RecentHashes::default();
        assert!(hashes.is_new(hash(0)));
        assert!(!hashes.is_new(hash(0)));
        for n in 1..=MAX_HASHES as u32 {
            assert!(hashes.is_new(hash(n)));
        }
        assert_eq!(hashes.order.len(), MAX_HASHES);
        assert!(hashes.is_new(hash(0)));
    }
}
