//! How a rule speaks: to the book of alerts, in the names of the upstreams.

use serde_json::Value;

use super::super::alerts::{AlertBook, NewAlert};
use crate::clock::{ClockState, NtpTime};
use crate::config::Severity;
use crate::record::{AlertRow, SavedState};

/// Lent to a rule for one finding.
pub(in super::super) struct AlertContext<'a> {
    pub(in super::super) alerts: &'a mut AlertBook,
    /// What is to be recorded.
    pub(in super::super) rows: &'a mut Vec<AlertRow>,
    pub(in super::super) upstreams: &'a [String],
    pub(in super::super) clock: &'a ClockState,
    /// For what outlives a restart.
    pub(in super::super) state: &'a mut SavedState,
    /// The state has news that are to be saved.
    pub(in super::super) unsaved: &'a mut bool,
}

impl<'a> AlertContext<'a> {
    /// The upstream's host and port; empty for a session that has none.
    pub(super) fn upstream(&self, place: Option<usize>) -> &'a str {
        let name = place.and_then(|place| self.upstreams.get(place)).map_or("", String::as_str);
        name.split_once("://").map_or(name, |(_, rest)| rest)
    }

    /// Whether any state of this rule lasts: only then it is worth while to name one that ends.
    pub(super) fn is_open(&self, id: &str) -> bool {
        self.alerts.is_open(id)
    }

    /// Whether the state of this rule about `subject` lasts.
    pub(super) fn is_open_about(&self, id: &str, subject: &str) -> bool {
        self.alerts.is_open_about(id, subject)
    }

    /// What the states of this rule are about that last, or have just ended.
    pub(super) fn open_subjects(&self, id: &str) -> Vec<String> {
        self.alerts.open_subjects(id)
    }

    /// Keeps something of an upstream over restarts.
    pub(super) fn keep(&mut self, upstream: &str, fingerprint: Value) {
        *self.unsaved |= self.state.set_fingerprint(upstream, fingerprint);
    }

    /// A state is seen in a job, a share or another event.
    pub(super) fn raise(
        &mut self,
        (id, severity): (&'static str, Severity),
        subject: &str,
        at: NtpTime,
        describe: impl FnOnce() -> (String, Value),
    ) {
        self.rows.extend(self.alerts.raise(&NewAlert { id, severity, subject, at }, describe));
    }

    /// A state is seen to last as time passes, which is not counted.
    pub(super) fn raise_uncounted(
        &mut self,
        (id, severity): (&'static str, Severity),
        subject: &str,
        at: NtpTime,
        describe: impl FnOnce() -> (String, Value),
    ) {
        self.rows.extend(self.alerts.raise_uncounted(&NewAlert { id, severity, subject, at }, describe));
    }

    /// A state that has begun still lasts.
    pub(super) fn keep_open(&mut self, id: &'static str, subject: &str, at: NtpTime) {
        self.alerts.keep_open(id, subject, at);
    }

    /// A state is over, if it had begun.
    pub(super) fn resolve(&mut self, id: &'static str, subject: &str, at: NtpTime) {
        self.alerts.resolve(id, subject, at);
    }

    /// Something happened, once.
    pub(super) fn report(
        &mut self,
        (id, severity): (&'static str, Severity),
        subject: &str,
        at: NtpTime,
        describe: impl FnOnce() -> (String, Value),
    ) {
        self.rows.extend(self.alerts.report(&NewAlert { id, severity, subject, at }, describe));
    }
}
