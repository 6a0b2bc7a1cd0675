//! The page `/events`: the time line, newest first.

use maud::{Markup, html};

use super::shell::{ListQuery, miner_address, subpage};
use super::{Page, Tone, time};
use crate::config::Severity;
use crate::record::EventRow;
use crate::status::event_filter::EventFilter;
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::count;

const PATH: &str = "/events";
const PER_PAGE: usize = 100;

/// The families of kinds that a visitor can choose, with their names for people.
const FAMILIES: [(&str, &str); 8] = [
    ("", "all"),
    ("miner", "miners"),
    ("pool", "pools"),
    ("alert", "alerts"),
    ("block", "blocks"),
    ("share", "shares"),
    ("program", "Sluice"),
    ("clock", "clock"),
];

/// Renders the events that the query asks for.
pub fn events_page(status: &StatusSnapshot, query: &ListQuery<'_>) -> Page {
    let filter = EventFilter::of_query(|name| query.text(name).map(str::to_owned));
    let events = status.snapshot.events.iter().map(AsRef::as_ref).filter(|event| filter.accepts(event));
    let part = query.part(events, PER_PAGE);
    let content = html! {
        section.events #list data-live {
            h1 { "Events" }
            (kinds(*query, filter.kind.as_deref().unwrap_or_default()))
            @if let Some(worker) = &filter.worker {
                p.quiet { "only of " strong { (worker) } ", " a href=(query.address(PATH, &[("worker", "")])) { "show all" } }
            }
            @if !status.program.config.analysis.enabled {
                p.quiet { "There are no events without analysis (analysis.enabled = false)." }
            } @else if part.rows.is_empty() {
                p.quiet { "None so far." }
            } @else {
                p.quiet {
                    (count(part.total as u64, "event")) ", newest first. Older ones are in events.jsonl. "
                    a href="/api/events?limit=500" { "All as JSON" }
                }
            }
            @for event in &part.rows { (event_details(status, event)) }
            (part.pages(*query, PATH))
        }
    };
    subpage(status, PATH, "Events", &content)
}

fn kinds(query: ListQuery<'_>, chosen: &str) -> Markup {
    html! {
        nav.filters aria-label="Kinds of events" {
            @for (place, (kind, name)) in FAMILIES.iter().enumerate() {
                @if place > 0 { " · " }
                @if *kind == chosen { strong aria-current="page" { (name) } }
                @else { a href=(query.address(PATH, &[("kind", kind)])) { (name) } }
            }
        }
    }
}

pub(super) fn event_details(status: &StatusSnapshot, event: &EventRow) -> Markup {
    let tone = match event.severity {
        _ if matches!(event.kind.as_ref(), "block.found" | "share.best" | "share.near_miss") => ("news", "★"),
        Severity::High => (Tone::Bad.class(), Tone::Bad.sign()),
        Severity::Medium | Severity::Low => (Tone::Warn.class(), Tone::Warn.sign()),
        Severity::Info => (Tone::Neutral.class(), Tone::Neutral.sign()),
    };
    let data = serde_json::to_string_pretty(&event.data).unwrap_or_default();
    // The script keeps elements with an id open across updates.
    let id = format!("event-{}-{}", event.kind, event.at.timestamp().as_millisecond());
    html! {
        details class=(tone.0) id=(id) {
            summary {
                span.sign aria-hidden="true" { (tone.1) }
                span.text { (event.text) }
                span.when { (time::moment(status, event.at)) }
            }
            p.quiet { (event.kind) ", " (event.severity.as_str()) ", " (event.at) }
            @if let Some(worker) = &event.worker { p.quiet { "worker " a.name href=(miner_address(worker)) { (worker) } } }
            @if let Some(upstream) = &event.upstream { p.quiet { "pool " (upstream) } }
            pre { (data) }
        }
    }
}
