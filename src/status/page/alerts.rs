//! The newest alerts with their evidence.

use maud::{Markup, html};

use super::{Tone, time};
use crate::analyzer::Alert;
use crate::config::Severity;
use crate::notify::is_good_news;
use crate::status::snapshot::StatusSnapshot;

/// Caps the listed alerts. The others are at `/alerts`.
const MAX_LISTED: usize = 5;

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let alerts = &status.snapshot.alerts.alerts;
    if !status.program.config.analysis.enabled {
        return html! {};
    }
    html! {
        section.alerts #alerts data-live {
            h2 { "Alerts and news" }
            @if alerts.is_empty() {
                p.quiet { "None so far." }
            }
            @for alert in alerts.iter().take(MAX_LISTED) { (alert_details(status, alert)) }
            @if alerts.len() > MAX_LISTED {
                p.quiet { a href="/alerts" { "all alerts" } ", " a href="/events" { "all events" } "; older ones are in alerts.log" }
            }
        }
    }
}

/// The class and the sign of an alert.
fn class_and_sign(alert: &Alert) -> (&'static str, &'static str) {
    let tone = match (alert.severity, alert.ended.is_some()) {
        _ if is_good_news(alert.id) => return ("news", "★"),
        (Severity::High, false) => Tone::Bad,
        (Severity::Medium | Severity::Low, false) => Tone::Warn,
        _ => Tone::Neutral,
    };
    (tone.class(), tone.sign())
}

pub(super) fn alert_details(status: &StatusSnapshot, alert: &Alert) -> Markup {
    let (class, sign) = class_and_sign(alert);
    let evidence = serde_json::to_string_pretty(&alert.evidence).unwrap_or_default();
    // The script keeps elements with an id open across updates.
    let id = format!("alert-{}-{}", alert.id, alert.began.timestamp().as_millisecond());
    html! {
        details class=(class) id=(id) {
            summary {
                span.sign aria-hidden="true" { (sign) }
                span.text { (alert.description) }
                span.when { (time::moment(status, alert.began)) @if alert.count > 1 { " · " (alert.count) "×" } @if alert.ended.is_none() { " · active" } @else if !is_good_news(alert.id) { " · ended" } }
            }
            p.quiet { (alert.id) ", " (alert.severity.as_str()) ", " (alert.began) " to " (alert.last) }
            pre { (evidence) }
        }
    }
}
