//! Walks a parsed TOML document section by section. The caller reads each key by type; a key that
//! nobody has read is unknown. Reading does not stop at the first fault: the fault is recorded with
//! its line, and the default is used in its place. What is read is also the specification of the keys.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::Diagnostics;
use super::did_you_mean;
use super::duration::{self, format_duration};
use super::error::{ConfigFault, Origin};
use super::redaction::{Redaction, found, key_name, shorten};
use super::secret::{self, Secret};
use super::specification::{KeyKind, KeySpec, file_key};
use crate::util::os_error::describe;

/// A section of the document, or an absent one, whose keys all have their defaults.
pub(super) struct Section<'n, 'd> {
    diagnostics: &'n Diagnostics,
    /// The section's path, such as `upstream[2]`; empty at the top.
    path: String,
    origin: Origin,
    table: Option<&'n DeTable<'d>>,
    known: Vec<Cow<'static, str>>,
}

impl<'n, 'd> Section<'n, 'd> {
    pub(super) fn top(diagnostics: &'n Diagnostics, table: &'n DeTable<'d>) -> Section<'n, 'd> {
        let (path, origin) = (String::new(), Origin::File);
        Section { diagnostics, path, origin, table: Some(table), known: Vec::new() }
    }

    /// True if the file has this section.
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// True if `key` is set, or its file if it is a secret.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.find(key).is_some() || self.has_file(key)
    }

    /// Records a fault of `key`, or of the section if `key` is not set.
    pub(super) fn add_fault(&self, key: &str, fault: ConfigFault) {
        let origin = match self.find(key) {
            Some((_, value)) => self.diagnostics.line(value.span().start),
            None => self.origin,
        };
        self.diagnostics.add(origin, self.full_key(key), fault);
    }

    /// Records that `key` conflicts with another setting; `reason` continues the sentence after the key.
    pub(super) fn conflict(&self, key: &str, reason: impl Into<String>) {
        self.add_fault(key, ConfigFault::Conflict { reason: reason.into() });
    }

    /// Records that `key` must be set.
    pub(super) fn missing(&self, key: &str, wanted: impl Into<String>) {
        self.add_fault(key, ConfigFault::Missing { wanted: wanted.into() });
    }

    /// Records which of `keys` are set, because this mode ignores them.
    pub(super) fn note_ignored(&self, keys: &[&str]) {
        for (key, value) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            let is_file = |key: &&str| name.strip_suffix("_file") == Some(key);
            if !keys.contains(&name) && !keys.iter().any(is_file) {
                continue;
            }
            let name = self.full_key(key.get_ref());
            self.diagnostics.ignored.borrow_mut().push(match value.get_ref() {
                // An empty section sets nothing.
                DeValue::Table(table) if table.is_empty() => continue,
                DeValue::Table(_) => format!("[{name}]"),
                DeValue::Array(array) if array.iter().any(|each| each.get_ref().is_table()) => {
                    format!("[[{name}]]")
                }
                _ => name,
            });
        }
    }

    /// Replaces `value`, the default, by the file's. A wrong one is recorded, and the default stays. The methods for the
    /// other types do the same.
    pub(super) fn bool(&mut self, key: &'static str, value: &mut bool) {
        match self.take(key, KeyKind::Boolean) {
            None => {}
            Some(DeValue::Boolean(given)) => *value = *given,
            Some(other) => self.wrong_type(key, other, Redaction::Value, "true or false"),
        }
    }

    pub(super) fn integer(&mut self, key: &'static str, value: &mut u64, range: RangeInclusive<u64>) {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        match self.take(key, KeyKind::Integer(range.clone())) {
            None => {}
            Some(DeValue::Integer(given)) => match u64::from_str_radix(given.as_str(), given.radix()) {
                Ok(number) if range.contains(&number) => *value = number,
                _ => self.add_fault(key, ConfigFault::Value { shown: shorten(&given.to_string()), wanted }),
            },
            Some(other) => self.wrong_type(key, other, Redaction::Value, wanted),
        }
    }

    /// Like [`Section::integer`], for sizes and counts in memory.
    pub(super) fn size(&mut self, key: &'static str, value: &mut usize, range: RangeInclusive<usize>) {
        let mut number = *value as u64;
        self.integer(key, &mut number, *range.start() as u64..=*range.end() as u64);
        // The range's end is a `usize`, so the number is one.
        *value = number as usize;
    }

    /// A number with or without a fraction; never NaN or infinite.
    pub(super) fn number(&mut self, key: &'static str, value: &mut f64, range: RangeInclusive<f64>) {
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        let (text, parsed) = match self.take(key, KeyKind::Number(range.clone())) {
            None => return,
            Some(DeValue::Float(given)) => (given.as_str(), given.as_str().parse::<f64>().ok()),
            Some(DeValue::Integer(given)) => {
                let parsed = i64::from_str_radix(given.as_str(), given.radix()).ok();
                (given.as_str(), parsed.map(|number| number as f64))
            }
            Some(other) => return self.wrong_type(key, other, Redaction::Value, wanted),
        };
        match parsed.filter(|number| range.contains(number)) {
            Some(number) => *value = number,
            None => self.add_fault(key, ConfigFault::Value { shown: shorten(text), wanted }),
        }
    }

    /// A text such as `"60s"` within `range`.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        value: &mut Duration,
        range: RangeInclusive<Duration>,
    ) {
        let (kind, wanted) = (KeyKind::Duration(times(&range)), range_of_times(&range));
        let parsed = self.parsed_as(key, kind, wanted.clone(), Redaction::Value, |text| {
            duration::parse(text).filter(|time| range.contains(time)).ok_or(wanted)
        });
        *value = parsed.unwrap_or(*value);
    }

    /// Like [`Section::duration`], where `"0s"` means never.
    pub(super) fn duration_or_never(
        &mut self,
        key: &'static str,
        value: &mut Option<Duration>,
        range: RangeInclusive<Duration>,
    ) {
        let kind = KeyKind::Duration(format!("\"0s\" for never, or {}", times(&range)));
        let wanted = format!("\"0s\" for never, or {}", range_of_times(&range));
        let parsed =
            self.parsed_as(key, kind, wanted.clone(), Redaction::Value, |text| match duration::parse(text) {
                Some(Duration::ZERO) => Ok(None),
                Some(time) if range.contains(&time) => Ok(Some(time)),
                _ => Err(wanted),
            });
        *value = parsed.unwrap_or(*value);
    }

    /// One of the given words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<_> = words.iter().map(|(name, _)| format!("{name:?}")).collect();
        let wanted = names.join(" or ");
        let kind = KeyKind::Choice(words.iter().map(|(name, _)| (*name).to_owned()).collect());
        self.parsed_as(key, kind, wanted.clone(), Redaction::Value, |text| {
            words.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or(wanted)
        })
    }

    /// A non-empty text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, Redaction::Value, non_empty)
    }

    /// A non-empty text that no message shows.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<Secret> {
        self.parsed(key, Redaction::Hidden, non_empty).map(Secret::new)
    }

    /// A text parsed by `parse`, whose error describes a correct value. One that may hold a password may be in a file
    /// instead, which `key_file` names.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        redaction: Redaction,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let kind = if redaction.is_secret() { KeyKind::Secret } else { KeyKind::Text };
        self.parsed_as(key, kind, String::from("a text in quotes"), redaction, parse)
    }

    /// A list of texts; `None` if it is not set or an element is wrong, which is recorded as `key[2]`.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        redaction: Redaction,
        example: &str,
        mut parse: impl FnMut(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let wanted = format!("a list of texts such as {example}");
        let value = self.take(key, KeyKind::List)?;
        let DeValue::Array(array) = value else {
            self.wrong_type(key, value, redaction, wanted);
            return None;
        };
        let mut list = Vec::with_capacity(array.len());
        for (i, element) in array.iter().enumerate() {
            let fault = match element.get_ref() {
                DeValue::String(text) => match parse(text) {
                    Ok(value) => {
                        list.push(value);
                        continue;
                    }
                    Err(wanted) => ConfigFault::Value { shown: redaction.of(text), wanted },
                },
                other => ConfigFault::WrongType {
                    found: found(other, redaction),
                    wanted: String::from("a text in quotes"),
                },
            };
            let place = format!("{}[{}]", self.full_key(key), i + 1);
            self.diagnostics.add(self.diagnostics.line(element.span().start), place, fault);
        }
        (list.len() == array.len()).then_some(list)
    }

    /// The raw value of a key that may have one of several types.
    pub(super) fn any(&mut self, key: &'static str, kinds: &[KeyKind]) -> Option<&'n DeValue<'d>> {
        self.take(key, KeyKind::AnyOf(kinds.to_vec()))
    }

    /// The section `[key]` or the inline table `key = { … }`; absent if the file has none.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'n, 'd> {
        let (origin, table) = match self.take_spanned(key, KeyKind::Section) {
            None => (self.origin, None),
            Some((line, DeValue::Table(table))) => (line, Some(table)),
            Some((line, other)) => {
                let wanted = format!("a section: [{}]", self.full_key(key));
                self.wrong_type(key, other, Redaction::Hidden, wanted);
                (line, None)
            }
        };
        self.subsection(self.full_key(key), origin, table)
    }

    /// The sections `[[key]]`, in the order of the file.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'n, 'd>> {
        let wanted = format!("a list of sections, each with its own [[{key}]] in double brackets");
        let Some(value) = self.take(key, KeyKind::Sections) else {
            // The specification has the keys of sections that an empty document lacks.
            let absent = || self.subsection(self.full_key(key), self.origin, None);
            return if self.diagnostics.is_recording { vec![absent()] } else { Vec::new() };
        };
        let DeValue::Array(array) = value else {
            self.wrong_type(key, value, Redaction::Hidden, wanted);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (i, element) in array.iter().enumerate() {
            let path = format!("{}[{}]", self.full_key(key), i + 1);
            let origin = self.diagnostics.line(element.span().start);
            match element.get_ref() {
                DeValue::Table(table) => sections.push(self.subsection(path, origin, Some(table))),
                other => self.diagnostics.add(
                    origin,
                    path,
                    ConfigFault::WrongType { found: found(other, Redaction::Hidden), wanted: wanted.clone() },
                ),
            }
        }
        sections
    }

    fn subsection(&self, path: String, origin: Origin, table: Option<&'n DeTable<'d>>) -> Section<'n, 'd> {
        Section { diagnostics: self.diagnostics, path, origin, table, known: Vec::new() }
    }

    fn parsed_as<T>(
        &mut self,
        key: &'static str,
        kind: KeyKind,
        wanted_type: String,
        redaction: Redaction,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if kind == KeyKind::Secret {
            self.known.push(file_key(key).into());
        }
        let value = self.take(key, kind);
        if self.has_file(key) {
            return self.secret_from_file(key, parse);
        }
        match value? {
            DeValue::String(text) => match parse(text) {
                Ok(value) => Some(value),
                Err(wanted) => {
                    self.add_fault(key, ConfigFault::Value { shown: redaction.of(text), wanted });
                    None
                }
            },
            other => {
                self.wrong_type(key, other, redaction, wanted_type);
                None
            }
        }
    }

    /// Reads a secret from the file that `key_file` names.
    fn secret_from_file<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let file_key = file_key(key);
        let (_, value) = self.find(&file_key)?;
        let DeValue::String(path) = value.get_ref() else {
            self.wrong_type(&file_key, value.get_ref(), Redaction::Value, "the path of a file, in quotes");
            return None;
        };
        if self.find(key).is_some() {
            self.conflict(&file_key, format!("and {key} are two values of one secret; remove one"));
            return None;
        }
        let shown = Redaction::Value.of(path);
        let fault = match secret::read_file(Path::new(path.as_ref())) {
            Ok(text) => match parse(&text) {
                Ok(value) => return Some(value),
                Err(wanted) => ConfigFault::Value { shown, wanted: format!("a file that holds {wanted}") },
            },
            Err(reason) => ConfigFault::SecretFile { shown, reason: describe(&reason) },
        };
        self.add_fault(&file_key, fault);
        None
    }

    /// True if `key` is a secret whose file is set.
    fn has_file(&self, key: &str) -> bool {
        let file_key = file_key(key);
        self.known.iter().any(|known| *known == file_key) && self.find(&file_key).is_some()
    }

    /// Records that `value` has the wrong type.
    pub(super) fn wrong_type(
        &self,
        key: &str,
        value: &DeValue,
        redaction: Redaction,
        wanted: impl Into<String>,
    ) {
        self.add_fault(key, ConfigFault::WrongType { found: found(value, redaction), wanted: wanted.into() });
    }

    fn take(&mut self, key: &'static str, kind: KeyKind) -> Option<&'n DeValue<'d>> {
        self.take_spanned(key, kind).map(|(_, value)| value)
    }

    fn take_spanned(&mut self, key: &'static str, kind: KeyKind) -> Option<(Origin, &'n DeValue<'d>)> {
        self.known.push(key.into());
        self.diagnostics.record(|| KeySpec { key: self.full_key(key), kind });
        let (_, value) = self.find(key)?;
        Some((self.diagnostics.line(value.span().start), value.get_ref()))
    }

    fn find(&self, key: &str) -> Option<(&'n Spanned<toml::de::DeString<'d>>, &'n Spanned<DeValue<'d>>)> {
        self.table?.iter().find(|(name, _)| name.get_ref() == key)
    }

    fn full_key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// Records every key that was not read as unknown, once the caller is done with the section.
impl Drop for Section<'_, '_> {
    fn drop(&mut self) {
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if self.known.iter().any(|known| known == name) {
                continue;
            }
            let nearest = did_you_mean::nearest(name, self.known.iter().map(AsRef::as_ref));
            let fault = ConfigFault::UnknownKey { nearest: nearest.map(|name| self.full_key(name)) };
            self.diagnostics.add(
                self.diagnostics.line(key.span().start),
                self.full_key(&key_name(name)),
                fault,
            );
        }
    }
}

fn range_of_times(range: &RangeInclusive<Duration>) -> String {
    let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
    format!("a time from \"{least}\" to \"{most}\", with its unit: ms, s, m, h or d")
}

fn times(range: &RangeInclusive<Duration>) -> String {
    format!("\"{}\" to \"{}\"", format_duration(*range.start()), format_duration(*range.end()))
}

fn non_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err(String::from("a text, not an empty one")) } else { Ok(text.to_owned()) }
}
