//! The request that each kind of recipient gets.

use serde_json::json;
use sluice::config::Severity;
use sluice::record::AlertKind;

use crate::notify::server::{Asked, Server, ok};
use crate::notify::tools::{alert, host, pace, place, row, start};

/// The one request that telling this alert makes.
fn asked(section: &str, alert: &sluice::record::AlertRow) -> Asked {
    let server = Server::start(|_| ok());
    let notifier = start(&section.replace("URL", &server.url("")), &pace());
    notifier.connect(Some(PAGE.to_owned()), || None);
    notifier.notify(alert);
    let asked = server.wait(1).remove(0);
    notifier.finish();
    assert_eq!(server.asked().len(), 1);
    assert_eq!(notifier.health()[0].sent, 1);
    asked
}

const ADVICE: &str = "Check the address in your miners' user names. If it is right, change the pool.";
const TITLE: &str = "Your pool pays somebody else";
const PAGE: &str = "http://192.168.1.5:8080/";

fn text() -> String {
    format!("pool: a block would pay nothing to you\n{ADVICE}\n{}", place())
}

#[test]
fn ntfy_gets_text_with_headers() {
    let section = "[[notify]]\nkind = \"ntfy\"\nurl = \"URL/my-topic?x=1\"\ntoken = \"tk_s3cret\"\n";
    let asked = asked(section, &alert("pool"));
    assert_eq!(asked.line, "POST /my-topic?x=1 HTTP/1.1");
    assert_eq!((asked.header("title"), asked.header("click")), (TITLE, PAGE));
    assert_eq!((asked.header("priority"), asked.header("tags")), ("5", "rotating_light"));
    assert_eq!(asked.header("authorization"), "Bearer tk_s3cret");
    assert_eq!(asked.header("content-type"), "text/plain; charset=utf-8");
    assert!(asked.header("user-agent").starts_with("sluice/"));
    assert_eq!(asked.body, text());
}

#[test]
fn ntfy_is_louder_for_a_block_and_softer_for_an_end() {
    let section = "[[notify]]\nkind = \"ntfy\"\nurl = \"URL/t\"\n";
    let block = asked(section, &row("block.found", Severity::Info, AlertKind::Happened, "rig"));
    assert_eq!((block.header("priority"), block.header("tags")), ("5", "tada"));
    assert_eq!(block.header("title"), "Block candidate found by rig");
    assert_eq!(block.header("authorization"), "");
    let over = asked(section, &row("payout.mismatch", Severity::High, AlertKind::Ends, "pool"));
    assert_eq!((over.header("priority"), over.header("tags")), ("3", "white_check_mark"));
    assert_eq!(over.header("title"), "Your miners no longer work for somebody else");
}

#[test]
fn an_outage_and_the_return_name_the_miner() {
    let section = "[[notify]]\nkind = \"ntfy\"\nurl = \"URL/t\"\n";
    let worker = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.bitaxe-küche";
    let mut gone = row("miner.gone", Severity::Medium, AlertKind::Begins, worker);
    gone.data["seconds"] = json!(300);
    let begin = asked(section, &gone);
    // "bitaxe-küche has been offline for 5 minutes"
    let words = "=?UTF-8?B?Yml0YXhlLWvDvGNoZSBoYXMgYmVlbiBvZmZsaW5lIGZvciA1IG1pbnV0ZXM=?=";
    assert_eq!((begin.header("title"), begin.header("priority")), (words, "4"));
    gone.kind = AlertKind::Ends;
    gone.data["lasted_seconds"] = json!(420);
    let end = asked("[[notify]]\nkind = \"webhook\"\nurl = \"URL/hook\"\n", &gone).json();
    assert_eq!(end["title"], "bitaxe-küche is back after 12 minutes");
    assert_eq!((&end["advice"], &end["data"]["lasted_seconds"]), (&json!(null), &json!(420)));
}

#[test]
fn a_user_in_the_url_is_sent_as_one() {
    let server = Server::start(|_| ok());
    let url = format!("http://me:s3cret@{}/topic", server.address());
    let notifier = start(&format!("[[notify]]\nkind = \"ntfy\"\nurl = \"{url}\"\n"), &pace());
    notifier.notify(&alert("pool"));
    assert_eq!(server.wait(1)[0].header("authorization"), "Basic bWU6czNjcmV0");
}

#[test]
fn telegram_gets_plain_text_that_is_not_searched_for_links() {
    let section =
        "[[notify]]\nkind = \"telegram\"\nurl = \"URL\"\ntoken = \"42:s3cret\"\nchat = \"-100123\"\n";
    let asked = asked(section, &alert("pool"));
    assert_eq!(asked.line, "POST /bot42:s3cret/sendMessage HTTP/1.1");
    assert_eq!(asked.header("content-type"), "application/json");
    let text = text();
    let expected = json!({
        "chat_id": "-100123",
        "text": format!("{TITLE}\n{text}\n{PAGE}"),
        "entities": [
            { "type": "code", "offset": 0, "length": TITLE.len() },
            { "type": "pre", "offset": TITLE.len() + 1, "length": text.len() },
        ],
        "link_preview_options": { "is_disabled": true },
    });
    assert_eq!(asked.json(), expected);
}

#[test]
fn telegrams_lengths_are_those_of_utf_16() {
    let section = "[[notify]]\nkind = \"telegram\"\nurl = \"URL/\"\ntoken = \"t\"\nchat = \"1\"\n";
    let asked = asked(section, &alert("⛏️🎉"));
    assert_eq!(asked.line, "POST /bott/sendMessage HTTP/1.1");
    let body = asked.json();
    let text = body["text"].as_str().unwrap();
    let length = |part: &str| part.encode_utf16().count();
    let (title, rest) = text.split_once('\n').unwrap();
    let shown = rest.strip_suffix(&format!("\n{PAGE}")).unwrap();
    assert_eq!(body["entities"][0]["length"], length(title));
    assert_eq!(
        (&body["entities"][1]["offset"], &body["entities"][1]["length"]),
        (&json!(length(title) + 1), &json!(length(shown)))
    );
}

#[test]
fn discord_gets_a_code_block_that_mentions_nobody() {
    let section = "[[notify]]\nkind = \"discord\"\nurl = \"URL/api/webhooks/1/s3cret\"\n";
    let asked = asked(section, &alert("pool"));
    assert_eq!(asked.line, "POST /api/webhooks/1/s3cret HTTP/1.1");
    let expected = json!({
        "content": format!("```\n{TITLE}\n\n{}\n```\n<{PAGE}>", text()),
        "allowed_mentions": { "parse": [] },
    });
    assert_eq!(asked.json(), expected);
}

#[test]
fn a_webhook_gets_everything_as_json() {
    let section = "[[notify]]\nkind = \"webhook\"\nurl = \"URL/hook\"\ntoken = \"s3cret\"\n";
    let asked = asked(section, &alert("pool"));
    assert_eq!(asked.line, "POST /hook HTTP/1.1");
    assert_eq!(asked.header("content-type"), "application/json");
    assert_eq!(asked.header("authorization"), "Bearer s3cret");
    let expected = json!({
        "id": "payout.mismatch",
        "severity": "high",
        "kind": "begins",
        "good_news": false,
        "time": "2026-11-21T02:13:40.123Z",
        "subject": "pool",
        "title": TITLE,
        "description": "pool: a block would pay nothing to you",
        "advice": ADVICE,
        "lines": [],
        "page": PAGE,
        "data": { "subject": "pool", "count": 1, "percent": 0.5 },
        "count": 1,
        "held_back": {},
        "host": host(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(asked.json(), expected);
}

#[test]
fn a_hostile_name_commands_nothing() {
    let hostile = "```@everyone [x](https://evil.example)\n\u{1b}[2J\u{202e}\u{0}";
    for section in [
        "[[notify]]\nkind = \"discord\"\nurl = \"URL/d\"\n",
        "[[notify]]\nkind = \"ntfy\"\nurl = \"URL/n\"\n",
        "[[notify]]\nkind = \"telegram\"\nurl = \"URL\"\ntoken = \"t\"\nchat = \"1\"\n",
        "[[notify]]\nkind = \"webhook\"\nurl = \"URL/w\"\n",
    ] {
        let asked = asked(section, &alert(&hostile.repeat(100)));
        assert!(asked.body.len() < 16 * 1024);
        let is_bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!asked.body.contains(is_bad), "{}", asked.body);
        let value = serde_json::from_str(&asked.body).unwrap_or(json!(asked.body));
        let text = ["content", "text", "description"]
            .into_iter()
            .find_map(|key| value.get(key)?.as_str())
            .unwrap_or(&asked.body)
            .to_owned();
        assert!(!text.contains("https://") && !text.contains(is_bad), "{text}");
        let title = format!("{}{}", asked.header("title"), value["title"]);
        assert!(!title.contains("https://") && !title.contains(is_bad), "{title}");
        if section.contains("discord") {
            assert_eq!(text.matches('`').count(), 6, "{text}");
            assert!(text.chars().count() <= 2000);
        }
    }
}
