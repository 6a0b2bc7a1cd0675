//! The user's own server: a POST of JSON, described in `docs/notifications.md`.

use super::http::HttpPost;
use super::message::Message;
use crate::config::Secret;

pub(super) fn request(url: &Secret, token: Option<&Secret>, message: &Message) -> HttpPost {
    HttpPost {
        url: url.clone(),
        headers: Vec::new(),
        token: token.cloned(),
        content_type: "application/json",
        body: message.json(),
        explanation: None,
        secrets: Vec::new(),
    }
}
