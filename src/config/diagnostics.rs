//! Faults and known keys, collected while a document is read. All sections share them, hence the
//! cells.

use std::cell::RefCell;

use super::error::{ConfigFault, Origin, Problem};

/// The faults found so far, and the keys that were read.
pub(super) struct Diagnostics {
    /// The offset of each line end.
    newlines: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    known: RefCell<Vec<String>>,
    ignored: RefCell<Vec<String>>,
}

impl Diagnostics {
    pub(super) fn new(text: &str) -> Diagnostics {
        Diagnostics {
            newlines: text.match_indices('\n').map(|(at, _)| at).collect(),
            problems: RefCell::default(),
            known: RefCell::default(),
            ignored: RefCell::default(),
        }
    }

    pub(super) fn add(&self, origin: Origin, key: impl Into<String>, fault: ConfigFault) {
        self.problems.borrow_mut().push(Problem { origin, key: key.into(), fault });
    }

    /// True if no fault was found so far.
    pub(super) fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// The line that holds the byte at `offset`.
    pub(super) fn line(&self, offset: usize) -> Origin {
        Origin::Line(1 + self.newlines.partition_point(|newline| *newline < offset))
    }

    /// The faults in the order of the file; those of flags come last.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.origin);
        problems
    }

    /// Records that `key` is a known one.
    pub(super) fn add_known(&self, key: String) {
        self.known.borrow_mut().push(key);
    }

    /// Records that the file sets `name`, which this mode ignores.
    pub(super) fn add_ignored(&self, name: String) {
        self.ignored.borrow_mut().push(name);
    }

    /// The keys recorded by [`Diagnostics::add_ignored`].
    pub(super) fn take_ignored(&self) -> Vec<String> {
        self.ignored.take()
    }

    /// Every key that was read, without indices: `upstream.url`.
    pub(super) fn known_keys(&self) -> Vec<String> {
        self.known.borrow().clone()
    }
}
