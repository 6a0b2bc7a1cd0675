//! The page `/alerts`: the alerts that last, and then the others, newest first.

use maud::{Markup, html};

use super::Page;
use super::alerts::alert_details;
use super::shell::{ListQuery, subpage};
use crate::analyzer::Alert;
use crate::config::Severity;
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::count;

const PATH: &str = "/alerts";
const PER_PAGE: usize = 50;

/// The choices of a visitor, and their names.
const CHOICES: [(&str, &str); 5] =
    [("", "all"), ("active", "active"), ("high", "high"), ("medium", "medium"), ("low", "low or info")];

/// Renders the alerts that the query asks for.
pub fn alerts_page(status: &StatusSnapshot, query: &ListQuery<'_>) -> Page {
    let chosen = query.text("show").unwrap_or_default();
    let is_wanted = |alert: &&Alert| match chosen {
        "active" => alert.ended.is_none(),
        "high" => alert.severity == Severity::High,
        "medium" => alert.severity == Severity::Medium,
        "low" => alert.severity < Severity::Medium,
        _ => true,
    };
    let alerts = &status.snapshot.alerts;
    let part = query.part(alerts.alerts.iter().map(AsRef::as_ref).filter(is_wanted), PER_PAGE);
    let content = html! {
        section.list.events #list data-live {
            h1 { "Alerts and news" }
            (choices(*query, chosen))
            p.quiet {
                (count(part.total as u64, "alert")) ", those that last first, then the newest. Older ones are in alerts.log."
                @if alerts.overflowed > 0 { " " (count(alerts.overflowed, "alert")) " found the list of their rule full." }
            }
            @if !status.program.config.analysis.enabled {
                p { "There are no alerts without analysis (analysis.enabled = false)." }
            } @else if part.rows.is_empty() { p { "None so far." } }
            @for alert in &part.rows { (alert_details(status, alert)) }
            (part.pages(*query, PATH))
        }
    };
    subpage(status, PATH, "Alerts", &content)
}

fn choices(query: ListQuery<'_>, chosen: &str) -> Markup {
    html! {
        nav.filters aria-label="Kinds of alerts" {
            @for (place, (value, name)) in CHOICES.into_iter().enumerate() {
                @if place > 0 { " · " }
                @if value == chosen { strong aria-current="page" { (name) } }
                @else { a href=(query.address(PATH, &[("show", value)])) { (name) } }
            }
        }
    }
}
