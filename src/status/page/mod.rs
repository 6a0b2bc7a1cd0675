//! The status page: a summary of what a miner's owner wants to know, then the details. It is one
//! response without outside resources and is readable without script. A small script polls it and
//! replaces what has changed.
//!
//! The templates and [`escape::html`] escape every text from the network. No element has a `style`
//! attribute or an event handler, so that the policy in [`Page::policy`] can allow the page's own
//! stylesheet and script and nothing else.
//!
//! Most files are a section. `activity` says whether there is work now, and what depends on that is never shown as if it
//! were. `headline` is the first line, the worst that is wrong. `miner_query` and `miner_rows` are behind the table of
//! `miners`. `welcome` is shown instead of all others before the first miner connects.

mod activity;
mod alert_list;
mod alerts;
mod chart_marks;
mod charts;
mod details;
mod events;
mod external;
mod headline;
mod job_list;
mod miner;
mod miner_device;
mod miner_forms;
mod miner_identity;
mod miner_query;
mod miner_rows;
mod miners;
mod network;
mod odds;
mod payout;
mod pools;
mod rates;
mod references;
mod share_list;
mod share_path;
mod shares;
mod shell;
mod summary;
mod time;
mod welcome;

pub use alert_list::alerts_page;
pub use events::events_page;
pub use headline::status_line;
pub use job_list::jobs_page;
pub use miner::{miner_page, unknown_miner_page};
pub use miner_query::MinersQuery;
pub use share_list::shares_page;
use shell::head;
pub use shell::{ListQuery, miner_address};

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use activity::Activity;

use super::snapshot::StatusSnapshot;
use crate::analyzer::{PoolView, Snapshot};
use crate::util::escape;

const STYLE: &str = concat!(include_str!("style.css"), include_str!("subpages.css"));
const SCRIPT: &str = concat!(include_str!("live.js"), include_str!("charts.js"));
/// Water through a gate. Its colours suit light and dark.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect \
    width='32' height='32' rx='8' fill='%230f766e'/%3E%3Cpath d='M7 8v16M25 8v16' stroke='%23fff' \
    stroke-width='3' stroke-linecap='round'/%3E%3Cpath d='M11 14q2.500-3 5 0t5 0M11 21q2.500-3 5 0t5 0' \
    fill='none' stroke='%23f5c451' stroke-width='2.600' stroke-linecap='round'/%3E%3C/svg%3E";

/// A rendered page.
#[derive(Debug, Clone)]
pub struct Page {
    pub html: String,
    /// The `Content-Security-Policy` that goes with it.
    pub policy: &'static str,
}

/// The parts of a request that change the page.
#[derive(Debug, Clone, Copy, Default)]
pub struct PageRequest<'a> {
    /// The Host header: the name under which the visitor reached this machine, with or without a port.
    pub host: Option<&'a str>,
    /// The revision of the charts that the visitor already has.
    pub has_charts: Option<u64>,
    /// The order, the filter and the page of the table of miners.
    pub miners: MinersQuery<'a>,
}

pub fn page(status: &StatusSnapshot, request: &PageRequest<'_>) -> Page {
    let is_welcome = status.runtime.sessions == 0
        && status.runtime.volume.sessions == 0
        && status.snapshot.known_workers.is_empty()
        && has_no_shares(status);
    let title = if is_welcome { String::from("Sluice") } else { title(status) };
    let sections =
        if is_welcome { welcome::section(status, request.host) } else { sections(status, request) };
    // The templates escape HTML. This also escapes characters that drive a terminal or reorder a line.
    let shown = PreEscaped(escape::html(sections.into_string()));
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&title))
            body data-version=(status.program.version) data-started=(status.program.started) {
                header {
                    p.mark { span aria-hidden="true" { "≋" } " Sluice" }
                    p.stamp #stamp data-live { (time::clock(status.at)) }
                }
                main {
                    (shown)
                }
                footer {
                    p {
                        "Sluice " (status.program.version) " · "
                        a href="/status" { "status" } " · "
                        a href="/events" { "events" } " · "
                        a href="/alerts" { "alerts" } " · "
                        a href="/shares" { "shares" } " · "
                        a href="/jobs" { "jobs" } " · "
                        a href="/metrics" { "metrics" }
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Page { html: html.into_string(), policy: policy() }
}

fn sections(status: &StatusSnapshot, request: &PageRequest<'_>) -> Markup {
    let is_analyzed = status.program.config.analysis.enabled;
    html! {
        (headline::section(status))
        (summary::section(status))
        // The columns are there even when they are empty, so that the script finds them.
        div #columns class="columns" {
            div #column-odds class="column" {
                @if is_analyzed {
                    (odds::section(status))
                    (network::section(status))
                    (shares::section(status))
                }
            }
            div #column-charts class="column" {
                @if is_analyzed {
                    (charts::section(status, request.has_charts))
                    (payout::section(status))
                }
            }
            div #column-alerts class="column" { (alerts::section(status)) }
            div #column-pools class="column" { (pools::section(status)) (external::section(status)) (references::section(status)) }
        }
        (miners::section(status, &request.miners))
        div #more class="columns" {
            div #column-path class="column" { @if is_analyzed { (share_path::section(status)) } }
            div #column-details class="column" { (details::section(status)) }
        }
    }
}

/// The title of the browser's tab: the hash rate, or that there is none.
fn title(status: &StatusSnapshot) -> String {
    match rates::shown(status) {
        Some(shown) if shown.is_now => format!("{} · Sluice", shown.text()),
        _ if matches!(Activity::of(status), Activity::NoPool | Activity::NoMiner) => {
            String::from("Not mining · Sluice")
        }
        _ => String::from("Sluice"),
    }
}

/// The `Content-Security-Policy`: it allows the page's own stylesheet and script, by their hashes, and
/// nothing else.
fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        format!(
            "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; base-uri \
             'none'; form-action 'self'; frame-ancestors 'none'",
            source(STYLE),
            source(SCRIPT)
        )
    })
}

fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

fn has_no_shares(status: &StatusSnapshot) -> bool {
    let totals = status.snapshot.totals.as_ref();
    totals.is_none_or(|totals| totals.submitted == 0) && status.snapshot.lifetime.accepted == 0
}

/// The pool with the most miners, else the first that ever sent a job.
fn pool_in_use(snapshot: &Snapshot) -> Option<&PoolView> {
    let with_jobs = || snapshot.pools.iter().filter(|pool| pool.job.is_some());
    // Among pools with as many miners the most preferred one.
    with_jobs().rev().max_by_key(|pool| pool.miners)
}

/// The pool's host and port.
fn pool_name<'a>(status: &'a StatusSnapshot, pool: &'a PoolView) -> &'a str {
    status.runtime.upstreams.get(pool.place).map_or(&pool.name, |upstream| &upstream.name)
}

/// The rating of a line, shown by its colour and its sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Good,
    Bad,
    Warn,
    /// Neither good nor bad, or unknown.
    Neutral,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Warn => "warn",
            Tone::Neutral => "calm",
        }
    }

    /// The sign that says the same as the colour.
    fn sign(self) -> &'static str {
        match self {
            Tone::Good => "✓",
            Tone::Bad => "✕",
            Tone::Warn => "!",
            Tone::Neutral => "·",
        }
    }
}

/// A line of a list: the sign of its tone, a title and the details.
fn list_item(tone: Tone, title: &str, details: Markup) -> Markup {
    html! {
        li class=(tone.class()) {
            span.sign aria-hidden="true" { (tone.sign()) }
            div { strong { (title) } (details) }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
