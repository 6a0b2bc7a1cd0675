//! public-pool: `/api/client/<address>` (wire reference, section 6.2).

use serde_json::Value;

use super::figures::{AnswerError, PoolFigures, PublishedHashRate};
use super::numbers::{count, difficulty, hash_rate};
use crate::clock::NtpTime;

pub(super) fn paths(address: &str) -> Vec<String> {
    vec![format!("/api/client/{address}")]
}

/// Parses the answer, which has each session's hash rate over an unknown time, and no sum of work.
pub(super) fn read(document: &Value, at: NtpTime) -> Result<PoolFigures, AnswerError> {
    let mut rate = None;
    for worker in document.get("workers").and_then(Value::as_array).into_iter().flatten() {
        if let Some(more) = hash_rate(worker, "hashRate")? {
            rate = Some(rate.unwrap_or(0.0) + more);
        }
    }
    Ok(PoolFigures {
        hash_rate: rate.map(|per_second| PublishedHashRate { per_second, window: None }),
        workers: count(document, "workersCount")?,
        best: difficulty(document, "bestDifficulty")?,
        ..PoolFigures::empty(at)
    })
}
