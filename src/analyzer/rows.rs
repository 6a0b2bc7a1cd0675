//! The rows and records that a share leaves on the disk.

use super::accounting::Accounting;
use super::block::BlockSeen;
use super::share::JudgedShare;
use crate::record::{BlockRecord, ShareOutcome, ShareRow};
use crate::stratum::Difficulty;
use crate::util::os_error;

impl Accounting {
    /// Makes the row of `shares.csv`. `None` if the submit could not be read.
    pub(super) fn share_row(&self, judged: &JudgedShare) -> Option<ShareRow> {
        let share = &judged.share;
        let submit = share.submit.as_ref()?;
        let rebuilt = share.rebuilt.as_ref();
        Some(ShareRow {
            at: self.correct(share.at),
            miner: judged.miner,
            worker: share.worker.clone(),
            job_id: submit.job_id.clone(),
            nonce: submit.nonce,
            share_difficulty: share.difficulty(),
            job_age: share.job_age,
            is_block: rebuilt.map(|rebuilt| rebuilt.is_block),
            msg_id: share.id.to_string(),
            assigned_difficulty: share.assigned,
            outcome: judged.outcome.clone(),
            response: judged.answered_after,
            ntime: submit.ntime,
            version: rebuilt.map(|rebuilt| rebuilt.version()),
            extranonce1: judged.extranonce1.clone(),
            extranonce2: submit.extranonce2.clone(),
            hash: rebuilt.map(|rebuilt| rebuilt.hash),
            height: share.height,
            network_difficulty: share.network_difficulty,
            upstream: self.upstreams.name(judged.upstream),
            session: judged.session,
            user_agent: judged.user_agent.clone(),
        })
    }

    /// Makes the record of a share that meets the network's target.
    pub(super) fn block_record(&self, block: &BlockSeen, outcome: Option<ShareOutcome>) -> BlockRecord {
        BlockRecord {
            at: self.correct(block.at),
            header: block.header,
            coinbase: block.coinbase.clone(),
            height: block.height,
            share_difficulty: block.share_difficulty,
            network_difficulty: block.network_difficulty,
            job: block.job.clone(),
            share: block.share.clone(),
            extranonce1: block.extranonce1.clone(),
            miner: block.finder.miner,
            session: block.finder.session,
            upstream: self.upstreams.name(block.finder.upstream),
            user_agent: block.finder.user_agent.clone(),
            outcome,
        }
    }

    /// Records a share that meets the network's target, at once and with its proof.
    pub(super) fn record_block(&self, block: BlockRecord) {
        if let Some(recorder) = &self.recorder {
            if let Err(error) = recorder.record_block(block) {
                log::error!(
                    "could not write the record of a share that meets the network's target: {}",
                    os_error::describe(&error)
                );
            }
        }
    }
}

/// The share's line in the log of `record.geek`.
pub(super) fn describe(judged: &JudgedShare) -> String {
    let share = &judged.share;
    let hash = share.rebuilt.as_ref().map_or_else(String::new, |rebuilt| rebuilt.hash.to_string());
    let fault = share.fault.as_deref().unwrap_or("none");
    format!(
        "session {} worker {:?}: {}, difficulty {:?} of {:?}, hash {hash}, stale {}, fault: {fault}",
        judged.session,
        share.worker,
        judged.outcome.name(),
        share.difficulty(),
        share.assigned.map(Difficulty::value),
        share.stale,
    )
}
