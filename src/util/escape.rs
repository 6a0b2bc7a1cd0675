//! Escaping of peers' texts (worker names, user agents, reasons, pool tags) for every output: log, console, page,
//! JSON, metrics, CSV, notifications. The rule is the same everywhere, so that a name can be copied from one output
//! and found in another.
//!
//! Characters that control a terminal, reorder a line or are invisible are written as Rust escapes: `\n`, `\u{1b}`,
//! `\u{202e}`. Everything else stays as it is: quotes, backslashes, emoji, any script.

use std::borrow::Cow;
use std::fmt;
use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// A peer's text, escaped when it is printed.
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(is_unprintable) {
            let (printable, unprintable) = split_last(piece);
            f.write_str(printable)?;
            if let Some(c) = unprintable {
                write!(f, "{}", c.escape_default())?;
            }
        }
        Ok(())
    }
}

/// Escapes a text like [`Printable`], without an allocation if nothing needs it.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(is_unprintable) { Cow::Owned(Printable(text).to_string()) } else { Cow::Borrowed(text) }
}

/// Escapes a text like [`printable`] and cuts it after `max` characters; a cut text ends with `…`.
pub fn line_text(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", Printable(&text[..end])),
        None => Printable(text).to_string(),
    }
}

/// True for control characters, characters that change the direction or joining of text, and characters without
/// width (Unicode: Cc, the bidirectional and invisible part of Cf, Default_Ignorable_Code_Point). Variation selectors
/// are printable: they choose between the forms of an emoji.
pub fn is_unprintable(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Serializes compact JSON for other programs. Texts are escaped before JSON escapes them, so that a tool that
/// prints them raw (`jq -r`) prints nothing that controls a terminal.
///
/// # Errors
/// The same as [`serde_json::to_string`].
pub fn to_json(document: &impl Serialize) -> serde_json::Result<String> {
    serialize(document, CompactFormatter)
}

/// Serializes indented JSON, escaped like [`to_json`].
///
/// # Errors
/// The same as [`serde_json::to_string_pretty`].
pub fn to_json_pretty(document: &impl Serialize) -> serde_json::Result<String> {
    serialize(document, PrettyFormatter::new())
}

fn serialize(document: &impl Serialize, formatter: impl Formatter) -> serde_json::Result<String> {
    let mut bytes = Vec::with_capacity(256);
    document.serialize(&mut Serializer::with_formatter(&mut bytes, EscapingFormatter(formatter)))?;
    // The serializer writes whole characters only.
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// Splits an unprintable last character off.
fn split_last(piece: &str) -> (&str, Option<char>) {
    match piece.chars().next_back().filter(|last| is_unprintable(*last)) {
        Some(last) => (&piece[..piece.len() - last.len_utf8()], Some(last)),
        None => (piece, None),
    }
}

/// Escapes the content of strings and leaves the rest to the inner formatter.
struct EscapingFormatter<F>(F);

/// Defines methods that call the inner formatter.
macro_rules! delegate {
    ($($method:ident($($argument:ident: $type:ty)?);)*) => {$(
        fn $method<W: ?Sized + io::Write>(&mut self, to: &mut W $(, $argument: $type)?) -> io::Result<()> {
            self.0.$method(to $(, $argument)?)
        }
    )*};
}

impl<F: Formatter> Formatter for EscapingFormatter<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, to: &mut W, text: &str) -> io::Result<()> {
        if !text.contains(is_unprintable) {
            return self.0.write_string_fragment(to, text);
        }
        for piece in text.split_inclusive(is_unprintable) {
            let (printable, unprintable) = split_last(piece);
            self.0.write_string_fragment(to, printable)?;
            if let Some(c) = unprintable {
                write!(to, "\\{}", c.escape_default())?;
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, to: &mut W, escape: CharEscape) -> io::Result<()> {
        let c = match escape {
            CharEscape::Backspace => '\u{8}',
            CharEscape::FormFeed => '\u{c}',
            CharEscape::LineFeed => '\n',
            CharEscape::CarriageReturn => '\r',
            CharEscape::Tab => '\t',
            CharEscape::AsciiControl(byte) => char::from(byte),
            CharEscape::Quote | CharEscape::ReverseSolidus | CharEscape::Solidus => {
                return self.0.write_char_escape(to, escape);
            }
        };
        write!(to, "\\{}", c.escape_default())
    }

    delegate! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }
}

/// Escapes a whole HTML page: its own markup has no unprintable character.
pub fn html(markup: String) -> String {
    match printable(&markup) {
        Cow::Owned(escaped) => escaped,
        Cow::Borrowed(_) => markup,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const HOSTILE: &str = "a\n\u{1b}[2J\u{7}\u{9b}\u{202e}\u{61c}\u{200b}\u{feff}\u{ad}\u{e0041}\"\\⛏️é";
    const ESCAPED: &str =
        "a\\n\\u{1b}[2J\\u{7}\\u{9b}\\u{202e}\\u{61c}\\u{200b}\\u{feff}\\u{ad}\\u{e0041}\"\\⛏️é";

    #[test]
    fn control_characters_are_escaped_and_emoji_are_kept() {
        assert_eq!(Printable(HOSTILE).to_string(), ESCAPED);
        assert_eq!(printable(HOSTILE), ESCAPED);
        assert_eq!(line_text(HOSTILE, 100), ESCAPED);
        assert!(matches!(printable("矿工 rig-1 \"é\""), Cow::Borrowed(_)));
    }

    #[test]
    fn json_holds_the_same_text_in_values_and_keys() {
        let document = json!({ HOSTILE: [HOSTILE, 1, null, { "b": "" }] });
        let shown = json!({ ESCAPED: [ESCAPED, 1, null, { "b": "" }] });
        for text in [to_json(&document).unwrap(), to_json_pretty(&document).unwrap()] {
            assert!(!text.contains(|c| c != '\n' && is_unprintable(c)), "{text:?}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), shown);
        }
        assert_eq!(to_json_pretty(&shown).unwrap(), serde_json::to_string_pretty(&shown).unwrap());
    }

    #[test]
    fn long_texts_are_cut() {
        let cut = line_text(&"é".repeat(1000), 256);
        assert_eq!(cut.chars().count(), 257);
        assert!(cut.ends_with('…'));
    }
}
