//! The nonce of a share.

use super::hex_u32::hex_u32;

hex_u32! {
    /// The nonce of a share. Its text may come without leading zeros (NerdMiner).
    Nonce, "nonce"
}
