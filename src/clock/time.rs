//! A corrected point in time, and the correction.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::net::Stamp;

/// A point in time by NTP, or by the system's clock while there is no NTP. Shown as RFC 3339 in
/// UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpTime(Timestamp);

/// What is added to the system's clock to get NTP time, in microseconds: positive when the
/// system's clock is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Offset(i64);

impl NtpTime {
    /// A stamp of the system's clock with the correction added.
    pub fn from_stamp(stamp: Stamp, offset: Offset) -> NtpTime {
        let nanos = i128::from(stamp.as_nanos()) + i128::from(offset.0) * 1000;
        // Year 9999 is the latest; a stamp in nanoseconds ends in 2554.
        NtpTime(Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::MAX))
    }

    /// Takes a time that is known to be right.
    pub fn from_timestamp(timestamp: Timestamp) -> NtpTime {
        NtpTime(timestamp)
    }

    /// The time for calculations and other formats.
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

impl fmt::Display for NtpTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Offset {
    /// Takes microseconds.
    pub fn from_micros(micros: i64) -> Offset {
        Offset(micros)
    }

    /// The microseconds.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// The same in seconds.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// Milliseconds with a sign; seconds from ten of them.
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
    fn no_correction_leaves_the_range() {
        let far = NtpTime::from_stamp(Stamp::from_nanos(u64::MAX), Offset::from_micros(i64::MAX - 1));
        assert_eq!(far.timestamp(), Timestamp::MAX);
    }
}
