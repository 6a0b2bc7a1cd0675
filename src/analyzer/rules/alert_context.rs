//! The interface of a rule to the list of alerts and the names of the upstreams.

use serde_json::Value;

use super::super::alerts::{AlertBook, Described, NewAlert};
use crate::clock::{ClockState, NtpTime};
use crate::config::Severity;
use crate::record::{AlertRow, EventRow, SavedState};

/// The id of an alert and its severity.
pub(super) type AlertType = (&'static str, Severity);

/// The context in which a rule handles one finding.
pub(in super::super) struct AlertContext<'a> {
    pub(in super::super) alerts: &'a mut AlertBook,
    /// The rows to be recorded.
    pub(in super::super) rows: &'a mut Vec<AlertRow>,
    /// Events for the time line, besides those of alerts.
    pub(in super::super) events: &'a mut Vec<EventRow>,
    pub(in super::super) upstreams: &'a [String],
    pub(in super::super) clock: &'a ClockState,
    /// The state that outlives a restart.
    pub(in super::super) state: &'a mut SavedState,
    /// The state has changed and is to be saved.
    pub(in super::super) unsaved: &'a mut bool,
    /// The time of the finding.
    pub(in super::super) at: NtpTime,
    /// The finding is that time has passed. Then a state that goes on is not counted once more.
    pub(in super::super) is_tick: bool,
}

impl<'a> AlertContext<'a> {
    /// The upstream's host and port. Empty for a session without one.
    pub(super) fn upstream(&self, index: Option<usize>) -> &'a str {
        let name = index.and_then(|index| self.upstreams.get(index)).map_or("", String::as_str);
        name.split_once("://").map_or(name, |(_, rest)| rest)
    }

    /// Saves a fingerprint of an upstream across restarts.
    pub(super) fn save_fingerprint(&mut self, upstream: &str, fingerprint: Value) {
        *self.unsaved |= self.state.set_fingerprint(upstream, fingerprint);
    }

    /// Raises an alert about a state, or counts it once more.
    pub(super) fn raise(&mut self, kind: AlertType, subject: &str, describe: impl FnOnce() -> Described) {
        self.rows.extend(self.alerts.raise(&self.new_alert(kind, subject), describe));
    }

    pub(super) fn keep_open(&mut self, id: &'static str, subject: &str) {
        self.alerts.keep_open(id, subject, self.at);
    }

    /// Ends the alert about a state, if there is one.
    pub(super) fn resolve(&mut self, id: &'static str, subject: &str) {
        self.alerts.resolve(id, subject, self.at);
    }

    pub(super) fn report(&mut self, kind: AlertType, subject: &str, describe: impl FnOnce() -> Described) {
        self.rows.extend(self.alerts.report(&self.new_alert(kind, subject), describe));
    }

    fn new_alert<'s>(&self, (id, severity): AlertType, subject: &'s str) -> NewAlert<'s> {
        NewAlert { id, severity, subject, at: self.at, is_counted: !self.is_tick }
    }
}

#[cfg(test)]
impl AlertContext<'_> {
    /// Runs `check` with the context of a tick. Returns the rows that it records.
    pub(super) fn for_tests(
        alerts: &mut AlertBook,
        clock: &ClockState,
        at: NtpTime,
        check: impl FnOnce(&mut AlertContext<'_>),
    ) -> Vec<AlertRow> {
        let (mut recorded, state, unsaved) = (Vec::new(), &mut SavedState::default(), &mut false);
        let (rows, events) = (&mut recorded, &mut Vec::new());
        check(&mut AlertContext {
            alerts,
            rows,
            events,
            upstreams: &[],
            clock,
            state,
            unsaved,
            at,
            is_tick: true,
        });
        recorded
    }
}
