//! Version rolling: the effect of submitted bits on a job's version. Three conventions are in use; they
//! agree as long as the job's version has no bit inside the mask (wire reference, section 3.3).

use crate::stratum::{Version, VersionBits, VersionMask};

/// A convention for combining a job's version and a share's version bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum VersionConvention {
    /// The bits replace those of the job inside the mask, and must not lie outside it.
    #[default]
    Bip310,
    /// The bits are flipped: ESP-Miner, public-pool in 2025.
    Xor,
    /// The bits are added: ckpool, DATUM, cgminer.
    Or,
}

impl VersionConvention {
    /// All of them, in the order in which a share is best tried.
    pub const ALL: [VersionConvention; 3] =
        [VersionConvention::Bip310, VersionConvention::Xor, VersionConvention::Or];

    /// The version of the header. [`VersionMask::allows`] checks the bits themselves.
    pub fn apply(self, job: Version, mask: VersionMask, bits: VersionBits) -> Version {
        Version(match self {
            VersionConvention::Bip310 => (job.0 & !mask.0) | (bits.0 & mask.0),
            VersionConvention::Xor => job.0 ^ bits.0,
            VersionConvention::Or => job.0 | bits.0,
        })
    }
}
