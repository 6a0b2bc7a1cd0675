//! Version bits of a share: the ones a miner may roll, and the ones that the pool gets (wire reference,
//! sections 2.5 and 3.3).
//!
//! The pool decides which bits may be rolled. The mask that a miner negotiated says how its bits are to be
//! read. A miner that negotiated nothing, or less than it rolls, loses no work for that.

use std::time::Instant;

use super::MinerRequests;
use crate::proxy::LogTopic;
use crate::stratum::{Submit, Version, VersionBits, VersionMask};

impl MinerRequests {
    /// Handles a share with version bits that the pool does not allow. `Some`: that is not the miner's fault.
    ///
    /// A miner whose bits were taken away and that knows nothing of the change is disconnected after
    /// [`Limits::mask_grace`](crate::proxy::aggregate::Limits::narrowing): it negotiates others when it reconnects.
    ///
    /// `asked` is what the miner has negotiated, and `narrowed_at` when bits were taken from it.
    pub(crate) fn forgive_rolled(
        &self,
        asked: Option<VersionMask>,
        narrowed_at: Option<Instant>,
    ) -> Option<super::Flow> {
        if asked.is_none() {
            let text = "its shares are refused: it rolls version bits that the pool does not allow, and has not \
                        sent mining.configure, by which it would learn that";
            self.log(LogTopic::Pool, &text);
        }
        let since = narrowed_at?;
        if since.elapsed() >= self.services.limits.mask_grace && !self.miner.is_leaving() {
            let text = "closed: it goes on rolling version bits that the pool does not allow any more";
            self.log(LogTopic::Pool, &text);
            self.miner.disconnect();
        }
        Some(super::Flow::Continue)
    }
}

/// The mask that a share's bits are read with: the first of `masks` that allows them. These are the miner's own,
/// and the pool's: after a change the masks before it still hold for the jobs given before it. If none allows the
/// bits, the pool's present mask refuses them.
pub(crate) fn mask_for(submit: &Submit, masks: [Option<VersionMask>; 4]) -> Option<VersionMask> {
    let bits = submit.version_bits.unwrap_or_default();
    masks.into_iter().flatten().find(|mask| mask.allows(bits))
}

/// The sixth param for a pool with this mask. Some pools insist on it once rolling was negotiated; a miner
/// that leaves it out has hashed the job's own bits. Without a negotiated mask there is none, except that
/// bits which were rolled all the same (a block, or before the pool changed its mask) are part of what was
/// hashed.
pub(crate) fn bits_for_pool(submit: &Submit, mask: Option<VersionMask>, job: Version) -> Option<VersionBits> {
    match (submit.version_bits, mask) {
        (Some(bits), Some(_)) => Some(bits),
        (None, Some(mask)) => Some(VersionBits(job.0 & mask.0)),
        (bits, None) => bits.filter(|bits| bits.0 != 0),
    }
}
