//! The page `/miner`: everything about one miner, connected or not.

use maud::{Markup, html};

use super::charts::{ChartedHistory, charts};
use super::events::event_details;
use super::share_list::share_table;
use super::shell::{address_with_worker, subpage};
use super::{Page, miner_device, miner_forms, miner_identity, time};
use crate::analyzer::MinerView;
use crate::record::{EventRow, ShareRow};
use crate::status::snapshot::StatusSnapshot;
use crate::status::worker_facts::WorkerFacts;
use crate::util::escape::printable;
use crate::util::format::{count, grouped, percent, rate, short};

/// Caps the listed shares, connections and events.
const MAX_SHARES: usize = 20;
const MAX_CONNECTIONS: usize = 20;
const MAX_EVENTS: usize = 20;

/// Renders the page of the worker of this name. `None` if there is no such worker.
pub fn miner_page(
    status: &StatusSnapshot,
    worker: &str,
    has_charts: Option<u64>,
    may_change: bool,
) -> Option<Page> {
    let facts = WorkerFacts::of(status, worker)?;
    let content = html! {
        (miner_identity::section(status, &facts))
        (history(status, &facts, has_charts))
        (fate(&facts))
        (miner_forms::section(&facts, may_change))
        (miner_device::sections(status, &facts))
        (shares(status, &facts))
        (connections(status, &facts))
        (events(status, &facts))
    };
    Some(subpage(status, "/miner", facts.name(), &content))
}

/// The page for a name that no miner has.
pub fn unknown_miner_page(status: &StatusSnapshot, worker: &str) -> Page {
    let content = html! {
        section.list {
            h1 { "No such miner" }
            p {
                @if worker.is_empty() { "The address of this page has no miner's name in it. " }
                @else { "No miner of the name " q.name { (printable(worker)) } " is connected or known here. " }
                "A miner is known once it has had a share or ten minutes here, and is forgotten a week after it left, or by hand."
            }
            p { a href="/" { "All miners" } }
        }
    };
    subpage(status, "/miner", "No such miner", &content)
}

fn history(status: &StatusSnapshot, facts: &WorkerFacts<'_>, has_charts: Option<u64>) -> Markup {
    match facts.history {
        Some(history) => charts(status, has_charts, ChartedHistory::Worker(history, &facts.key)),
        None if !status.program.config.analysis.enabled => html! {},
        None => html! {
            section.charts.nothing #no-charts data-live {
                h2 { "Over time" }
                p.quiet {
                    "No history yet: it begins with the first accepted share, or after ten minutes. It is kept for the 512 "
                    "miners that were here last."
                }
            }
        },
    }
}

/// The outcomes of its shares, with the reasons.
fn fate(facts: &WorkerFacts<'_>) -> Markup {
    let Some(totals) = facts.totals else {
        return html! {
            section.its-shares #its-shares data-live { h2 { "Its shares" } p.quiet { "None since Sluice started." } }
        };
    };
    let judged = totals.accepted + totals.rejected;
    let mut reasons: Vec<(&String, &u64)> = totals.reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    html! {
        section.its-shares #its-shares data-live {
            h2 { "Its shares " span.quiet { "since Sluice started" } }
            dl.tiles {
                div.good { dt { "accepted" } dd { (grouped(totals.accepted)) small { (percent(totals.accepted, judged)) } } }
                div.bad { dt { "rejected" } dd { (grouped(totals.rejected)) small { (percent(totals.rejected, judged)) } } }
                div { dt { "stale" } dd { (grouped(totals.stale)) small { (percent(totals.stale, totals.sent)) } } }
                div { dt { "unanswered" } dd { (grouped(totals.unanswered)) small { (percent(totals.unanswered, totals.sent)) } } }
                @if totals.unknown > 0 {
                    div { dt { "unknown" } dd { (grouped(totals.unknown)) small { (percent(totals.unknown, totals.sent)) } } }
                }
            }
            @if !reasons.is_empty() {
                ul.reasons { @for (reason, count) in reasons { li { b { (grouped(*count)) } " × " q { (reason) } } } }
            }
        }
    }
}

fn shares(status: &StatusSnapshot, facts: &WorkerFacts<'_>) -> Markup {
    let shares: Vec<&ShareRow> = facts.shares().take(MAX_SHARES).collect();
    html! {
        section.last-shares #last-shares data-live {
            h2 { "Last shares" }
            @if shares.is_empty() {
                p.quiet { "None among the newest " (status.snapshot.recent.shares.len()) " shares of all miners. Older ones are in shares.csv." }
            } @else {
                (share_table(status, &shares, false))
                p.quiet { a href=(address_with_worker("/shares", &facts.key)) { "more shares" } }
            }
        }
    }
}

fn connections(status: &StatusSnapshot, facts: &WorkerFacts<'_>) -> Markup {
    if facts.connections.is_empty() {
        return html! {};
    }
    let connections: Vec<&MinerView> = facts.connections.iter().rev().copied().collect();
    html! {
        section.connections #connections data-live {
            h2 { (count(connections.len() as u64, "connection")) }
            table.rows {
                thead {
                    tr {
                        th scope="col" { "from" } th scope="col" { "since" } th scope="col" { "pool" } th scope="col" { "difficulty" }
                        th scope="col" { "hash rate, 1 h" } th scope="col" { "accepted" } th scope="col" { "rejected" }
                        th scope="col" { "extranonce1" }
                    }
                }
                tbody { @for miner in connections.iter().take(MAX_CONNECTIONS) { (connection(status, miner)) } }
            }
            @if connections.len() > MAX_CONNECTIONS { p.quiet { "The newest " (MAX_CONNECTIONS) " are shown." } }
        }
    }
}

fn connection(status: &StatusSnapshot, miner: &MinerView) -> Markup {
    let pool = miner.upstream.and_then(|place| status.runtime.upstreams.get(place));
    html! {
        tr {
            td data-label="from" { (miner.miner) }
            td data-label="since" { (time::moment(status, miner.connected_since)) }
            td data-label="pool" { (pool.map_or("–", |pool| pool.name.as_str())) }
            td data-label="difficulty" { (short(miner.difficulty)) }
            td data-label="hash rate, 1 h" { (rate(miner.hash_rates.one_hour)) }
            td data-label="accepted" { (grouped(miner.accepted)) }
            td data-label="rejected" { (grouped(miner.rejected)) }
            td data-label="extranonce1" {
                @match &miner.extranonce1 { Some(extranonce1) => code { (extranonce1.to_string()) }, None => "–" }
            }
        }
    }
}

fn events(status: &StatusSnapshot, facts: &WorkerFacts<'_>) -> Markup {
    let events: Vec<&EventRow> = facts.events().take(MAX_EVENTS + 1).collect();
    html! {
        section.events #events data-live {
            h2 { "Events" }
            @if events.is_empty() { p.quiet { "None so far." } }
            @for event in events.iter().take(MAX_EVENTS) { (event_details(status, event)) }
            @if events.len() > MAX_EVENTS { p.quiet { a href=(address_with_worker("/events", &facts.key)) { "more events" } } }
        }
    }
}
