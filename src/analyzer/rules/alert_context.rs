//! The interface of a rule to the list of alerts and the names of the upstreams.

use serde_json::Value;

use super::super::alerts::{AlertBook, NewAlert};
use crate::clock::{ClockState, NtpTime};
use crate::config::Severity;
use crate::record::{AlertRow, SavedState};

/// The context in which a rule handles one finding.
pub(in super::super) struct AlertContext<'a> {
    pub(in super::super) alerts: &'a mut AlertBook,
    /// The rows to be recorded.
    pub(in super::super) rows: &'a mut Vec<AlertRow>,
    pub(in super::super) upstreams: &'a [String],
    pub(in super::super) clock: &'a ClockState,
    /// The state that outlives a restart.
    pub(in super::super) state: &'a mut SavedState,
    /// The state has changed and is to be saved.
    pub(in super::super) unsaved: &'a mut bool,
}

impl<'a> AlertContext<'a> {
    /// The upstream's host and port. Empty for a session without one.
    pub(super) fn upstream(&self, place: Option<usize>) -> &'a str {
        let name = place.and_then(|place| self.upstreams.get(place)).map_or("", String::as_str);
        name.split_once("://").map_or(name, |(_, rest)| rest)
    }

    /// Returns whether this rule has an open alert. Only then is it worth formatting a subject to resolve.
    pub(super) fn is_open(&self, id: &str) -> bool {
        self.alerts.is_open(id)
    }

    /// Returns whether this rule has an open alert about `subject`.
    pub(super) fn is_open_about(&self, id: &str, subject: &str) -> bool {
        self.alerts.is_open_about(id, subject)
    }

    /// The subjects of this rule's open alerts.
    pub(super) fn open_subjects(&self, id: &str) -> Vec<String> {
        self.alerts.open_subjects(id)
    }

    /// Saves a fingerprint of an upstream across restarts.
    pub(super) fn save_fingerprint(&mut self, upstream: &str, fingerprint: Value) {
        *self.unsaved |= self.state.set_fingerprint(upstream, fingerprint);
    }

    /// Raises an alert about a state that shows in a job, a share or another event.
    pub(super) fn raise(
        &mut self,
        (id, severity): (&'static str, Severity),
        subject: &str,
        at: NtpTime,
        describe: impl FnOnce() -> (String, Value),
    ) {
        self.rows
            .extend(self.alerts.raise(&NewAlert { id, severity, subject, at, is_counted: true }, describe));
    }

    /// Raises an alert about a state that shows as time passes, without counting.
    pub(super) fn raise_uncounted(
        &mut self,
        (id, severity): (&'static str, Severity),
        subject: &str,
        at: NtpTime,
        describe: impl FnOnce() -> (String, Value),
    ) {
        self.rows
            .extend(self.alerts.raise(&NewAlert { id, severity, subject, at, is_counted: false }, describe));
    }

    /// Keeps the alert about a state open.
    pub(super) fn keep_open(&mut self, id: &'static str, subject: &str, at: NtpTime) {
        self.alerts.keep_open(id, subject, at);
    }

    /// Ends the alert about a state, if there is one.
    pub(super) fn resolve(&mut self, id: &'static str, subject: &str, at: NtpTime) {
        self.alerts.resolve(id, subject, at);
    }

    /// Reports an event.
    pub(super) fn report(
        &mut self,
        (id, severity): (&'static str, Severity),
        subject: &str,
        at: NtpTime,
        describe: impl FnOnce() -> (String, Value),
    ) {
        self.rows
            .extend(self.alerts.report(&NewAlert { id, severity, subject, at, is_counted: true }, describe));
    }
}

#[cfg(test)]
impl AlertContext<'_> {
    /// Runs `check` with a context for tests. Returns the rows that it records.
    pub(super) fn for_tests(
        alerts: &mut AlertBook,
        clock: &ClockState,
        check: impl FnOnce(&mut AlertContext<'_>),
    ) -> Vec<AlertRow> {
        let (mut rows, state, unsaved) = (Vec::new(), &mut SavedState::default(), &mut false);
        check(&mut AlertContext { alerts, rows: &mut rows, upstreams: &[], clock, state, unsaved });
        rows
    }
}
