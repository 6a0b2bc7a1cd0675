//! The book of alerts: a state begins, is counted while it lasts, and ends; an event is over at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::NtpTime;
use crate::config::{RuleId, Severity};
use crate::record::{AlertKind, AlertRow};
use crate::util::plural::count;
use crate::util::span::span;

/// The most states of one rule that last at the same time; what else begins is counted only. Who makes
/// up names fills the place of one rule, and hides no other.
const MAX_OPEN_PER_RULE: usize = 40;
/// The most alerts that are kept once they are over, and those of one rule among them.
const MAX_PAST: usize = 200;
const MAX_PAST_PER_RULE: usize = 40;
/// A state that was not seen for so many seconds is over. Pools send a job at least every few minutes.
const EXPIRY_SECONDS: i64 = 900;
/// A state that is over begins anew only after so many seconds: with several miners, good jobs and bad
/// ones alternate.
const RESOLVE_DELAY_SECONDS: i64 = 60;
/// The same event within so many seconds is counted with the one before.
const REPEAT_SECONDS: i64 = 900;
/// Records that one rule may write at once, and then so many seconds for each further one: an
/// attacker can't fill the disk.
const RECORD_BURST: f64 = 20.0;
const SECONDS_PER_RECORD: f64 = 60.0;

/// What was noticed, and how it went on.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub id: &'static str,
    pub severity: Severity,
    /// What it is about, such as an upstream: the same rule on the same subject is one alert.
    pub subject: String,
    /// One sentence.
    pub description: String,
    pub evidence: Value,
    pub began: NtpTime,
    /// When it was last seen.
    pub last: NtpTime,
    /// How often it was seen.
    pub count: u64,
    /// `None` while it lasts.
    pub ended: Option<NtpTime>,
}

/// What there is to see of the book.
#[derive(Debug, Clone, Default)]
pub struct AlertsView {
    /// Those that last first, then the newest.
    pub alerts: Arc<[Arc<Alert>]>,
    /// How often each rule has raised an alert since the start.
    pub counts: BTreeMap<&'static str, u64>,
    /// How many began while there was no room for them.
    pub overflowed: u64,
}

/// All alerts. Bounded.
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
    view: AlertsView,
}

/// A state that lasts.
#[derive(Debug)]
struct OpenAlert {
    alert: Alert,
    /// Since when it seems to be over.
    over: Option<NtpTime>,
}

/// What is noticed, before the book has decided whether it is new.
#[derive(Debug)]
pub(super) struct NewAlert<'a> {
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    pub(super) subject: &'a str,
    pub(super) at: NtpTime,
}

/// How many records of a rule may still be written.
#[derive(Debug)]
struct RecordAllowance {
    left: f64,
    at: i64,
}

impl AlertBook {
    pub(super) fn new(disabled: &[RuleId]) -> AlertBook {
        AlertBook { disabled: disabled.to_vec(), ..AlertBook::default() }
    }

    /// From now on these rules say nothing, and what they have said is over.
    pub(super) fn disable(&mut self, disabled: &[RuleId]) {
        self.disabled = disabled.to_vec();
        for id in disabled {
            for (_, open) in self.open.remove(id.as_str()).unwrap_or_default() {
                self.archive(Alert { ended: Some(open.alert.last), ..open.alert });
            }
        }
    }

    /// A state is seen in a job, a share or another event, which is counted. `describe` is asked only
    /// when it begins or becomes more severe; what is returned is to be recorded.
    pub(super) fn raise(
        &mut self,
        new: &NewAlert<'_>,
        describe: impl FnOnce() -> (String, Value),
    ) -> Option<AlertRow> {
        self.sighted(new, 1, describe)
    }

    /// As [`AlertBook::raise`], as the passing of time shows: nothing has happened that would be counted.
    pub(super) fn raise_uncounted(
        &mut self,
        new: &NewAlert<'_>,
        describe: impl FnOnce() -> (String, Value),
    ) -> Option<AlertRow> {
        self.sighted(new, 0, describe)
    }

    fn sighted(
        &mut self,
        new: &NewAlert<'_>,
        times: u64,
        describe: impl FnOnce() -> (String, Value),
    ) -> Option<AlertRow> {
        if self.is_disabled(new.id) {
            return None;
        }
        self.changed = true;
        let of_rule = self.open.entry(new.id).or_default();
        if let Some(OpenAlert { alert, over }) = of_rule.get_mut(new.subject) {
            alert.count += times;
            alert.last = new.at;
            *over = None;
            if new.severity <= alert.severity {
                return None;
            }
            alert.severity = new.severity;
            (alert.description, alert.evidence) = describe();
            let row = AlertRow { at: new.at, ..alert.row(AlertKind::Begins) };
            return self.may_record(new).then_some(row);
        }
        if of_rule.len() >= MAX_OPEN_PER_RULE {
            self.overflowed += 1;
            return None;
        }
        *self.counts.entry(new.id).or_default() += 1;
        let alert = Alert::new(new, describe());
        let row = alert.row(AlertKind::Begins);
        of_rule.insert(new.subject.to_owned(), OpenAlert { alert, over: None });
        self.may_record(new).then_some(row)
    }

    /// A state that has begun still lasts, though nothing was seen that would be counted.
    pub(super) fn keep_open(&mut self, id: &'static str, subject: &str, at: NtpTime) {
        if let Some(open) = self.open.get_mut(id).and_then(|of_rule| of_rule.get_mut(subject)) {
            (open.alert.last, open.over) = (at, None);
            self.changed = true;
        }
    }

    /// Whether any state of this rule lasts.
    pub(super) fn is_open(&self, id: &str) -> bool {
        self.open.get(id).is_some_and(|of_rule| !of_rule.is_empty())
    }

    /// Whether the state of this rule about `subject` lasts.
    pub(super) fn is_open_about(&self, id: &str, subject: &str) -> bool {
        self.open.get(id).is_some_and(|of_rule| of_rule.contains_key(subject))
    }

    /// What the states of this rule are about that last, or have just ended.
    pub(super) fn open_subjects(&self, id: &str) -> Vec<String> {
        self.open.get(id).map_or_else(Vec::new, |of_rule| of_rule.keys().cloned().collect())
    }

    /// A state is over, if it had begun and does not come back at once.
    pub(super) fn resolve(&mut self, id: &'static str, subject: &str, at: NtpTime) {
        if let Some(open) = self.open.get_mut(id).and_then(|of_rule| of_rule.get_mut(subject)) {
            open.over = open.over.or(Some(at));
        }
    }

    /// Something happened, once.
    pub(super) fn report(
        &mut self,
        new: &NewAlert<'_>,
        describe: impl FnOnce() -> (String, Value),
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
        self.may_record(new).then_some(row)
    }

    /// Ends the states that are over, and those that were not seen for a while: their miners have left,
    /// or their pool has.
    pub(super) fn expire(&mut self, now: NtpTime) -> Vec<AlertRow> {
        let passed = |since: NtpTime| now.unix_seconds() - since.unix_seconds();
        let end = |open: &OpenAlert| match open.over {
            Some(over) => (passed(over) >= RESOLVE_DELAY_SECONDS).then_some(over),
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
        let lasted = span(Duration::from_secs(at.unix_seconds().abs_diff(alert.began.unix_seconds())));
        let seen = match alert.count {
            0 | 1 => String::new(),
            more => format!(", seen {}", count(more, "time")),
        };
        row.description = format!("over since {at}, lasted {lasted}{seen}: {}", row.description);
        let new = NewAlert { id: alert.id, severity: alert.severity, subject: &alert.subject, at };
        let may_record = self.may_record(&new);
        self.archive(alert);
        may_record.then_some(row)
    }

    /// What there is to see, built anew only after a change.
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
        self.changed = true;
        let of_rule = self.past.iter().filter(|past| past.id == alert.id).count();
        if of_rule >= MAX_PAST_PER_RULE {
            if let Some(oldest) = self.past.iter().rposition(|past| past.id == alert.id) {
                self.past.remove(oldest);
            }
        }
        self.past.truncate(MAX_PAST - 1);
        self.past.push_front(Arc::new(alert));
    }

    /// Counts an event that has happened not long ago.
    fn count_repeat(&mut self, new: &NewAlert<'_>) -> bool {
        let is_same = |past: &Arc<Alert>| {
            past.id == new.id
                && past.subject == new.subject
                && new.at.unix_seconds() - past.last.unix_seconds() < REPEAT_SECONDS
        };
        let Some(place) = self.past.iter().position(is_same) else { return false };
        let known = Arc::make_mut(&mut self.past[place]);
        known.count += 1;
        known.last = new.at;
        known.ended = Some(new.at);
        self.changed = true;
        true
    }

    fn is_disabled(&self, id: &str) -> bool {
        self.disabled.iter().any(|disabled| disabled.as_str() == id)
    }

    fn may_record(&mut self, new: &NewAlert<'_>) -> bool {
        let now = new.at.unix_seconds();
        let allowance = self.records.entry(new.id).or_insert(RecordAllowance { left: RECORD_BURST, at: now });
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
    fn new(new: &NewAlert<'_>, (description, evidence): (String, Value)) -> Alert {
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

    fn row(&self, kind: AlertKind) -> AlertRow {
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
mod tests {
    use super::*;

    fn at(seconds: i64) -> NtpTime {
        NtpTime::from_timestamp(jiff::Timestamp::from_second(1_790_000_000 + seconds).unwrap())
    }

    fn new_alert(subject: &str, seconds: i64) -> NewAlert<'_> {
        NewAlert { id: "chain.wrong", severity: Severity::High, subject, at: at(seconds) }
    }

    fn describe() -> (String, Value) {
        ("another coin".to_owned(), json!({ "nbits": "1d00ffff" }))
    }

    #[test]
    fn a_state_begins_lasts_and_ends() {
        let mut alerts = AlertBook::default();
        let row = alerts.raise(&new_alert("pool", 0), describe).unwrap();
        assert_eq!(row.data, json!({ "subject": "pool", "count": 1, "nbits": "1d00ffff" }));
        for second in 1..10 {
            assert!(alerts.raise(&new_alert("pool", second), describe).is_none());
        }
        // What comes back at once has never been over.
        alerts.resolve("chain.wrong", "pool", at(10));
        assert!(alerts.raise(&new_alert("pool", 11), describe).is_none());
        assert!(alerts.expire(at(80)).is_empty());
        alerts.resolve("chain.wrong", "pool", at(12));
        alerts.resolve("chain.wrong", "pool", at(13));
        assert!(alerts.expire(at(71)).is_empty());
        let rows = alerts.expire(at(72));
        assert!(rows[0].description.contains("seen 11 times"), "{}", rows[0].description);
        assert!(alerts.expire(at(73)).is_empty());
        let view = alerts.view();
        assert_eq!((view.alerts.len(), view.counts["chain.wrong"]), (1, 1));
        assert_eq!((view.alerts[0].last, view.alerts[0].ended), (at(11), Some(at(12))));
    }

    #[test]
    fn the_passing_of_time_is_not_counted() {
        let mut alerts = AlertBook::default();
        assert!(alerts.raise_uncounted(&new_alert("pool", 0), describe).is_some());
        for second in 1..100 {
            assert!(alerts.raise_uncounted(&new_alert("pool", second), describe).is_none());
        }
        let alert = alerts.view().alerts[0].clone();
        assert_eq!((alert.count, alert.last), (1, at(99)));
        alerts.resolve("chain.wrong", "pool", at(120));
        let rows = alerts.expire(at(300));
        assert!(rows[0].description.contains("lasted 2 min: "), "{}", rows[0].description);
    }

    #[test]
    fn a_state_that_becomes_more_severe_is_news() {
        let mut alerts = AlertBook::default();
        let medium = NewAlert { severity: Severity::Medium, ..new_alert("pool", 0) };
        assert!(alerts.raise(&medium, describe).is_some());
        let row = alerts.raise(&new_alert("pool", 5), || ("worse".to_owned(), json!({}))).unwrap();
        assert_eq!((row.severity, row.at, row.description.as_str()), (Severity::High, at(5), "worse"));
        // It does not become milder, and is one alert.
        assert!(alerts.raise(&NewAlert { at: at(6), ..medium }, describe).is_none());
        let view = alerts.view();
        assert_eq!(
            (view.alerts.len(), view.alerts[0].severity, view.counts["chain.wrong"]),
            (1, Severity::High, 1)
        );
    }

    #[test]
    fn a_state_that_goes_on_is_not_counted() {
        let mut alerts = AlertBook::default();
        alerts.keep_open("chain.wrong", "pool", at(0));
        alerts.raise(&new_alert("pool", 0), describe);
        alerts.keep_open("chain.wrong", "pool", at(2000));
        assert!(alerts.expire(at(2001)).is_empty());
        assert_eq!(alerts.view().alerts[0].count, 1);
    }

    #[test]
    fn what_lasts_comes_first() {
        let mut alerts = AlertBook::default();
        alerts.raise(&new_alert("one", 0), describe);
        alerts
            .report(&NewAlert { id: "share.best", severity: Severity::Info, ..new_alert("w", 5) }, describe);
        let ids: Vec<_> = alerts.view().alerts.iter().map(|alert| alert.id).collect();
        assert_eq!(ids, ["chain.wrong", "share.best"]);
    }

    #[test]
    fn a_flood_is_counted_and_neither_kept_nor_recorded() {
        let mut alerts = AlertBook::default();
        let recorded =
            (0..5000).filter(|n| alerts.raise(&new_alert(&format!("pool{n}"), 0), describe).is_some());
        assert_eq!(recorded.count(), 20);
        let view = alerts.view();
        assert_eq!(
            (view.alerts.len(), view.overflowed),
            (MAX_OPEN_PER_RULE, 5000 - MAX_OPEN_PER_RULE as u64)
        );
        for n in 0..5000 {
            alerts.report(&new_alert(&n.to_string(), 1), describe);
        }
        assert_eq!(alerts.view().alerts.len(), MAX_OPEN_PER_RULE + MAX_PAST_PER_RULE);
        // An hour later there is room for records again.
        assert!(alerts.report(&new_alert("later", 3600), describe).is_some());
    }

    #[test]
    fn an_event_that_repeats_is_counted_and_good_news_are_not() {
        let mut alerts = AlertBook::default();
        let raised =
            (0..1000).filter(|second| alerts.report(&new_alert("pool", *second), describe).is_some());
        assert_eq!(raised.count(), 1);
        assert_eq!(alerts.view().alerts[0].count, 1000);
        let best = |second| NewAlert { id: "share.best", severity: Severity::Info, ..new_alert("w", second) };
        assert!(alerts.report(&best(1), describe).is_some() && alerts.report(&best(2), describe).is_some());
    }

    #[test]
    fn what_is_not_seen_any_more_is_over() {
        let mut alerts = AlertBook::default();
        alerts.raise(&new_alert("pool", 0), describe);
        assert!(alerts.expire(at(EXPIRY_SECONDS)).is_empty());
        assert_eq!(alerts.expire(at(EXPIRY_SECONDS + 1)).len(), 1);
        assert_eq!(alerts.view().alerts[0].ended, Some(at(0)));
    }

    #[test]
    fn a_rule_can_be_off() {
        let mut alerts = AlertBook::new(&[RuleId::parse("chain.wrong").unwrap()]);
        assert!(alerts.raise(&new_alert("pool", 0), describe).is_none());
        assert!(alerts.view().alerts.is_empty());
    }
}
