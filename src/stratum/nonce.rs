//! The nonce of a share.

use super::word::word;

word! {
    /// The nonce of a share. Its text may come without leading zeros (NerdMiner).
    Nonce, "nonce"
}
