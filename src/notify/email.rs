//! E-mail: the document of a message.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Zoned;
use jiff::fmt::rfc2822;

use super::encoded_words;
use super::message::{Message, Urgency};
use crate::config::Severity;

/// The longest line of encoded text (RFC 2045), in bytes of text.
const BYTES_A_LINE: usize = 57;

/// Writes the e-mail about `message`: headers and body, with the line breaks of the wire. No line begins with a dot, and
/// none is longer than mail servers take. Sender and recipients are checked by the configuration, and everything else
/// that could hold a line break is encoded.
pub(super) fn document(message: &Message, from: &str, to: &[String], now: &Zoned) -> String {
    let subject = encoded_words::encode(&message.title(), "\r\n ");
    let date = rfc2822::to_string(now).unwrap_or_default();
    let urgent = match message.urgency() {
        Urgency::Block | Urgency::Alert(Severity::High) => "Importance: high\r\n",
        _ => "",
    };
    let mut document = format!(
        "Date: {date}\r\nFrom: Sluice <{from}>\r\nTo: {}\r\nSubject: {subject}\r\nMessage-ID: <{}>\r\n{urgent}\
         Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n",
        to.join(",\r\n "),
        message_id(from, now),
    );
    let page = message.page.as_ref().map_or_else(String::new, |page| format!("\n\n{page}"));
    let text = format!("{}{page}\n", message.text()).replace('\n', "\r\n");
    for line in text.as_bytes().chunks(BYTES_A_LINE) {
        STANDARD.encode_string(line, &mut document);
        document.push_str("\r\n");
    }
    document
}

/// A name that no other message has.
fn message_id(from: &str, now: &Zoned) -> String {
    static SENT: AtomicU64 = AtomicU64::new(0);
    let number = SENT.fetch_add(1, Ordering::Relaxed);
    let domain = from.rsplit('@').next().unwrap_or_default();
    format!("{}.{}.{number}@{domain}", now.timestamp().as_nanosecond(), std::process::id())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::message::tests::{message, row};
    use super::*;
    use crate::record::AlertKind;

    fn of(id: &'static str, worker: &str) -> (Vec<String>, String) {
        let mut alert = Arc::unwrap_or_clone(row(id, Severity::High, AlertKind::Begins, worker));
        alert.data["worker"] = worker.into();
        let message = Message { page: Some("http://h/".to_owned()), ..message(Arc::new(alert)) };
        let to = ["me@example.org".to_owned(), "you@example.org".to_owned()];
        let now = "2026-11-21T02:13:40+01:00[+01:00]".parse().unwrap();
        let document = document(&message, "sluice@example.org", &to, &now);
        assert!(document.is_ascii() && !document.contains("\r\n."), "{document}");
        assert!(document.replace("\r\n", "").bytes().all(|byte| byte != b'\r' && byte != b'\n'));
        let (headers, body) = document.split_once("\r\n\r\n").unwrap();
        assert!(body.lines().all(|line| line.len() <= 76), "{body}");
        let text = STANDARD.decode(body.replace("\r\n", "")).unwrap();
        (headers.replace("\r\n ", " ").lines().map(str::to_owned).collect(), String::from_utf8(text).unwrap())
    }

    #[test]
    fn an_email_has_all_headers_and_its_text_in_base64() {
        let (headers, text) = of("miner.gone", "kitchen");
        for header in [
            "Date: Sat, 21 Nov 2026 02:13:40 +0100",
            "From: Sluice <sluice@example.org>",
            "To: me@example.org, you@example.org",
            "Subject: kitchen has been offline",
            "Importance: high",
            "Auto-Submitted: auto-generated",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(headers.iter().any(|line| line == header), "{header} is not in {headers:?}");
        }
        assert!(
            headers.iter().any(|line| line.starts_with("Message-ID: <") && line.ends_with("@example.org>"))
        );
        assert!(
            text.starts_with("kitchen: it is so\r\n") && text.ends_with("\r\n\r\nhttp://h/\r\n"),
            "{text}"
        );
    }

    #[test]
    fn a_workers_name_adds_no_header() {
        let (headers, text) = of("miner.gone", "a\r\nBcc: x@example.org\r\n\r\n.\r\nQUIT\u{202e}é");
        assert!(
            headers.iter().all(|line| !line.starts_with("Bcc") && !line.starts_with("QUIT")),
            "{headers:?}"
        );
        assert_eq!(headers.iter().filter(|line| line.starts_with("Subject: =?UTF-8?B?")).count(), 1);
        assert!(text.starts_with("a\\r\\nBcc: x@example.org"), "{text}");
    }
}
