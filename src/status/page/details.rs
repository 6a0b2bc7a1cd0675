//! Details: the latency that Sluice adds, dropped copies, the clock, the records.

use maud::{Markup, html};

use super::time;
use crate::analyzer::Latency;
use crate::clock::ClockState;
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{count, delay, grouped, short, span};

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let (snapshot, runtime) = (&status.snapshot, &status.runtime);
    let summary = &snapshot.summary;
    html! {
        section.details #details data-live {
            h2 { "Under the hood " span.calm { "since the start, " (span(status.up_for)) } }
            dl {
                dt { "Delay added to shares" } dd { (latency(&summary.latency_up)) }
                dt { "Delay added to jobs" } dd { (latency(&summary.latency_down)) }
                @if let Some(totals) = &snapshot.totals {
                    dt { "Job time" }
                    dd {
                        @match totals.job_time_difference {
                            Some(seconds) => { (signed_seconds(seconds)) (time_source(snapshot.clock.as_ref())) }
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
                    (short((runtime.volume.bytes_up + runtime.volume.bytes_down) as f64)) "B"
                    @if runtime.volume.dropped_copies > 0 { ", " (grouped(runtime.volume.dropped_copies)) " not analysed" }
                }
                dt { "Records" } dd { (records(status)) }
                dt { "Running" } dd { (span(status.up_for)) " since " (time::date_and_time(status.program.started)) }
                dt { "Listening" }
                dd { @for (place, address) in status.program.listening.iter().enumerate() { @if place > 0 { ", " } (address) } }
            }
        }
    }
}

/// Formats a difference as `+0.4 s`, and never as `-0.0 s`.
fn signed_seconds(seconds: f64) -> String {
    if seconds.abs() < 0.05 { String::from("0.0 s") } else { format!("{seconds:+.1} s") }
}

fn time_source(clock: Option<&ClockState>) -> &'static str {
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

fn records(status: &StatusSnapshot) -> Markup {
    match &status.snapshot.recording {
        None => html! { "none are written" },
        Some(health) if health.write_errors.is_empty() && health.dropped + health.lost == 0 => {
            html! { "in " (status.program.config.data_dir.display()) }
        }
        Some(health) => html! {
            @for trouble in &health.write_errors { (trouble.file.display()) " can't be written; " }
            (count(health.dropped + health.lost, "row")) " lost"
        },
    }
}
