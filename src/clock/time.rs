//! A corrected point in time, and the offset that corrects it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::net::Stamp;
use crate::util::format::count;

/// A point in NTP time, or in system time if there is no NTP. Shown as RFC 3339 in UTC with
/// milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpTime(Timestamp);

/// The offset in microseconds that is added to the system's clock to get NTP time: positive if the
/// system's clock is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Offset(i64);

impl NtpTime {
    /// The time of a stamp of the system's clock, with `offset` added.
    pub fn from_stamp(stamp: Stamp, offset: Offset) -> NtpTime {
        let nanos = i128::from(stamp.as_nanos()) + i128::from(offset.0) * 1000;
        // `Timestamp` ends in the year 9999, a stamp in nanoseconds in 2554.
        NtpTime(Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::MAX))
    }

    /// Wraps a time that is known to be right.
    pub fn from_timestamp(timestamp: Timestamp) -> NtpTime {
        NtpTime(timestamp)
    }

    /// The timestamp, for calculations and other formats.
    pub fn timestamp(self) -> Timestamp {
        self.0
    }

    /// Seconds since 1970, as an ntime counts them.
    pub fn unix_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// The day in UTC.
    pub fn date(self) -> Date {
        self.0.to_zoned(TimeZone::UTC).date()
    }
}

/// Reads RFC 3339, with any offset.
impl FromStr for NtpTime {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<NtpTime, jiff::Error> {
        text.parse().map(NtpTime)
    }
}

impl fmt::Display for NtpTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Offset {
    /// An offset of `micros` microseconds.
    pub fn from_micros(micros: i64) -> Offset {
        Offset(micros)
    }

    /// The offset in microseconds.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// The offset in seconds.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The difference to another offset.
    pub(super) fn minus(self, other: Offset) -> Offset {
        Offset(self.0.saturating_sub(other.0))
    }

    /// True if the two differ by no more than `tolerance`.
    pub(super) fn is_within(self, tolerance: Duration, other: Offset) -> bool {
        u128::from(self.0.abs_diff(other.0)) <= tolerance.as_micros()
    }

    /// The offset in words: `100 days ahead of` if positive, `12 minutes behind` if negative.
    pub fn ahead_or_behind(self) -> String {
        let way = if self.0 < 0 { "behind" } else { "ahead of" };
        format!("{} {way}", self.amount())
    }

    /// The offset in words without its direction: `100 days`, `1 hour`, `12 minutes`, `5 seconds`.
    pub fn amount(self) -> String {
        const UNITS: [(&str, u64); 4] = [("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)];
        let seconds = self.0.unsigned_abs().saturating_add(500_000) / 1_000_000;
        // A unit is used from two of it on, so that 25 hours are not "1 day".
        let unit = |(_, length): &(&str, u64)| seconds >= 2 * length;
        let (name, length) = UNITS.into_iter().find(unit).unwrap_or(UNITS[3]);
        count((seconds + length / 2) / length, name)
    }
}

/// Signed milliseconds, or seconds from 10 s on.
impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.unsigned_abs() < 10_000_000 {
            write!(f, "{:+.1} ms", self.0 as f64 / 1e3)
        } else {
            write!(f, "{:+.1} s", self.seconds())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_is_added_and_shown_with_milliseconds() {
        let stamp = Stamp::from_nanos(1_795_226_020_123_999_999);
        let time = NtpTime::from_stamp(stamp, Offset::from_micros(-3_500_000));
        assert_eq!(time.to_string(), "2026-11-21T01:53:36.623Z");
        assert_eq!(time.date().to_string(), "2026-11-21");
        assert_eq!(time.unix_seconds(), 1_795_226_016);
    }

    #[test]
    fn an_offset_is_formatted_in_words() {
        let of = |seconds: i64| Offset::from_micros(seconds * 1_000_000).ahead_or_behind();
        assert_eq!(of(8_640_000), "100 days ahead of");
        assert_eq!(of(-90_000), "25 hours behind");
        assert_eq!(
            (of(-720), of(60), of(1)),
            ("12 minutes behind".into(), "60 seconds ahead of".into(), "1 second ahead of".into())
        );
    }

    #[test]
    fn no_correction_leaves_the_range() {
        let far = NtpTime::from_stamp(Stamp::from_nanos(u64::MAX), Offset::from_micros(i64::MAX - 1));
        assert_eq!(far.timestamp(), Timestamp::MAX);
    }
}
