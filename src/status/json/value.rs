//! Values that several documents share.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::analyzer::{HashRates, Latency};
use crate::clock::NtpTime;
use crate::record::BestShare;
use crate::upstream::{PoolStatus, UpstreamState};

/// A time, written as RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeJson(pub(super) NtpTime);

impl Serialize for TimeJson {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match rfc3339(self.0) {
            Some(text) => to.serialize_str(std::str::from_utf8(&text).unwrap_or_default()),
            None => to.collect_str(&self.0),
        }
    }
}

/// Formats a time like [`NtpTime`]'s `Display`, from 1970 to the year 9999. `/status` has four times
/// for each of thousands of miners, and `Display` would take most of its time.
fn rfc3339(time: NtpTime) -> Option<[u8; 24]> {
    let millis = u64::try_from(time.timestamp().as_millisecond()).ok()?;
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let fields = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, second / 3600),
        (14, 2, second / 60 % 60),
        (17, 2, second % 60),
        (20, 3, millis),
    ];
    for (start, length, value) in fields {
        let mut rest = value;
        for digit in text[start..start + length].iter_mut().rev() {
            // A digit fits in a byte.
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    (year <= 9999).then_some(text)
}

/// An object with these keys and values.
pub(super) struct PairsJson<V, const N: usize>(pub(super) [(&'static str, V); N]);

impl<V: Serialize, const N: usize> Serialize for PairsJson<V, N> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Hash rates by window, in hashes per second.
pub(in crate::status) fn windows(rates: &HashRates) -> [(&'static str, f64); 4] {
    [("1m", rates.one_minute), ("5m", rates.five_minutes), ("1h", rates.one_hour), ("24h", rates.one_day)]
}

pub(super) const MILLISECONDS: f64 = 1e3;
pub(super) const MICROSECONDS: f64 = 1e6;
pub(super) const SECONDS: f64 = 1.0;

/// A distribution of durations, in a unit of which a second has this many. All values are `null` before the first sample.
pub(super) fn latency(latency: &Latency, per_second: f64) -> impl Serialize + use<> {
    let count = latency.count();
    let some = |time: Duration| (count > 0).then_some(time.as_secs_f64() * per_second);
    object!(
        count = count,
        mean = some(latency.total()).map(|total| total / count as f64),
        p50 = some(latency.quantile(0.5)),
        p99 = some(latency.quantile(0.99)),
        max = some(latency.max()),
    )
}

pub(super) fn best_share(best: &BestShare) -> impl Serialize {
    let BestShare { worker, difficulty, hash, at } = best;
    object!(difficulty = difficulty.value(), worker = worker, hash = hash.to_string(), at = TimeJson(*at))
}

/// The number of an upstream in the API, which counts from 1.
pub(super) fn number(place: usize) -> usize {
    place + 1
}

/// The stable word for the state of an upstream, in JSON and metrics.
pub(in crate::status) fn standing(standing: PoolStatus) -> &'static str {
    match standing {
        PoolStatus::Untried => "untried",
        PoolStatus::Up => "up",
        PoolStatus::Failed => "failed",
        PoolStatus::Blocked => "blocked",
    }
}

/// Host and port of the upstream with this index.
pub(super) fn name(upstreams: &[UpstreamState], place: Option<usize>) -> Option<&str> {
    upstreams.get(place?).map(|upstream| upstream.name.as_str())
}

/// The percentage of `part`. `None` if both are zero.
pub(super) fn percent(part: u64, rest: u64) -> Option<f64> {
    let whole = part + rest;
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_match_the_display_of_ntp_time() {
        let mut nanos = 1_234_567_891_i128;
        for _ in 0..20_000 {
            // Covers all hours, days and leap years until the year 2263.
            let time = NtpTime::from_timestamp(jiff::Timestamp::from_nanosecond(nanos).unwrap());
            assert_eq!(rfc3339(time).unwrap(), time.to_string().as_bytes(), "{time}");
            nanos += 462_345_678_912_345;
        }
        for time in [jiff::Timestamp::MIN, jiff::Timestamp::MAX, jiff::Timestamp::UNIX_EPOCH] {
            let time = NtpTime::from_timestamp(time);
            let text = serde_json::to_string(&TimeJson(time)).unwrap();
            assert_eq!(text, format!("\"{time}\""));
        }
    }
}
