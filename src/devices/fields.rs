//! Fields of a device's answer. Lenient about types, which change between firmware versions; strict about values that
//! cannot be true.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::pool_stats::with_unit;
use crate::util::escape::line_text;

/// Caps the characters of a text.
const MAX_TEXT_CHARS: usize = 64;
/// Caps the characters of a user name or a host.
const MAX_NAME_CHARS: usize = 160;
/// The fastest device: ten times the largest machine there is. All of Bitcoin has about 1e21.
const MAX_HASH_RATE: f64 = 1e17;
/// Caps a difficulty.
const MAX_DIFFICULTY: f64 = 1e30;

/// The fields of one JSON object; none if the value is no object.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeviceFields<'a>(pub(super) &'a Value);

impl<'a> DeviceFields<'a> {
    /// The object in this field.
    pub(super) fn object(self, name: &str) -> DeviceFields<'a> {
        DeviceFields(self.0.get(name).unwrap_or(&Value::Null))
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// A number in this range, also if it is written as text.
    pub(super) fn number(self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let number = match self.0.get(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => with_unit(text),
            _ => None,
        };
        number.filter(|number| range.contains(number))
    }

    /// A hash rate, converted from a unit of this many hashes per second.
    pub(super) fn hash_rate(self, name: &str, unit: f64) -> Option<f64> {
        self.number(name, 0.0..=MAX_HASH_RATE / unit).map(|rate| rate * unit)
    }

    /// A temperature in °C. Devices write -1 or 0 without a sensor.
    pub(super) fn temperature(self, name: &str) -> Option<f64> {
        self.number(name, f64::MIN_POSITIVE..=200.0)
    }

    /// A difficulty: a number, or a text such as `4.29G`.
    pub(super) fn difficulty(self, name: &str) -> Option<f64> {
        self.number(name, 0.0..=MAX_DIFFICULTY)
    }

    pub(super) fn count(self, name: &str) -> Option<u64> {
        self.number(name, 0.0..=1e15).map(|count| count as u64)
    }

    /// A truth value, written as such or as a number.
    pub(super) fn flag(self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => number.as_f64().map(|number| number != 0.0),
            _ => None,
        }
    }

    /// A text that is not empty, without characters that drive a terminal.
    pub(super) fn text(self, name: &str) -> Option<String> {
        self.text_of(name, MAX_TEXT_CHARS)
    }

    /// A text such as a user name or a host.
    pub(super) fn name(self, name: &str) -> Option<String> {
        self.text_of(name, MAX_NAME_CHARS)
    }

    fn text_of(self, name: &str, max: usize) -> Option<String> {
        let text = self.0.get(name)?.as_str()?.trim();
        (!text.is_empty()).then(|| line_text(text, max))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_that_changed_between_versions_are_read() {
        let answer = json!({
            "text": "4.29G", "zero": "0", "number": 91822, "yes": 1, "no": 0, "true": true, "cold": -1, "none": null,
        });
        let fields = DeviceFields(&answer);
        assert_eq!(fields.difficulty("text"), Some(4.29e9));
        assert_eq!((fields.difficulty("zero"), fields.difficulty("number")), (Some(0.0), Some(91822.0)));
        assert_eq!(
            (fields.flag("yes"), fields.flag("no"), fields.flag("true")),
            (Some(true), Some(false), Some(true))
        );
        assert_eq!((fields.temperature("cold"), fields.temperature("none")), (None, None));
        assert!(!fields.has("none") && !fields.has("missing") && fields.has("cold"));
    }

    #[test]
    fn impossible_values_are_unknown() {
        let answer = json!({
            "rate": 1e30, "negative": -5, "list": [1], "name": "a\u{1b}[31m\nb", "long": "x".repeat(1000), "empty": " ",
        });
        let fields = DeviceFields(&answer);
        assert_eq!((fields.hash_rate("rate", 1e9), fields.hash_rate("negative", 1e9)), (None, None));
        assert_eq!(
            (fields.number("list", 0.0..=9.0), fields.flag("name"), fields.text("empty")),
            (None, None, None)
        );
        assert_eq!(fields.text("name").unwrap(), "a\\u{1b}[31m\\nb");
        assert!(fields.text("long").unwrap().chars().count() <= MAX_TEXT_CHARS + 1);
        assert_eq!(fields.object("rate").object("deeper").count("x"), None);
    }
}
