//! `/api/history`: the data of the page's charts.

use serde::Serialize;

use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::TimeJson;
use crate::record::{Bucket, Span, WorkerHistory};
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
    let worker = query.text("worker");
    let (buckets, seconds) = match &worker {
        None => (status.snapshot.history.series(span, now), span.bucket_seconds()),
        Some(worker) => {
            let history = status.snapshot.worker_histories.get(worker);
            let buckets = history.map(|history| history.series(span, now)).unwrap_or_default();
            (buckets, WorkerHistory::layout(span).1)
        }
    };
    Ok(text(&object!(
        at = TimeJson(status.at),
        span = span.name(),
        bucket_seconds = seconds,
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
