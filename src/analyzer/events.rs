//! The time line: the newest events, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::{AlertKind, AlertRow, EventRow};

/// Caps the events in memory.
pub const MAX_EVENTS: usize = 500;

/// The events of one kind that may come at once, and the seconds until there may be another one. A pool or a miner
/// that flaps must not push everything else out.
const EVENT_BURST: f64 = 60.0;
const SECONDS_PER_EVENT: f64 = 60.0;

/// An event is told this much later than another one that happened after it, at most: some are collected for ten
/// seconds.
const MAX_DISORDER_SECONDS: f64 = 60.0;

/// The newest events, newest first.
#[derive(Debug, Default)]
pub(super) struct EventBook {
    events: VecDeque<Arc<EventRow>>,
    allowances: BTreeMap<String, EventAllowance>,
    has_changed: bool,
    view: Arc<[Arc<EventRow>]>,
}

/// The number of events of one kind that may still come: a token bucket on the time of the events.
#[derive(Debug)]
struct EventAllowance {
    left: f64,
    at: NtpTime,
}

impl EventBook {
    /// The events of earlier runs, newest first.
    pub(super) fn new(events: Vec<EventRow>) -> EventBook {
        let events = events.into_iter().take(MAX_EVENTS).map(Arc::new).collect();
        EventBook { events, has_changed: true, ..EventBook::default() }
    }

    /// Adds an event. Returns it if it is to be recorded, and nothing if there were too many of its kind.
    pub(super) fn add(&mut self, event: EventRow) -> Option<Arc<EventRow>> {
        let new = || EventAllowance { left: EVENT_BURST, at: event.at };
        let allowance = self.allowances.entry(event.kind.to_string()).or_insert_with(new);
        let passed = event.at.timestamp().duration_since(allowance.at.timestamp()).as_secs_f64().max(0.0);
        allowance.left = (allowance.left + passed / SECONDS_PER_EVENT).min(EVENT_BURST);
        allowance.at = event.at;
        if allowance.left < 1.0 {
            return None;
        }
        allowance.left -= 1.0;
        self.has_changed = true;
        let event = Arc::new(event);
        self.events.truncate(MAX_EVENTS - 1);
        self.events.insert(self.place_of(&event), event.clone());
        Some(event)
    }

    /// The place of a new event: in front, or behind those that happened after it and were told before. After a step
    /// of the clock times do not compare.
    fn place_of(&self, event: &EventRow) -> usize {
        let later = |known: &Arc<EventRow>| {
            let seconds = known.at.timestamp().duration_since(event.at.timestamp()).as_secs_f64();
            seconds > 0.0 && seconds < MAX_DISORDER_SECONDS
        };
        self.events.iter().take_while(|known| later(known)).count()
    }

    /// The newest event.
    pub(super) fn newest(&self) -> Option<&EventRow> {
        self.events.front().map(AsRef::as_ref)
    }

    /// The events to show, newest first, collected again only after a change.
    pub(super) fn view(&mut self) -> Arc<[Arc<EventRow>]> {
        if std::mem::take(&mut self.has_changed) {
            self.view = self.events.iter().cloned().collect();
        }
        self.view.clone()
    }
}

/// The event that an alert has begun, ended or happened. `None` for news that come too often for a time line, and for
/// best shares, which have events of their own.
pub(super) fn of_alert(row: &AlertRow) -> Option<EventRow> {
    let text = |name: &str| row.data.get(name).and_then(|value| value.as_str());
    let kind = match (row.id, row.kind) {
        ("block.found" | "share.near_miss", _) => row.id,
        _ if row.severity == Severity::Info => return None,
        (_, AlertKind::Begins) => "alert.begun",
        (_, AlertKind::Ends) => "alert.ended",
        (_, AlertKind::Happened) => "alert.happened",
    };
    let mut event = EventRow::new(row.at, (kind, row.severity), row.id, row.description.as_str());
    if let Some(worker) = text("worker") {
        event = event.with_worker(worker);
    }
    if let Some(upstream) = text("upstream") {
        event = event.with_upstream(upstream);
    }
    Some(event.with_data(row.data.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &'static str, second: i64) -> EventRow {
        let at = NtpTime::from_timestamp(jiff::Timestamp::from_second(1_790_000_000 + second).unwrap());
        EventRow::new(at, (kind, Severity::Info), "subject", format!("{second}"))
    }

    #[test]
    fn the_newest_events_are_kept_newest_first() {
        let mut book = EventBook::new((0..800).rev().map(|second| event("old", second)).collect());
        assert_eq!(book.view().len(), MAX_EVENTS);
        assert!(book.add(event("new", 900)).is_some());
        let view = book.view();
        assert_eq!((view.len(), view[0].kind.as_ref(), view[1].text.as_str()), (MAX_EVENTS, "new", "799"));
    }

    #[test]
    fn an_event_that_is_told_late_has_its_place_by_its_time() {
        let mut book = EventBook::new(Vec::new());
        for second in [100, 120, 110, 125, 10] {
            book.add(event("x", second));
        }
        let texts: Vec<String> = book.view().iter().map(|event| event.text.clone()).collect();
        // The last one came after a step of the clock.
        assert_eq!(texts, ["10", "125", "120", "110", "100"]);
    }

    #[test]
    fn a_kind_that_floods_pushes_no_other_out() {
        let mut book = EventBook::new(Vec::new());
        book.add(event("calm", 0));
        let added = (0..6000).filter(|second| book.add(event("flood", *second)).is_some()).count();
        assert!((100..=161).contains(&added), "{added}");
        assert!(book.add(event("calm", 6000)).is_some());
        assert!(book.view().iter().any(|event| event.kind == "calm" && event.text == "0"));
    }

    #[test]
    fn alerts_are_events_and_small_news_are_not() {
        let row = |id, kind, severity| AlertRow {
            at: event("x", 0).at,
            kind,
            severity,
            id,
            description: String::from("what happened"),
            data: json!({ "subject": "s", "worker": "rig", "upstream": "pool:1" }),
        };
        let begun = of_alert(&row("miner.gone", AlertKind::Begins, Severity::Medium)).unwrap();
        assert_eq!((begun.kind.as_ref(), begun.subject.as_str()), ("alert.begun", "miner.gone"));
        assert_eq!((begun.worker.as_deref(), begun.upstream.as_deref()), (Some("rig"), Some("pool:1")));
        assert_eq!(begun.text, "what happened");
        assert!(of_alert(&row("share.stale", AlertKind::Begins, Severity::Info)).is_none());
        assert!(of_alert(&row("share.best", AlertKind::Happened, Severity::Info)).is_none());
        let block = of_alert(&row("block.found", AlertKind::Happened, Severity::Info)).unwrap();
        assert_eq!(block.kind, "block.found");
    }
}
