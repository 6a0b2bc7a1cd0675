//! The form of an answer, which limits the requests it can belong to where ids are not unique.

use super::requests::RequestKind;
use crate::stratum::{Envelope, ResponseVerdict};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerForm {
    /// `true`, as in the answer to a share or an authorize.
    Yes,
    /// An error, `false` or `null`. Any request can be refused.
    Refusal,
    /// The answer to a subscribe.
    List,
    /// The answer to a configure.
    Object,
    /// `"pong"`, the answer to a ping.
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

    /// Returns whether an answer of this form can belong to the request.
    pub(super) fn fits(self, request: &RequestKind) -> bool {
        match request {
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
    fn each_answer_has_its_form() {
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
