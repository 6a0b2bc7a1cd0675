//! Hashing of many nonces of one header. The first 64 of its 80 bytes do not contain the nonce, so
//! their part of SHA-256 is computed once.

use sha2::block_api::compress256;

use super::hash::BlockHash;
use super::header::Header;
use super::sha256::{INITIAL, padding, second_state, sha256_of_state};
use crate::stratum::Nonce;

/// A header without its nonce, prepared for hashing.
#[derive(Debug, Clone)]
pub struct Midstate {
    state: [u32; 8],
    /// The last 16 bytes of the header and SHA-256's padding; the nonce is at 12..16.
    second_block: [u8; 64],
}

impl Midstate {
    /// Prepares `header`, whose own nonce does not matter.
    pub fn new(header: &Header) -> Midstate {
        let bytes = header.to_bytes();
        let mut first_block = [0; 64];
        first_block.copy_from_slice(&bytes[..64]);
        let mut state = INITIAL;
        compress256(&mut state, &[first_block]);

        let mut second_block = padding(80);
        second_block[..16].copy_from_slice(&bytes[64..]);
        Midstate { state, second_block }
    }

    /// The hash of the header with `nonce`.
    pub fn hash(&mut self, nonce: Nonce) -> BlockHash {
        BlockHash::from_bytes(sha256_of_state(&self.first_state(nonce)))
    }

    /// The highest 32 bits of that hash as a number, which suffice to reject nearly every hash that misses a
    /// target, at less cost than the whole.
    pub fn hash_high(&mut self, nonce: Nonce) -> u32 {
        second_state(&self.first_state(nonce))[7].swap_bytes()
    }

    fn first_state(&mut self, nonce: Nonce) -> [u32; 8] {
        self.second_block[12..16].copy_from_slice(&nonce.0.to_le_bytes());
        let mut state = self.state;
        compress256(&mut state, &[self.second_block]);
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stratum::{Nbits, Ntime, Version};
    use crate::work::MerkleRoot;

    #[test]
    fn it_hashes_as_the_whole_header_does() {
        for nonce in [0, 1, 0xda54_e700, u32::MAX] {
            let header = Header {
                version: Version(0x2000_0000),
                parent: BlockHash::from_bytes([3; 32]),
                merkle_root: MerkleRoot::from_bytes([5; 32]),
                ntime: Ntime(0x6854_68d7),
                nbits: Nbits(0x1702_3a04),
                nonce: Nonce(nonce),
            };
            let mut midstate = Midstate::new(&header);
            assert_eq!(midstate.hash(Nonce(nonce)), header.hash());
            let high: [u8; 4] = header.hash().as_bytes()[28..].try_into().unwrap();
            assert_eq!(midstate.hash_high(Nonce(nonce)), u32::from_le_bytes(high));
        }
    }
}
