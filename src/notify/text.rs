//! Texts that strangers may have chosen, made safe for a message.

use serde_json::Value;

use crate::record::AlertRow;

/// The subject of an alert; empty if it has none.
pub(super) fn subject(row: &AlertRow) -> &str {
    row.data.get("subject").and_then(Value::as_str).unwrap_or_default()
}

/// Cuts `text` to at most `most` bytes, between characters.
pub(super) fn truncate(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// Writes `http` as `hxxp`, so that an address in a worker's name is no link.
pub(super) fn defang_links(text: &str) -> String {
    let (mut safe, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at);
        let letters = before.bytes().rev().take_while(u8::is_ascii_alphabetic).count();
        let (before, scheme) = before.split_at(at - letters);
        let lower = scheme.to_ascii_lowercase();
        safe.push_str(before);
        if lower.ends_with("http") || lower.ends_with("https") {
            safe.push_str(&lower.replace("http", "hxxp"));
        } else {
            safe.push_str(scheme);
        }
        let (separator, further) = after.split_at(3);
        safe.push_str(separator);
        rest = further;
    }
    safe.push_str(rest);
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters() {
        assert_eq!((truncate("aé", 2), truncate("aé", 3), truncate("", 5)), ("a", "aé", ""));
    }

    #[test]
    fn an_address_is_no_link() {
        let text = "see HTTPS://evil.example, xhttp://e and stratum+tcp://pool:3333";
        assert_eq!(defang_links(text), "see hxxps://evil.example, xhxxp://e and stratum+tcp://pool:3333");
    }
}
