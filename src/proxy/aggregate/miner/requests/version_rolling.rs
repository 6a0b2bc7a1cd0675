//! Version bits of a share: which ones a miner may roll, and what the pool is sent (wire reference,
//! sections 2.5 and 3.3).
//!
//! The pool decides which bits may be rolled. What a miner negotiated says how its bits are to be
//! read; a miner that negotiated nothing, or less than it rolls, loses no work for that.

use super::MinerRequests;
use crate::proxy::aggregate::miner::work::AssignedJob;
use crate::proxy::aggregate::pool::connection::Connection;
use crate::proxy::{LogTopic, say};
use crate::stratum::{Submit, Version, VersionBits, VersionMask};

impl MinerRequests {
    /// The mask that a share's bits are read with: the miner's own if they lie within it, otherwise the
    /// pool's. After a change the masks before it still hold for the jobs given before it. If none allows
    /// the bits, it is the pool's present mask, which refuses them.
    pub(crate) fn mask_for(
        &self,
        submit: &Submit,
        negotiated: Option<VersionMask>,
        given: &AssignedJob,
        connection: Option<&Connection>,
    ) -> Option<VersionMask> {
        let bits = submit.version_bits.unwrap_or_default();
        let of_pool = match connection {
            Some(connection) => self.mask_of_pool(connection),
            None => given.task.job.mask,
        };
        let masks = [negotiated, given.mask, of_pool, given.task.job.mask];
        masks.into_iter().flatten().find(|mask| mask.allows(bits)).or(of_pool)
    }

    fn mask_of_pool(&self, connection: &Connection) -> Option<VersionMask> {
        let facts = connection.facts();
        if facts.knows_mask { facts.mask } else { self.services.likely_mask() }
    }

    /// The share has version bits that the pool does not allow. `Some`: that is no fault of the miner's.
    ///
    /// A miner whose bits were taken away and that knows nothing of the change is disconnected after
    /// [`Limits::narrowing`](crate::proxy::aggregate::Limits::narrowing): it negotiates others when it reconnects.
    pub(crate) fn forgive_rolled(&self) -> Option<super::Flow> {
        let (has_negotiated, narrowed_at) = {
            let desk = self.miner.desk();
            (desk.asked_mask.is_some(), desk.narrowed_at)
        };
        if !has_negotiated {
            let text = "its shares are refused: it rolls version bits that the pool does not allow, and has not \
                        sent mining.configure, by which it would learn that";
            say(&self.services.reception, self.miner.address(), LogTopic::Pool, &text);
        }
        let since = narrowed_at?;
        if since.elapsed() >= self.services.limits.narrowing && !self.miner.is_leaving() {
            let text = "closed: it goes on rolling version bits that the pool does not allow any more";
            say(&self.services.reception, self.miner.address(), LogTopic::Pool, &text);
            self.miner.dismiss();
        }
        Some(super::Flow::GoOn)
    }
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
