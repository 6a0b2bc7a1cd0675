//! Numbers as pools write them: as numbers, as texts, with units. Lenient about the form, strict about
//! impossible values.

use serde_json::Value;

use super::figures::AnswerError;

/// Caps a hash rate per second. All of Bitcoin has about 1e21.
const MAX_HASHES: f64 = 1e24;
/// Caps a difficulty, or a sum of difficulties.
const MAX_DIFFICULTY: f64 = 1e30;
const MAX_WORKERS: f64 = 1e7;
/// Earliest time of a share: Bitcoin's start in 2009.
const FIRST_SHARE: f64 = 1.23e9;
/// Largest error of a clock, by which a share may be in the future.
const CLOCK_ERROR: f64 = 86_400.0;

/// A hash rate per second; `None` if the field is absent.
pub(super) fn hash_rate(document: &Value, field: &str) -> Result<Option<f64>, AnswerError> {
    bounded(document, field, MAX_HASHES)
}

/// A difficulty, or a sum of difficulties.
pub(super) fn difficulty(document: &Value, field: &str) -> Result<Option<f64>, AnswerError> {
    bounded(document, field, MAX_DIFFICULTY)
}

pub(super) fn count(document: &Value, field: &str) -> Result<Option<u64>, AnswerError> {
    Ok(bounded(document, field, MAX_WORKERS)?.map(|count| count as u64))
}

/// Seconds since 1970, as is `now`; `None` for 0, which means never.
pub(super) fn unix_time(document: &Value, field: &str, now: i64) -> Result<Option<i64>, AnswerError> {
    match bounded(document, field, now as f64 + CLOCK_ERROR)? {
        None | Some(0.0) => Ok(None),
        Some(moment) if moment < FIRST_SHARE => Err(absurd(field)),
        Some(moment) => Ok(Some(moment as i64)),
    }
}

/// Parses a number with an optional unit, a power of 1000: `1.48T`, `78.2K`, `1e15`, `0`.
pub(crate) fn with_unit(text: &str) -> Option<f64> {
    let text = text.trim();
    let text = strip_suffix_ignoring_case(text, "h/s").unwrap_or(text).trim_end();
    let (digits, factor) = match text.chars().next_back()? {
        'k' | 'K' => (text.len() - 1, 1e3),
        'm' | 'M' => (text.len() - 1, 1e6),
        'g' | 'G' => (text.len() - 1, 1e9),
        't' | 'T' => (text.len() - 1, 1e12),
        'p' | 'P' => (text.len() - 1, 1e15),
        'e' | 'E' => (text.len() - 1, 1e18),
        'z' | 'Z' => (text.len() - 1, 1e21),
        _ => (text.len(), 1.0),
    };
    let number = text[..digits].trim_end();
    // `parse` alone would accept "inf" and "nan".
    if !number.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '-') {
        return None;
    }
    let value = number.parse::<f64>().ok()? * factor;
    value.is_finite().then_some(value)
}

fn bounded(document: &Value, field: &str, most: f64) -> Result<Option<f64>, AnswerError> {
    let number = match document.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => with_unit(text),
        Some(_) => None,
    };
    match number {
        None => Err(AnswerError { what: field.to_owned(), why: "is not a number" }),
        Some(number) if (0.0..=most).contains(&number) => Ok(Some(number)),
        Some(_) => Err(absurd(field)),
    }
}

fn absurd(field: &str) -> AnswerError {
    AnswerError { what: field.to_owned(), why: "has a value that can't be" }
}

fn strip_suffix_ignoring_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(suffix.len())?;
    let is_it = text.get(at..)?.eq_ignore_ascii_case(suffix);
    is_it.then(|| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn units_are_powers_of_1000() {
        for (text, value) in [
            ("1.48T", 1.48e12),
            ("312G", 312e9),
            ("78.2K", 78_200.0),
            ("78.2 kH/s", 78_200.0),
            ("0", 0.0),
            ("1E", 1e18),
            ("1e15", 1e15),
            ("1.5e3k", 1.5e6),
            (" 2Z ", 2e21),
        ] {
            let found = with_unit(text).unwrap();
            assert!((found - value).abs() <= value * 1e-12, "{text}: {found}");
        }
        for text in ["", "K", "inf", "nan", "infinity", "1.2.3", "12X", "é", "1e999", "0x10", "h/s"] {
            assert_eq!(with_unit(text), None, "{text}");
        }
    }

    #[test]
    fn absurd_values_are_refused() {
        for value in
            [json!(-1), json!("-5"), json!(1e25), json!("99999Z"), json!([1]), json!(true), json!("x")]
        {
            assert!(hash_rate(&json!({ "h": value }), "h").is_err(), "{value}");
        }
        assert_eq!(hash_rate(&json!({ "h": null }), "h"), Ok(None));
        assert_eq!(hash_rate(&json!({ "h": "" }), "h"), Ok(None));
        assert_eq!(hash_rate(&json!([]), "h"), Ok(None));
        let now = 1_790_000_000;
        assert_eq!(unix_time(&json!({ "t": "1789999999" }), "t", now), Ok(Some(1_789_999_999)));
        assert_eq!(unix_time(&json!({ "t": 0 }), "t", now), Ok(None));
        assert!(unix_time(&json!({ "t": 5 }), "t", now).is_err());
        // Milliseconds are not seconds.
        assert!(unix_time(&json!({ "t": 1_789_999_999_000_i64 }), "t", now).is_err());
        assert!(count(&json!({ "n": 1e9 }), "n").is_err());
    }
}
