//! What a miner is told in the pool's place where no verdict of the pool's can come any more. Such a
//! share is unanswered, not refused (wire reference, section 5.4, 37).

use crate::record::ShareOutcome;

/// The pool is there, and has not answered in time.
pub const POOL_SILENT: &str = "The pool does not answer";
/// The connection that the share was sent on has ended.
pub const POOL_LOST: &str = "The connection to the pool was lost";
/// The pool owes too many answers.
pub const TOO_MANY_PENDING: &str = "Too many shares wait for the pool";

/// The miner has to go, and the pool has not answered in the time that is left for it.
pub const MINER_CLOSED: &str = "Closed before the pool has answered";

/// Whether the words are one of these.
pub(super) fn is_local_refusal(outcome: &ShareOutcome) -> bool {
    let ShareOutcome::Rejected { reason: Some(reason), .. } = outcome else { return false };
    [POOL_SILENT, POOL_LOST, TOO_MANY_PENDING, MINER_CLOSED].contains(&reason.as_str())
}
