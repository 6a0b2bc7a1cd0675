//! The content of a message, as text and as JSON.

use std::fs;
use std::sync::{Arc, OnceLock};

use jiff::tz::TimeZone;
use serde_json::json;

use super::health::AlertCounts;
use super::text::{defang_links, subject};
use super::wording;
use crate::config::Severity;
use crate::record::{AlertKind, AlertRow};
use crate::util::escape::{line_text, to_json};
use crate::util::format::{count, span};

/// Caps the characters of a title that is not about an alert, and of a further line.
const MAX_TITLE: usize = 120;
const MAX_LINE: usize = 200;
/// Caps the characters of a description.
const MAX_DESCRIPTION: usize = 600;
/// Caps the characters of a subject.
const MAX_SUBJECT: usize = 200;
/// Caps the bytes of an alert's data; larger data is replaced by a note.
const MAX_DATA: usize = 16 * 1024;
/// Caps the ids listed in the summary.
const MAX_NAMED: usize = 6;

/// An alert with a summary of deferred ones, or a summary alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    pub row: Arc<AlertRow>,
    /// The title of a message that is not about an alert.
    pub title: Option<String>,
    /// Further lines below the description: the miners of a summary, the alerts of quiet hours.
    pub lines: Vec<String>,
    /// Number of times this alert was raised since it was last sent; 1 if it is new.
    pub count: u64,
    /// The alerts deferred before this message.
    pub others: AlertCounts,
    /// The URL of the page.
    pub page: Option<String>,
}

impl Message {
    /// A message about an alert.
    pub fn about(row: Arc<AlertRow>, count: u64, others: AlertCounts) -> Message {
        Message { row, title: None, lines: Vec::new(), count, others, page: None }
    }

    /// The subject of the alert, such as a pool or a worker.
    pub fn subject(&self) -> String {
        line_text(subject(&self.row), MAX_SUBJECT)
    }

    /// The title: one line, without control characters and links.
    pub fn title(&self) -> String {
        let title = self.title.as_ref().map(|title| defang_links(&line_text(title, MAX_TITLE)));
        title.unwrap_or_else(|| wording::title(&self.row))
    }

    /// The alert's description, without control characters, reordering and links.
    pub fn description(&self) -> String {
        defang_links(&line_text(&self.row.description, MAX_DESCRIPTION))
    }

    /// The further lines, without control characters, reordering and links.
    fn lines(&self) -> Vec<String> {
        self.lines.iter().map(|line| defang_links(&line_text(line, MAX_LINE))).collect()
    }

    /// The text below the title: what happened, what to do, when and where.
    pub fn text(&self) -> String {
        let mut lines = vec![match wording::lasted(&self.row) {
            Some(time) => format!("It lasted {} ({})", span(time), self.subject()),
            None => self.description(),
        }];
        lines.extend(wording::advice(&self.row).map(str::to_owned));
        lines.extend(self.lines());
        if self.count > 1 {
            lines.push(format!("raised {} since the last message about it", count(self.count, "time")));
        }
        let all: u64 = self.others.values().sum();
        if all > 0 {
            lines.push(format!("and {all} more: {}", summarize(&self.others)));
        }
        let at = self.row.at.timestamp().to_zoned(TimeZone::system());
        lines.push(format!("{}, {}", at.strftime("%Y-%m-%d %H:%M %Z"), host()));
        lines.join("\n")
    }

    /// The whole message as one line of JSON.
    pub fn json(&self) -> String {
        let row = &self.row;
        let bytes = row.data.to_string().len();
        let data = if bytes > MAX_DATA {
            json!({ "left_out": "too long", "bytes": bytes })
        } else {
            row.data.clone()
        };
        let document = json!({
            "id": row.id,
            "severity": row.severity.as_str(),
            "kind": row.kind.as_str(),
            "good_news": is_good_news(row.id),
            "time": row.at.to_string(),
            "subject": self.subject(),
            "title": self.title(),
            "description": self.description(),
            "advice": wording::advice(row),
            "lines": self.lines(),
            "page": self.page,
            "data": data,
            "count": self.count,
            "held_back": self.others,
            "host": host(),
            "version": env!("CARGO_PKG_VERSION"),
        });
        // Serializing our own value can't fail.
        to_json(&document).unwrap_or_default()
    }

    /// The urgency of the message.
    pub fn urgency(&self) -> Urgency {
        Urgency::of(&self.row)
    }
}

/// The urgency of a message for its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    Block,
    GoodNews,
    Alert(Severity),
    Ended,
}

impl Urgency {
    pub fn of(row: &AlertRow) -> Urgency {
        match (row.kind, row.id, row.severity) {
            (AlertKind::Ends, ..) => Urgency::Ended,
            (_, "block.found", _) => Urgency::Block,
            (_, id, _) if is_good_news(id) => Urgency::GoodNews,
            (_, _, severity) => Urgency::Alert(severity),
        }
    }
}

/// True if an alert is good news: a block, a near miss, or the best share ever.
pub fn is_good_news(id: &str) -> bool {
    matches!(id, "block.found" | "share.near_miss" | "share.best")
}

/// True if an alert is an outage: a pool gives no work, or a miner is gone or does none here.
pub(super) fn is_outage(id: &str) -> bool {
    matches!(
        id,
        "pool.unreachable"
            | "pool.failed_over"
            | "pool.no_work"
            | "miner.gone"
            | "device.stalled"
            | "device.elsewhere"
    )
}

/// Lists ids with their counts, the most frequent first: `payout.mismatch ×30, chain.wrong ×7`.
fn summarize(counts: &AlertCounts) -> String {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut named: Vec<String> =
        sorted.iter().take(MAX_NAMED).map(|(id, count)| format!("{id} ×{count}")).collect();
    if sorted.len() > MAX_NAMED {
        named.push(String::from("…"));
    }
    named.join(", ")
}

/// This machine's name in ASCII.
fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(64).collect();
        if name.is_empty() { String::from("sluice") } else { name }
    })
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Value;

    use super::*;
    use crate::clock::NtpTime;
    use crate::util::escape::Printable;

    /// An alert about `subject`.
    pub fn row(id: &'static str, severity: Severity, kind: AlertKind, subject: &str) -> Arc<AlertRow> {
        let at = NtpTime::from_timestamp(jiff::Timestamp::from_second(1_795_226_020).unwrap());
        let (description, data) = (format!("{subject}: it is so"), json!({ "subject": subject, "count": 1 }));
        Arc::new(AlertRow { at, kind, severity, id, description, data })
    }

    pub fn message(row: Arc<AlertRow>) -> Message {
        Message::about(row, 1, AlertCounts::new())
    }

    #[test]
    fn the_text_says_what_happened_what_to_do_and_when() {
        let mut message =
            message(row("payout.short", Severity::High, AlertKind::Begins, "stratum+tcp://p:1"));
        let local = jiff::Timestamp::from_second(1_795_226_020).unwrap().to_zoned(TimeZone::system());
        let place = format!("{}, {}", local.strftime("%Y-%m-%d %H:%M %Z"), host());
        let advice = "Compare with the pool's published fee.";
        assert_eq!(message.text(), format!("stratum+tcp://p:1: it is so\n{advice}\n{place}"));
        message.count = 3;
        message.others = AlertCounts::from([("chain.wrong", 7), ("payout.mismatch", 30)]);
        message.lines = vec!["a\nb".to_owned()];
        let more = "raised 3 times since the last message about it\nand 37 more: payout.mismatch ×30, chain.wrong ×7";
        let expected = format!("stratum+tcp://p:1: it is so\n{advice}\na\\nb\n{more}\n{place}");
        assert_eq!(message.text(), expected);
        let mut end = (*row("miner.gone", Severity::Medium, AlertKind::Ends, "w")).clone();
        end.data["lasted_seconds"] = json!(600);
        assert_eq!(self::message(Arc::new(end)).text(), format!("It lasted 10 min (w)\n{place}"));
    }

    #[test]
    fn untrusted_texts_are_escaped_cut_and_no_links() {
        let hostile = format!("w\n\u{1b}[2J\u{202e} HTTPS://evil.example xhttp://e {}", "é".repeat(2000));
        let message = message(row("share.best", Severity::Info, AlertKind::Happened, &hostile));
        let text = message.text();
        assert!(text.starts_with("w\\n\\u{1b}[2J\\u{202e} hxxps://evil.example xhxxp://e é"), "{text}");
        assert!(text.len() < 4000 && text.contains('…'));
        let json = message.json();
        assert!(json.is_ascii() || !json.contains('\u{202e}'), "{json}");
        assert_eq!(
            serde_json::from_str::<Value>(&json).unwrap()["data"]["subject"],
            Printable(&hostile).to_string()
        );
    }

    #[test]
    fn data_that_is_too_long_is_left_out() {
        let mut row = (*row("chain.wrong", Severity::High, AlertKind::Begins, "p")).clone();
        row.data = json!({ "subject": "p", "much": "x".repeat(MAX_DATA) });
        let json: Value = serde_json::from_str(&message(Arc::new(row)).json()).unwrap();
        assert_eq!((&json["subject"], &json["data"]["left_out"]), (&json!("p"), &json!("too long")));
    }
}
