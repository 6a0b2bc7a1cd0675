//! The header's quantities as Stratum writes them, apart from the version: nbits, ntime, nonce, the previous block's
//! hash and the merkle branches.

use super::hex;
use super::hex_u32::hex_u32;
use super::json_field::FieldError;

hex_u32! {
    /// The network target in compact form: one byte of exponent, three of mantissa.
    /// [`Target::from_nbits`](crate::work::Target::from_nbits) decodes it.
    Nbits, "nbits"
}

hex_u32! {
    /// The nonce of a share. Its text may come without leading zeros (NerdMiner).
    Nonce, "nonce"
}

hex_u32! {
    /// The time of a job or header, in seconds since 1970-01-01 UTC.
    Ntime, "ntime"
}

impl Ntime {
    /// The most seconds that a miner may roll a job's time forward (ckpool's limit; wire reference, section 3.4).
    pub const MAX_ROLL: u32 = 7000;

    /// Returns whether a miner may roll the time of `job` to this one.
    pub fn is_within(self, job: Ntime) -> bool {
        self >= job && self.0 - job.0 <= Ntime::MAX_ROLL
    }
}

/// The previous block's hash as in a notify: 32 bytes in the order of the text. That order is neither the header's
/// nor that of the displayed hash; [`work::parent_hash`](crate::work::parent_hash) converts it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrevHash([u8; 32]);

impl PrevHash {
    /// Takes bytes in the order of the text.
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
    /// If there are more, fewer or other characters.
    pub fn from_text(text: &str) -> Result<PrevHash, FieldError> {
        hex::decode_32("prevhash", text).map(PrevHash)
    }
}

/// One of a job's merkle branches, a step from the coinbase to the merkle root: 32 bytes that are hashed as they are
/// written, without any reversal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MerkleBranch(pub [u8; 32]);

impl MerkleBranch {
    /// Reads 64 hex digits.
    ///
    /// # Errors
    /// If there are more, fewer or other characters.
    pub fn from_text(text: &str) -> Result<MerkleBranch, FieldError> {
        hex::decode_32("merkle branch", text).map(MerkleBranch)
    }
}

hex::display_as_hex!(PrevHash, MerkleBranch);
hex::debug_as_display!(PrevHash, MerkleBranch);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_closed_on_both_sides() {
        let job = Ntime(0x668d_76e2);
        assert!(job.is_within(job));
        assert!(Ntime(job.0 + 7000).is_within(job));
        assert!(!Ntime(job.0 + 7001).is_within(job));
        assert!(!Ntime(job.0 - 1).is_within(job));
    }
}
