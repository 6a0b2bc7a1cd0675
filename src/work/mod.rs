//! Bitcoin's arithmetic: block headers from jobs and shares, hashes, targets and payouts. Pure
//! functions, without sockets and sessions, checked against the vectors in `tests/data/vectors.json`.
//!
//! Byte order is converted in one place each: the words of a prevhash in `hash`, the numbers
//! of a header in `header`, hash and number in `target`.
//!
//! | file | what it is |
//! |---|---|
//! | `hash` | double SHA-256, block hash, transaction id, merkle root; the previous block's hash in Stratum |
//! | `sha256` | the two hashes of a header or of a merkle step, without a buffer |
//! | `coinbase` | assembly from its two halves and the extranonces; what the transaction says |
//! | `merkle` | branches of a block, and the root they lead to |
//! | `header` | the 80 bytes; a job and a miner's values put together |
//! | `midstate` | hashing many nonces of one header |
//! | `prepared`, `rebuild` | a job prepared for many shares; a share of it as it was hashed |
//! | `target` | targets from nbits and from difficulty |
//! | `difficulty` | share and network difficulty, expected hashes and blocks |
//! | `rolling` | the three conventions of version rolling |
//! | `height` | the block height in a coinbase (BIP34) |
//! | `payout` | addresses, worker names and output scripts |
//! | `address_fault` | mistyped addresses, and those of other coins and networks |
//! | `sats` | amounts of money, and the subsidy |

mod address_fault;
mod coinbase;
mod difficulty;
mod hash;
mod header;
mod height;
mod merkle;
mod midstate;
mod payout;
mod prepared;
mod rebuild;
mod recent_hashes;
mod rolling;
mod sats;
mod sha256;
mod target;

pub use address_fault::{AddressFault, AddressFaultKind, TypingError, address_fault};
pub use coinbase::{
    Coinbase, CoinbaseError, CoinbaseOutput, OutputKind, PoolTag, assemble_coinbase, coinbase_txid,
};
pub use difficulty::{
    HASHES_PER_DIFFICULTY, blocks_per_day, expected_hashes, network_difficulty, share_difficulty,
};
pub use hash::{BlockHash, MerkleRoot, Txid, double_sha256, parent_hash, prevhash_of};
pub use header::{Header, ShareValues};
pub use height::{Height, HeightError};
pub use merkle::{merkle_branches, merkle_root};
pub use midstate::Midstate;
pub use payout::{AddressChain, PayoutError, PayoutScript, account_of_worker, name_of_worker, payout_script};
pub use prepared::{HashedShare, PreparedJob};
pub use rebuild::{RebuildError, RebuiltShare, ShareTerms};
pub use recent_hashes::RecentHashes;
pub use rolling::VersionConvention;
pub use sats::Sats;
pub use target::{Target, TargetError};
