//! ntfy: a POST of text, with the priority in headers. <https://docs.ntfy.sh/publish/>

use super::http::HttpPost;
use super::message::{Message, Urgency, truncate};
use crate::config::{Secret, Severity};

/// Caps the bytes of a message; ntfy turns longer ones into attachments.
const MAX_BYTES: usize = 4000;

pub(super) fn request(url: &Secret, token: Option<&Secret>, message: &Message) -> HttpPost {
    let (priority, tag) = priority_and_tag(message.urgency());
    HttpPost {
        url: url.clone(),
        headers: vec![
            ("Title", message.title()),
            ("Priority", priority.to_owned()),
            ("Tags", tag.to_owned()),
        ],
        token: token.cloned(),
        content_type: "text/plain; charset=utf-8",
        body: truncate(&message.text(), MAX_BYTES).to_owned(),
        explanation: Some("error"),
        secrets: Vec::new(),
    }
}

/// The priority from 1 to 5 (5 rings through "do not disturb") and the emoji's name.
fn priority_and_tag(urgency: Urgency) -> (&'static str, &'static str) {
    match urgency {
        Urgency::Block => ("5", "tada"),
        Urgency::Alert(Severity::High) => ("5", "rotating_light"),
        Urgency::Alert(Severity::Medium) => ("4", "warning"),
        Urgency::Alert(Severity::Low) => ("3", "warning"),
        Urgency::GoodNews => ("3", "star"),
        Urgency::Ended => ("3", "white_check_mark"),
        Urgency::Alert(Severity::Info) => ("2", "information_source"),
    }
}
