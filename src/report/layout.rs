//! The layout of the text: names, values and lines that fit.

use std::fmt;
use std::time::Duration;

use super::figures::ShareFigures;
use crate::util::escape::printable;
use crate::util::format::{self, count, delay, rate, span};
use crate::work::name_of_worker;

/// The width of the text.
const WIDTH: usize = 100;
/// A report of fewer seconds has times to the second.
const SHORT_REPORT: f64 = 3600.0;
/// The width of a name.
pub(super) const NAME: usize = 22;
/// The width of a pool's name.
pub(super) const POOL_NAME: usize = 28;

/// The 95 % range of the hash rate.
pub(super) fn rate_range(figures: &ShareFigures) -> String {
    match (figures.hashrate_low, figures.hashrate_high) {
        (Some(low), Some(high)) => {
            let (low, high) = (rate(low), rate(high));
            // The unit is written once if both have the same.
            match (low.split_once(' '), high.split_once(' ')) {
                (Some((number, unit)), Some((_, other))) if unit == other => format!("{number} – {high}"),
                _ => format!("{low} – {high}"),
            }
        }
        _ => "–".to_owned(),
    }
}

/// The part of rejected shares, with its 95 % range.
pub(super) fn reject_text(figures: &ShareFigures) -> String {
    match (figures.reject_rate, figures.reject_rate_low, figures.reject_rate_high) {
        (Some(rate), Some(low), Some(high)) => {
            format!("{:.2} %, 95 % range {:.2} – {:.2} %", rate * 100.0, low * 100.0, high * 100.0)
        }
        _ => "–".to_owned(),
    }
}

/// A worker's short name, as it fits into its column, escaped.
pub(super) fn shown_worker(worker: &str) -> String {
    let name = name_of_worker(worker);
    if name.is_empty() { "(no name)".to_owned() } else { fitted(name, NAME) }
}

/// A name that fits into its column, escaped.
pub(super) fn fitted(name: &str, width: usize) -> String {
    let name = printable(name);
    if name.chars().count() <= width {
        name.into_owned()
    } else {
        name.chars().take(width - 1).chain(['…']).collect()
    }
}

/// Milliseconds with a fitting unit.
pub(super) fn ms(milliseconds: f64) -> String {
    if milliseconds <= 0.0 {
        return String::from("0 ms");
    }
    delay(Duration::from_secs_f64((milliseconds / 1000.0).clamp(0.0, 1e9)))
}

/// Seconds with fitting units.
pub(super) fn seconds(seconds: f64) -> String {
    span(Duration::from_secs_f64(seconds.clamp(0.0, 1e12)))
}

/// Seconds to a tenth below ten.
pub(super) fn age(seconds: f64) -> String {
    format::seconds(Duration::from_secs_f64(seconds.clamp(0.0, 1e12)))
}

/// `2026-11-21 01:53` of an RFC 3339 time.
pub(super) fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

/// The time to the minute, and to the second in a report of so few seconds that minutes say little.
pub(super) fn moment(time: &str, report_seconds: f64) -> String {
    let to_second = time.get(..19).filter(|_| report_seconds < SHORT_REPORT);
    to_second.map_or_else(|| minute(time), |time| time.replace('T', " "))
}

/// Writes a line of names and their values.
pub(super) fn line(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    wrapped(f, &format!("{name:<17}{text}"), 2, 19)
}

/// Says how many rows of a table are left out.
pub(super) fn rest(f: &mut fmt::Formatter<'_>, all: usize, shown: usize, noun: &str) -> fmt::Result {
    if all > shown {
        writeln!(f, "  and {}", count((all - shown) as u64, &format!("more {noun}")))
    } else {
        Ok(())
    }
}

/// Writes a text in lines of at most 100 columns: the first one indented by `first`, the others by `others`.
pub(super) fn wrapped(f: &mut fmt::Formatter<'_>, text: &str, first: usize, others: usize) -> fmt::Result {
    let mut column = 0;
    // Spaces in a row are columns of a table.
    for (place, word) in text.split(' ').enumerate() {
        let width = visible_width(word);
        if place == 0 {
            write!(f, "{:first$}{word}", "")?;
            column = first + width;
        } else if column + 1 + width > WIDTH {
            write!(f, "\n{:others$}{word}", "")?;
            column = others + width;
        } else {
            write!(f, " {word}")?;
            column += 1 + width;
        }
    }
    writeln!(f)
}

/// The width without colours.
fn visible_width(word: &str) -> usize {
    let colours = word.matches('\u{1b}').count();
    let length = word.chars().count();
    // A word has the colour's five characters and four more that reset it.
    if colours > 0 { length.saturating_sub(9) } else { length }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Wrapped<'a>(&'a str);

    impl fmt::Display for Wrapped<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            wrapped(f, self.0, 2, 4)
        }
    }

    #[test]
    fn lines_are_broken_between_words_and_colours_have_no_width() {
        let text = Wrapped(&"word ".repeat(50)).to_string();
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH) && text.lines().count() == 3,
            "{text}"
        );
        assert!(text.starts_with("  word") && text.contains("\n    word"));
        assert_eq!(visible_width("\u{1b}[31m[high]\u{1b}[0m"), 6);
    }

    #[test]
    fn names_fit_into_their_column() {
        assert_eq!(shown_worker(""), "(no name)");
        assert_eq!(fitted(&"é".repeat(40), NAME).chars().count(), NAME);
        assert_eq!(fitted("a\u{1b}[2J", NAME), "a\\u{1b}[2J");
        assert_eq!(
            (ms(34.5), seconds(90.0), minute("2026-11-21T01:53:42.512Z")),
            ("34 ms".into(), "1 min".into(), "2026-11-21 01:53".into())
        );
        assert_eq!((age(8.25), age(336.0), age(1728.0)), ("8.2 s".into(), "5 min".into(), "28 min".into()));
        let moment = |seconds| moment("2026-11-21T01:53:42.512Z", seconds);
        assert_eq!((moment(90.0), moment(7200.0)), ("2026-11-21 01:53:42".into(), "2026-11-21 01:53".into()));
    }
}
