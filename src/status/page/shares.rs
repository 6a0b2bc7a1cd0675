//! The outcomes of the shares, with the pool's reject reasons.

use maud::{Markup, html};

use crate::analyzer::Totals;
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{grouped, percent, span};

/// Caps the listed reasons.
const MAX_REASONS: usize = 5;

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let Some(totals) = &status.snapshot.totals else { return html! {} };
    let judged = totals.accepted + totals.rejected;
    html! {
        section.shares #shares data-live {
            h2 { "Fate of the shares " span.calm { "since the start, " (span(status.up_for)) } }
            (bar(totals))
            dl.tiles {
                div.good { dt { "accepted" } dd { (grouped(totals.accepted)) small { (percent(totals.accepted, judged)) } } }
                div.bad { dt { "rejected" } dd { (grouped(totals.rejected)) small { (percent(totals.rejected, judged)) } } }
                div { dt { "stale" } dd { (grouped(totals.stale)) small { (percent(totals.stale, totals.submitted)) } } }
                div { dt { "unanswered" } dd { (grouped(totals.unanswered)) small { (percent(totals.unanswered, totals.submitted)) } } }
                @if totals.unknown > 0 {
                    div { dt { "unknown" } dd { (grouped(totals.unknown)) small { (percent(totals.unknown, totals.submitted)) } } }
                }
            }
            @if !totals.reasons.is_empty() {
                ul.reasons {
                    @for (reason, count) in reasons(totals) {
                        li { b { (grouped(count)) } " × " q { (reason) } }
                    }
                }
            }
            p.quiet { a href="/shares" { "the newest shares" } ", " a href="/jobs" { "the newest jobs" } }
        }
    }
}

/// One bar, divided by what became of the shares. The figures below say the same.
fn bar(totals: &Totals) -> Markup {
    let parts = [
        ("accepted", totals.accepted),
        ("rejected", totals.rejected),
        ("unanswered", totals.unanswered + totals.unknown),
    ];
    let whole = parts.iter().map(|(_, shares)| *shares).sum::<u64>() as f64;
    if whole == 0.0 {
        return html! {};
    }
    let mut start = 0.0;
    let drawn: Vec<(&str, f64, f64)> = parts
        .iter()
        .map(|(class, shares)| {
            let width = *shares as f64 / whole * 100.0;
            start += width;
            (*class, start - width, width)
        })
        .collect();
    html! {
        svg.outcomes viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" {
            @for (class, from, width) in drawn {
                rect class=(class) x=(format!("{from:.2}")) width=(format!("{width:.2}")) height="1" {}
            }
        }
    }
}

fn reasons(totals: &Totals) -> Vec<(&str, u64)> {
    let mut reasons: Vec<(&str, u64)> =
        totals.reasons.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons.truncate(MAX_REASONS);
    reasons
}
