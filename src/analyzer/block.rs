//! A share that is worth a block, with all that is needed to prove it.

use std::net::SocketAddr;

use super::SessionId;
use super::share::PendingShare;
use crate::net::Stamp;
use crate::stratum::{Extranonce1, Notify, Submit};
use crate::work::{Header, Height};

/// Whose share it is.
#[derive(Debug, Clone)]
pub(super) struct Facts {
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
    pub(super) job: Notify,
    pub(super) share: Submit,
    pub(super) extranonce1: Extranonce1,
    pub(super) session: SessionId,
    pub(super) miner: SocketAddr,
    pub(super) user_agent: String,
    pub(super) upstream: Option<usize>,
}

impl BlockSeen {
    /// `None` for a share that is worth no block.
    pub(super) fn of(share: &PendingShare, facts: &Facts) -> Option<BlockSeen> {
        let (rebuilt, job) = (share.rebuilt.as_ref()?, share.block_job.as_ref()?);
        Some(BlockSeen {
            at: share.at,
            header: rebuilt.header,
            coinbase: rebuilt.coinbase.clone(),
            height: share.height,
            share_difficulty: rebuilt.difficulty,
            network_difficulty: share.network_difficulty.unwrap_or_default(),
            job: (**job).clone(),
            share: share.submit.clone()?,
            extranonce1: share.extranonce1.clone()?,
            session: facts.session,
            miner: facts.miner,
            user_agent: facts.user_agent.clone(),
            upstream: facts.upstream,
        })
    }
}
