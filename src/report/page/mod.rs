//! The report as one HTML page: self-contained, without script, printable, light and dark.
//!
//! The templates escape HTML, and the whole page is then escaped once more for characters that drive a terminal or
//! reorder a line. The policy in the page forbids everything but its own stylesheet, so that a text that slipped through
//! could still do nothing.

mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::document::{Report, cause_of};
use super::figures::ShareFigures;
use super::findings::ReportFinding;
use super::layout::{moment, ms};
use super::plots::{self, PlotFigure};
use crate::config::Severity;
use crate::util::escape;
use crate::util::format::{count, grouped, odds, rate, short, span, time_to_block};
use crate::work::name_of_worker;
use std::time::Duration;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("style.css");
/// Caps the miners with a plot of their own, those with the most work.
const MAX_WORKER_PLOTS: usize = 8;

/// The whole page.
pub fn report_page(report: &Report) -> String {
    let title = match (&report.from, &report.to) {
        (Some(from), Some(to)) => format!("Sluice report, {} to {}", day(from), day(to)),
        _ => String::from("Sluice report"),
    };
    // The stylesheet is Sluice's own, and its line breaks stay.
    let shown = PreEscaped(escape::html(body(report).into_string()));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (shown) }
        }
    };
    page.into_string()
}

fn body(report: &Report) -> Markup {
    html! {
        header {
            p.mark { "Sluice " span { "report" } }
            p.stamp { (period(report)) }
        }
        main {
            (head(report))
            @if report.from.is_some() { (findings(&report.findings)) }
            @if report.totals.submitted > 0 {
                (totals(report))
                (plots_section(report))
                (tables::workers(report))
                (worker_plots(report))
                (tables::pools(report))
                (luck(report))
                (tables::reasons(report))
                (tables::comparisons(report))
            }
            (tables::gaps(report))
            (tables::alerts(report))
            (tables::damaged(report))
        }
        footer {
            p { "Made by Sluice " (report.sluice) " from " (count(report.files.read, "file")) ". Times are UTC. Ranges are 95 % ranges: luck alone moves a figure within them." }
        }
    }
}

fn head(report: &Report) -> Markup {
    let selection = &report.selection;
    let limits = [
        ("since", &selection.since),
        ("until", &selection.until),
        ("worker", &selection.worker),
        ("pool", &selection.upstream),
    ];
    html! {
        @for (name, value) in limits {
            @if let Some(value) = value { p.quiet { "Only " (name) " " b { (value) } } }
        }
        @for file in &report.files.unreadable {
            p.quiet { "Not read: " (file.path) ": " (file.reason) }
        }
        @if report.totals.submitted == 0 { p { "There is no share in these files." } }
    }
}

fn findings(findings: &[ReportFinding]) -> Markup {
    html! {
        section.findings {
            h2 { "What to do" }
            @if findings.is_empty() { p { "Nothing: the records show no fault." } }
            ol {
                @for finding in findings {
                    @let class = match finding.severity {
                        Severity::High => "bad",
                        Severity::Medium => "warn",
                        Severity::Low | Severity::Info => "calm",
                    };
                    li class=(class) {
                        p { span.word { (finding.severity.as_str()) } " " (finding.text) }
                        p.action { "→ " (finding.action) }
                    }
                }
            }
        }
    }
}

fn totals(report: &Report) -> Markup {
    let totals = &report.totals;
    html! {
        section.tiles {
            (tile("Hash rate", totals.hashrate.map_or_else(|| "–".to_owned(), rate), &rate_note(totals)))
            (tile("Accepted shares", grouped(totals.accepted), &format!("of {} sent", grouped(totals.submitted))))
            (tile("Rejected", totals.reject_rate.map_or_else(|| "–".to_owned(), |part| format!("{:.2} %", part * 100.0)), &reject_note(totals)))
            (tile("Proven work", short(totals.proven_difficulty), &format!("difficulty, from {}; {} accepted", count(totals.proven_shares, "share"), short(totals.accepted_difficulty))))
            (tile("Best share", totals.best_difficulty.map_or_else(|| "–".to_owned(), short), &best_note(report)))
            (tile("Odds of a block", totals.blocks_per_day.map_or_else(|| "–".to_owned(), odds), &totals.blocks_per_day.map_or_else(String::new, |blocks| format!("a day; one in {} on average", time_to_block(blocks)))))
            (tile("Pool's answer", totals.response_ms_p50.map_or_else(|| "–".to_owned(), ms), &totals.response_ms_p99.map_or_else(String::new, |p99| format!("median; p99 {}, of {}", ms(p99), count(totals.answers_timed, "answer")))))
            (tile("No answer", grouped(totals.unanswered), &format!("in time; {} unknown", grouped(totals.unknown))))
        }
    }
}

fn tile(name: &str, figure: String, note: &str) -> Markup {
    html! { div { h3 { (name) } p.figure { (figure) } p.quiet { (note) } } }
}

fn plots_section(report: &Report) -> Markup {
    let records = &report.records;
    let all = &records.all;
    let found = [
        plots::hash_rate("Hash rate", all),
        plots::shares_by_result(all),
        plots::time_line(records, |absence| cause_of(records, absence)),
        plots::answer_times(records),
        plots::job_ages(records),
        plots::best_over_time(all),
        plots::share_difficulties(all),
        plots::hours(all),
    ];
    html! { section.plots { @for figure in found.iter().flatten() { (plot(figure)) } } }
}

fn worker_plots(report: &Report) -> Markup {
    let workers = report.workers.iter().take(MAX_WORKER_PLOTS).filter_map(|worker| {
        let named = report.records.workers.iter().find(|named| named.name == worker.worker)?;
        plots::hash_rate(&format!("Hash rate of {}", worker.shown()), &named.tally)
    });
    let figures: Vec<PlotFigure> = workers.collect();
    html! {
        @if figures.len() > 1 { section.plots { @for figure in &figures { (plot(figure)) } } }
    }
}

fn plot(figure: &PlotFigure) -> Markup {
    html! {
        figure {
            h2 { (figure.title) }
            div.plot { (PreEscaped(&figure.svg)) }
            ul.legend { @for (class, text) in &figure.legend { li { i class=(class) {} (text) } } }
            figcaption { (figure.summary) }
        }
    }
}

fn luck(report: &Report) -> Markup {
    html! {
        section.card {
            h2 { "Luck" }
            @for text in &report.luck.text { p { (text) } }
            @if let Some(blocks) = report.luck.blocks_expected {
                p.quiet { "This work finds " (format!("{blocks:.2e}")) " blocks on average." }
            }
        }
    }
}

fn period(report: &Report) -> String {
    match (&report.from, &report.to) {
        (Some(from), Some(to)) => {
            format!(
                "{} to {} UTC, {}",
                moment(from, report.seconds),
                moment(to, report.seconds),
                span(Duration::from_secs_f64(report.seconds))
            )
        }
        _ => String::new(),
    }
}

fn rate_note(figures: &ShareFigures) -> String {
    match (figures.hashrate_low, figures.hashrate_high) {
        (Some(low), Some(high)) => {
            format!(
                "average; {} to {}, from {}",
                rate(low),
                rate(high),
                count(figures.proven_shares, "share")
            )
        }
        _ => String::from("no share proves work"),
    }
}

fn reject_note(figures: &ShareFigures) -> String {
    match (figures.reject_rate_low, figures.reject_rate_high) {
        (Some(low), Some(high)) => format!(
            "{} of {} answered; {:.2} to {:.2} %",
            grouped(figures.rejected),
            grouped(figures.answered()),
            low * 100.0,
            high * 100.0
        ),
        _ => String::from("no share was answered"),
    }
}

fn best_note(report: &Report) -> String {
    let at = report
        .totals
        .best_at
        .as_deref()
        .map(|at| format!("on {} UTC", moment(at, report.seconds)))
        .unwrap_or_default();
    match report.best_ever.first() {
        Some(best) => {
            format!("{at}; best ever {} by {}", short(best.difficulty), name_of_worker(&best.worker))
        }
        None => at,
    }
}

fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}
