//! The page `/events`: the time line. It has no script, and is read again every half a minute.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{ICON, Page, STYLE, Tone, policy};
use crate::config::Severity;
use crate::record::EventRow;
use crate::status::event_filter::EventFilter;
use crate::status::snapshot::StatusSnapshot;
use crate::util::escape;
use crate::util::format::count;

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

/// Caps the listed events, so that the page stays small. `/api/events` has more.
const MAX_LISTED: usize = 150;

/// Renders the events that the query asks for.
pub fn events_page(status: &StatusSnapshot, parameter: impl Fn(&str) -> Option<String>) -> Page {
    let filter = EventFilter::of_query(parameter);
    let events: Vec<&EventRow> =
        status.snapshot.events.iter().map(AsRef::as_ref).filter(|event| filter.accepts(event)).collect();
    // The templates escape HTML. This also escapes characters that drive a terminal or reorder a line.
    let shown = PreEscaped(escape::html(section(status, &filter, &events).into_string()));
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content="30";
                title { "Events · Sluice" }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.mark { a href="/" { span aria-hidden="true" { "≋" } " Sluice" } }
                    p.stamp { time datetime=(status.at) { (status.at.timestamp().strftime("%H:%M:%S UTC")) } }
                }
                main { (shown) }
                footer { p { a href="/" { "back to the page" } " · " a href="/api/events" { "as JSON" } } }
            }
        }
    };
    Page { html: html.into_string(), policy: policy() }
}

fn section(status: &StatusSnapshot, filter: &EventFilter, events: &[&EventRow]) -> Markup {
    let chosen = filter.kind.as_deref().unwrap_or_default();
    html! {
        section.events {
            h1 { "Events" }
            nav aria-label="Kinds of events" {
                p {
                    @for (place, (kind, name)) in FAMILIES.iter().enumerate() {
                        @if place > 0 { " · " }
                        @if *kind == chosen { strong aria-current="page" { (name) } }
                        @else { a href={ "/events?kind=" (kind) } { (name) } }
                    }
                }
            }
            @if let Some(worker) = &filter.worker {
                p.quiet { "only of " strong { (worker) } ", " a href="/events" { "show all" } }
            }
            @if !status.program.config.analysis.enabled {
                p.quiet { "There are no events without analysis (analysis.enabled = false)." }
            } @else if events.is_empty() {
                p.quiet { "None so far." }
            } @else {
                p.quiet {
                    (count(events.len() as u64, "event")) ", newest first, times in UTC. "
                    @if events.len() > MAX_LISTED { "The first " (MAX_LISTED) " are shown; " a href="/api/events?limit=500" { "all as JSON" } ". " }
                    "Older ones are in events.jsonl."
                }
            }
            @for event in events.iter().take(MAX_LISTED) { (event_details(event)) }
        }
    }
}

fn event_details(event: &EventRow) -> Markup {
    let tone = match event.severity {
        _ if matches!(event.kind.as_ref(), "block.found" | "share.best" | "share.near_miss") => ("news", "★"),
        Severity::High => (Tone::Bad.class(), Tone::Bad.sign()),
        Severity::Medium | Severity::Low => (Tone::Warn.class(), Tone::Warn.sign()),
        Severity::Info => (Tone::Neutral.class(), Tone::Neutral.sign()),
    };
    let at = event.at.timestamp().strftime("%-d %b %H:%M:%S");
    let data = serde_json::to_string_pretty(&event.data).unwrap_or_default();
    html! {
        details class=(tone.0) {
            summary {
                span.sign aria-hidden="true" { (tone.1) }
                span.text { (event.text) }
                span.when { time datetime=(event.at) { (at) } }
            }
            p.quiet { (event.kind) ", " (event.severity.as_str()) ", " (event.at) }
            @if let Some(worker) = &event.worker { p.quiet { "worker " (worker) } }
            @if let Some(upstream) = &event.upstream { p.quiet { "pool " (upstream) } }
            pre { (data) }
        }
    }
}
