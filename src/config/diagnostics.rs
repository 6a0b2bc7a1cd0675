//! Faults and known keys, collected while a document is read. All sections share them, hence the
//! cells.

use std::cell::RefCell;

use super::error::{ConfigFault, Origin, Problem};
use super::redaction::Redaction;
use super::specification::KeySpec;

/// The offset of everything that an environment variable sets. No file is so long.
pub(super) const ENVIRONMENT_OFFSET: usize = usize::MAX;

/// The faults found so far, and the keys that were read.
#[derive(Default)]
pub(super) struct Diagnostics {
    /// The offset of each line end.
    newlines: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    /// True if the keys are to be recorded, and not a document read.
    pub is_recording: bool,
    /// Every key that was read, if they are recorded.
    pub specification: RefCell<Vec<KeySpec>>,
    /// The keys that are set although this mode ignores them.
    pub ignored: RefCell<Vec<String>>,
}

impl Diagnostics {
    pub(super) fn new(text: &str) -> Diagnostics {
        let newlines = text.match_indices('\n').map(|(at, _)| at).collect();
        Diagnostics { newlines, ..Diagnostics::default() }
    }

    /// For an empty document, whose keys are recorded.
    pub(super) fn recorder() -> Diagnostics {
        Diagnostics { is_recording: true, ..Diagnostics::default() }
    }

    /// Notes a key that is read, if keys are recorded.
    pub(super) fn record(&self, spec: impl FnOnce() -> KeySpec) {
        if self.is_recording {
            self.specification.borrow_mut().push(spec());
        }
    }

    pub(super) fn add(&self, origin: Origin, key: impl Into<String>, fault: ConfigFault) {
        self.problems.borrow_mut().push(Problem { origin, key: key.into(), fault });
    }

    /// True if no fault was found so far.
    pub(super) fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// The line that holds the byte at `offset`, or the environment.
    pub(super) fn line(&self, offset: usize) -> Origin {
        if offset == ENVIRONMENT_OFFSET {
            return Origin::Variable;
        }
        Origin::Line(1 + self.newlines.partition_point(|newline| *newline < offset))
    }

    /// The faults in the order of the file; then those of environment variables, then those of flags.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.origin);
        problems
    }

    /// Parses a flag's value; `None` if the flag is absent, or wrong, which is recorded.
    pub(super) fn flag<T>(
        &self,
        flag: &str,
        redaction: Redaction,
        text: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = text?;
        let fault =
            |wanted| self.add(Origin::Flag, flag, ConfigFault::Value { shown: redaction.of(text), wanted });
        parse(text).map_err(fault).ok()
    }

    /// Parses each value of a flag that may be given several times; `None` if one is wrong.
    pub(super) fn each_flag<T>(
        &self,
        flag: &str,
        redaction: Redaction,
        texts: &[String],
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let parsed: Vec<_> =
            texts.iter().map(|text| self.flag(flag, redaction, Some(text), &parse)).collect();
        parsed.into_iter().collect()
    }
}
