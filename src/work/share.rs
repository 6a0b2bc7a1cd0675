//! A job and what a miner made of it.

use super::coinbase::{assemble_coinbase, coinbase_txid};
use super::header::Header;
use super::merkle::merkle_root;
use super::prevhash::parent_hash;
use crate::stratum::{Extranonce1, Extranonce2, Nonce, Notify, Ntime, Version};

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
