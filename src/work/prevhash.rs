//! The previous block's hash: the only place that knows Stratum's order of its bytes.

use super::hash::BlockHash;
use crate::stratum::PrevHash;

/// The hash of the block a job builds on. Stratum writes the header's 32 bytes with the 4 bytes of
/// each of the 8 words reversed (wire reference, section 3.1).
pub fn parent_hash(prevhash: &PrevHash) -> BlockHash {
    BlockHash::from_bytes(swap_words(*prevhash.wire_bytes()))
}

/// The inverse of [`parent_hash`].
pub fn prevhash_of(parent: &BlockHash) -> PrevHash {
    PrevHash::from_wire_bytes(swap_words(*parent.as_bytes()))
}

fn swap_words(mut bytes: [u8; 32]) -> [u8; 32] {
    for word in bytes.chunks_exact_mut(4) {
        word.reverse();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_block_100000s_parent() {
        let text = "1901125004612a1701c3a621d930d31d36b607df1fccc2160002d01c00000000";
        let parent = parent_hash(&PrevHash::from_text(text).unwrap());
        assert_eq!(parent.to_string(), "000000000002d01c1fccc21636b607dfd930d31d01c3a62104612a1719011250");
        assert_eq!(prevhash_of(&parent).to_string(), text);
    }
}
