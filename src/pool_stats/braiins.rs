//! Braiins: `/accounts/workers/json/btc/`, with a token (wire reference, section 6.4).

use std::time::Duration;

use serde_json::Value;

use super::figures::{AnswerError, PoolFigures, PublishedHashRate};
use super::numbers::{hash_rate, unix_time, with_unit};
use crate::clock::NtpTime;

pub(super) fn paths() -> Vec<String> {
    vec![String::from("/accounts/workers/json/btc/")]
}

/// Parses the answer. The hash rate is the sum of the workers' rates of the last hour, whose units are
/// in separate fields.
pub(super) fn read(document: &Value, at: NtpTime) -> Result<PoolFigures, AnswerError> {
    let workers = document.get("btc").and_then(|btc| btc.get("workers")).and_then(Value::as_object);
    let Some(workers) = workers else {
        return Err(AnswerError { what: String::from("btc.workers"), why: "is missing" });
    };
    let (mut total, mut last_share) = (0.0, None);
    for worker in workers.values() {
        let unit = worker.get("hash_rate_unit").and_then(Value::as_str).unwrap_or("Gh/s");
        let factor = with_unit(&format!("1{unit}"))
            .ok_or_else(|| AnswerError { what: String::from("hash_rate_unit"), why: "is not known" })?;
        total += hash_rate(worker, "hash_rate_60m")?.unwrap_or(0.0) * factor;
        last_share = last_share.max(unix_time(worker, "last_share", at.unix_seconds())?);
    }
    if total > 1e24 {
        return Err(AnswerError { what: String::from("hash_rate_60m"), why: "has a value that can't be" });
    }
    let is_on = |worker: &&Value| worker.get("state").and_then(Value::as_str) == Some("ok");
    Ok(PoolFigures {
        hash_rate: Some(PublishedHashRate { per_second: total, window: Some(Duration::from_secs(3600)) }),
        last_share,
        workers: Some(workers.values().filter(is_on).count() as u64),
        ..PoolFigures::empty(at)
    })
}
