//! Share difficulty.

use std::fmt;

use serde_json::value::RawValue;

use super::json_field::{FieldError, at, params_of, string_or_number};

/// The difficulty of a share, as a multiple of 4 295 032 833 expected hashes (wire reference, section 3.2). Finite
/// and above zero. Fractions are common: NerdMiners work at 0.00015.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Difficulty(f64);

impl Difficulty {
    /// The difficulty in force before the pool sets one (wire reference, section 3.6).
    pub const ONE: Difficulty = Difficulty(1.0);
    /// That of 2^20 expected hashes, about a million.
    pub const MILLION_HASHES: Difficulty = Difficulty(1.0 / 4096.0);

    /// # Errors
    /// If `value` is not finite and above zero.
    pub fn new(value: f64) -> Result<Difficulty, FieldError> {
        if value.is_finite() && value > 0.0 {
            Ok(Difficulty(value))
        } else {
            Err(FieldError::new("difficulty", &value.to_string(), "a finite number above zero"))
        }
    }

    /// The multiple.
    pub fn value(self) -> f64 {
        self.0
    }

    /// Reads a number in any notation, or the same as text, as a few pools send it.
    ///
    /// # Errors
    /// If it is neither, or not finite and above zero.
    pub fn from_json(raw: &RawValue) -> Result<Difficulty, FieldError> {
        let text = string_or_number("difficulty", raw)?;
        let value: f64 =
            text.trim().parse().map_err(|_| FieldError::new("difficulty", raw.get(), "a number"))?;
        Difficulty::new(value)
    }

    /// Reads the params of `mining.set_difficulty`.
    ///
    /// # Errors
    /// The errors of [`Difficulty::from_json`], and if the difficulty is missing.
    pub fn from_params(params: Option<&RawValue>) -> Result<Difficulty, FieldError> {
        Difficulty::from_json(at("difficulty", &params_of("params", params)?, 0)?)
    }

    /// The lower one. A share must meet the lower difficulty while a change is on its way.
    pub fn min(self, other: Difficulty) -> Difficulty {
        Difficulty(self.0.min(other.0))
    }

    /// The higher of two.
    pub fn max(self, other: Difficulty) -> Difficulty {
        Difficulty(self.0.max(other.0))
    }
}

/// A JSON number. Whole numbers have no decimal point, because some miners read an integer.
impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if (1e-10..1e15).contains(&self.0) { write!(f, "{}", self.0) } else { write!(f, "{:e}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<f64, FieldError> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        Difficulty::from_json(raw).map(Difficulty::value)
    }

    #[test]
    fn every_notation_seen_is_read() {
        assert_eq!(read("16383.75"), Ok(16383.75));
        assert_eq!(read("1e-05"), Ok(0.00001));
        assert_eq!(read("1E3"), Ok(1000.0));
        assert_eq!(read("1024.0"), Ok(1024.0));
        assert_eq!(read("\"512\""), Ok(512.0));
        assert_eq!(read("18446744073709551616"), Ok(18446744073709551616.0));
    }

    #[test]
    fn the_first_of_the_params_counts() {
        let read = |params| Difficulty::from_params(serde_json::from_str(params).ok()).ok();
        for params in ["[512]", "[\"512\"]", "[512,null]"] {
            assert_eq!(read(params), Difficulty::new(512.0).ok(), "{params}");
        }
        for params in ["[]", "{}", "null", "512", "[null]"] {
            assert_eq!(read(params), None, "{params}");
        }
    }

    #[test]
    fn what_is_no_difficulty_is_refused() {
        for json in ["0", "-0", "-1", "1e400", "\"NaN\"", "\"Infinity\"", "null", "true", "[1]", "\"\""] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn whole_numbers_are_written_without_a_point() {
        for (value, text) in
            [(10000.0, "10000"), (0.00001, "0.00001"), (16383.75, "16383.75"), (1e-12, "1e-12")]
        {
            assert_eq!(Difficulty::new(value).unwrap().to_string(), text);
        }
    }
}
