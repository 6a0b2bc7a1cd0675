//! The tables of the page.

use maud::{Markup, html};

use crate::report::document::Report;
use crate::report::figures::ShareFigures;
use crate::report::layout::{moment, ms, seconds};
use crate::report::selection::plain_pool;
use crate::util::format::{count, grouped, rate, short};

/// Caps the rows of a table. The JSON has all.
const MAX_ROWS: usize = 100;

pub(super) fn workers(report: &Report) -> Markup {
    html! {
        section.card {
            h2 { "Miners" }
            div.scroll tabindex="0" {
                table {
                    thead { tr { th { "miner" } th { "hash rate" } th { "95 % range" } th { "shares" } th { "rejected" } th { "unanswered" } th { "proven work" } th { "best share" } th { "up" } th { "answer p50 / p99" } th { "difficulty" } } }
                    tbody {
                        @for worker in report.workers.iter().take(MAX_ROWS) {
                            @let shares = &worker.shares;
                            tr {
                                th title=(worker.worker) { (worker.shown()) }
                                td { (shares.hashrate.map_or_else(dash, rate)) }
                                td { (range(shares)) }
                                td { (grouped(shares.submitted)) }
                                td { (rejects(shares)) }
                                td { (grouped(shares.unanswered)) }
                                td { (short(shares.proven_difficulty)) }
                                td { (shares.best_difficulty.map_or_else(dash, short)) }
                                td { (worker.uptime.map_or_else(dash, |up| format!("{:.1} %", up * 100.0))) }
                                td { (answers(shares)) }
                                td { (assigned(shares)) }
                            }
                        }
                    }
                }
            }
            (rest(report.workers.len(), "miner"))
            @if report.workers_left_out > 0 {
                p.quiet { (count(report.workers_left_out, "share")) " of further miners are in “(others)”." }
            }
        }
    }
}

pub(super) fn pools(report: &Report) -> Markup {
    html! {
        section.card {
            h2 { "Pools" }
            div.scroll tabindex="0" {
                table {
                    thead { tr { th { "pool" } th { "proven work" } th { "accepted work" } th { "shares" } th { "rejected" } th { "stale" } th { "answer p50 / p99" } th { "jobs" } th { "blocks seen first" } th { "new block lag p50" } th { "away" } } }
                    tbody {
                        @for pool in report.pools.iter().take(MAX_ROWS) {
                            @let shares = &pool.shares;
                            tr {
                                th { (plain_pool(&pool.upstream)) }
                                td { (short(shares.proven_difficulty)) }
                                td { (short(shares.accepted_difficulty)) }
                                td { (grouped(shares.submitted)) }
                                td { (rejects(shares)) }
                                td { (grouped(shares.stale)) }
                                td { (answers(shares)) }
                                td { (grouped(pool.jobs)) }
                                td { @if pool.blocks_compared > 0 { (grouped(pool.blocks_first)) " of " (grouped(pool.blocks_compared)) } @else { "–" } }
                                td { (pool.new_block_lag_ms_p50.map_or_else(dash, ms)) }
                                td { @if pool.outages > 0 { (seconds(pool.outage_seconds)) " in " (grouped(pool.outages)) } @else { "–" } }
                            }
                        }
                    }
                }
            }
            (rest(report.pools.len(), "pool"))
        }
    }
}

pub(super) fn reasons(report: &Report) -> Markup {
    html! {
        @if !report.reasons.is_empty() {
            section.card {
                h2 { "Rejected shares by reason" }
                table {
                    thead { tr { th { "reason" } th { "code" } th { "shares" } } }
                    tbody {
                        @for reason in report.reasons.iter().take(MAX_ROWS) {
                            tr {
                                th { @if reason.reason.is_empty() { "no reason given" } @else { (reason.reason) } }
                                td { (reason.code.map_or_else(dash, |code| code.to_string())) }
                                td { (grouped(reason.shares)) }
                            }
                        }
                    }
                }
                (rest(report.reasons.len(), "reason"))
            }
        }
    }
}

pub(super) fn comparisons(report: &Report) -> Markup {
    html! {
        @if !report.comparisons.is_empty() {
            section.card {
                h2 { "Is one better than another?" }
                ul.list { @for comparison in &report.comparisons { li { (comparison.text) } } }
            }
        }
    }
}

pub(super) fn gaps(report: &Report) -> Markup {
    let mut rows: Vec<(&str, &str, f64, String, &str)> = Vec::new();
    for outage in report.outages.sluice.iter().chain(&report.outages.pools) {
        let what = if outage.subject == "sluice" {
            String::from("Sluice")
        } else {
            format!("pool {}", outage.subject)
        };
        rows.push((
            &outage.from,
            outage.to.as_deref().unwrap_or("the end"),
            outage.seconds,
            what,
            &outage.reason,
        ));
    }
    for worker in &report.workers {
        for absence in &worker.absences {
            let name = worker.shown();
            rows.push((&absence.from, &absence.to, absence.seconds, name, absence.reason.text()));
        }
    }
    rows.sort_by(|a, b| a.0.cmp(b.0));
    html! {
        @if !rows.is_empty() {
            section.card {
                h2 { "Gaps" }
                div.scroll tabindex="0" {
                    table {
                        thead { tr { th { "who" } th { "from" } th { "to" } th { "length" } th { "why" } } }
                        tbody {
                            @for (from, to, length, who, why) in rows.iter().take(MAX_ROWS) {
                                tr { th { (who) } td { (moment(from, report.seconds)) } td { (moment(to, report.seconds)) } td { (seconds(*length)) } td.text { (why) } }
                            }
                        }
                    }
                }
                (rest(rows.len(), "gap"))
            }
        }
    }
}

pub(super) fn alerts(report: &Report) -> Markup {
    let notes = &report.time_line;
    html! {
        @if !report.alerts.is_empty() {
            section.card {
                h2 { "Alerts" }
                table {
                    thead { tr { th { "rule" } th { "severity" } th { "times" } } }
                    tbody { @for alert in report.alerts.iter().take(MAX_ROWS) { tr { th { (alert.id) } td { (alert.severity) } td { (grouped(alert.alerts)) } } } }
                }
            }
        }
        @if !notes.is_empty() {
            section.card {
                h2 { "Events" }
                ul.list {
                    @for note in notes.iter().skip(notes.len().saturating_sub(MAX_ROWS)) {
                        li { time { (moment(&note.at, report.seconds)) } " " (note.text) }
                    }
                }
            }
        }
    }
}

pub(super) fn damaged(report: &Report) -> Markup {
    let damaged = &report.damaged;
    html! {
        @if damaged.rows > 0 {
            section.card {
                h2 { "Damaged rows" }
                p { (count(damaged.rows, "row")) " could not be read. The first ones:" }
                ul.list { @for place in &damaged.places { li { (place.file) ":" (place.line) ": " (place.reason) } } }
            }
        }
    }
}

fn range(figures: &ShareFigures) -> String {
    match (figures.hashrate_low, figures.hashrate_high) {
        (Some(low), Some(high)) => format!("{} to {}", rate(low), rate(high)),
        _ => dash(),
    }
}

fn rejects(figures: &ShareFigures) -> String {
    match figures.reject_rate {
        Some(part) => format!("{} ({:.2} %)", grouped(figures.rejected), part * 100.0),
        None => dash(),
    }
}

fn answers(figures: &ShareFigures) -> String {
    match (figures.response_ms_p50, figures.response_ms_p99) {
        (Some(p50), Some(p99)) => format!("{} / {}", ms(p50), ms(p99)),
        _ => dash(),
    }
}

fn assigned(figures: &ShareFigures) -> String {
    match (figures.assigned_difficulty_least, figures.assigned_difficulty_greatest) {
        (Some(least), Some(greatest)) if least == greatest => short(least),
        (Some(least), Some(greatest)) => format!("{} to {}", short(least), short(greatest)),
        _ => dash(),
    }
}

fn rest(all: usize, noun: &str) -> Markup {
    html! { @if all > MAX_ROWS { p.quiet { "and " (count((all - MAX_ROWS) as u64, &format!("more {noun}"))) } } }
}

fn dash() -> String {
    String::from("–")
}
