//! The request for each service: how it shows a message, and how urgent it makes it.

use serde_json::json;

use super::encoded_words;
use super::http::HttpPost;
use super::message::{Message, Urgency};
use super::text::truncate;
use crate::config::{Secret, Severity};

/// Caps the bytes of a message to ntfy, which turns longer ones into attachments.
const MAX_NTFY_BYTES: usize = 4000;

/// Caps the characters of a text to Telegram (a message may have 4096).
const MAX_TELEGRAM_CHARACTERS: usize = 3500;

/// Caps the characters of a text to Discord (a message may have 2000).
const MAX_DISCORD_CHARACTERS: usize = 1600;

const TELEGRAM: &str = "https://api.telegram.org";

/// ntfy: a POST of text, with the priority in headers. <https://docs.ntfy.sh/publish/>
pub(super) fn ntfy(url: &Secret, token: Option<&Secret>, message: &Message) -> HttpPost {
    let (priority, tag) = priority_and_tag(message.urgency());
    // A tap on the message opens the page.
    let page = message.page.as_ref().map(|page| ("Click", page.clone()));
    let headers = [
        ("Title", encoded_words::encode(&message.title(), " ")),
        ("Priority", priority.to_owned()),
        ("Tags", tag.to_owned()),
    ];
    HttpPost {
        headers: headers.into_iter().chain(page).collect(),
        token: token.cloned(),
        content_type: "text/plain; charset=utf-8",
        explanation: Some("error"),
        ..HttpPost::json(url.clone(), truncate(&message.text(), MAX_NTFY_BYTES).to_owned())
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

/// Telegram: a bot's `sendMessage`. `server` is a Bot API server other than Telegram's.
/// <https://core.telegram.org/bots/api#sendmessage>
pub(super) fn telegram(server: Option<&Secret>, token: &Secret, chat: &str, message: &Message) -> HttpPost {
    let server = server.map_or(TELEGRAM, Secret::expose).trim_end_matches('/');
    let title = message.title();
    let text: String = message.text().chars().take(MAX_TELEGRAM_CHARACTERS).collect();
    let page = message.page.as_ref().map_or_else(String::new, |page| format!("\n{page}"));
    let length = |text: &str| text.encode_utf16().count();
    // No markup is parsed. Text marked as code is not searched for links, mentions and commands.
    let body = json!({
        "chat_id": chat,
        "text": format!("{title}\n{text}{page}"),
        "entities": [
            { "type": "code", "offset": 0, "length": length(&title) },
            { "type": "pre", "offset": length(&title) + 1, "length": length(&text) },
        ],
        "link_preview_options": { "is_disabled": true },
    });
    let url = Secret::new(format!("{server}/bot{}/sendMessage", token.expose()));
    HttpPost {
        explanation: Some("description"),
        secrets: vec![token.clone()],
        ..HttpPost::json(url, body.to_string())
    }
}

/// Discord: a channel's webhook. <https://discord.com/developers/docs/resources/webhook#execute-webhook>
pub(super) fn discord(url: &Secret, message: &Message) -> HttpPost {
    // A code block contains no markup, links or mentions; only a backtick could end it.
    let text = format!("{}\n\n{}", message.title(), message.text()).replace('`', "'");
    let text: String = text.chars().take(MAX_DISCORD_CHARACTERS).collect();
    // Without a preview.
    let page = message.page.as_ref().map_or_else(String::new, |page| format!("\n<{page}>"));
    let content = format!("```\n{text}\n```{page}");
    let body = json!({ "content": content, "allowed_mentions": { "parse": [] } });
    HttpPost { explanation: Some("message"), ..HttpPost::json(url.clone(), body.to_string()) }
}

/// The user's own server: a POST of JSON, described in `docs/notifications.md`.
pub(super) fn webhook(url: &Secret, token: Option<&Secret>, message: &Message) -> HttpPost {
    HttpPost { token: token.cloned(), ..HttpPost::json(url.clone(), message.json()) }
}
