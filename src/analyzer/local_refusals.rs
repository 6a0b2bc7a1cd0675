//! What a miner is told in the pool's place where no verdict of the pool's can come any more. Such a
//! share is unanswered, not refused (wire reference, section 5.4, 37).

use crate::record::ShareOutcome;

/// The pool is there, and has not answered in time.
pub const SILENT: &str = "The pool does not answer";
/// The connection that the share was sent on has ended.
pub const LOST: &str = "The connection to the pool was lost";
/// The pool owes too many answers.
pub const TOO_MANY: &str = "Too many shares wait for the pool";

/// The miner has to go, and the pool has not answered in the time that is left for it.
pub const DISMISSED: &str = "Closed before the pool has answered";

/// Whether the words are one of these.
pub(super) fn is_unjudged(outcome: &ShareOutcome) -> bool {
    let ShareOutcome::Rejected { reason: Some(reason), .. } = outcome else { return false };
    [SILENT, LOST, TOO_MANY, DISMISSED].contains(&reason.as_str())
}
