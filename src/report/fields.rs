//! Values of the records' fields: times and numbers.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const DAY_MS: i64 = 86_400_000;

/// The times that a block can have: from the genesis block to the largest header time, 2009-01-03 to 2106-02-07.
const BLOCK_TIMES: RangeInclusive<UnixMs> = 1_231_006_505_000..=0xffff_ffff * 1000;

/// Milliseconds since 1970.
pub(super) type UnixMs = i64;

/// Parses times. Remembers the day of the last one, because the next row mostly has the same.
#[derive(Debug, Default)]
pub(super) struct TimeParser {
    day: [u8; 10],
    day_start: UnixMs,
}

impl TimeParser {
    /// The time in RFC 3339, with any offset; without an offset it is UTC, as the Python proxy wrote it. `None` for a time
    /// that no block can have: it comes from a clock that was not set, and would stretch every period.
    pub fn parse(&mut self, text: &str) -> Option<UnixMs> {
        let time = self.parse_usual(text.as_bytes()).or_else(|| parse_any(text))?;
        BLOCK_TIMES.contains(&time).then_some(time)
    }

    /// The form that Sluice writes: `2026-11-21T01:53:42.512Z`.
    fn parse_usual(&mut self, text: &[u8]) -> Option<UnixMs> {
        let text: &[u8; 24] = text.try_into().ok()?;
        if (text[10], text[13], text[16], text[19], text[23]) != (b'T', b':', b':', b'.', b'Z') {
            return None;
        }
        if text[..10] != self.day {
            let date: Date = std::str::from_utf8(&text[..10]).ok()?.parse().ok()?;
            self.day_start = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
            self.day.copy_from_slice(&text[..10]);
        }
        let digit = |place: usize| text[place].is_ascii_digit().then(|| i64::from(text[place] - b'0'));
        let two = |place: usize| Some(digit(place)? * 10 + digit(place + 1)?);
        let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
        let milli = digit(20)? * 100 + two(21)?;
        let is_valid = hour < 24 && minute < 60 && second < 60;
        is_valid.then_some(self.day_start + ((hour * 60 + minute) * 60 + second) * 1000 + milli)
    }
}

fn parse_any(text: &str) -> Option<UnixMs> {
    if !text.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// Takes a time into the period of the first and the last one.
pub(super) fn widen(period: &mut Option<(UnixMs, UnixMs)>, at: UnixMs) {
    let (first, last) = period.unwrap_or((at, at));
    *period = Some((first.min(at), last.max(at)));
}

/// A number that is not negative. `Err` if the text is another thing, `None` if it is empty.
pub(super) fn parse_number(text: &str) -> Result<Option<f64>, ()> {
    if text.is_empty() {
        return Ok(None);
    }
    let number: f64 = text.parse().map_err(|_| ())?;
    if number.is_finite() && number >= 0.0 { Ok(Some(number)) } else { Err(()) }
}

/// The time as Sluice writes it, in UTC with milliseconds.
pub(super) fn time_text(at: UnixMs) -> String {
    timestamp(at).map_or_else(String::new, |time| format!("{time:.3}"))
}

/// `2026-11-21 01:53`, in UTC.
pub(super) fn minute_text(at: UnixMs) -> String {
    timestamp(at).map_or_else(String::new, |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}

/// The hour of the day in UTC, and the days since 1970.
pub(super) fn day_and_hour(at: UnixMs) -> (i64, usize) {
    (at.div_euclid(DAY_MS), usize::try_from(at.rem_euclid(DAY_MS) / 3_600_000).unwrap_or(0))
}

/// The time for other formats; `None` beyond the year 9999.
pub(super) fn timestamp(at: UnixMs) -> Option<Timestamp> {
    Timestamp::from_millisecond(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_same_by_the_fast_way() {
        let mut parser = TimeParser::default();
        for text in ["2026-11-21T01:53:42.512Z", "2026-11-21T23:59:59.999Z", "2024-02-29T00:00:00.000Z"] {
            let expected = text.parse::<Timestamp>().unwrap().as_millisecond();
            assert_eq!(parser.parse(text), Some(expected), "{text}");
            assert_eq!(time_text(expected), text);
        }
        assert_eq!(parser.parse("2026-11-21T02:53:42+01:00"), parser.parse("2026-11-21T01:53:42.000Z"));
        assert_eq!(parser.parse("2026-11-21T01:53:42.123456"), parser.parse("2026-11-21T01:53:42.123Z"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        let mut parser = TimeParser::default();
        for text in [
            "",
            "x",
            "2026-13-21T01:53:42.512Z",
            "2026-11-21T24:00:00.000Z",
            "2026-11-21T01:5a:00.000Z",
            "=1",
            "7d",
            "1970-01-01T00:00:00.000Z",
            "9999-01-01T00:00:00.000Z",
        ] {
            assert_eq!(parser.parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_finite_and_not_negative() {
        assert_eq!((parse_number(""), parse_number("1.5e3")), (Ok(None), Ok(Some(1500.0))));
        for text in ["-1", "inf", "NaN", "1,5", " 1", "0x10", "=1"] {
            assert_eq!(parse_number(text), Err(()), "{text}");
        }
    }
}
