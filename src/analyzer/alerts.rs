//! The list of alerts. An alert about a state is raised, counted while the state lasts, and resolved. An alert
//! about an event is over at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::NtpTime;
use crate::config::{RuleId, Severity};
use crate::record::{AlertKind, AlertRow, SavedAlert, SavedAlerts};
use crate::util::format::{count, span};

/// Caps the open alerts of one rule; further ones are only counted. A miner that invents worker names fills the
/// list of one rule and hides no alert of another.
const MAX_OPEN_PER_RULE: usize = 40;
/// Caps the alerts that are kept after they are over, in all and for one rule.
const MAX_PAST: usize = 200;
const MAX_PAST_PER_RULE: usize = 40;
/// A state that was not seen for this long is over. Pools send a job at least every few minutes.
const EXPIRY_SECONDS: i64 = 900;
/// The time from the end of a state to the end of its alert. With several miners, good and bad jobs alternate,
/// and the alert must not begin and end each time.
const RESOLVE_DELAY_SECONDS: i64 = 60;
/// The same event within this time is counted with the one before.
const REPEAT_SECONDS: i64 = 900;
/// The records that one rule may write at once, and the seconds until it may write another one. An attacker
/// cannot fill the disk.
const RECORD_BURST: f64 = 20.0;
const SECONDS_PER_RECORD: f64 = 60.0;

/// An alert, open or over.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub id: &'static str,
    pub severity: Severity,
    /// The subject of the alert, such as an upstream. The same rule and subject make one alert.
    pub subject: String,
    /// One sentence.
    pub description: String,
    pub evidence: Value,
    pub began: NtpTime,
    /// When the state or event was last seen.
    pub last: NtpTime,
    /// The number of times it was seen.
    pub count: u64,
    /// `None` while the state lasts.
    pub ended: Option<NtpTime>,
}

/// The alerts as the page and the JSON show them.
#[derive(Debug, Clone, Default)]
pub struct AlertsView {
    /// Open alerts first, then the newest.
    pub alerts: Arc<[Arc<Alert>]>,
    /// The number of alerts of each rule, over all runs.
    pub counts: BTreeMap<&'static str, u64>,
    /// The number of alerts that found the list of their rule full.
    pub overflowed: u64,
}

/// All alerts, open and over. Their number is bounded.
#[derive(Debug, Default)]
pub(super) struct AlertBook {
    /// By rule and subject.
    open: BTreeMap<&'static str, BTreeMap<String, OpenAlert>>,
    past: VecDeque<Arc<Alert>>,
    counts: BTreeMap<&'static str, u64>,
    overflowed: u64,
    disabled: Vec<RuleId>,
    records: BTreeMap<&'static str, RecordAllowance>,
    changed: bool,
    /// Alerts have begun or ended since they were last saved.
    unsaved: bool,
    view: AlertsView,
}

/// An alert about a state that lasts.
#[derive(Debug)]
struct OpenAlert {
    alert: Alert,
    /// When the state seemed to end.
    resolved: Option<NtpTime>,
}

/// The description of an alert, one sentence, and its evidence.
pub(super) type Described = (String, Value);

/// A finding of a rule, which may belong to an alert that exists already.
#[derive(Debug)]
pub(super) struct NewAlert<'a> {
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    pub(super) subject: &'a str,
    pub(super) at: NtpTime,
    /// The state showed in an event, not by the time that has passed.
    pub(super) is_counted: bool,
}

/// The number of records that a rule may still write: a token bucket on the time of the alerts.
#[derive(Debug)]
struct RecordAllowance {
    left: f64,
    at: i64,
}

impl AlertBook {
    pub(super) fn new(disabled: &[RuleId]) -> AlertBook {
        AlertBook { disabled: disabled.to_vec(), ..AlertBook::default() }
    }

    /// Takes over the alerts that lasted before the restart, and the counts of all runs. A state that is not seen again
    /// ends like any other.
    pub(super) fn restore(&mut self, saved: &SavedAlerts, now: NtpTime) {
        for (id, count) in &saved.counts {
            if let Some(id) = RuleId::parse(id) {
                self.counts.insert(id.as_str(), *count);
            }
        }
        for saved in &saved.open {
            let Some(id) = RuleId::parse(&saved.id).map(RuleId::as_str) else { continue };
            let of_rule = self.open.entry(id).or_default();
            let is_off = self.disabled.iter().any(|off| off.as_str() == id);
            if of_rule.len() < MAX_OPEN_PER_RULE && !is_off {
                let alert = Alert::restored(id, saved, now);
                of_rule.insert(alert.subject.clone(), OpenAlert { alert, resolved: None });
            }
        }
        self.changed = true;
    }

    /// The alerts that last and the counts, to be saved.
    pub(super) fn saved(&self) -> SavedAlerts {
        let open = self.open.values().flat_map(BTreeMap::values).map(|open| open.alert.to_saved());
        let counts = self.counts.iter().map(|(id, count)| ((*id).to_owned(), *count));
        SavedAlerts { open: open.collect(), counts: counts.collect() }.bounded()
    }

    /// Returns the alerts to be saved, if any has begun or ended since the last call.
    pub(super) fn unsaved(&mut self) -> Option<SavedAlerts> {
        std::mem::take(&mut self.unsaved).then(|| self.saved())
    }

    /// Disables these rules and ends their alerts.
    pub(super) fn disable(&mut self, disabled: &[RuleId]) {
        self.disabled = disabled.to_vec();
        for id in disabled {
            for (_, open) in self.open.remove(id.as_str()).unwrap_or_default() {
                self.archive(Alert { ended: Some(open.alert.last), ..open.alert });
            }
        }
    }

    /// Raises the alert about a state, or counts the state as seen again. `describe` is called only when the state
    /// begins or becomes more severe. Returns the row to be recorded.
    pub(super) fn raise(
        &mut self,
        new: &NewAlert<'_>,
        describe: impl FnOnce() -> Described,
    ) -> Option<AlertRow> {
        if self.is_disabled(new.id) {
            return None;
        }
        self.changed = true;
        let of_rule = self.open.entry(new.id).or_default();
        if let Some(OpenAlert { alert, resolved }) = of_rule.get_mut(new.subject) {
            alert.count += u64::from(new.is_counted);
            alert.last = new.at;
            *resolved = None;
            if new.severity <= alert.severity {
                return None;
            }
            alert.severity = new.severity;
            self.unsaved = true;
            (alert.description, alert.evidence) = describe();
            let row = AlertRow { at: new.at, ..alert.row(AlertKind::Begins) };
            return self.may_record(new.id, new.at).then_some(row);
        }
        if of_rule.len() >= MAX_OPEN_PER_RULE {
            self.overflowed += 1;
            return None;
        }
        *self.counts.entry(new.id).or_default() += 1;
        self.unsaved = true;
        let alert = Alert::new(new, describe());
        let row = alert.row(AlertKind::Begins);
        of_rule.insert(new.subject.to_owned(), OpenAlert { alert, resolved: None });
        self.may_record(new.id, new.at).then_some(row)
    }

    /// Keeps the alert about a state open, without counting.
    pub(super) fn keep_open(&mut self, id: &'static str, subject: &str, at: NtpTime) {
        if let Some(open) = self.open.get_mut(id).and_then(|of_rule| of_rule.get_mut(subject)) {
            (open.alert.last, open.resolved) = (at, None);
            self.changed = true;
        }
    }

    /// Returns whether this rule has an open alert.
    pub(super) fn is_open(&self, id: &str) -> bool {
        self.open.get(id).is_some_and(|of_rule| !of_rule.is_empty())
    }

    pub(super) fn open_subjects(&self, id: &str) -> Vec<String> {
        self.open.get(id).map_or_else(Vec::new, |of_rule| of_rule.keys().cloned().collect())
    }

    /// Ends the alert about a state, unless the state comes back within [`RESOLVE_DELAY_SECONDS`].
    pub(super) fn resolve(&mut self, id: &'static str, subject: &str, at: NtpTime) {
        if let Some(open) = self.open.get_mut(id).and_then(|of_rule| of_rule.get_mut(subject)) {
            open.resolved = open.resolved.or(Some(at));
        }
    }

    pub(super) fn report(
        &mut self,
        new: &NewAlert<'_>,
        describe: impl FnOnce() -> Described,
    ) -> Option<AlertRow> {
        if self.is_disabled(new.id) {
            return None;
        }
        if new.severity != Severity::Info && self.count_repeat(new) {
            return None;
        }
        *self.counts.entry(new.id).or_default() += 1;
        let mut alert = Alert::new(new, describe());
        alert.ended = Some(new.at);
        let row = alert.row(AlertKind::Happened);
        self.archive(alert);
        self.may_record(new.id, new.at).then_some(row)
    }

    /// Closes the alerts about states that have ended, and about those that were not seen for a while because
    /// their miners or their pool have disconnected.
    pub(super) fn expire(&mut self, now: NtpTime) -> Vec<AlertRow> {
        let passed = |since: NtpTime| now.unix_seconds() - since.unix_seconds();
        let end = |open: &OpenAlert| match open.resolved {
            Some(resolved) => (passed(resolved) >= RESOLVE_DELAY_SECONDS).then_some(resolved),
            None => (passed(open.alert.last) > EXPIRY_SECONDS).then_some(open.alert.last),
        };
        let mut over = Vec::new();
        for of_rule in self.open.values_mut() {
            if !of_rule.values().any(|open| end(open).is_some()) {
                continue;
            }
            for (subject, open) in std::mem::take(of_rule) {
                match end(&open) {
                    Some(at) => over.push((open.alert, at)),
                    None => drop(of_rule.insert(subject, open)),
                }
            }
        }
        over.into_iter().filter_map(|(alert, at)| self.close(alert, at)).collect()
    }

    fn close(&mut self, mut alert: Alert, at: NtpTime) -> Option<AlertRow> {
        alert.ended = Some(at);
        let mut row = alert.row(AlertKind::Ends);
        row.at = at;
        let seconds = at.unix_seconds().abs_diff(alert.began.unix_seconds());
        if let Some(data) = row.data.as_object_mut() {
            data.insert("lasted_seconds".to_owned(), seconds.into());
        }
        let lasted = span(Duration::from_secs(seconds));
        let seen = match alert.count {
            0 | 1 => String::new(),
            more => format!(", seen {}", count(more, "time")),
        };
        row.description = format!("over since {at}, lasted {lasted}{seen}: {}", row.description);
        let may_record = self.may_record(alert.id, at);
        self.archive(alert);
        may_record.then_some(row)
    }

    /// The alerts to show, built again only after a change.
    pub(super) fn view(&mut self) -> AlertsView {
        if std::mem::take(&mut self.changed) {
            let mut open: Vec<Arc<Alert>> = self
                .open
                .values()
                .flat_map(BTreeMap::values)
                .map(|open| Arc::new(open.alert.clone()))
                .collect();
            open.sort_by_key(|alert| std::cmp::Reverse((alert.severity, alert.began)));
            let alerts = open.into_iter().chain(self.past.iter().cloned()).collect();
            self.view = AlertsView { alerts, counts: self.counts.clone(), overflowed: self.overflowed };
        }
        self.view.clone()
    }

    fn archive(&mut self, alert: Alert) {
        (self.changed, self.unsaved) = (true, true);
        let of_rule = self.past.iter().filter(|past| past.id == alert.id).count();
        if of_rule >= MAX_PAST_PER_RULE {
            if let Some(oldest) = self.past.iter().rposition(|past| past.id == alert.id) {
                self.past.remove(oldest);
            }
        }
        self.past.truncate(MAX_PAST - 1);
        self.past.push_front(Arc::new(alert));
    }

    /// Counts an event with the one before, if that was recent. Returns whether it was.
    fn count_repeat(&mut self, new: &NewAlert<'_>) -> bool {
        let is_same = |past: &Arc<Alert>| {
            past.id == new.id
                && past.subject == new.subject
                && new.at.unix_seconds() - past.last.unix_seconds() < REPEAT_SECONDS
        };
        let Some(index) = self.past.iter().position(is_same) else { return false };
        let known = Arc::make_mut(&mut self.past[index]);
        known.count += 1;
        known.last = new.at;
        known.ended = Some(new.at);
        self.changed = true;
        true
    }

    fn is_disabled(&self, id: &str) -> bool {
        self.disabled.iter().any(|disabled| disabled.as_str() == id)
    }

    fn may_record(&mut self, id: &'static str, at: NtpTime) -> bool {
        let now = at.unix_seconds();
        let allowance = self.records.entry(id).or_insert(RecordAllowance { left: RECORD_BURST, at: now });
        let passed = now.saturating_sub(allowance.at).max(0) as f64;
        allowance.left = (allowance.left + passed / SECONDS_PER_RECORD).min(RECORD_BURST);
        allowance.at = now;
        let may = allowance.left >= 1.0;
        if may {
            allowance.left -= 1.0;
        }
        may
    }
}

impl Alert {
    fn new(new: &NewAlert<'_>, (description, evidence): Described) -> Alert {
        Alert {
            id: new.id,
            severity: new.severity,
            subject: new.subject.to_owned(),
            description,
            evidence,
            began: new.at,
            last: new.at,
            count: 1,
            ended: None,
        }
    }

    fn restored(id: &'static str, saved: &SavedAlert, now: NtpTime) -> Alert {
        let SavedAlert { severity, subject, description, evidence, began, count, .. } = saved.clone();
        let began = began.min(now);
        Alert { id, severity, subject, description, evidence, began, last: now, count, ended: None }
    }

    fn to_saved(&self) -> SavedAlert {
        let Alert { severity, subject, description, evidence, began, count, .. } = self.clone();
        SavedAlert { id: self.id.to_owned(), severity, subject, description, evidence, began, count }
    }

    /// The alert as a record, and as the notifier gets it.
    pub fn row(&self, kind: AlertKind) -> AlertRow {
        let mut data = json!({ "subject": self.subject, "count": self.count });
        if let (Some(data), Value::Object(evidence)) = (data.as_object_mut(), &self.evidence) {
            data.extend(evidence.clone());
        }
        AlertRow {
            at: self.began,
            kind,
            severity: self.severity,
            id: self.id,
            description: self.description.clone(),
            data,
        }
    }
}

#[cfg(test)]
mod tests;
