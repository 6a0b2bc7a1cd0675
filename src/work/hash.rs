//! Double SHA-256, the three kinds of hashes it makes, and the order of their bytes in Stratum.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::stratum::{PrevHash, debug_as_display, write_hex};

/// SHA-256 of the SHA-256 of `bytes`.
pub fn double_sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(bytes)).into()
}

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From bytes in the order SHA-256 gives them, which is also that of a block header.
            pub fn from_bytes(bytes: [u8; 32]) -> $name {
                $name(bytes)
            }

            /// The bytes in the order SHA-256 gives them, which is also that of a block header.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        /// The display order: all 32 bytes reversed.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut bytes = self.0;
                bytes.reverse();
                write_hex(&bytes, f)
            }
        }

        debug_as_display!($name);
    };
}

hash! {
    /// The hash of a block header, also of one that is only a share. As a number it is
    /// little-endian.
    BlockHash
}

hash! {
    /// The id of a transaction.
    Txid
}

hash! {
    /// The root of a block's transactions.
    MerkleRoot
}

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
    fn the_genesis_block_is_displayed_with_its_zeros_first() {
        // Header of mainnet block 0, public chain data.
        let header = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e\
                      67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c";
        let header = crate::stratum::decode_hex("header", header).unwrap();
        assert_eq!(
            BlockHash::from_bytes(double_sha256(&header)).to_string(),
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
        );
    }

    #[test]
    fn the_text_of_block_100000s_parent() {
        let text = "1901125004612a1701c3a621d930d31d36b607df1fccc2160002d01c00000000";
        let parent = parent_hash(&PrevHash::from_text(text).unwrap());
        assert_eq!(parent.to_string(), "000000000002d01c1fccc21636b607dfd930d31d01c3a62104612a1719011250");
        assert_eq!(prevhash_of(&parent).to_string(), text);
    }
}
