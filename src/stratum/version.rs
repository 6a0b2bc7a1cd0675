//! The block version and the two quantities of version rolling (BIP310). How they combine is
//! [`VersionConvention`](crate::work::VersionConvention)'s concern.

use serde_json::value::RawValue;

use super::hex_u32::hex_u32;
use super::json_field::first_text;

hex_u32! {
    /// A block version, unsigned: a mask of ffffffff lets miners set the top bit.
    Version, "version"
}

hex_u32! {
    /// The sixth param of a submit: what the miner did to the job's version.
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

    /// The bits both sides allow.
    pub fn intersection(self, other: VersionMask) -> VersionMask {
        VersionMask(self.0 & other.0)
    }

    /// Whether `bits` stay inside the mask.
    pub fn allows(self, bits: VersionBits) -> bool {
        bits.0 & !self.0 == 0
    }

    /// Whether no bit may be changed.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}
