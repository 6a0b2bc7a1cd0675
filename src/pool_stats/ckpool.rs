//! ckpool and its relatives: `/users/<address>` (wire reference, section 6.1).

use std::time::Duration;

use serde_json::Value;

use super::figures::{AnswerError, PoolFigures, PublishedHashRate};
use super::numbers::{count, difficulty, hash_rate, unix_time};
use crate::clock::NtpTime;

pub(super) fn paths(address: &str) -> Vec<String> {
    vec![format!("/users/{address}")]
}

/// Parses the answer. Its hash rates are exponential moving averages over these times; that of the hour
/// is preferred, as neither jittery nor slow.
pub(super) fn read(document: &Value, at: NtpTime) -> Result<PoolFigures, AnswerError> {
    let mut rate = None;
    for (field, seconds) in [("hashrate1hr", 3600), ("hashrate5m", 300), ("hashrate1d", 86_400)] {
        if rate.is_none() {
            let window = Some(Duration::from_secs(seconds));
            rate = hash_rate(document, field)?.map(|per_second| PublishedHashRate { per_second, window });
        }
    }
    let best_ever = difficulty(document, "bestever")?;
    Ok(PoolFigures {
        at,
        hash_rate: rate,
        accepted_difficulty_total: difficulty(document, "shares")?,
        last_share: unix_time(document, "lastshare", at.unix_seconds())?,
        workers: count(document, "workers")?,
        best: match best_ever {
            Some(best) => Some(best),
            None => difficulty(document, "bestshare")?,
        },
    })
}
