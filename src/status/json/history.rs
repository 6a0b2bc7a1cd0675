//! `/api/history`: the data of the page's charts.

use serde::Serialize;

use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::TimeJson;
use crate::analyzer::{Bucket, Span};
use crate::status::snapshot::StatusSnapshot;

#[derive(Debug, Serialize)]
struct HistoryJson {
    at: TimeJson,
    span: &'static str,
    bucket_seconds: u64,
    buckets: Vec<HistoryBucketJson>,
}

#[derive(Debug, Serialize)]
struct HistoryBucketJson {
    start_unix: u64,
    watched_seconds: f64,
    /// Hashes per second; `None` if Sluice did not run.
    hashrate: Option<f64>,
    /// The work that shares proved, as difficulty.
    proven_difficulty: f64,
    accepted: u32,
    rejected: u32,
    unanswered: u32,
    stale: u32,
    best: Option<f64>,
}

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
    Ok(text(&HistoryJson {
        at: TimeJson(status.at),
        span: span.name(),
        bucket_seconds: span.bucket_seconds(),
        buckets: buckets.iter().map(HistoryBucketJson::from).collect(),
    }))
}

impl From<&Bucket> for HistoryBucketJson {
    fn from(bucket: &Bucket) -> HistoryBucketJson {
        HistoryBucketJson {
            start_unix: bucket.start,
            watched_seconds: bucket.watched,
            hashrate: bucket.hash_rate(),
            proven_difficulty: bucket.work,
            accepted: bucket.accepted,
            rejected: bucket.rejected,
            unanswered: bucket.unanswered,
            stale: bucket.stale,
            best: Some(bucket.best).filter(|best| *best > 0.0),
        }
    }
}
