//! Details: the latency that Sluice adds, dropped copies, the clock, the records.

use maud::{Markup, html};

use crate::analyzer::Latency;
use crate::clock::ClockState;
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{count, delay, grouped, short, span};

pub(super) fn section(sight: &StatusSnapshot) -> Markup {
    let (snapshot, around) = (&sight.snapshot, &sight.around);
    let summary = &snapshot.summary;
    html! {
        section.details #details data-live {
            h2 { "Under the hood" }
            dl {
                dt { "Delay added, up" } dd { (latency(&summary.latency_up)) }
                dt { "Delay added, down" } dd { (latency(&summary.latency_down)) }
                @if let Some(totals) = &snapshot.totals {
                    dt { "Job time" }
                    dd {
                        @match totals.job_time_difference {
                            Some(seconds) => { (off(seconds)) (what_time(snapshot.clock.as_ref())) }
                            None => { "no job yet" }
                        }
                    }
                    @if totals.job_ages.count() > 0 {
                        dt { "Age of a share's job" }
                        dd { (delay(totals.job_ages.quantile(0.5))) ", p99 " (delay(totals.job_ages.quantile(0.99))) }
                    }
                    dt { "Work proven" } dd { "difficulty " (short(totals.proven_difficulty)) ", accepted " (short(totals.accepted_difficulty)) }
                }
                @if let Some(first) = snapshot.shared.first() {
                    dt { "To the pools" }
                    dd {
                        (count(snapshot.shared.len() as u64, "connection")) ", shared by "
                        (count(snapshot.miners.len() as u64, "miner")) "; the pool asks for difficulty " (short(first.difficulty))
                    }
                }
                dt { "Clock" } dd { (clock(snapshot.clock.as_ref())) }
                dt { "Forwarded" }
                dd {
                    (count(summary.messages_up + summary.messages_down, "message")) ", "
                    (short((around.volume.bytes_up + around.volume.bytes_down) as f64)) "B"
                    @if around.volume.dropped_copies > 0 { ", " (grouped(around.volume.dropped_copies)) " not analysed" }
                }
                dt { "Records" } dd { (records(sight)) }
                dt { "Running" } dd { (span(sight.up_for)) " since " (sight.facts.started.timestamp().strftime("%-d %B %Y, %H:%M UTC")) }
                dt { "Listening" }
                dd { @for (place, address) in sight.facts.listening.iter().enumerate() { @if place > 0 { ", " } (address) } }
            }
        }
    }
}

/// Formats a difference as `+0.4 s`, and never as `-0.0 s`.
fn off(seconds: f64) -> String {
    if seconds.abs() < 0.05 { String::from("0.0 s") } else { format!("{seconds:+.1} s") }
}

fn what_time(clock: Option<&ClockState>) -> &'static str {
    match clock {
        Some(ClockState::Synchronised { .. }) => " from NTP time",
        _ => " from this machine's clock",
    }
}

fn latency(latency: &Latency) -> Markup {
    if latency.count() == 0 {
        return html! { "nothing forwarded yet" };
    }
    html! {
        (delay(latency.quantile(0.5))) ", p99 " (delay(latency.quantile(0.99))) ", max " (delay(latency.max()))
    }
}

fn clock(state: Option<&ClockState>) -> String {
    match state {
        Some(ClockState::Synchronised { offset, error_bound, .. }) => {
            format!("synchronised by NTP: offset {offset}, ± {}", delay(*error_bound))
        }
        Some(state) => state.to_string(),
        None => String::from("unknown"),
    }
}

fn records(sight: &StatusSnapshot) -> Markup {
    match &sight.snapshot.recording {
        None => html! { "none are written" },
        Some(health) if health.write_errors.is_empty() && health.dropped + health.lost == 0 => {
            html! { "in " (sight.facts.config.data_dir.display()) }
        }
        Some(health) => html! {
            @for trouble in &health.write_errors { (trouble.file.display()) " can't be written; " }
            (count(health.dropped + health.lost, "row")) " lost"
        },
    }
}
