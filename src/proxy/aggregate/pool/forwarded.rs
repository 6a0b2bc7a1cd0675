//! The shares that a pool was sent. A share that a miner repeats must not get there a second time, however
//! long ago the first was. A miner's own memory of hashes is too short for that.

use std::collections::HashSet;

use crate::work::BlockHash;

/// The fewest hashes kept, if there were so many since the last clean job: a hundred a second for ten
/// minutes. The most are twice as many, which take 9 MB.
const MIN_HASHES: usize = 65_536;

/// The hashes of the shares that one connection to a pool was sent.
#[derive(Debug, Default)]
pub(crate) struct Forwarded {
    newer: HashSet<BlockHash>,
    /// Hashes before the last clean job: a block on a dead job is sent all the same, once.
    older: HashSet<BlockHash>,
}

impl Forwarded {
    /// Notes that the share is sent. `false` when it was before.
    pub(crate) fn note(&mut self, hash: BlockHash) -> bool {
        if self.older.contains(&hash) {
            return false;
        }
        if self.newer.len() >= MIN_HASHES {
            self.rotate();
        }
        self.newer.insert(hash)
    }

    pub(crate) fn knows(&self, hash: &BlockHash) -> bool {
        self.newer.contains(hash) || self.older.contains(hash)
    }

    /// Takes back that a share was sent.
    pub(crate) fn forget(&mut self, hash: &BlockHash) {
        self.newer.remove(hash);
    }

    /// Notes that all jobs until now are dead, and with them their shares.
    pub(crate) fn rotate(&mut self) {
        self.older = std::mem::take(&mut self.newer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: usize) -> BlockHash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
        BlockHash::from_bytes(bytes)
    }

    #[test]
    fn a_share_is_sent_once_between_two_clean_jobs_and_on_the_dead_ones() {
        let mut forwarded = Forwarded::default();
        assert!((0..5000).all(|number| forwarded.note(hash(number))));
        assert!((0..5000).all(|number| !forwarded.note(hash(number))));
        forwarded.forget(&hash(7));
        assert!(!forwarded.knows(&hash(7)) && forwarded.note(hash(7)));
        forwarded.rotate();
        assert!(!forwarded.note(hash(4999)));
        forwarded.rotate();
        assert!(!forwarded.knows(&hash(4999)));
    }

    #[test]
    fn forwarded_hashes_are_bounded() {
        let mut forwarded = Forwarded::default();
        for number in 0..3 * MIN_HASHES + 1 {
            assert!(forwarded.note(hash(number)));
        }
        assert!(forwarded.newer.len() + forwarded.older.len() <= 2 * MIN_HASHES);
        assert!(forwarded.knows(&hash(2 * MIN_HASHES)));
    }
}
