//! A share that meets the network's target, with all that is needed to prove it.
//!
//! Whether it becomes a block is for the pool to say, and then for the network.

use std::net::SocketAddr;

use super::share::PendingShare;
use crate::clock::NtpTime;
use crate::net::Stamp;
use crate::stratum::{Extranonce1, Notify, Submit};
use crate::tap::SessionId;
use crate::work::{Header, Height, assemble_coinbase};

/// Whose share it is.
#[derive(Debug, Clone)]
pub(super) struct BlockFinder {
    pub(super) session: SessionId,
    pub(super) miner: SocketAddr,
    pub(super) user_agent: String,
    pub(super) upstream: Option<usize>,
}

/// The share, its job and whose it is.
#[derive(Debug, Clone)]
pub(super) struct BlockSeen {
    pub(super) at: Stamp,
    pub(super) header: Header,
    pub(super) coinbase: Vec<u8>,
    pub(super) height: Option<Height>,
    pub(super) share_difficulty: f64,
    pub(super) network_difficulty: f64,
    /// Every share that was asked for meets the network's target.
    pub(super) is_every_share: bool,
    pub(super) job: Notify,
    pub(super) share: Submit,
    pub(super) extranonce1: Extranonce1,
    pub(super) session: SessionId,
    pub(super) miner: SocketAddr,
    pub(super) user_agent: String,
    pub(super) upstream: Option<usize>,
}

/// Where the pool asks for at least as much as a block needs, as on regtest, every share meets the network's
/// target. Then one of them is news only when none came for so long, in seconds: a network finds a block in
/// ten minutes, and whoever finds more himself is alone there.
const ROUTINE_SECONDS: f64 = 600.0;

/// Tells which shares count as blocks.
#[derive(Debug, Default)]
pub(super) struct BlockCounter {
    /// When a share met the network's target last.
    last: Option<NtpTime>,
}

impl BlockCounter {
    /// Whether the share counts as a block: it meets the network's target, and is not one of many that do
    /// because the network's difficulty is not above the pool's.
    pub(super) fn counts(&mut self, share: &PendingShare, at: NtpTime) -> bool {
        let counts = share.is_block() && !(share.is_every_share_worth(1.0) && self.is_routine(at));
        if share.is_block() {
            self.last = Some(at);
        }
        counts
    }

    /// Whether another share has met the network's target just before.
    pub(super) fn is_routine(&self, at: NtpTime) -> bool {
        let since = |last: NtpTime| at.timestamp().duration_since(last.timestamp()).as_secs_f64();
        self.last.is_some_and(|last| since(last) < ROUTINE_SECONDS)
    }
}

impl BlockSeen {
    /// `None` for a share that does not meet the network's target.
    pub(super) fn of(share: &PendingShare, facts: &BlockFinder) -> Option<BlockSeen> {
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
            session: facts.session,
            miner: facts.miner,
            user_agent: facts.user_agent.clone(),
            upstream: facts.upstream,
        })
    }
}
