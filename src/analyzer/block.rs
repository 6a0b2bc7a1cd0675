//! A share that meets the network's target, with all data needed to prove it.
//!
//! The pool decides whether it submits the block, and the network whether the block stays.

use std::net::SocketAddr;

use super::share::PendingShare;
use crate::clock::NtpTime;
use crate::net::Stamp;
use crate::stratum::{Extranonce1, Notify, Submit};
use crate::tap::SessionId;
use crate::work::{Header, Height, assemble_coinbase};

/// The miner that sent a share, and the pool it was for.
#[derive(Debug, Clone)]
pub(super) struct BlockFinder {
    pub(super) session: SessionId,
    pub(super) miner: SocketAddr,
    pub(super) user_agent: String,
    pub(super) upstream: Option<usize>,
}

/// A share that meets the network's target, its job and its miner.
#[derive(Debug, Clone)]
pub(super) struct BlockSeen {
    pub(super) at: Stamp,
    pub(super) header: Header,
    pub(super) coinbase: Vec<u8>,
    pub(super) height: Option<Height>,
    pub(super) share_difficulty: f64,
    pub(super) network_difficulty: f64,
    /// Every share at the miner's difficulty meets the network's target.
    pub(super) is_every_share: bool,
    pub(super) job: Notify,
    pub(super) share: Submit,
    pub(super) extranonce1: Extranonce1,
    pub(super) finder: BlockFinder,
}

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

impl BlockSeen {
    /// `None` for a share that does not meet the network's target.
    pub(super) fn of(share: &PendingShare, finder: BlockFinder) -> Option<BlockSeen> {
        let (rebuilt, job) = (share.rebuilt.as_ref()?, share.block_job.as_ref()?);
        let (submit, extranonce1) = (share.submit.as_ref()?, share.extranonce1.as_ref()?);
        Some(BlockSeen {
            at: share.at,
            header: rebuilt.header,
            coinbase: assemble_coinbase(&job.coinb1, extranonce1, &submit.extranonce2, &job.coinb2),
            height: share.height,
            share_difficulty: rebuilt.difficulty,
            network_difficulty: share.network_difficulty.unwrap_or_default(),
            is_every_share: share.is_every_share_worth(1.0),
            job: (**job).clone(),
            share: submit.clone(),
            extranonce1: extranonce1.clone(),
            finder,
        })
    }
}
