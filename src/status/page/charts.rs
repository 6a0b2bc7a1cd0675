//! Charts of the last hour, day and week, of all miners or of one. The stylesheet shows the selected one without
//! script.

use maud::{Markup, PreEscaped, html};

use super::chart_marks::marks;
use super::shell::time_of_second;
use crate::record::{Bucket, Span, WorkerHistory};
use crate::status::charts::{self, Chart, ChartData, ChartMark};
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{grouped, rate_parts};

/// With less history than this, in seconds, the page shows the last hour first.
const SHORT_HISTORY: f64 = 2.0 * 3600.0;

/// Caps the events that are written out below a chart.
const MAX_WRITTEN: usize = 4;

/// The history that is shown.
#[derive(Clone, Copy)]
pub(super) enum ChartedHistory<'a> {
    All,
    /// The history of one worker, and its name.
    Worker(&'a WorkerHistory, &'a str),
}

/// Renders the charts of all miners, or nothing if the visitor already has this revision of them.
pub(super) fn section(status: &StatusSnapshot, has: Option<u64>) -> Markup {
    charts(status, has, ChartedHistory::All)
}

/// Renders the charts of this history, or nothing if the visitor already has this revision of them.
pub(super) fn charts(status: &StatusSnapshot, has: Option<u64>, history: ChartedHistory<'_>) -> Markup {
    let revision = status.snapshot.history.revision();
    if !status.program.config.analysis.enabled || has == Some(revision) {
        return html! {};
    }
    let now = u64::try_from(status.at.unix_seconds()).unwrap_or(0);
    let chosen = history.default_span(status, now);
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
                    div class={ "span span-" (span.name()) } { (figures(status, history, span, now)) }
                }
            }
        }
    }
}

impl ChartedHistory<'_> {
    /// The buckets and the length of each.
    fn series(self, status: &StatusSnapshot, span: Span, now: u64) -> (Vec<Bucket>, u64) {
        match self {
            ChartedHistory::All => (status.snapshot.history.series(span, now), span.bucket_seconds()),
            ChartedHistory::Worker(history, _) => (history.series(span, now), WorkerHistory::layout(span).1),
        }
    }

    fn worker(&self) -> Option<&str> {
        match self {
            ChartedHistory::All => None,
            ChartedHistory::Worker(_, worker) => Some(worker),
        }
    }

    fn default_span(self, status: &StatusSnapshot, now: u64) -> Span {
        let (day, _) = self.series(status, Span::Day, now);
        let watched: f64 = day.iter().map(|bucket| bucket.watched).sum();
        if watched < SHORT_HISTORY { Span::Hour } else { Span::Day }
    }
}

fn figures(status: &StatusSnapshot, history: ChartedHistory<'_>, span: Span, now: u64) -> Markup {
    let (series, seconds) = history.series(status, span, now);
    let from = series.first().map_or(now, |bucket| bucket.start);
    let marks = marks(&status.snapshot.events, history.worker(), from);
    let data = ChartData { series: &series, span, seconds, marks: &marks };
    let (rates, shares) = (charts::hash_rate(&data), charts::shares(&data));
    let counted: u64 = series.iter().map(|bucket| u64::from(bucket.accepted)).sum();
    let rejected: u64 = series.iter().map(|bucket| u64::from(bucket.rejected)).sum();
    html! {
        figure {
            figcaption { span { "Hash rate" } span.value { (labels(span).0) } }
            (plot(&data, &rates, "rate", false, &rate_label))
            (axis(span))
            (written(status, &marks))
        }
        figure {
            figcaption {
                span { "Shares" }
                span.value { (grouped(counted)) " accepted" @if rejected > 0 { ", " (grouped(rejected)) " rejected" } }
            }
            (plot(&data, &shares, "shares", true, &|value| grouped(value as u64)))
        }
    }
}

/// The chart between its scale and the right edge. A low one has only the ends of the scale.
fn plot(
    data: &ChartData<'_>,
    chart: &Chart,
    kind: &str,
    is_low: bool,
    label: &dyn Fn(f64) -> String,
) -> Markup {
    let lines: Vec<f64> = match chart.lines.as_slice() {
        [first, .., last] if is_low => vec![*last, *first],
        all => all.iter().rev().copied().collect(),
    };
    let start = data.series.first().map_or(0, |bucket| bucket.start);
    html! {
        div class=(if is_low { "chart low" } else { "chart" }) {
            div.scale aria-hidden="true" {
                @if !chart.is_empty { @for line in lines { span { (label(line)) } } }
            }
            // The drawings are made of numbers. The texts of events in them are escaped.
            div class=(if is_low { "plot low" } else { "plot" }) tabindex="0" role="group"
                aria-label=(if is_low { "shares; the arrow keys show values" } else { "hash rate; the arrow keys show values" }) data-kind=(kind) data-start=(start)
                data-step=(data.seconds) data-values=(chart.values) {
                (PreEscaped(&chart.svg)) (PreEscaped(&chart.over))
            }
        }
    }
}

/// `500 kH/s`, `1.5 MH/s`: a round value, without zeros at its end.
fn rate_label(hashes: f64) -> String {
    let (number, unit) = rate_parts(hashes);
    let number = match number.split_once('.') {
        Some((whole, part)) if part.bytes().all(|digit| digit == b'0') => whole.to_owned(),
        Some(_) if !number.contains('e') => number.trim_end_matches('0').to_owned(),
        _ => number,
    };
    format!("{number} {unit}")
}

/// The newest of the marked events, for those who can't point at a line.
fn written(status: &StatusSnapshot, marks: &[ChartMark]) -> Markup {
    html! {
        @if !marks.is_empty() {
            ul.marks {
                @for mark in marks.iter().take(MAX_WRITTEN) {
                    @let (class, sign) = mark.kind.names();
                    li class=(class) {
                        span.sign aria-hidden="true" { (sign) } " "
                        (time_of_second(status, mark.at)) " " (mark.text)
                    }
                }
                @if marks.len() > MAX_WRITTEN { li { a href="/events" { "more events" } } }
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_scale_are_short() {
        let labels = [0.0, 500.0, 1000.0, 1.5e6, 2e6, 2.5e12, 1.25e13, 1e14, 7.5e-5];
        let shown: Vec<String> = labels.into_iter().map(rate_label).collect();
        let expected = [
            "0 H/s",
            "500 H/s",
            "1 kH/s",
            "1.5 MH/s",
            "2 MH/s",
            "2.5 TH/s",
            "12.5 TH/s",
            "100 TH/s",
            "0.000075 H/s",
        ];
        assert_eq!(shown, expected);
    }
}
