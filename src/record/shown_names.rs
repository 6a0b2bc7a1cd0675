//! The names that people have given to workers, in `state.json`: shown instead of the worker's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::csv::csv_field;
use crate::util::escape::line_text;
use crate::work::name_of_worker;

/// Caps the names. A person gives each of them.
const MAX_NAMES: usize = 1000;
/// Caps the characters of a name.
const MAX_CHARS: usize = 40;

/// The shown names by the workers' own, in the form of [`SavedState::worker_key`](super::SavedState::worker_key). Clones share them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct ShownNames(Arc<BTreeMap<String, String>>);

impl ShownNames {
    /// The number of names that are kept.
    pub const MAX: usize = MAX_NAMES;
    /// The longest name, in characters.
    pub const MAX_CHARS: usize = MAX_CHARS;

    /// The name that a person has given to this worker.
    pub fn get(&self, worker: &str) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&*csv_field(worker)).map(String::as_str)
    }

    /// The name to show for this worker: the one that a person has given, else its own without the address.
    pub fn name_of<'a>(&'a self, worker: &'a str) -> &'a str {
        self.get(worker).unwrap_or_else(|| name_of_worker(worker))
    }

    /// Whether this worker can get a name: it has one, or there are not too many yet.
    pub fn has_room_for(&self, worker: &str) -> bool {
        self.0.len() < MAX_NAMES || self.get(worker).is_some()
    }

    /// Gives a worker a name; an empty one takes it away. Returns whether anything has changed. If there are too many
    /// names, nothing changes.
    pub fn set(&mut self, worker: &str, name: &str) -> bool {
        let key = csv_field(worker);
        let name = clean(name);
        if name.is_empty() {
            return self.0.contains_key(&*key) && Arc::make_mut(&mut self.0).remove(&*key).is_some();
        }
        if self.0.get(&*key) == Some(&name) || !self.has_room_for(&key) {
            return false;
        }
        Arc::make_mut(&mut self.0).insert(key.into_owned(), name);
        true
    }
}

/// A name in one line, without spaces around it, cut if it is very long.
fn clean(name: &str) -> String {
    line_text(name.trim(), MAX_CHARS).trim().to_owned()
}

impl From<BTreeMap<String, String>> for ShownNames {
    /// Takes over the names of a file that others may have written.
    fn from(names: BTreeMap<String, String>) -> ShownNames {
        let names = names.into_iter().map(|(worker, name)| (worker, clean(&name)));
        ShownNames(Arc::new(names.filter(|(_, name)| !name.is_empty()).take(MAX_NAMES).collect()))
    }
}

impl From<ShownNames> for BTreeMap<String, String> {
    fn from(names: ShownNames) -> BTreeMap<String, String> {
        Arc::unwrap_or_clone(names.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.garage";

    #[test]
    fn a_name_is_shown_until_it_is_taken_away() {
        let mut names = ShownNames::default();
        assert_eq!(names.name_of(WORKER), "garage");
        assert!(names.set(WORKER, "  Kitchen\u{202e}\n ") && !names.set("rig", "  "));
        assert_eq!(names.name_of(WORKER), "Kitchen\\u{202e}");
        assert!(names.set(WORKER, "Kitchen") && !names.set(WORKER, "Kitchen"));
        assert_eq!(names.name_of(WORKER), "Kitchen");
        let json = serde_json::to_string(&names).unwrap();
        assert_eq!(serde_json::from_str::<ShownNames>(&json).unwrap(), names);
        assert!(names.set(WORKER, "") && names.get(WORKER).is_none());
    }

    #[test]
    fn a_worker_is_found_by_its_escaped_name() {
        let mut names = ShownNames::default();
        assert!(names.set("=rig\u{1b}", "Kitchen"));
        assert_eq!(names.get(&csv_field("=rig\u{1b}")), Some("Kitchen"));
    }

    #[test]
    fn names_are_bounded_in_number_and_length() {
        let mut names = ShownNames::default();
        for number in 0..MAX_NAMES {
            assert!(names.set(&format!("w{number}"), &"x".repeat(500)));
        }
        assert!(!names.set("more", "more") && names.set("w7", "y"));
        assert!(names.get("w8").is_some_and(|name| name.chars().count() <= MAX_CHARS + 1));
        let many = (0..2 * MAX_NAMES).map(|number| (format!("w{number}"), String::from("x"))).collect();
        assert_eq!(ShownNames::from(BTreeMap::from_iter::<Vec<_>>(many)).0.len(), MAX_NAMES);
    }
}
