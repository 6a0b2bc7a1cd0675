//! The book of alerts: a state begins, is counted while it lasts, and ends; an event is over at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock::NtpTime;
use crate::config::{RuleId, Severity};
use crate::record::{AlertKind, AlertRow};

/// The most states that last at the same time; what else begins is counted only.
const MOST_OPEN: usize = 256;
/// The most alerts that are kept once they are over.
const MOST_PAST: usize = 200;
/// A state that was not seen for so many seconds is over. Pools send a job at least every few minutes.
const FORGOTTEN: i64 = 900;
/// Records that one rule may write at once, and then so many seconds for each further one: an
/// attacker can't fill the disk.
const BURST: f64 = 20.0;
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
pub(super) struct Alerts {
    open: BTreeMap<(&'static str, String), Alert>,
    past: VecDeque<Arc<Alert>>,
    counts: BTreeMap<&'static str, u64>,
    overflowed: u64,
    off: Vec<RuleId>,
    records: BTreeMap<&'static str, Allowance>,
    changed: bool,
    view: AlertsView,
}

/// What is noticed, before the book has decided whether it is news.
#[derive(Debug)]
pub(super) struct News<'a> {
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    pub(super) subject: &'a str,
    pub(super) at: NtpTime,
}

/// How many records of a rule may still be written.
#[derive(Debug)]
struct Allowance {
    left: f64,
    at: i64,
}

impl Alerts {
    pub(super) fn new(off: &[RuleId]) -> Alerts {
        Alerts { off: off.to_vec(), ..Alerts::default() }
    }

    /// A state is seen. `describe` is asked only when it begins; what is returned is to be recorded.
    pub(super) fn lasts(
        &mut self,
        news: &News<'_>,
        describe: impl FnOnce() -> (String, Value),
    ) -> Option<AlertRow> {
        if self.is_off(news.id) {
            return None;
        }
        self.changed = true;
        if let Some(known) = self.open.get_mut(&(news.id, news.subject.to_owned())) {
            known.count += 1;
            known.last = news.at;
            return None;
        }
        if self.open.len() >= MOST_OPEN && !self.make_room(news.severity) {
            self.overflowed += 1;
            return None;
        }
        *self.counts.entry(news.id).or_default() += 1;
        let alert = Alert::new(news, describe());
        let row = alert.row(AlertKind::Begins);
        self.open.insert((news.id, news.subject.to_owned()), alert);
        self.may_record(news).then_some(row)
    }

    /// A state is over, if it had begun.
    pub(super) fn ends(&mut self, id: &'static str, subject: &str, at: NtpTime) -> Option<AlertRow> {
        if self.open.is_empty() {
            return None;
        }
        let mut alert = self.open.remove(&(id, subject.to_owned()))?;
        alert.ended = Some(at);
        let mut row = alert.row(AlertKind::Ends);
        row.at = at;
        row.description = format!("over since {at}, seen {} times: {}", alert.count, row.description);
        let news = News { id, severity: alert.severity, subject, at };
        let may_record = self.may_record(&news);
        self.keep(alert);
        may_record.then_some(row)
    }

    /// Something happened, once.
    pub(super) fn happened(
        &mut self,
        news: &News<'_>,
        describe: impl FnOnce() -> (String, Value),
    ) -> Option<AlertRow> {
        if self.is_off(news.id) {
            return None;
        }
        *self.counts.entry(news.id).or_default() += 1;
        let mut alert = Alert::new(news, describe());
        alert.ended = Some(news.at);
        let row = alert.row(AlertKind::Happened);
        self.keep(alert);
        self.may_record(news).then_some(row)
    }

    /// Ends the states that were not seen for a while: their miners have left, or their pool has.
    pub(super) fn expire(&mut self, now: NtpTime) -> Vec<AlertRow> {
        let is_over = |alert: &Alert| now.unix_seconds() - alert.last.unix_seconds() > FORGOTTEN;
        let over: Vec<_> = self
            .open
            .iter()
            .filter(|(_, alert)| is_over(alert))
            .map(|(key, alert)| (key.clone(), alert.last))
            .collect();
        over.into_iter().filter_map(|((id, subject), last)| self.ends(id, &subject, last)).collect()
    }

    /// What there is to see, built anew only after a change.
    pub(super) fn view(&mut self) -> AlertsView {
        if std::mem::take(&mut self.changed) {
            let mut open: Vec<Arc<Alert>> = self.open.values().cloned().map(Arc::new).collect();
            open.sort_by_key(|alert| std::cmp::Reverse((alert.severity, alert.began)));
            let alerts = open.into_iter().chain(self.past.iter().cloned()).collect();
            self.view = AlertsView { alerts, counts: self.counts.clone(), overflowed: self.overflowed };
        }
        self.view.clone()
    }

    /// Forgets the least serious of what lasts, if it is less serious than what begins: a flood of
    /// little things must not hide a great one.
    fn make_room(&mut self, severity: Severity) -> bool {
        let least = self.open.iter().min_by_key(|(_, alert)| (alert.severity, alert.last));
        let Some((key, _)) = least.filter(|(_, alert)| alert.severity < severity) else { return false };
        let key = key.clone();
        self.overflowed += 1;
        self.open.remove(&key);
        true
    }

    fn keep(&mut self, alert: Alert) {
        self.changed = true;
        self.past.truncate(MOST_PAST - 1);
        self.past.push_front(Arc::new(alert));
    }

    fn is_off(&self, id: &str) -> bool {
        self.off.iter().any(|off| off.as_str() == id)
    }

    fn may_record(&mut self, news: &News<'_>) -> bool {
        let now = news.at.unix_seconds();
        let allowance = self.records.entry(news.id).or_insert(Allowance { left: BURST, at: now });
        let passed = now.saturating_sub(allowance.at).max(0) as f64;
        allowance.left = (allowance.left + passed / SECONDS_PER_RECORD).min(BURST);
        allowance.at = now;
        let may = allowance.left >= 1.0;
        if may {
            allowance.left -= 1.0;
        }
        may
    }
}

impl Alert {
    fn new(news: &News<'_>, (description, evidence): (String, Value)) -> Alert {
        Alert {
            id: news.id,
            severity: news.severity,
            subject: news.subject.to_owned(),
            description,
            evidence,
            began: news.at,
            last: news.at,
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

    fn news(subject: &str, seconds: i64) -> News<'_> {
        News { id: "chain.wrong", severity: Severity::High, subject, at: at(seconds) }
    }

    fn told() -> (String, Value) {
        ("another coin".to_owned(), json!({ "nbits": "1d00ffff" }))
    }

    #[test]
    fn a_state_begins_lasts_and_ends() {
        let mut alerts = Alerts::default();
        let row = alerts.lasts(&news("pool", 0), told).unwrap();
        assert_eq!(row.data, json!({ "subject": "pool", "count": 1, "nbits": "1d00ffff" }));
        assert_eq!(row.kind, AlertKind::Begins);
        for second in 1..10 {
            assert!(alerts.lasts(&news("pool", second), told).is_none());
        }
        let row = alerts.ends("chain.wrong", "pool", at(10)).unwrap();
        assert!(row.description.contains("seen 10 times"), "{}", row.description);
        assert!(alerts.ends("chain.wrong", "pool", at(11)).is_none());
        let view = alerts.view();
        assert_eq!((view.alerts.len(), view.counts["chain.wrong"]), (1, 1));
        assert_eq!((view.alerts[0].last, view.alerts[0].ended), (at(9), Some(at(10))));
    }

    #[test]
    fn what_lasts_comes_first() {
        let mut alerts = Alerts::default();
        alerts.lasts(&news("one", 0), told);
        alerts.happened(&News { id: "share.best", severity: Severity::Info, ..news("w", 5) }, told);
        let ids: Vec<_> = alerts.view().alerts.iter().map(|alert| alert.id).collect();
        assert_eq!(ids, ["chain.wrong", "share.best"]);
    }

    #[test]
    fn a_flood_is_counted_and_neither_kept_nor_recorded() {
        let mut alerts = Alerts::default();
        let recorded = (0..5000).filter(|n| alerts.lasts(&news(&format!("pool{n}"), 0), told).is_some());
        assert_eq!(recorded.count(), 20);
        let view = alerts.view();
        assert_eq!((view.alerts.len(), view.overflowed), (MOST_OPEN, 5000 - MOST_OPEN as u64));
        for n in 0..5000 {
            alerts.happened(&news(&n.to_string(), 1), told);
        }
        assert_eq!(alerts.view().alerts.len(), MOST_OPEN + MOST_PAST);
        // An hour later there is room for records again.
        assert!(alerts.happened(&news("later", 3600), told).is_some());
    }

    #[test]
    fn what_is_not_seen_any_more_is_over() {
        let mut alerts = Alerts::default();
        alerts.lasts(&news("pool", 0), told);
        assert!(alerts.expire(at(FORGOTTEN)).is_empty());
        assert_eq!(alerts.expire(at(FORGOTTEN + 1)).len(), 1);
        assert_eq!(alerts.view().alerts[0].ended, Some(at(0)));
    }

    #[test]
    fn little_things_do_not_hide_a_great_one() {
        let mut alerts = Alerts::default();
        for n in 0..MOST_OPEN {
            let subject = format!("worker{n}");
            let little = News { id: "share.silent", severity: Severity::Low, subject: &subject, at: at(0) };
            alerts.lasts(&little, told);
        }
        assert!(alerts.lasts(&news("pool", 1), told).is_some());
        let view = alerts.view();
        assert_eq!((view.alerts[0].id, view.alerts.len()), ("chain.wrong", MOST_OPEN));
        // The great one is not pushed out by little ones that come later.
        let late = News { id: "share.silent", severity: Severity::Low, subject: "late", at: at(2) };
        assert!(alerts.lasts(&late, told).is_none());
        assert_eq!(alerts.view().counts["chain.wrong"], 1);
    }

    #[test]
    fn a_rule_can_be_off() {
        let mut alerts = Alerts::new(&[RuleId::parse("chain.wrong").unwrap()]);
        assert!(alerts.lasts(&news("pool", 0), told).is_none());
        assert!(alerts.view().alerts.is_empty());
    }
}
