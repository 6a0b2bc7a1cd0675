//! The verdict of an answer, in any form of the pool's error.
//!
//! Some pools put an empty error (`false`, `[]`, `""`, `{}`) beside a good result. It does not count as an error, for
//! any method.

use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::RefusalCode;
use super::message::Envelope;

/// The verdict of an answer to `mining.submit` or `mining.authorize`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseVerdict {
    Accepted,
    /// The pool refuses, with the code and reason that it gave, if any.
    Refused {
        code: Option<i64>,
        reason: Option<String>,
    },
}

impl ResponseVerdict {
    /// Reads forms 1 to 6 of the wire reference, section 2 (form 7 is no message). The answer refuses if it has an
    /// error or if its result is not `true`.
    pub fn of(answer: &Envelope<'_>) -> ResponseVerdict {
        let error = answer.error.map_or(Value::Null, value);
        let accepted = answer.result.is_some_and(|result| result.get() == "true");
        if accepted && is_empty(&error) {
            return ResponseVerdict::Accepted;
        }
        let (code, reason) = match &error {
            Value::Array(parts) => (parts.first().and_then(Value::as_i64), parts.get(1).and_then(text)),
            Value::Object(parts) => {
                (parts.get("code").and_then(Value::as_i64), parts.get("message").and_then(text))
            }
            other => (None, text(other)),
        };
        let reason = reason.or_else(|| answer.reject_reason.and_then(|raw| text(&value(raw))));
        ResponseVerdict::Refused { code, reason }
    }

    /// Returns whether it refuses a share because its difficulty is too low (wire reference, section 2.3).
    pub fn is_low_difficulty(&self) -> bool {
        match self {
            ResponseVerdict::Accepted => false,
            ResponseVerdict::Refused { code, reason } => says_low_difficulty(*code, reason.as_deref()),
        }
    }

    /// Returns whether it accepts.
    pub fn is_accepted(&self) -> bool {
        *self == ResponseVerdict::Accepted
    }
}

/// Returns whether the code or reason of a refusal means that the share's difficulty is too low.
pub fn says_low_difficulty(code: Option<i64>, reason: Option<&str>) -> bool {
    let reason = reason.unwrap_or_default().to_ascii_lowercase();
    let words = ["difficulty", "above target", "high-hash"];
    code == Some(RefusalCode::LowDifficulty.number()) || words.iter().any(|word| reason.contains(word))
}

impl<'a> Envelope<'a> {
    /// Returns whether the answer has an error that is not empty.
    pub fn has_error(&self) -> bool {
        self.error.is_some_and(|error| !is_empty(&value(error)))
    }

    /// The result of an answer without an error.
    pub fn good_result(&self) -> Option<&'a RawValue> {
        self.result.filter(|_| !self.has_error())
    }
}

fn value(raw: &RawValue) -> Value {
    // Nesting deeper than serde_json reads counts as an error.
    serde_json::from_str(raw.get()).unwrap_or(Value::Bool(true))
}

fn is_empty(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(parts) => parts.is_empty(),
        Value::Object(parts) => parts.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stratum::{ErrorForm, StratumError, refuse_line};

    fn of(line: &str) -> ResponseVerdict {
        ResponseVerdict::of(&Envelope::read(line.as_bytes()).unwrap())
    }

    #[test]
    fn every_form_we_write_is_read_as_a_refusal() {
        for form in ErrorForm::ALL.into_iter().filter(|form| *form != ErrorForm::PlainText) {
            let line = refuse_line("7", &StratumError::new(RefusalCode::JobNotFound, "Stale"), form);
            let ResponseVerdict::Refused { code, reason } = of(&line) else { panic!("{form:?}: {line}") };
            match form {
                ErrorForm::ArrayWithNull
                | ErrorForm::ArrayWithText
                | ErrorForm::ArrayOfTwo
                | ErrorForm::Object => {
                    assert_eq!((code, reason.as_deref()), (Some(21), Some("Stale")), "{form:?}");
                }
                ErrorForm::RejectReason | ErrorForm::Text => {
                    assert_eq!((code, reason.as_deref()), (None, Some("Stale")), "{form:?}");
                }
                ErrorForm::BareFalse | ErrorForm::PlainText => {
                    assert_eq!((code, reason), (None, None), "{form:?}");
                }
            }
        }
    }

    #[test]
    fn empty_errors_beside_true_are_none() {
        let refuses = |error: &str| {
            let line = format!("{{\"id\":1,\"result\":[[],\"00\",4],\"error\":{error}}}");
            let answer = Envelope::read(line.as_bytes()).unwrap();
            (answer.has_error(), answer.good_result().is_none())
        };
        for error in ["null", "false", "[]", "\"\"", "{}"] {
            assert!(of(&format!("{{\"id\":1,\"result\":true,\"error\":{error}}}")).is_accepted());
            assert!(!of(&format!("{{\"id\":1,\"result\":false,\"error\":{error}}}")).is_accepted());
            assert_eq!(refuses(error), (false, false), "{error}");
        }
        for error in ["true", "0", "[20]", "[[]]", "\" \"", "{\"a\":0}"] {
            assert_eq!(refuses(error), (true, true), "{error}");
        }
        assert!(of("{\"id\":1,\"result\":true}").is_accepted());
        assert!(!of("{\"id\":1}").is_accepted());
        assert!(!of("{\"id\":1,\"result\":true,\"error\":\"no\"}").is_accepted());
    }
}
