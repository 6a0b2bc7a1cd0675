//! The 80 bytes that are hashed, and the values a share adds to its job to get them.

use super::coinbase::{assemble_coinbase, coinbase_txid};
use super::hash::{BlockHash, MerkleRoot, parent_hash};
use super::merkle::merkle_root;
use super::sha256::{double_sha256_of, padding};
use crate::stratum::{Extranonce1, Extranonce2, Nbits, Nonce, Notify, Ntime, Version};

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
        let bytes = self.to_bytes();
        let mut blocks = [[0; 64], const { padding(80) }];
        blocks[0].copy_from_slice(&bytes[..64]);
        blocks[1][..16].copy_from_slice(&bytes[64..]);
        BlockHash::from_bytes(double_sha256_of(&blocks))
    }
}

/// The values a share adds to its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareValues {
    pub extranonce2: Extranonce2,
    pub ntime: Ntime,
    pub nonce: Nonce,
    /// The version with its bits rolled; the job's own when there is no version rolling.
    pub version: Version,
}

impl ShareValues {
    /// The header that was hashed, on a connection with this extranonce1.
    pub fn header(&self, job: &Notify, extranonce1: &Extranonce1) -> Header {
        let coinbase = assemble_coinbase(&job.coinb1, extranonce1, &self.extranonce2, &job.coinb2);
        Header {
            version: self.version,
            parent: parent_hash(&job.prevhash),
            merkle_root: merkle_root(&coinbase_txid(&coinbase), &job.branches),
            ntime: self.ntime,
            nbits: job.nbits,
            nonce: self.nonce,
        }
    }
}
