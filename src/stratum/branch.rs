//! A step from the coinbase to the merkle root.

use std::fmt;

use super::hex;
use super::json_field::FieldError;

/// One of a job's merkle branches: 32 bytes that are hashed as they are written, without any
/// reversal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MerkleBranch(pub [u8; 32]);

impl MerkleBranch {
    /// Reads 64 hex digits.
    ///
    /// # Errors
    /// When there are more, fewer or other characters.
    pub fn from_text(text: &str) -> Result<MerkleBranch, FieldError> {
        hex::decode_32("merkle branch", text).map(MerkleBranch)
    }
}

impl fmt::Display for MerkleBranch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for MerkleBranch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MerkleBranch({self})")
    }
}
