//! Judges a share by its real hash, before the pool gets it. Pure.

use super::work::AssignedJob;
use crate::stratum::{
    Difficulty, Extranonce2, Extranonce2Size, Notify, RefusalCode, StratumError, Submit, VersionMask,
};
use crate::util::format::count;
use crate::work::{BlockHash, RebuildError, RebuiltShare, Target};

/// The job of a share, and the terms that it is judged by.
#[derive(Debug)]
pub(crate) struct ShareContext {
    pub(crate) assigned: AssignedJob,
    /// The version bits that may be rolled.
    pub(crate) mask: Option<VersionMask>,
    /// The lower of what the miner was asked for with this job and is asked for now.
    pub(crate) miner_difficulty: Difficulty,
    /// The lower of what the pool asked for with this job and asks for now.
    pub(crate) pool_difficulty: Difficulty,
    /// The reason that the job is dead, if it is.
    pub(crate) stale: Option<Stale>,
}

/// The reason that a job is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stale {
    /// The pool has cleaned it. A block on it may still be the first.
    Cleaned,
    /// The pool has given its id to other work (wire reference, section 5.3, 28).
    Replaced,
    /// Its connection is gone: no other connection knows the job.
    Gone,
}

/// The verdict on a share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ShareVerdict {
    /// The pool gets it: it meets the pool's difficulty, or it is a block.
    Forward {
        hash: BlockHash,
        is_block: bool,
        /// A share below the pool's difficulty that is good enough for the miner. On a network whose target
        /// is met by every share, a block is nothing that the miner need know of.
        is_good_here: bool,
    },
    /// The share is good work, below the pool's difficulty: accepted here.
    Count {
        hash: BlockHash,
    },
    Refuse(StratumError, RejectKind),
}

/// The kind of a rejected share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RejectKind {
    /// Its job is dead.
    Stale,
    /// The share is below the miner's difficulty.
    LowDifficulty,
    /// Its version has bits that the miner may not roll.
    Rolled,
    Other,
}

impl ShareContext {
    /// The job as the pool gave it. The id and time with which the miner has it do not matter.
    pub(crate) fn job(&self) -> &Notify {
        self.assigned.miner_job.pool_job.notify()
    }
}

/// Judges a share by what was rebuilt from it.
pub(crate) fn judge(
    submit: &Submit,
    rebuilt: Result<RebuiltShare, RebuildError>,
    context: &ShareContext,
) -> ShareVerdict {
    let (share, fault) = match rebuilt {
        Ok(share) => (share, None),
        Err(error) => {
            let refusal = StratumError::new(RefusalCode::Other, describe(&error));
            match error.share() {
                // The length is right, so it is the version.
                Some(share) => (share.clone(), Some(refusal)),
                None => return ShareVerdict::Refuse(refusal, RejectKind::Other),
            }
        }
    };
    let can_be_sent = context.stale != Some(Stale::Gone);
    // A block is sent whatever else is wrong with it (wire reference, section 3.7).
    if share.is_block && can_be_sent {
        let is_faultless = fault.is_none() && fault_of(submit, context).is_none();
        let is_counted = matches!(by_difficulty(&share, context), ShareVerdict::Count { .. });
        let is_good_here = is_faultless && is_counted && is_every_share_a_block(context);
        return ShareVerdict::Forward { hash: share.hash, is_block: true, is_good_here };
    }
    if let Some(refusal) = fault {
        return ShareVerdict::Refuse(refusal, RejectKind::Rolled);
    }
    if let Some((refusal, fault)) = fault_of(submit, context) {
        return ShareVerdict::Refuse(refusal, fault);
    }
    by_difficulty(&share, context)
}

/// The rejection of a share whose extranonce2 has another length than the miner's.
pub(crate) fn wrong_length(found: &Extranonce2, want: Extranonce2Size) -> ShareVerdict {
    let reason = describe(&RebuildError::Extranonce2Length { found: found.clone(), want });
    ShareVerdict::Refuse(StratumError::new(RefusalCode::Other, reason), RejectKind::Other)
}

fn by_difficulty(share: &RebuiltShare, context: &ShareContext) -> ShareVerdict {
    if share.meets(context.pool_difficulty) {
        ShareVerdict::Forward { hash: share.hash, is_block: false, is_good_here: false }
    } else if share.meets(context.miner_difficulty) {
        ShareVerdict::Count { hash: share.hash }
    } else {
        ShareVerdict::Refuse(
            StratumError::new(RefusalCode::LowDifficulty, "Low difficulty share"),
            RejectKind::LowDifficulty,
        )
    }
}

/// Whether the miner's difficulty is no easier than a block, as on regtest.
fn is_every_share_a_block(context: &ShareContext) -> bool {
    let network = Target::from_nbits(context.job().nbits);
    network.is_ok_and(|network| network >= Target::from_difficulty(context.miner_difficulty))
}

fn fault_of(submit: &Submit, context: &ShareContext) -> Option<(StratumError, RejectKind)> {
    let reason = match context.stale {
        Some(Stale::Cleaned) => "Stale share",
        Some(Stale::Replaced) => "Stale share: the pool has given the job's id to another",
        Some(Stale::Gone) => "Stale share: the pool's connection is new",
        None => {
            let is_odd = !submit.ntime.is_within(context.job().ntime);
            return is_odd
                .then(|| (StratumError::new(RefusalCode::Other, "Ntime out of range"), RejectKind::Other));
        }
    };
    Some((StratumError::new(RefusalCode::JobNotFound, reason), RejectKind::Stale))
}

fn describe(error: &RebuildError) -> String {
    match error {
        RebuildError::Extranonce2Length { found, want } => {
            format!("Extranonce2 has {} instead of {want}", count(found.as_bytes().len() as u64, "byte"))
        }
        RebuildError::BitsOutsideMask { .. } => "Invalid version mask".to_owned(),
        RebuildError::RollingNotAgreed { .. } => "The pool does not allow version rolling".to_owned(),
    }
}
