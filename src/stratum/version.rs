//! The block version and the two quantities of version rolling (BIP310).
//! [`VersionConvention`](crate::work::VersionConvention) combines them.

use serde_json::value::RawValue;

use super::hex_u32::hex_u32;
use super::json_field::first_text;

hex_u32! {
    /// A block version. It is unsigned because a mask of ffffffff lets miners set the top bit.
    Version, "version"
}

hex_u32! {
    /// The sixth param of a submit: the miner's changes to the job's version.
    VersionBits, "version bits"
}

hex_u32! {
    /// The version bits a miner may change.
    VersionMask, "version mask"
}

impl VersionMask {
    /// The sixteen bits of BIP320, which nearly every pool grants.
    pub const BIP320: VersionMask = VersionMask(0x1fff_e000);

    /// Reads the params of `mining.set_version_mask`. `None` when no mask can be read.
    pub fn from_params(params: Option<&RawValue>) -> Option<VersionMask> {
        VersionMask::from_text(&first_text(params)?).ok()
    }

    /// The bits in both masks.
    pub fn intersection(self, other: VersionMask) -> VersionMask {
        VersionMask(self.0 & other.0)
    }

    /// Returns whether `bits` stay within the mask.
    pub fn allows(self, bits: VersionBits) -> bool {
        bits.0 & !self.0 == 0
    }

    /// Returns whether no bit may be changed.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}
