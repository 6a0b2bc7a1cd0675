//! Numbers and times in the words of the report.

use std::time::Duration;

use crate::util::format;

const YEAR: f64 = 365.25 * 86_400.0;

/// Formats a number: `127T`, `0.00015`.
pub(super) fn number(value: f64) -> String {
    if value == 1.0 { "1".to_owned() } else { format::short(value) }
}

/// Formats a time in seconds: `4.3 ms`, `12 s`, `3 d 4 h`, `584 years`.
pub(super) fn span(seconds: f64) -> String {
    if seconds < 10.0 {
        format::delay(Duration::from_secs_f64(seconds.max(0.0)))
    } else if seconds < 2.0 * YEAR {
        format::span(Duration::from_secs_f64(seconds))
    } else if seconds < 1e18 * YEAR {
        format!("{} years", format::in_words(seconds / YEAR))
    } else {
        "practically forever".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_any_length_are_formatted() {
        for (seconds, text) in [
            (0.0, "0.0 µs"),
            (0.0043, "4.3 ms"),
            (75.0, "1 min"),
            (86_400.0 * 3.5, "3 d 12 h"),
            (584.0 * YEAR, "580 years"),
            (f64::INFINITY, "practically forever"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
