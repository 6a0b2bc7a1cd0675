//! The connected miners, fastest first.

use maud::{Markup, html};

use super::Tone;
use crate::analyzer::MinerView;
use crate::status::snapshot::StatusSnapshot;
use crate::status::user_agent::device_name;
use crate::util::format::{ago, count, grouped, percent, rate, short, span};
use crate::work::name_of_worker;

/// Caps the listed miners, since a farm's page would be megabytes. The others are at `/api/miners`.
const MAX_LISTED: usize = 100;

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let mut miners: Vec<&MinerView> = status.snapshot.miners.iter().collect();
    miners.sort_by(|a, b| {
        let rates = b.hash_rates.one_hour.total_cmp(&a.hash_rates.one_hour);
        rates.then_with(|| a.worker.cmp(&b.worker)).then(a.session.cmp(&b.session))
    });
    let more = miners.len().saturating_sub(MAX_LISTED);
    html! {
        section.miners #miners data-live {
            h2 { (count(miners.len().max(status.runtime.sessions) as u64, "miner")) }
            @if miners.is_empty() {
                p.quiet { @if status.runtime.sessions == 0 { "No miner is connected." } @else { "No details yet." } }
            } @else {
                table {
                    thead {
                        tr {
                            th { "miner" } th { "hash rate" } th { "last share" } th { "difficulty" }
                            th { "best" } th { "accepted" } th { "connected" }
                        }
                    }
                    tbody { @for miner in miners.iter().take(MAX_LISTED) { (row(miner)) } }
                }
                @if more > 0 {
                    p.quiet { "and " (grouped(more as u64)) " more: " a href="/api/miners" { "all miners" } }
                }
            }
        }
    }
}

fn row(miner: &MinerView) -> Markup {
    let judged = miner.accepted + miner.rejected;
    let best = miner.best_ever.as_ref().map_or(miner.best, |best| best.difficulty.value().max(miner.best));
    let name = if miner.worker.is_empty() { "(no name yet)" } else { name_of_worker(&miner.worker) };
    let tone = if judged > 0 && miner.rejected * 20 > judged { Tone::Warn } else { Tone::Neutral };
    html! {
        tr {
            th scope="row" {
                span.name title=(miner.worker) { (name) }
                span.device title=(miner.user_agent) { (device_name(&miner.user_agent).unwrap_or_else(|| miner.miner.ip().to_string())) }
            }
            td data-label="hash rate" { (rate(miner.hash_rates.one_hour)) }
            td data-label="last share" { (miner.last_share_ago.map_or_else(|| String::from("none yet"), ago)) }
            td data-label="difficulty" { (short(miner.difficulty)) }
            td data-label="best" { (short(best)) }
            td data-label="accepted" class=(tone.class()) { (grouped(miner.accepted)) " · " (percent(miner.accepted, judged)) }
            td data-label="connected" { (span(miner.connected_for)) }
        }
    }
}
