//! Shares that meet the network's target.
//!
//! The pool decides whether it submits the block, and the network whether the block stays.

use super::share::PendingShare;
use crate::clock::NtpTime;

/// If the share difficulty is not below the network's, as on regtest, every share meets the network's target.
/// Then only a share after a pause of this length counts as a block. A network finds a block in ten minutes on
/// average, so a miner that finds them faster is alone on it.
const ROUTINE_SECONDS: f64 = 600.0;

/// Decides which shares count as blocks.
#[derive(Debug, Default)]
pub(super) struct BlockCounter {
    /// When a share last met the network's target.
    last: Option<NtpTime>,
}

impl BlockCounter {
    /// Returns whether the share counts as a block: it meets the network's target, and is not one of many that
    /// do because the network's difficulty is not above the pool's.
    pub(super) fn counts(&mut self, share: &PendingShare, at: NtpTime) -> bool {
        let counts = share.is_block() && !(share.is_every_share_worth(1.0) && self.is_routine(at));
        if share.is_block() {
            self.last = Some(at);
        }
        counts
    }

    /// Returns whether another share met the network's target within [`ROUTINE_SECONDS`].
    pub(super) fn is_routine(&self, at: NtpTime) -> bool {
        let since = |last: NtpTime| at.timestamp().duration_since(last.timestamp()).as_secs_f64();
        self.last.is_some_and(|last| since(last) < ROUTINE_SECONDS)
    }
}
