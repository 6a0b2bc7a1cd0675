//! Forms that several documents share.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::analyzer::{HashRates, Latency};
use crate::clock::NtpTime;
use crate::passthrough::UpstreamState;
use crate::record::BestShare;

/// RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) NtpTime);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// Hashes per second.
#[derive(Debug, Serialize)]
pub(super) struct Rates {
    #[serde(rename = "1m")]
    one_minute: f64,
    #[serde(rename = "5m")]
    five_minutes: f64,
    #[serde(rename = "1h")]
    one_hour: f64,
    #[serde(rename = "24h")]
    one_day: f64,
}

impl From<&HashRates> for Rates {
    fn from(rates: &HashRates) -> Rates {
        Rates {
            one_minute: rates.one_minute,
            five_minutes: rates.five_minutes,
            one_hour: rates.one_hour,
            one_day: rates.one_day,
        }
    }
}

/// Times in one unit; `null` before the first.
#[derive(Debug, Serialize)]
pub(super) struct Times {
    count: u64,
    mean: Option<f64>,
    p50: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

impl Times {
    /// In so many to the second.
    pub(super) fn of(latency: &Latency, per_second: f64) -> Times {
        let count = latency.count();
        let some = |time: Duration| (count > 0).then_some(time.as_secs_f64() * per_second);
        Times {
            count,
            mean: some(latency.total()).map(|total| total / count as f64),
            p50: some(latency.quantile(0.5)),
            p99: some(latency.quantile(0.99)),
            max: some(latency.max()),
        }
    }
}

pub(super) const MILLISECONDS: f64 = 1e3;
pub(super) const MICROSECONDS: f64 = 1e6;
pub(super) const SECONDS: f64 = 1.0;

/// A share to be proud of.
#[derive(Debug, Serialize)]
pub(super) struct Best<'a> {
    difficulty: f64,
    worker: &'a str,
    hash: String,
    at: Time,
}

impl<'a> From<&'a BestShare> for Best<'a> {
    fn from(best: &'a BestShare) -> Best<'a> {
        Best {
            difficulty: best.difficulty.value(),
            worker: &best.worker,
            hash: best.hash.to_string(),
            at: Time(best.at),
        }
    }
}

/// How people count upstreams: from 1.
pub(super) fn number(place: usize) -> usize {
    place + 1
}

/// Host and port of the upstream at this place.
pub(super) fn name(upstreams: &[UpstreamState], place: Option<usize>) -> Option<&str> {
    upstreams.get(place?).map(|upstream| upstream.name.as_str())
}

/// `None` when nothing was judged.
pub(super) fn percent(part: u64, rest: u64) -> Option<f64> {
    let whole = part + rest;
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

/// From `then` to `now`; a clock that was set back makes no negative age.
pub(super) fn seconds_between(then: NtpTime, now: NtpTime) -> f64 {
    now.timestamp().duration_since(then.timestamp()).as_secs_f64().max(0.0)
}
