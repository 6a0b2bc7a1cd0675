//! `/api/history`: the data of the page's charts.

use serde::Serialize;

use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::TimeJson;
use crate::record::{Bucket, Span};
use crate::status::snapshot::StatusSnapshot;

/// Lists the buckets, oldest first. The last bucket is still filling.
pub(super) fn history(status: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    let span = match query.text("span") {
        None => Span::Hour,
        Some(name) => Span::parse(&name).ok_or_else(|| {
            let short: String = name.chars().take(32).collect();
            JsonQueryError(format!("span must be 1h, 24h or 7d, not {short:?}"))
        })?,
    };
    let now = u64::try_from(status.at.unix_seconds()).unwrap_or(0);
    let buckets = status.snapshot.history.series(span, now);
    Ok(text(&object!(
        at = TimeJson(status.at),
        span = span.name(),
        bucket_seconds = span.bucket_seconds(),
        buckets = buckets.iter().map(bucket_json).collect::<Vec<_>>(),
    )))
}

fn bucket_json(bucket: &Bucket) -> impl Serialize {
    object!(
        start_unix = bucket.start,
        watched_seconds = bucket.watched,
        // `null` if Sluice did not run.
        hashrate = bucket.hash_rate(),
        proven_difficulty = bucket.work,
        accepted = bucket.accepted,
        rejected = bucket.rejected,
        unanswered = bucket.unanswered,
        stale = bucket.stale,
        best = Some(bucket.best).filter(|best| *best > 0.0),
    )
}
