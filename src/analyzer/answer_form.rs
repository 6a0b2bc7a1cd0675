//! The form of an answer, which says what kind of request it can belong to where ids don't.

use super::requests::RequestKind;
use crate::stratum::{Envelope, ResponseVerdict};

/// What an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerForm {
    /// `true`, as to a share or an authorize.
    Yes,
    /// An error, `false` or `null`: any request can be refused.
    Refusal,
    /// As to a subscribe.
    List,
    /// As to a configure.
    Object,
    /// `"pong"`, as to a ping.
    Pong,
    /// Another text, or a number.
    Value,
}

impl AnswerForm {
    pub(super) fn of(answer: &Envelope<'_>) -> AnswerForm {
        if ResponseVerdict::of(answer).is_accepted() {
            return AnswerForm::Yes;
        }
        let is_error = |error: &str| !matches!(error, "null" | "false" | "[]" | "{}" | "\"\"");
        if answer.error.is_some_and(|error| is_error(error.get())) {
            return AnswerForm::Refusal;
        }
        let result = answer.result.map_or("null", |result| result.get());
        match result.as_bytes().first() {
            Some(b'[') => AnswerForm::List,
            Some(b'{') => AnswerForm::Object,
            _ if result == "\"pong\"" => AnswerForm::Pong,
            Some(b'"' | b'-' | b'0'..=b'9') => AnswerForm::Value,
            _ => AnswerForm::Refusal,
        }
    }

    /// Whether an answer of this form can belong to the request.
    pub(super) fn fits(self, asked: &RequestKind) -> bool {
        match asked {
            RequestKind::Subscribe => matches!(self, AnswerForm::List | AnswerForm::Refusal),
            RequestKind::Configure { .. } => matches!(self, AnswerForm::Object | AnswerForm::Refusal),
            RequestKind::Authorize { .. } | RequestKind::Submit(_) => {
                matches!(self, AnswerForm::Yes | AnswerForm::Refusal | AnswerForm::Value)
            }
            RequestKind::Other => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
        for (answer, form) in [
            ("\"result\":true,\"error\":null", AnswerForm::Yes),
            ("\"result\":true,\"error\":[]", AnswerForm::Yes),
            ("\"result\":false,\"error\":null", AnswerForm::Refusal),
            ("\"result\":null,\"error\":[21,\"x\",null]", AnswerForm::Refusal),
            ("\"result\":true,\"error\":\"x\"", AnswerForm::Refusal),
            ("\"error\":null", AnswerForm::Refusal),
            ("\"result\":[[],\"00\",4],\"error\":null", AnswerForm::List),
            ("\"result\":[[],\"00\",4],\"error\":[]", AnswerForm::List),
            ("\"result\":{\"version-rolling\":false},\"error\":null", AnswerForm::Object),
            ("\"result\":\"pong\",\"error\":null", AnswerForm::Pong),
            ("\"result\":\"OK\",\"error\":null", AnswerForm::Value),
            ("\"result\":12", AnswerForm::Value),
        ] {
            let line = format!("{{\"id\":1,{answer}}}");
            assert_eq!(AnswerForm::of(&Envelope::read(line.as_bytes()).unwrap()), form, "{line}");
        }
    }
}
