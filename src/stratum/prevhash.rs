//! The previous block's hash as Stratum writes it.

use std::fmt;

use super::hex;
use super::json_field::FieldError;

/// The second param of a notify, its 32 bytes in the order of the text. That order is neither the
/// header's nor the displayed hash's: [`work::parent_hash`](crate::work::parent_hash) knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrevHash([u8; 32]);

impl PrevHash {
    /// From bytes in the order of the text.
    pub fn from_wire_bytes(bytes: [u8; 32]) -> PrevHash {
        PrevHash(bytes)
    }

    /// The bytes in the order of the text.
    pub fn wire_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 hex digits.
    ///
    /// # Errors
    /// When there are more, fewer or other characters.
    pub fn from_text(text: &str) -> Result<PrevHash, FieldError> {
        hex::decode_32("prevhash", text).map(PrevHash)
    }
}

impl fmt::Display for PrevHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for PrevHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrevHash({self})")
    }
}
