//! The rows and records that a share leaves on the disk.

use super::accounting::Accounting;
use super::share::JudgedShare;
use crate::record::{BlockRecord, ShareOutcome, ShareRow};
use crate::stratum::{Difficulty, Submit};
use crate::util::os_error;
use crate::work::assemble_coinbase;

impl Accounting {
    /// Makes the row of `shares.csv`. `None` if the submit could not be read.
    pub(super) fn share_row(&self, judged: JudgedShare) -> Option<ShareRow> {
        let share = judged.share;
        let (share_difficulty, submit) = (share.difficulty(), share.submit?);
        let rebuilt = share.rebuilt.as_ref();
        Some(ShareRow {
            at: self.correct(share.at),
            miner: judged.miner,
            worker: share.worker,
            job_id: submit.job_id,
            nonce: submit.nonce,
            share_difficulty,
            job_age: share.job_age,
            is_block: rebuilt.map(|rebuilt| rebuilt.is_block),
            msg_id: share.id.into_string(),
            assigned_difficulty: share.assigned,
            outcome: judged.outcome,
            response: judged.answered_after,
            ntime: submit.ntime,
            version: rebuilt.map(|rebuilt| rebuilt.version()),
            extranonce1: judged.extranonce1,
            extranonce2: submit.extranonce2,
            hash: rebuilt.map(|rebuilt| rebuilt.hash),
            height: share.height,
            network_difficulty: share.network_difficulty,
            upstream: self.upstreams.name(judged.upstream),
            session: judged.session,
            user_agent: judged.user_agent.to_string(),
        })
    }

    /// Makes the record of a share with all data that is needed to prove it. `None` if the share does not meet the
    /// network's target.
    pub(super) fn block_record(
        &self,
        judged: &JudgedShare,
        outcome: Option<ShareOutcome>,
    ) -> Option<BlockRecord> {
        let share = &judged.share;
        let (rebuilt, job) = (share.rebuilt.as_ref()?, share.block_job.as_deref()?);
        let (submit, extranonce1) = (share.submit.as_ref()?, share.extranonce1.as_ref()?);
        Some(BlockRecord {
            at: self.correct(share.at),
            header: rebuilt.header,
            coinbase: assemble_coinbase(&job.coinb1, extranonce1, &submit.extranonce2, &job.coinb2),
            height: share.height,
            share_difficulty: rebuilt.difficulty,
            network_difficulty: share.network_difficulty.unwrap_or_default(),
            job: job.clone(),
            share: Submit { worker: share.worker.clone(), ..submit.clone() },
            extranonce1: extranonce1.clone(),
            miner: judged.miner,
            session: judged.session,
            upstream: self.upstreams.name(judged.upstream),
            user_agent: judged.user_agent.to_string(),
            outcome,
        })
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
