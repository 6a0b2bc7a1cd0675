//! The printable form of a value: short, escaped and without secrets.

use toml::de::DeValue;

/// The part of a value that a message may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redaction {
    Value,
    /// A URL: without user, password and query.
    Url,
    /// A URL that is expected to hold a password: its host and port at most.
    Credentials,
    Hidden,
}

impl Redaction {
    /// True if the value is expected to hold a secret.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Redaction::Credentials | Redaction::Hidden)
    }

    /// The printable form of `text`, quoted and escaped.
    pub(super) fn of(self, text: &str) -> String {
        match self {
            Redaction::Value => format!("\"{}\"", shorten(text)),
            Redaction::Url => format!("\"{}\"", shorten(&without_credentials(text))),
            // Without '@', the apparent port may be the password of "user:password".
            Redaction::Credentials if text.contains('@') => Redaction::Url.of(text),
            Redaction::Credentials | Redaction::Hidden => String::from("***"),
        }
    }
}

/// Removes everything that may be a password: the part before the last `@` (a password may contain
/// a '?' itself), and the query.
fn without_credentials(url: &str) -> String {
    let is_scheme =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let (scheme, rest) = match url.find("://").filter(|at| is_scheme(&url[..*at])) {
        Some(at) => url.split_at(at + 3),
        None => ("", url),
    };
    let (hidden, rest) = match rest.rfind('@') {
        Some(at) => ("***", &rest[at..]),
        None => ("", rest),
    };
    match rest.split_once('?') {
        Some((rest, _)) => format!("{scheme}{hidden}{rest}?***"),
        None => format!("{scheme}{hidden}{rest}"),
    }
}

/// Escapes `text` and cuts it to about 80 characters.
pub(super) fn shorten(text: &str) -> String {
    let escaped: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() { escaped + "…" } else { escaped }
}

/// A key as a file writes it: quoted unless it is a bare one.
pub(super) fn key_name(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(is_bare) { shorten(name) } else { Redaction::Value.of(name) }
}

/// Describes a value of the wrong type: the value, if it is short and not secret, and its type.
pub(super) fn found(value: &DeValue, redaction: Redaction) -> String {
    let (shown, kind) = match value {
        DeValue::String(text) => (redaction.of(text), "a text"),
        DeValue::Integer(number) => (shorten(&number.to_string()), "a whole number"),
        DeValue::Float(number) => (shorten(number.as_str()), "a number with a fraction"),
        DeValue::Boolean(value) => (value.to_string(), "a yes-or-no"),
        DeValue::Datetime(date) => (date.to_string(), "a date"),
        DeValue::Array(_) => return String::from("a list"),
        DeValue::Table(_) => return String::from("a section"),
    };
    if redaction == Redaction::Hidden { String::from(kind) } else { format!("{shown}, {kind}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_shown_is_escaped_and_short() {
        assert_eq!(Redaction::Value.of("a\n\x1b\"b"), "\"a\\n\\u{1b}\\\"b\"");
        assert_eq!(Redaction::Value.of(&"x".repeat(81)).chars().count(), 83);
        assert_eq!(Redaction::Url.of("https://h:1/p?key=v"), "\"https://h:1/p?***\"");
        assert_eq!(Redaction::Credentials.of("socks5://u:p"), "***");
    }

    proptest! {
        #[test]
        fn a_password_in_a_url_is_hidden(
            scheme in "(socks5://|https://|)",
            before in "[?@:/#%a]{0,3}",
            after in "[?@:/#%a]{0,3}",
            host in "[a-z?@:/#]{0,5}",
        ) {
            let url = format!("{scheme}user:{before}SECRET{after}@{host}");
            prop_assert!(!Redaction::Url.of(&url).contains("SECRET"));
            prop_assert!(!Redaction::Credentials.of(&url).contains("SECRET"));
        }
    }
}
