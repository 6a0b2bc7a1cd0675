//! The environment. `SLUICE__LISTEN__MAX_MINERS=500` sets `listen.max_miners`, and `SLUICE__UPSTREAM__1__URL` the URL
//! of the first pool. Variables are put into the document that is then read, so they are judged as strictly as a file.

use std::borrow::Cow;
use std::ffi::OsString;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::diagnostics::{Diagnostics, ENVIRONMENT_OFFSET};
use super::did_you_mean;
use super::error::{ConfigFault, Origin};
use super::specification::{KeyKind, KeySpec, VARIABLE_PREFIX, variable_name};

/// The variables whose names begin with [`VARIABLE_PREFIX`], in the order in which they take effect. Not `Debug`: a
/// value may be a secret.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Vec<Variable>,
}

#[derive(Clone)]
struct Variable {
    name: String,
    /// The parts of the name behind the prefix.
    path: Vec<PathStep>,
    /// `None` if it is not UTF-8.
    value: Option<String>,
}

/// A part of a variable's name. Numbers are in numerical order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum PathStep {
    /// The place in a list of sections, from 1.
    Index(usize),
    Key(String),
}

/// The reason why a variable has no place in the document.
enum NoPlace {
    /// The list of sections has only so many.
    Gap(usize),
    /// The file has something else there, which is its own fault.
    NoSection,
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Environment {
        Environment::of(std::env::vars_os())
    }

    /// The variables among these that set a key.
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let variable = |(name, value): (OsString, OsString)| {
            let name = name.to_string_lossy().into_owned();
            let path = name.strip_prefix(VARIABLE_PREFIX)?.split("__").map(PathStep::of).collect();
            Some(Variable { name, path, value: value.into_string().ok() })
        };
        let mut variables: Vec<Variable> = variables.into_iter().filter_map(variable).collect();
        // A whole section comes before its keys.
        variables.sort_by(|one, other| one.path.cmp(&other.path));
        Environment { variables }
    }

    /// The number of variables.
    pub fn len(&self) -> usize {
        self.variables.len()
    }

    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// True if a variable names a pool, so that no file is needed.
    pub(super) fn names_pool(&self) -> bool {
        let upstream = PathStep::Key(String::from("upstream"));
        self.variables.iter().any(|variable| variable.path.first() == Some(&upstream))
    }

    /// Puts the values into the document, in place of the file's.
    pub(super) fn merge_into<'d>(
        &'d self,
        document: &mut DeTable<'d>,
        specification: &[KeySpec],
        diagnostics: &Diagnostics,
    ) {
        for variable in &self.variables {
            if let Err(fault) = variable.merge_into(document, specification) {
                diagnostics.add(Origin::Variable, variable.name.as_str(), fault);
            }
        }
    }
}

impl Variable {
    fn merge_into<'d>(
        &'d self,
        document: &mut DeTable<'d>,
        specification: &[KeySpec],
    ) -> Result<(), ConfigFault> {
        if self.path.contains(&PathStep::Index(0)) {
            let first = variable_name(&indexed(&self.key(), &self.path, specification));
            let reason = format!("counts from 0, but the first section has the number 1: {first}");
            return Err(ConfigFault::Conflict { reason });
        }
        let key = self.key();
        let (kind, replaced) =
            kind_of(&key, specification).ok_or_else(|| self.unknown(&key, specification))?;
        if self.name != variable_name(&indexed(&key, &self.path, specification)) {
            return Err(self.unknown(&key, specification));
        }
        let text = self.value.as_deref().ok_or_else(|| {
            let (shown, wanted) = (String::from("***"), String::from("a text in UTF-8"));
            ConfigFault::Value { shown, wanted }
        })?;
        match set(document, &self.path, parse_value(text, kind)?, replaced.as_deref()) {
            Ok(()) | Err(NoPlace::NoSection) => Ok(()),
            Err(NoPlace::Gap(count)) => {
                let reason = format!("leaves a gap: the next section has the number {}", count + 1);
                Err(ConfigFault::Conflict { reason })
            }
        }
    }

    /// The key that it sets, without indices: `upstream.url`.
    fn key(&self) -> String {
        let keys = self.path.iter().filter_map(|step| match step {
            PathStep::Key(key) => Some(key.as_str()),
            PathStep::Index(_) => None,
        });
        keys.collect::<Vec<_>>().join(".")
    }

    fn unknown(&self, key: &str, specification: &[KeySpec]) -> ConfigFault {
        let files: Vec<String> = specification.iter().filter_map(KeySpec::file_key).collect();
        let known = specification.iter().map(|spec| &spec.key).chain(&files);
        let nearest = did_you_mean::nearest(key, known.map(String::as_str));
        ConfigFault::UnknownKey { nearest: nearest.map(|key| indexed(key, &self.path, specification)) }
    }
}

impl PathStep {
    fn of(part: &str) -> PathStep {
        match part.parse() {
            Ok(number) => PathStep::Index(number),
            Err(_) => PathStep::Key(part.to_ascii_lowercase()),
        }
    }
}

/// The kind of a key without indices, and the key beside it that its value replaces: a secret and its file.
fn kind_of<'a>(key: &str, specification: &'a [KeySpec]) -> Option<(&'a KeyKind, Option<String>)> {
    let find = |key: &str| specification.iter().find(|spec| spec.key == key);
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    if let Some(spec) = find(key) {
        return Some((&spec.kind, spec.file_key().map(|file| last(&file))));
    }
    let secret = find(key.strip_suffix("_file")?).filter(|spec| spec.kind == KeyKind::Secret)?;
    Some((&KeyKind::Text, Some(last(&secret.key))))
}

/// A key with the indices of the path, each behind the name of a list of sections; 1 where the path has none.
fn indexed(key: &str, path: &[PathStep], specification: &[KeySpec]) -> String {
    let mut indices = path.iter().filter_map(|step| match step {
        PathStep::Index(number) => Some((*number).max(1)),
        PathStep::Key(_) => None,
    });
    let parts: Vec<&str> = key.split('.').collect();
    let mut indexed = String::new();
    for (place, part) in parts.iter().enumerate() {
        indexed.push_str(part);
        if place + 1 == parts.len() {
            break;
        }
        let parent = parts[..=place].join(".");
        if specification.iter().any(|spec| spec.key == parent && spec.kind == KeyKind::Sections) {
            indexed.push_str(&format!("[{}]", indices.next().unwrap_or(1)));
        }
        indexed.push('.');
    }
    indexed
}

/// Reads a variable's text as its key needs it: a text as it is, a list as TOML or as its only element, and
/// everything else as TOML. A text that is none of it is left to the reader, which says what would be right.
fn parse_value<'d>(text: &'d str, kind: &KeyKind) -> Result<DeValue<'d>, ConfigFault> {
    let as_text = || DeValue::String(Cow::Borrowed(text));
    let as_toml = || DeValue::parse(text.trim()).map(Spanned::into_inner);
    let not_a_text = || as_toml().ok().filter(|value| !value.is_str());
    let is_bracketed = text.trim().starts_with('[') && text.trim().ends_with(']');
    match kind {
        KeyKind::Choice(_) | KeyKind::Duration(_) | KeyKind::Text | KeyKind::Secret => Ok(as_text()),
        KeyKind::List if is_bracketed => {
            as_toml().map_err(|error| ConfigFault::Syntax { reason: error.message().replace('\n', "; ") })
        }
        KeyKind::List => {
            let mut list = DeArray::new();
            list.push(placed(as_text()));
            Ok(DeValue::Array(list))
        }
        KeyKind::Section
        | KeyKind::Sections
        | KeyKind::Boolean
        | KeyKind::Integer(_)
        | KeyKind::Number(_)
        | KeyKind::AnyOf(_) => Ok(not_a_text().unwrap_or_else(as_text)),
    }
}

/// Sets the value at this path. A value of the file under `replaced`, beside it, goes.
fn set<'d>(
    table: &mut DeTable<'d>,
    path: &[PathStep],
    value: DeValue<'d>,
    replaced: Option<&str>,
) -> Result<(), NoPlace> {
    let Some((PathStep::Key(key), rest)) = path.split_first() else { return Err(NoPlace::NoSection) };
    let new_section = || placed(DeValue::Table(DeTable::new()));
    match rest {
        [] => {
            let is_of_file = |other: &Spanned<DeValue>| other.span().start != ENVIRONMENT_OFFSET;
            if let Some(replaced) = replaced.filter(|other| table.get(*other).is_some_and(is_of_file)) {
                table.remove(replaced);
            }
            table.insert(placed_key(key), placed(value));
            Ok(())
        }
        [PathStep::Index(number), rest @ ..] => {
            let list = table.entry(placed_key(key)).or_insert_with(|| placed(DeValue::Array(DeArray::new())));
            let DeValue::Array(list) = list.get_mut() else { return Err(NoPlace::NoSection) };
            if *number == list.len() + 1 {
                list.push(new_section());
            }
            let count = list.len();
            let element = number.checked_sub(1).and_then(|place| list.get_mut(place));
            match element.ok_or(NoPlace::Gap(count))?.get_mut() {
                DeValue::Table(section) => set(section, rest, value, replaced),
                _ => Err(NoPlace::NoSection),
            }
        }
        rest => match table.entry(placed_key(key)).or_insert_with(new_section).get_mut() {
            DeValue::Table(section) => set(section, rest, value, replaced),
            _ => Err(NoPlace::NoSection),
        },
    }
}

fn placed_key<'d>(key: &str) -> Spanned<Cow<'d, str>> {
    Spanned::new(ENVIRONMENT_OFFSET..ENVIRONMENT_OFFSET, Cow::Owned(key.to_owned()))
}

/// Marks a value, and everything in it, as one of the environment.
fn placed(value: DeValue<'_>) -> Spanned<DeValue<'_>> {
    let value = match value {
        DeValue::Array(list) => {
            DeValue::Array(list.into_iter().map(|element| placed(element.into_inner())).collect())
        }
        DeValue::Table(table) => {
            let entries = table.into_iter();
            DeValue::Table(
                entries.map(|(key, value)| (placed_key(key.get_ref()), placed(value.into_inner()))).collect(),
            )
        }
        other => other,
    };
    Spanned::new(ENVIRONMENT_OFFSET..ENVIRONMENT_OFFSET, value)
}

#[cfg(test)]
mod tests;
