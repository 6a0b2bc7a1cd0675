//! Telegram: a bot's `sendMessage`. <https://core.telegram.org/bots/api#sendmessage>

use serde_json::json;

use super::http::HttpPost;
use super::message::Message;
use crate::config::Secret;

const SERVER: &str = "https://api.telegram.org";

/// Caps the characters of the text (a message may have 4096).
const MAX_CHARACTERS: usize = 3500;

/// Builds the request. `server` is a Bot API server other than Telegram's.
pub(super) fn request(server: Option<&Secret>, token: &Secret, chat: &str, message: &Message) -> HttpPost {
    let server = server.map_or(SERVER, Secret::expose).trim_end_matches('/');
    let title = message.title();
    let text: String = message.text().chars().take(MAX_CHARACTERS).collect();
    let length = |text: &str| text.encode_utf16().count();
    // No markup is parsed. Text marked as code is not searched for links, mentions and commands.
    let body = json!({
        "chat_id": chat,
        "text": format!("{title}\n{text}"),
        "entities": [{ "type": "pre", "offset": length(&title) + 1, "length": length(&text) }],
        "link_preview_options": { "is_disabled": true },
    });
    HttpPost {
        url: Secret::new(format!("{server}/bot{}/sendMessage", token.expose())),
        headers: Vec::new(),
        token: None,
        content_type: "application/json",
        body: body.to_string(),
        explanation: Some("description"),
        secrets: vec![token.clone()],
    }
}
