//! Validation of shares by their hash.

use std::collections::HashSet;

use crate::stratum::{
    Difficulty, Extranonce1, Extranonce2Size, FieldError, Notify, RefusalCode, StratumError, Submit, Version,
    VersionMask,
};
use crate::work::{BlockHash, ShareValues, Target, VersionConvention};

/// The most hashes that are remembered within one block.
const MAX_SEEN: usize = 1_000_000;

/// The hashes that were accepted within the current block, to know duplicates by.
#[derive(Debug, Default)]
pub(super) struct AcceptedHashes(HashSet<BlockHash>);

impl AcceptedHashes {
    /// True if the hash is new. A full memory forgets everything.
    fn insert(&mut self, hash: BlockHash) -> bool {
        if self.0.len() >= MAX_SEEN {
            self.0.clear();
        }
        self.0.insert(hash)
    }
}

/// A job as it was given to one connection, and what its shares are held to.
#[derive(Debug)]
pub(super) struct SimAssignment<'a> {
    pub job: &'a Notify,
    pub extranonce1: &'a Extranonce1,
    pub extranonce2_size: Extranonce2Size,
    /// `None` when no version rolling was negotiated.
    pub version_mask: Option<VersionMask>,
    /// The lower of what held for the job and what holds now.
    pub required: Difficulty,
    /// True if a new block has come since.
    pub stale: bool,
}

/// The hash of a good share.
///
/// # Errors
/// The refusal, in ckpool's words and order: what can be said without hashing comes first.
pub(super) fn judge(
    assignment: &SimAssignment<'_>,
    submit: &Submit,
    seen: &mut AcceptedHashes,
) -> Result<BlockHash, StratumError> {
    let refuse_other = |reason: &str| StratumError::new(RefusalCode::Other, reason);
    if assignment.stale {
        return Err(StratumError::new(RefusalCode::JobNotFound, "Stale"));
    }
    if !submit.extranonce2.has_size(assignment.extranonce2_size) {
        return Err(refuse_other("Invalid extranonce2 size"));
    }
    if !submit.ntime.is_within(assignment.job.ntime) {
        return Err(refuse_other("Ntime out of range"));
    }
    let values = ShareValues {
        extranonce2: submit.extranonce2.clone(),
        ntime: submit.ntime,
        nonce: submit.nonce,
        version: version(assignment, submit).ok_or_else(|| refuse_other("Invalid version mask"))?,
    };
    let hash = values.header(assignment.job, assignment.extranonce1).hash();
    if !Target::from_difficulty(assignment.required).is_met_by(&hash) {
        return Err(StratumError::new(RefusalCode::LowDifficulty, "Above target"));
    }
    if !seen.insert(hash) {
        return Err(StratumError::new(RefusalCode::Duplicate, "Duplicate"));
    }
    Ok(hash)
}

/// The refusal of a submit that cannot be read.
pub(super) fn unreadable(error: &FieldError) -> StratumError {
    let field = if error.found.is_some() { error.field } else { "params" };
    StratumError::new(RefusalCode::Other, format!("Invalid {field}"))
}

/// The version that was hashed; `None` when the miner rolled bits it may not.
fn version(assignment: &SimAssignment<'_>, submit: &Submit) -> Option<Version> {
    let job = assignment.job.version;
    match (submit.version_bits, assignment.version_mask) {
        (None, _) => Some(job),
        (Some(bits), Some(mask)) if mask.allows(bits) => {
            Some(VersionConvention::Bip310.apply(job, mask, bits))
        }
        // ESP-Miner sends the bits even when rolling was refused.
        (Some(bits), None) if bits.0 == 0 => Some(job),
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn submit(params: &Value) -> Result<Submit, FieldError> {
        Submit::from_params(serde_json::from_str(&params.to_string()).ok())
    }

    #[test]
    fn the_vectors_are_judged_as_pools_do() {
        let all: Value = serde_json::from_str(include_str!("../../../tests/data/vectors.json")).unwrap();
        let mut judged = 0;
        for vector in all["vectors"].as_array().unwrap() {
            let name = &vector["name"];
            let context = vector.get("context").cloned().unwrap_or_default();
            let Some(difficulty) = vector["difficulty"].as_f64() else {
                continue;
            };
            // Who may submit at all, and which job is meant, is the session's part.
            let code = vector["reject_code"].as_i64();
            if vector["reject_reason"] == "Job not found" || matches!(code, Some(24 | 25)) {
                continue;
            }
            let job = vector["notify_params"].to_string();
            let job = Notify::from_params(serde_json::from_str(&job).ok()).unwrap();
            let extranonce1 = Extranonce1::from_text(vector["extranonce1"].as_str().unwrap()).unwrap();
            let mask = vector.get("version_mask").and_then(Value::as_str);
            let assignment = SimAssignment {
                job: &job,
                extranonce1: &extranonce1,
                extranonce2_size: Extranonce2Size::new(vector["extranonce2_size"].as_u64().unwrap() as u8)
                    .unwrap(),
                version_mask: mask.map(|mask| VersionMask::from_text(mask).unwrap()),
                required: Difficulty::new(difficulty).unwrap(),
                stale: context.get("then_notify").is_some(),
            };
            let mut seen = AcceptedHashes::default();
            for earlier in context.get("already_accepted").and_then(Value::as_array).unwrap_or(&Vec::new()) {
                judge(&assignment, &submit(earlier).unwrap(), &mut seen).unwrap();
            }
            let verdict = match submit(&vector["submit_params"]) {
                Ok(submit) => judge(&assignment, &submit, &mut seen),
                Err(error) => Err(unreadable(&error)),
            };
            assert_eq!(
                verdict.as_ref().err().map(|refusal| refusal.code.number()),
                code,
                "{name}: {verdict:?}"
            );
            judged += 1;
        }
        assert!(judged >= 25, "only {judged}");
    }
}
