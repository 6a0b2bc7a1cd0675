//! OCEAN: `user_hashrate/<address>` and `statsnap/<address>` (wire reference, section 6.3).

use std::time::Duration;

use serde_json::Value;

use super::figures::{AnswerError, PoolFigures, PublishedHashRate};
use super::numbers::{count, hash_rate, unix_time};
use crate::clock::NtpTime;

pub(super) fn paths(address: &str) -> Vec<String> {
    vec![format!("/user_hashrate/{address}"), format!("/statsnap/{address}")]
}

/// Parses the answers, in the order of [`paths`].
pub(super) fn read(rates: &Value, snapshot: &Value, at: NtpTime) -> Result<PoolFigures, AnswerError> {
    let result = |document: &Value| document.get("result").cloned().unwrap_or_default();
    let (rates, snapshot) = (result(rates), result(snapshot));
    let window = Some(Duration::from_secs(3600));
    Ok(PoolFigures {
        hash_rate: hash_rate(&rates, "hashrate_3600s")?
            .map(|per_second| PublishedHashRate { per_second, window }),
        // The misspelling is theirs.
        last_share: unix_time(&snapshot, "lastest_share_ts", at.unix_seconds())?,
        workers: count(&rates, "active_worker_count")?,
        ..PoolFigures::empty(at)
    })
}
