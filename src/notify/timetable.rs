//! The recipient's day: quiet hours, and the time of the daily summary. Pure: callers pass the local time.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};
use serde_json::json;

use super::health::AlertCounts;
use super::message::{Message, Urgency};
use super::wording;
use crate::config::{NotifyConfig, QuietHours, Severity};
use crate::record::{AlertKind, AlertRow};

/// Caps the alerts of one quiet time that are listed; further ones are counted.
const MAX_HELD: usize = 20;

/// The longest wait between two looks at the clock, which may be set at any time.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Further ahead than this, the next summary was planned by a wrong clock. A day has at most 25 hours.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(26);

/// Holds back alerts that wait for the end of the quiet hours, and knows when a summary is due.
#[derive(Debug)]
pub(super) struct Timetable {
    quiet: Option<QuietHours>,
    held: Vec<Arc<AlertRow>>,
    /// The alerts that found no room in `held`.
    others: AlertCounts,
    summary: Option<Time>,
    next_summary: Option<Zoned>,
}

impl Timetable {
    pub fn new(recipient: &NotifyConfig, now: &Zoned) -> Timetable {
        let (quiet, summary) = (recipient.quiet, recipient.summary);
        let next_summary = summary.map(|time| next(time, now));
        Timetable { quiet, held: Vec::new(), others: AlertCounts::new(), summary, next_summary }
    }

    /// True if an alert has to wait. What costs money and a block do not.
    pub fn must_wait(&self, row: &AlertRow, now: &Zoned) -> bool {
        let is_urgent = row.severity == Severity::High || Urgency::of(row) == Urgency::Block;
        !is_urgent && self.is_quiet(now)
    }

    pub fn hold(&mut self, row: Arc<AlertRow>) {
        if self.held.len() < MAX_HELD {
            self.held.push(row);
        } else {
            *self.others.entry(row.id).or_default() += 1;
        }
    }

    /// The message about what has waited, once the quiet hours are over.
    pub fn due(&mut self, now: &Zoned) -> Option<Message> {
        if self.is_quiet(now) { None } else { self.release() }
    }

    /// The message about what has waited until now.
    pub fn release(&mut self) -> Option<Message> {
        let (held, others) = (std::mem::take(&mut self.held), std::mem::take(&mut self.others));
        let newest = held.last()?.clone();
        if held.len() == 1 && others.is_empty() {
            return Some(Message::about(newest, 1, others));
        }
        let all = held.len() as u64 + others.values().sum::<u64>();
        let line = |row: &Arc<AlertRow>| {
            let at = row.at.timestamp().to_zoned(TimeZone::system());
            format!("{} {}", at.strftime("%H:%M"), wording::title(row))
        };
        let row = AlertRow {
            at: newest.at,
            kind: AlertKind::Happened,
            severity: held.iter().map(|row| row.severity).max().unwrap_or(Severity::Info),
            id: "summary.quiet",
            description: "These messages have waited for the end of the quiet hours:".to_owned(),
            data: json!({ "subject": "quiet hours", "count": all }),
        };
        let lines = held.iter().map(line).collect();
        let title = Some(format!("{all} messages from the quiet hours"));
        Some(Message { title, lines, ..Message::about(Arc::new(row), 1, others) })
    }

    /// True once for each time that the daily summary is due.
    pub fn is_summary_due(&mut self, now: &Zoned) -> bool {
        let (Some(time), Some(planned)) = (self.summary, &self.next_summary) else { return false };
        let ahead = planned.timestamp().duration_since(now.timestamp());
        let is_due = ahead <= SignedDuration::ZERO;
        if is_due || ahead > MAX_AHEAD {
            self.next_summary = Some(next(time, now));
        }
        is_due
    }

    /// The time until there is something to do, or to look at the clock again. `None` if nothing depends on the clock.
    pub fn wait(&self, now: &Zoned) -> Option<Duration> {
        let end = self.quiet.filter(|_| !self.held.is_empty()).map(|quiet| next(quiet.until, now));
        let first = end.iter().chain(&self.next_summary).map(Zoned::timestamp).min()?;
        Some(Duration::try_from(first.duration_since(now.timestamp())).unwrap_or_default().min(MAX_WAIT))
    }

    /// The number of alerts that wait.
    pub fn held(&self) -> u64 {
        self.held.len() as u64 + self.others.values().sum::<u64>()
    }

    fn is_quiet(&self, now: &Zoned) -> bool {
        self.quiet.is_some_and(|quiet| quiet.contains(now.time()))
    }
}

/// The next moment after `now` at which clocks show `time`. On the day that has no such time, an hour later.
fn next(time: Time, now: &Zoned) -> Zoned {
    let on = |date: jiff::civil::Date| date.to_datetime(time).to_zoned(now.time_zone().clone()).ok();
    let today = on(now.date()).filter(|today| today > now);
    let next = today.or_else(|| now.date().tomorrow().ok().and_then(on));
    // Only in the last year that can be represented.
    next.unwrap_or_else(|| now.clone())
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::row;
    use super::*;
    use crate::config::NotifyRecipient;

    fn recipient() -> NotifyConfig {
        NotifyConfig {
            to: NotifyRecipient::Exec { command: Vec::new() },
            min_severity: Severity::Info,
            good_news: true,
            outages: true,
            summary: Some(Time::constant(8, 0, 0, 0)),
            quiet: Some(QuietHours { from: Time::constant(22, 0, 0, 0), until: Time::constant(7, 0, 0, 0) }),
        }
    }

    /// This time, in a zone whose clocks are set forward at 02:00 on 2027-03-28.
    fn at(text: &str) -> Zoned {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(zone).unwrap()
    }

    #[test]
    fn in_quiet_hours_only_what_is_urgent_is_sent_and_the_rest_is_one_message_later() {
        let (evening, morning) = (at("2026-11-20T23:00"), at("2026-11-21T07:00"));
        let mut timetable = Timetable::new(&recipient(), &evening);
        let gone = row("miner.gone", Severity::Medium, AlertKind::Begins, "kitchen");
        assert!(timetable.must_wait(&gone, &evening) && !timetable.must_wait(&gone, &morning));
        for (id, severity) in [("pool.unreachable", Severity::High), ("block.found", Severity::Info)] {
            assert!(!timetable.must_wait(&row(id, severity, AlertKind::Begins, "p"), &evening), "{id}");
        }
        timetable.hold(gone.clone());
        assert_eq!((timetable.due(&evening), timetable.held()), (None, 1));
        assert_eq!(timetable.due(&morning), Some(Message::about(gone.clone(), 1, AlertCounts::new())));
        assert_eq!(timetable.due(&morning), None);
        for _ in 0..50 {
            timetable.hold(gone.clone());
        }
        let message = timetable.due(&morning).unwrap();
        assert_eq!(message.title(), "50 messages from the quiet hours");
        assert_eq!((message.lines.len(), message.others["miner.gone"]), (MAX_HELD, 30));
        assert!(message.lines[0].ends_with(" kitchen has been offline"), "{:?}", message.lines);
        assert_eq!((message.row.severity, timetable.held()), (Severity::Medium, 0));
    }

    #[test]
    fn the_summary_is_due_once_a_day_whatever_the_clock_does() {
        let mut timetable = Timetable::new(&recipient(), &at("2027-03-26T08:00"));
        let mut due = |text| timetable.is_summary_due(&at(text));
        assert!(!due("2027-03-27T07:59:59"));
        assert!(due("2027-03-27T08:00") && !due("2027-03-27T08:00:01"));
        assert!(due("2027-03-28T08:00") && !due("2027-03-28T23:00"));
        // The machine slept for three days.
        assert!(due("2027-03-31T19:00") && !due("2027-03-31T20:00"));
        // The clock was wrong by a month.
        assert!(!due("2027-02-28T07:00") && due("2027-02-28T08:00"));
    }

    #[test]
    fn a_time_that_a_day_does_not_have_is_an_hour_later() {
        let half_past_two = Time::constant(2, 30, 0, 0);
        assert_eq!(next(half_past_two, &at("2027-03-27T12:00")), at("2027-03-28T03:30"));
    }

    #[test]
    fn the_wait_ends_with_the_quiet_hours() {
        let mut timetable =
            Timetable::new(&NotifyConfig { summary: None, ..recipient() }, &at("2026-11-20T23:00"));
        assert_eq!(timetable.wait(&at("2026-11-20T23:00")), None);
        timetable.hold(row("miner.gone", Severity::Medium, AlertKind::Begins, "kitchen"));
        assert_eq!(timetable.wait(&at("2026-11-20T23:00")), Some(MAX_WAIT));
        assert_eq!(timetable.wait(&at("2026-11-21T06:59:50")), Some(Duration::from_secs(10)));
    }
}
