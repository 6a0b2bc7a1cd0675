//! The 80 bytes that are hashed.

use super::hash::{BlockHash, MerkleRoot, double_sha256};
use crate::stratum::{Nbits, Nonce, Ntime, Version};

/// A block header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub version: Version,
    pub parent: BlockHash,
    pub merkle_root: MerkleRoot,
    pub ntime: Ntime,
    pub nbits: Nbits,
    pub nonce: Nonce,
}

impl Header {
    /// The header as it is hashed: numbers little-endian, hashes as they are.
    pub fn to_bytes(&self) -> [u8; 80] {
        let mut bytes = [0; 80];
        bytes[..4].copy_from_slice(&self.version.0.to_le_bytes());
        bytes[4..36].copy_from_slice(self.parent.as_bytes());
        bytes[36..68].copy_from_slice(self.merkle_root.as_bytes());
        bytes[68..72].copy_from_slice(&self.ntime.0.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.nbits.0.to_le_bytes());
        bytes[76..].copy_from_slice(&self.nonce.0.to_le_bytes());
        bytes
    }

    /// Its double SHA-256.
    pub fn hash(&self) -> BlockHash {
        BlockHash::from_bytes(double_sha256(&self.to_bytes()))
    }
}
