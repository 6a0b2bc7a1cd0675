//! Writing answers. Each function returns one line with its newline.

use std::fmt;

use serde_json::{Value, json};

/// The reason for a refusal: a code of the protocol and a text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StratumError {
    pub code: RefusalCode,
    pub reason: String,
}

impl StratumError {
    pub fn new(code: RefusalCode, reason: impl Into<String>) -> StratumError {
        StratumError { code, reason: reason.into() }
    }
}

impl fmt::Display for StratumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.code.number())
    }
}

/// The error codes in use (wire reference, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalCode {
    Other,
    /// The job is unknown or stale.
    JobNotFound,
    Duplicate,
    LowDifficulty,
    Unauthorized,
    NotSubscribed,
    /// Code -3, as OCEAN and MiningCore send it.
    MethodNotFound,
}

impl RefusalCode {
    /// The number on the wire.
    pub fn number(self) -> i64 {
        match self {
            RefusalCode::Other => 20,
            RefusalCode::JobNotFound => 21,
            RefusalCode::Duplicate => 22,
            RefusalCode::LowDifficulty => 23,
            RefusalCode::Unauthorized => 24,
            RefusalCode::NotSubscribed => 25,
            RefusalCode::MethodNotFound => -3,
        }
    }
}

/// The forms of a refusal on the wire (numbered as in the wire reference, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ErrorForm {
    /// Form 1, `[21,"Job not found",null]`. The only form that every miner understands.
    #[default]
    ArrayWithNull,
    /// Form 2, `[21,"Job not found",""]`, of public-pool.
    ArrayWithText,
    /// Form 2, `[21,"Job not found"]`.
    ArrayOfTwo,
    /// Form 3, `"reject-reason":"Above target"` beside a null error, of ckpool.
    RejectReason,
    /// Form 4, `"error":"Invalid worker name"`, of ckpool.
    Text,
    /// Form 5, `{"code":21,"message":"Job not found","traceback":null}`, of SRI.
    Object,
    /// Form 6, `"result":false,"error":null` and nothing else.
    BareFalse,
    /// Form 7, text instead of JSON. The pool that sends it closes the connection.
    PlainText,
}

impl ErrorForm {
    /// All forms.
    pub const ALL: [ErrorForm; 8] = [
        ErrorForm::ArrayWithNull,
        ErrorForm::ArrayWithText,
        ErrorForm::ArrayOfTwo,
        ErrorForm::RejectReason,
        ErrorForm::Text,
        ErrorForm::Object,
        ErrorForm::BareFalse,
        ErrorForm::PlainText,
    ];
}

/// Accepts the request `id`, which is JSON text and is echoed, with the result `true`.
pub fn accept_line(id: &str) -> String {
    result_line(id, "true")
}

/// Answers the request `id` with `result`, which is JSON text.
pub fn result_line(id: &str, result: &str) -> String {
    format!("{{\"id\":{id},\"result\":{result},\"error\":null}}\n")
}

/// Refuses the request `id` in the given form.
pub fn refuse_line(id: &str, refusal: &StratumError, form: ErrorForm) -> String {
    let (code, reason) = (refusal.code.number(), &refusal.reason);
    let line =
        |result: &str, error: Value| format!("{{\"id\":{id},\"result\":{result},\"error\":{error}}}\n");
    match form {
        ErrorForm::ArrayWithNull => line("null", json!([code, reason, null])),
        ErrorForm::ArrayWithText => line("null", json!([code, reason, ""])),
        ErrorForm::ArrayOfTwo => line("null", json!([code, reason])),
        ErrorForm::RejectReason => {
            let reason = json!(reason);
            format!("{{\"reject-reason\":{reason},\"result\":false,\"error\":null,\"id\":{id}}}\n")
        }
        ErrorForm::Text => line("false", json!(reason)),
        ErrorForm::Object => line("null", json!({ "code": code, "message": reason, "traceback": null })),
        ErrorForm::BareFalse => line("false", Value::Null),
        ErrorForm::PlainText => format!("{reason}, disconnecting\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_are_those_of_the_reference() {
        let refusal = StratumError::new(RefusalCode::JobNotFound, "Job not found");
        assert_eq!(
            refuse_line("\"x\"", &refusal, ErrorForm::ArrayWithNull),
            "{\"id\":\"x\",\"result\":null,\"error\":[21,\"Job not found\",null]}\n"
        );
        let refusal = StratumError::new(RefusalCode::LowDifficulty, "Above target");
        assert_eq!(
            refuse_line("7", &refusal, ErrorForm::RejectReason),
            "{\"reject-reason\":\"Above target\",\"result\":false,\"error\":null,\"id\":7}\n"
        );
    }

    #[test]
    fn a_reason_is_escaped() {
        let refusal = StratumError::new(RefusalCode::Other, "\"quoted\"\n");
        for form in ErrorForm::ALL {
            let line = refuse_line("1", &refusal, form);
            if form != ErrorForm::PlainText {
                assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
            }
        }
    }
}
