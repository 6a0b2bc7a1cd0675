//! Joining and hashing a coinbase (wire reference, section 3.1).

use crate::stratum::{Extranonce1, Extranonce2};
use crate::work::hash::{Txid, double_sha256};

/// `coinb1 ‖ extranonce1 ‖ extranonce2 ‖ coinb2`.
pub fn assemble_coinbase(
    coinb1: &[u8],
    extranonce1: &Extranonce1,
    extranonce2: &Extranonce2,
    coinb2: &[u8],
) -> Vec<u8> {
    [coinb1, extranonce1.as_bytes(), extranonce2.as_bytes(), coinb2].concat()
}

/// The id of the assembled transaction. Having no witness, it is hashed as it is.
pub fn coinbase_txid(coinbase: &[u8]) -> Txid {
    Txid::from_bytes(double_sha256(coinbase))
}
