//! Numbers, counted nouns and durations formatted for people, the same in every output.

use std::time::Duration;

const UNITS: [&str; 7] = ["k", "M", "G", "T", "P", "E", "Z"];
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: f64 = 365.25 * DAY as f64;

/// `1 miner`, `2 miners`, `1,234 miners`, for a noun whose plural adds an s.
pub fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `1 branch`, `2 branches`, for a noun with an irregular plural.
pub fn count_of(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `1,234,567`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `45 s`, `3 min`, `2 h 5 min`, `3 d 4 h`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / DAY, seconds / HOUR % 24, seconds / MINUTE % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// `0.4 s`, `91 s`, `180 s`, `5 min`: precise enough to compare with a configured time-out.
pub fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..10 if time.subsec_millis() > 0 => format!("{:.1} s", time.as_secs_f64()),
        short @ 0..300 => format!("{short} s"),
        _ => span(time),
    }
}

/// `1.23 MH/s`
pub fn rate(hashes: f64) -> String {
    let (number, unit) = rate_parts(hashes);
    format!("{number} {unit}")
}

/// `("1.23", "MH/s")`
pub fn rate_parts(hashes: f64) -> (String, String) {
    let (number, unit) = scaled(hashes);
    (number, format!("{unit}H/s"))
}

/// `12.3M`: three digits and a power of 1000, as pools write difficulties.
pub fn short(value: f64) -> String {
    let (number, unit) = scaled(value);
    format!("{number}{unit}")
}

/// `25.0 %`, `100 %`; a dash if `whole` is 0.
pub fn percent(part: u64, whole: u64) -> String {
    match (part, whole) {
        (_, 0) => "–".to_owned(),
        (part, whole) if part == whole => "100 %".to_owned(),
        (0, _) => "0 %".to_owned(),
        (part, whole) => format!("{:.1} %", part as f64 * 100.0 / whole as f64),
    }
}

/// `2 s ago`
pub fn ago(time: Duration) -> String {
    format!("{} ago", span(time))
}

/// `870 µs`, `34 ms`, `1.2 s`: a delay, to two or three digits.
pub fn delay(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        small if small < 9.95 => format!("{small:.1} µs"),
        small if small < 999.5 => format!("{small:.0} µs"),
        medium if medium < 9_950.0 => format!("{:.1} ms", medium / 1e3),
        medium if medium < 999_500.0 => format!("{:.0} ms", medium / 1e3),
        large => format!("{:.1} s", large / 1e6),
    }
}

/// The chance of a block within a day: `1 in 3.4 million`, or a percentage from 5 % up.
pub fn odds(blocks_per_day: f64) -> String {
    // Blocks are a Poisson process: this is the chance of at least one.
    let chance = 1.0 - (-blocks_per_day).exp();
    if chance >= 0.05 {
        return format!("{:.0} %", chance * 100.0);
    }
    format!("1 in {}", in_words(1.0 / blocks_per_day))
}

/// `12 days`, `9,300 years`, `4.2 million years`: how long a block takes on average.
pub fn time_to_block(blocks_per_day: f64) -> String {
    let seconds = DAY as f64 / blocks_per_day;
    if seconds < 2.0 * HOUR as f64 {
        rounded(seconds / MINUTE as f64, "minute")
    } else if seconds < 2.0 * DAY as f64 {
        rounded(seconds / HOUR as f64, "hour")
    } else if seconds < 2.0 * YEAR {
        rounded(seconds / DAY as f64, "day")
    } else {
        format!("{} years", in_words(seconds / YEAR))
    }
}

fn rounded(value: f64, unit: &str) -> String {
    count(value.round().max(1.0) as u64, unit)
}

/// `9,300`, `3.4 million`: two digits and a word.
pub fn in_words(value: f64) -> String {
    for (unit, word) in [(1e15, "quadrillion"), (1e12, "trillion"), (1e9, "billion"), (1e6, "million")] {
        if value >= unit {
            let scaled = value / unit;
            return if scaled < 9.95 { format!("{scaled:.1} {word}") } else { format!("{scaled:.0} {word}") };
        }
    }
    // Two significant digits: more would claim a precision that the estimate does not have.
    let step = if value < 100.0 { 1.0 } else { 10_f64.powf(value.log10().floor() - 1.0) };
    grouped(((value / step).round() * step) as u64)
}

fn scaled(value: f64) -> (String, &'static str) {
    let (mut scaled, mut unit) = (value, "");
    for next in UNITS {
        if scaled < 1000.0 {
            break;
        }
        (scaled, unit) = (scaled / 1000.0, next);
    }
    let number = match scaled {
        0.0 => "0".to_owned(),
        small if small < 1e-6 => format!("{small:.2e}"),
        // Three significant digits, such as 0.000432.
        small if small < 0.1 => {
            let places = (2.0 - small.log10().floor()) as usize;
            format!("{small:.places$}").trim_end_matches('0').to_owned()
        }
        small if small < 10.0 => format!("{small:.2}"),
        medium if medium < 100.0 => format!("{medium:.1}"),
        other => format!("{other:.0}"),
    };
    (number, unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_everything_else_plural() {
        assert_eq!((count(1, "miner"), count(0, "miner")), ("1 miner".to_owned(), "0 miners".to_owned()));
        assert_eq!(count_of(1, "branch", "branches"), "1 branch");
        assert_eq!(count_of(2, "branch", "branches"), "2 branches");
        assert_eq!((grouped(7), grouped(1_234_567)), ("7".to_owned(), "1,234,567".to_owned()));
    }

    #[test]
    fn the_unit_fits_the_length() {
        assert_eq!(span(Duration::from_secs(90_061)), "1 d 1 h");
        let texts = [(400, "0.4 s"), (91_250, "91 s"), (180_000, "180 s"), (300_000, "5 min")];
        for (millis, text) in texts {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn numbers_have_three_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.00015, "0.00015"),
            (0.006432, "0.00643"),
            (0.0999, "0.0999"),
            (1.5e-9, "1.50e-9"),
            (2.5, "2.50"),
            (24.06, "24.1"),
            (999.0, "999"),
            (1.5e12, "1.50T"),
            (5.758e15, "5.76P"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!(rate(312_000.0), "312 kH/s");
        assert_eq!((percent(1, 0), percent(1, 4)), ("–".to_owned(), "25.0 %".to_owned()));
    }

    #[test]
    fn delays_keep_two_digits() {
        for (micros, text) in
            [(2, "2.0 µs"), (870, "870 µs"), (1_540, "1.5 ms"), (34_400, "34 ms"), (1_200_000, "1.2 s")]
        {
            assert_eq!(delay(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn odds_and_times_are_in_words() {
        // A NerdMiner at 300 kH/s and a Bitaxe at 1.2 TH/s on a network of 127.45 T.
        let nerdminer = 4.735e-14;
        assert_eq!(odds(nerdminer), "1 in 21 trillion");
        assert_eq!(time_to_block(nerdminer), "58 billion years");
        let bitaxe = 1.894e-7;
        assert_eq!(odds(bitaxe), "1 in 5.3 million");
        assert_eq!(time_to_block(bitaxe), "14,000 years");
        assert_eq!(odds(0.5), "39 %");
        assert_eq!(time_to_block(12.0), "2 hours");
        assert_eq!(
            (time_to_block(1e9), time_to_block(1000.0)),
            ("1 minute".to_owned(), "1 minute".to_owned())
        );
    }
}
