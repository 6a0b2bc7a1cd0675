//! Reading one field of a message: the accepted JSON forms, and the error that names the field.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

/// The most characters of a peer's text in an error.
const MAX_EXCERPT_CHARS: usize = 80;

/// The most characters that are kept of a peer's text. One more than a record shows, so that the record can tell that
/// something is missing.
const MAX_KEPT_CHARS: usize = 129;

/// A field of a message that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The name of the field, as the wire reference calls it.
    pub field: &'static str,
    /// The shortened text as it came; `None` if the message has no such field.
    pub found: Option<String>,
    want: &'static str,
}

impl FieldError {
    pub(super) fn missing(field: &'static str) -> FieldError {
        FieldError { field, found: None, want: "sent" }
    }

    pub(super) fn new(field: &'static str, found: &str, want: &'static str) -> FieldError {
        FieldError { field, found: Some(excerpt(found)), want }
    }

    /// The error for a text that is not hex digits, or ends in half a byte.
    pub(super) fn hex(field: &'static str, found: &str) -> FieldError {
        FieldError::new(field, found, "hex digits, two for each byte")
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FieldError { field, found, want } = self;
        match found {
            Some(found) => write!(f, "{field} is {found:?}: it must be {want}"),
            None => write!(f, "{field} is missing: it must be {want}"),
        }
    }
}

impl std::error::Error for FieldError {}

/// The elements of `raw`, which must be a JSON array.
///
/// # Errors
/// When it is anything else.
pub fn elements<'a>(field: &'static str, raw: &'a RawValue) -> Result<Vec<&'a RawValue>, FieldError> {
    serde_json::from_str(raw.get()).map_err(|_| FieldError::new(field, raw.get(), "an array"))
}

/// The elements of `params`, which must be there.
pub(super) fn params_of<'a>(
    field: &'static str,
    params: Option<&'a RawValue>,
) -> Result<Vec<&'a RawValue>, FieldError> {
    elements(field, params.ok_or(FieldError::missing(field))?)
}

/// The elements of an array, or the values of an object in order: ESP-Miner does not tell the two apart. `None` for
/// anything else.
pub(super) fn values(raw: &RawValue) -> Option<Vec<&RawValue>> {
    struct Values;

    impl<'de> serde::de::Visitor<'de> for Values {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut values = Vec::new();
            while map.next_key::<serde::de::IgnoredAny>()?.is_some() {
                values.push(map.next_value()?);
            }
            Ok(values)
        }
    }

    if raw.get().starts_with('{') {
        let mut reader = serde_json::Deserializer::from_str(raw.get());
        return serde::Deserializer::deserialize_map(&mut reader, Values).ok();
    }
    elements("", raw).ok()
}

/// The first of the params if it is a text, as in subscribe and show_message.
pub fn first_text(params: Option<&RawValue>) -> Option<String> {
    let elements = elements("params", params?).ok()?;
    string("params[0]", elements.first()?).ok().map(Cow::into_owned)
}

/// The worker name in the params of an authorize or submit: a text, or a number as it is written. Empty if it is
/// anything else, or missing.
pub fn worker_name(params: Option<&RawValue>) -> String {
    let first = params.and_then(|params| elements("params", params).ok()?.first().copied());
    first.map(name).unwrap_or_default()
}

/// The worker name in one element; see [`worker_name`].
pub(super) fn name(raw: &RawValue) -> String {
    string_or_number("name", raw).map_or_else(|_| String::new(), Cow::into_owned)
}

/// The element at `index`.
pub(super) fn at<'a>(
    field: &'static str,
    elements: &[&'a RawValue],
    index: usize,
) -> Result<&'a RawValue, FieldError> {
    elements.get(index).copied().ok_or(FieldError::missing(field))
}

/// A JSON string. It borrows when there is no escape; a plain `Cow` never does with serde.
#[derive(serde::Deserialize)]
pub(super) struct JsonText<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A JSON string, its escapes resolved.
pub(super) fn string<'a>(field: &'static str, raw: &'a RawValue) -> Result<Cow<'a, str>, FieldError> {
    // It is valid JSON already, so that a text without an escape is what stands between its quotes.
    let plain = raw.get().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    if let Some(text) = plain.filter(|text| !text.as_bytes().contains(&b'\\')) {
        return Ok(Cow::Borrowed(text));
    }
    serde_json::from_str::<JsonText>(raw.get())
        .map(|text| text.0)
        .map_err(|_| FieldError::new(field, raw.get(), "a text"))
}

/// A JSON string, or a number as it is written: some peers send numbers where others send texts.
pub(super) fn string_or_number<'a>(
    field: &'static str,
    raw: &'a RawValue,
) -> Result<Cow<'a, str>, FieldError> {
    match raw.get().as_bytes().first() {
        Some(b'"') => string(field, raw),
        Some(b'0'..=b'9' | b'-') => Ok(Cow::Borrowed(raw.get())),
        _ => Err(FieldError::new(field, raw.get(), "a text")),
    }
}

/// The part of a peer's text (a name, an id, a reason) that is kept.
pub fn shortened(text: &str) -> String {
    text[..kept_length(text)].to_owned()
}

/// Cuts a peer's text to the part that is kept, as [`shortened`] does.
pub fn shorten(text: String) -> String {
    // A text that is cut in place keeps its memory: a miner could fill it with worker names of 60 KB.
    if kept_length(&text) < text.len() { shortened(&text) } else { text }
}

/// The bytes of the part of a text that is kept.
fn kept_length(text: &str) -> usize {
    if text.len() <= MAX_KEPT_CHARS {
        return text.len();
    }
    text.char_indices().nth(MAX_KEPT_CHARS).map_or(text.len(), |(end, _)| end)
}

/// The part of a peer's text that an error shows.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_EXCERPT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_no_more_than_an_excerpt() {
        let error = FieldError::hex("nonce", &"é".repeat(100_000));
        assert!(error.to_string().len() < 300);
    }

    #[test]
    fn strings_are_unescaped_and_numbers_kept() {
        let raw: &RawValue = serde_json::from_str(r#""a\u0041""#).unwrap();
        assert_eq!(string_or_number("x", raw).unwrap(), "aA");
        let raw: &RawValue = serde_json::from_str("17").unwrap();
        assert_eq!(string_or_number("x", raw).unwrap(), "17");
        let raw: &RawValue = serde_json::from_str("null").unwrap();
        assert!(string_or_number("x", raw).is_err());
    }
}
