//! The reports on findings: alerts and events go to the log, the records, the notifier and the time line.

use serde_json::Value;

use super::Accounting;
use crate::analyzer::events;
use crate::analyzer::rules::{AlertContext, RuleSet, internal};
use crate::analyzer::system_news;
use crate::clock::NtpTime;
use crate::config::{RulesConfig, Severity};
use crate::record::{AlertRow, EventRow};
use crate::util::escape::Printable;
use crate::util::supervise::Restart;

impl Accounting {
    /// Runs `run` with the rules on a finding of this time, and records the alerts they raise.
    pub(super) fn with_rules(&mut self, at: NtpTime, run: impl FnOnce(&mut RuleSet, &mut AlertContext<'_>)) {
        let (mut rows, mut events) = (Vec::new(), Vec::new());
        let upstreams = self.upstreams.all();
        let mut context = AlertContext {
            alerts: &mut self.alerts,
            rows: &mut rows,
            events: &mut events,
            upstreams: &upstreams,
            clock: &self.clock_state,
            state: &mut self.state,
            unsaved: &mut self.unsaved,
            at,
            is_tick: false,
        };
        run(&mut self.rules, &mut context);
        self.record_alerts(rows);
        self.add_events(events);
    }

    pub(super) fn record_alerts(&mut self, rows: impl IntoIterator<Item = AlertRow>) {
        for mut row in rows {
            self.add_shown_name(&mut row);
            self.add_events(events::of_alert(&row));
            let description = Printable(&row.description);
            match row.severity {
                Severity::Info => log::info!("{}: {description}", row.id),
                Severity::Low | Severity::Medium | Severity::High => log::warn!("{}: {description}", row.id),
            }
            if let Some(recorder) = &self.recorder {
                recorder.record_alert(&row);
            }
            if let Some(notifier) = &self.notifier {
                notifier.notify(&row);
            }
        }
    }

    /// Adds the name that a person has given to the worker of an alert, for messages.
    fn add_shown_name(&self, row: &mut AlertRow) {
        let worker = row.data.get("worker").or_else(|| row.data.get("subject")).and_then(Value::as_str);
        let name = worker.and_then(|worker| self.state.shown_names.get(worker)).map(str::to_owned);
        if let (Some(name), Some(data)) = (name, row.data.as_object_mut()) {
            data.insert("shown_name".to_owned(), name.into());
        }
    }

    /// Follows a change of the system's clock. `skew` is the sum of all changes since the start, in nanoseconds. Rules
    /// that compare times start over.
    pub(in super::super) fn clock_was_set(&mut self, skew: i64, rules: &RulesConfig) {
        self.skew = skew;
        self.rules.start_over(rules);
        self.add_events([system_news::clock_set(self.clock.now())]);
    }

    /// Tells the end of the program, and has the state saved that only ticks would save.
    pub(in super::super) fn end(&mut self) {
        let now = self.clock.now();
        self.with_rules(now, RuleSet::end);
        self.add_events([system_news::stop(now)]);
    }

    pub(super) fn take_unsaved_alerts(&mut self) {
        if let Some(alerts) = self.alerts.unsaved() {
            self.state.alerts = alerts;
            self.unsaved = true;
        }
    }

    /// Puts events on the time line, and records them.
    pub(super) fn add_events(&mut self, events: impl IntoIterator<Item = EventRow>) {
        for event in events.into_iter().filter_map(|event| self.events.add(event)) {
            if let Some(recorder) = &self.recorder {
                recorder.record_event(&event);
            }
        }
    }

    /// Reports threads of this program that panicked and were restarted.
    pub(in super::super) fn restarted(&mut self, restarts: &[Restart]) {
        for restart in restarts {
            self.with_rules(self.clock.now(), |_, context| internal::restarted(restart, context));
        }
    }
}
