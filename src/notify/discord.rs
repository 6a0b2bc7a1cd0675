//! Discord: a channel's webhook. <https://discord.com/developers/docs/resources/webhook#execute-webhook>

use serde_json::json;

use super::http::HttpPost;
use super::message::Message;
use crate::config::Secret;

/// Caps the characters of the text (a message may have 2000).
const MAX_CHARACTERS: usize = 1800;

pub(super) fn request(url: &Secret, message: &Message) -> HttpPost {
    // A code block contains no markup, links or mentions; only a backtick could end it.
    let text: String = message.text().replace('`', "'").chars().take(MAX_CHARACTERS).collect();
    let content = format!("**{}**\n```\n{text}\n```", message.title());
    let body = json!({ "content": content, "allowed_mentions": { "parse": [] } });
    HttpPost {
        url: url.clone(),
        headers: Vec::new(),
        token: None,
        content_type: "application/json",
        body: body.to_string(),
        explanation: Some("message"),
        secrets: Vec::new(),
    }
}
