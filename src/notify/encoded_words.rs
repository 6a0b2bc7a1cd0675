//! Text in a header (RFC 2047), for the titles of e-mails and of ntfy.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::text::truncate;

/// Caps the bytes of text in one word: encoded, a word may have 75 characters.
const MAX_WORD: usize = 45;

/// Encodes a header's value. Printable ASCII stays as it is; the bytes of other text become words such as
/// `=?UTF-8?B?w6k=?=`, separated by `separator`. The result has no line break but those of `separator`.
pub(super) fn encode(text: &str, separator: &str) -> String {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    // A text that looks encoded would be decoded.
    if is_plain && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(truncate(rest, MAX_WORD).len());
        words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
        rest = after;
    }
    words.join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_and_the_rest_is_encoded() {
        assert_eq!(encode("kitchen is back after 5 minutes", " "), "kitchen is back after 5 minutes");
        assert_eq!(encode("é", " "), "=?UTF-8?B?w6k=?=");
        assert_eq!(encode("=?UTF-8?B?w6k=?=", " "), "=?UTF-8?B?PT9VVEYtOD9CP3c2az0/PQ==?=");
        assert_eq!(encode("", " "), "");
    }

    #[test]
    fn a_line_break_is_no_header() {
        let encoded = encode("a\r\nBcc: x@example.org", "\r\n ");
        assert_eq!(encoded, "=?UTF-8?B?YQ0KQmNjOiB4QGV4YW1wbGUub3Jn?=");
    }

    #[test]
    fn long_text_is_several_short_words_of_whole_characters() {
        let text = "⛏️ héhé ".repeat(40);
        let encoded = encode(&text, "\r\n ");
        let mut decoded = String::new();
        for word in encoded.split("\r\n ") {
            assert!(word.len() <= 75, "{word}");
            let base64 = word.strip_prefix("=?UTF-8?B?").and_then(|word| word.strip_suffix("?=")).unwrap();
            decoded += &String::from_utf8(STANDARD.decode(base64).unwrap()).unwrap();
        }
        assert_eq!(decoded, text);
    }
}
