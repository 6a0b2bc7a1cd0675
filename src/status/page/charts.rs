//! Charts of the last hour, day and week. The stylesheet shows the selected one without script.

use maud::{Markup, PreEscaped, html};

use crate::record::{History, Span};
use crate::status::charts::{self, Chart};
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{grouped, rate};

/// With less history than this, in seconds, the page shows the last hour first.
const SHORT_HISTORY: f64 = 2.0 * 3600.0;

/// Renders the charts, or nothing if the visitor already has this revision of them.
pub(super) fn section(status: &StatusSnapshot, has: Option<u64>) -> Markup {
    let history = &status.snapshot.history;
    let revision = history.revision();
    if !status.program.config.analysis.enabled || has == Some(revision) {
        return html! {};
    }
    let now = u64::try_from(status.at.unix_seconds()).unwrap_or(0);
    let chosen = default_span(history, now);
    html! {
        section.charts {
            @for span in Span::ALL {
                input type="radio" name="span" id={ "span-" (span.name()) } checked[span == chosen];
            }
            div.spans {
                @for span in Span::ALL { label for={ "span-" (span.name()) } { (labels(span).0) } }
            }
            h2 { "Over time" }
            div #charts data-live data-revision=(revision) {
                @for span in Span::ALL {
                    div class={ "span span-" (span.name()) } { (figures(history, span, now)) }
                }
            }
        }
    }
}

fn figures(history: &History, span: Span, now: u64) -> Markup {
    let series = history.series(span, now);
    let (rates, shares) = (charts::hash_rate(&series, span), charts::shares(&series, span));
    let counted: u64 = series.iter().map(|bucket| u64::from(bucket.accepted)).sum();
    html! {
        figure {
            figcaption { span { "Hash rate" } span { (labels(span).0) } }
            (plot(&rates, "plot", &rate(rates.top)))
            (axis(span))
        }
        figure {
            figcaption { span { "Shares" } span { (grouped(counted)) " accepted" } }
            (plot(&shares, "plot low", &grouped(shares.top as u64)))
        }
    }
}

fn plot(chart: &Chart, class: &str, top: &str) -> Markup {
    html! {
        // Drawn from numbers only. No text from the network is in it.
        div class=(class) { (PreEscaped(&chart.svg)) @if !chart.is_empty { span.top { (top) } } }
    }
}

fn axis(span: Span) -> Markup {
    let (_, start, middle) = labels(span);
    html! { div.axis aria-hidden="true" { span { (start) } span { (middle) } span { "now" } } }
}

/// The name of the span, its start and its middle.
fn labels(span: Span) -> (&'static str, &'static str, &'static str) {
    match span {
        Span::Hour => ("1 hour", "1 h ago", "30 min ago"),
        Span::Day => ("24 hours", "24 h ago", "12 h ago"),
        Span::Week => ("7 days", "7 days ago", "3½ days ago"),
    }
}

fn default_span(history: &History, now: u64) -> Span {
    let watched: f64 = history.series(Span::Day, now).iter().map(|bucket| bucket.watched).sum();
    if watched < SHORT_HISTORY { Span::Hour } else { Span::Day }
}
