//! `/api/events`: the time line of what happened to pools, miners and Sluice itself, newest first. The same events are
//! in `events.jsonl`, and on the page `/events`.

use serde::Serialize;

use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::TimeJson;
use crate::analyzer::MAX_EVENTS;
use crate::record::EventRow;
use crate::status::event_filter::EventFilter;
use crate::status::snapshot::StatusSnapshot;

/// Lists the events that match the query: `kind` and `worker` as they are written, `limit` at most as many as are kept.
///
/// # Errors
/// If the limit is no number in its range.
pub(super) fn events(status: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    let limit = query.number("limit", 100, 1..=MAX_EVENTS)?;
    let filter = EventFilter::of_query(|name| query.text(name));
    let wanted = || status.snapshot.events.iter().filter(|event| filter.accepts(event));
    Ok(text(&object!(
        at = TimeJson(status.at),
        // Of all that match the query.
        total = wanted().count(),
        events = wanted().take(limit).map(|row| event(row)).collect::<Vec<_>>(),
    )))
}

/// One event, with the keys of `events.jsonl`.
fn event(event: &EventRow) -> impl Serialize {
    object!(
        at = TimeJson(event.at),
        kind = &event.kind,
        severity = event.severity.as_str(),
        subject = &event.subject,
        worker = &event.worker,
        upstream = &event.upstream,
        text = &event.text,
        data = &event.data,
    )
}
