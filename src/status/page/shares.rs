//! The outcomes of the shares, with the pool's reject reasons.

use maud::{Markup, html};

use crate::analyzer::Totals;
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{grouped, percent};

/// Caps the listed reasons.
const MAX_REASONS: usize = 5;

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let Some(totals) = &status.snapshot.totals else { return html! {} };
    let judged = totals.accepted + totals.rejected;
    html! {
        section.shares #shares data-live {
            h2 { "Shares" }
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
