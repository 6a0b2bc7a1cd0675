//! The specification of the keys: the type and the range of each. Nobody writes it: the readers of the sections do,
//! when they are run on an empty document. The names of environment variables, the schema and the table of keys in
//! the documents come from it.

use std::fmt;
use std::ops::RangeInclusive;

/// The prefix of the environment variables that set a key.
pub const VARIABLE_PREFIX: &str = "SLUICE__";

/// A key of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct KeySpec {
    /// The full path without indices, such as `upstream.url`.
    pub key: String,
    pub kind: KeyKind,
}

/// The values that a key takes.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyKind {
    /// `[key]`
    Section,
    /// `[[key]]`
    Sections,
    Boolean,
    Integer(RangeInclusive<u64>),
    Number(RangeInclusive<f64>),
    /// A time such as `"60s"`, with the range in words.
    Duration(String),
    /// One of these words.
    Choice(Vec<String>),
    Text,
    /// A text that is never shown, and that may be in a file instead: `key_file`.
    Secret,
    /// A list of texts.
    List,
    /// One of several types.
    AnyOf(Vec<KeyKind>),
}

impl KeySpec {
    /// The key of a secret's file, such as `http.token_file`; `None` if the key is no secret.
    pub fn file_key(&self) -> Option<String> {
        (self.kind == KeyKind::Secret).then(|| file_key(&self.key))
    }
}

impl fmt::Display for KeyKind {
    /// A correct value, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyKind::Section | KeyKind::Sections => f.write_str("a section"),
            KeyKind::Boolean => f.write_str("true or false"),
            KeyKind::Integer(range) => write!(f, "{} to {}", range.start(), range.end()),
            KeyKind::Number(range) => write!(f, "{} to {}", range.start(), range.end()),
            KeyKind::Duration(range) => f.write_str(range),
            KeyKind::Choice(words) => {
                f.write_str(&words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or "))
            }
            KeyKind::Text => f.write_str("a text"),
            KeyKind::Secret => f.write_str("a secret text"),
            KeyKind::List => f.write_str("a list of texts"),
            KeyKind::AnyOf(kinds) => {
                f.write_str(&kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", or "))
            }
        }
    }
}

/// The key that names the file of a secret.
pub(super) fn file_key(key: &str) -> String {
    format!("{key}_file")
}

/// The environment variable that sets a key: `upstream[1].url` is set by `SLUICE__UPSTREAM__1__URL`. An index at the
/// end is one of a list, which has no variable of its own, and stays as it is.
pub fn variable_name(key: &str) -> String {
    if key.starts_with(VARIABLE_PREFIX) {
        return key.to_owned();
    }
    let name = key.replace("].", "__").to_ascii_uppercase();
    let (name, index) = match name.strip_suffix(']').and_then(|name| name.rsplit_once('[')) {
        Some((name, index)) => (name, format!("[{index}]")),
        None => (name.as_str(), String::new()),
    };
    format!("{VARIABLE_PREFIX}{}{index}", name.replace(['.', '['], "__"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_the_names_of_their_keys() {
        for (key, variable) in [
            ("mode", "SLUICE__MODE"),
            ("listen.max_miners", "SLUICE__LISTEN__MAX_MINERS"),
            ("upstream[2].url", "SLUICE__UPSTREAM__2__URL"),
            ("listen.allow[3]", "SLUICE__LISTEN__ALLOW[3]"),
            ("notify[1].to[2]", "SLUICE__NOTIFY__1__TO[2]"),
            ("SLUICE__LISTEN__BANANA", "SLUICE__LISTEN__BANANA"),
        ] {
            assert_eq!(variable_name(key), variable);
        }
    }
}
