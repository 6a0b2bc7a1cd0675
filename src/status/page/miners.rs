//! The table of miners: sorted, filtered and page by page on the server, so that it works without script.

use maud::{Markup, html};

use super::miner_query::{MANY, MinersQuery, SortKey};
use super::miner_rows::{self, MinerRow, MinerState};
use super::shell::miner_address;
use super::{Tone, time};
use crate::analyzer::MinerView;
use crate::status::snapshot::StatusSnapshot;
use crate::util::format::{ago, count, grouped, percent, rate, short, span};

/// Caps the rows of a page, so that a farm's page stays small.
const PER_PAGE: usize = 100;

pub(super) fn section(status: &StatusSnapshot, query: &MinersQuery<'_>) -> Markup {
    let total = miner_rows::total(status);
    let order = query.order(total);
    html! {
        section.miners #miners {
            h2 #miners-count data-live { (heading(status)) }
            @if total > 1 { (form(query, order, total)) }
            div #miners-list data-live { (list(status, query, total)) }
        }
    }
}

fn heading(status: &StatusSnapshot) -> String {
    let connected = count(status.snapshot.miners.len().max(status.runtime.sessions) as u64, "miner");
    match status.offline_workers().count() as u64 {
        0 => connected,
        offline => format!("{connected}, {} offline", grouped(offline)),
    }
}

/// The filter, and the order for screens without column headings. A few miners need no filter where there are headings. Not renewed by the script: a visitor may be typing.
fn form(query: &MinersQuery<'_>, (key, _): (SortKey, bool), total: usize) -> Markup {
    html! {
        form.few[total <= MANY && query.filter().is_empty()] method="get" action="/#miners" role="search" {
            label { span { "Filter" } input type="search" name="filter" value=(query.filter()) maxlength="100" autocomplete="off"; }
            label {
                span { "Sort by" }
                select name="sort" {
                    @for each in SortKey::ALL { option value=(each.name()) selected[each == key] { (choice(each)) } }
                }
            }
            button { "Show" }
        }
    }
}

fn choice(key: SortKey) -> &'static str {
    if key == SortKey::State { "worst first" } else { key.heading() }
}

fn list(status: &StatusSnapshot, query: &MinersQuery<'_>, total: usize) -> Markup {
    let rows = miner_rows::rows(status, query);
    let pages = rows.len().div_ceil(PER_PAGE);
    let page = query.page(pages);
    let first = (page - 1) * PER_PAGE;
    html! {
        @if total == 0 {
            p.quiet { @if status.runtime.sessions == 0 { "No miner is connected." } @else { "No details yet." } }
        } @else if rows.is_empty() {
            p.quiet { "No miner's name, device or address has “" (query.filter()) "” in it. " a href="/#miners" { "Show all" } }
        } @else {
            @if !query.filter().is_empty() {
                p.quiet { (grouped(rows.len() as u64)) " of " (grouped(total as u64)) " with “" (query.filter()) "”. " a #show-all href="/#miners" { "Show all" } }
            }
            table {
                caption.hidden { "Miners" }
                thead { tr { @for key in SortKey::ALL { (column(query, key, query.order(total))) } } }
                tbody { @for row in rows.iter().skip(first).take(PER_PAGE) { (row_of(status, row)) } }
            }
            @if pages > 1 { (pages_nav(query, page, pages, rows.len())) }
        }
    }
}

fn column(query: &MinersQuery<'_>, key: SortKey, present: (SortKey, bool)) -> Markup {
    let (sorted, sign) = match present {
        (now, true) if now == key => (Some("ascending"), " ▴"),
        (now, false) if now == key => (Some("descending"), " ▾"),
        _ => (None, ""),
    };
    html! {
        th scope="col" aria-sort=[sorted] {
            a id={ "sort-" (key.name()) } href=(query.to_sort(key, present)) { (key.heading()) span aria-hidden="true" { (sign) } }
        }
    }
}

fn pages_nav(query: &MinersQuery<'_>, page: usize, pages: usize, rows: usize) -> Markup {
    let first = (page - 1) * PER_PAGE + 1;
    html! {
        nav.pages aria-label="Pages of miners" {
            @if page > 1 { a #page-before rel="prev" href=(query.to_page(page - 1)) { "← before" } }
            span { (grouped(first as u64)) " to " (grouped((first + PER_PAGE - 1).min(rows) as u64)) " of " (grouped(rows as u64)) }
            @if page < pages { a #page-next rel="next" href=(query.to_page(page + 1)) { "next →" } }
            @for number in 1..=pages {
                @if number == page { strong aria-current="page" { (number) } }
                @else { a id={ "page-" (number) } href=(query.to_page(number)) { (number) } }
            }
        }
    }
}

fn row_of(status: &StatusSnapshot, row: &MinerRow<'_>) -> Markup {
    let (tone, state) = state(status, row.state);
    html! {
        tr class=[row.miner.is_none().then_some("gone")] {
            th scope="row" {
                @if row.worker.is_empty() { span.name { (row.name()) } }
                @else { a.name href=(miner_address(row.worker)) title=(row.worker) { (row.name()) } }
                span.device title=(row.user_agent) { (row.device()) }
            }
            td.state class=(tone.class()) data-label="state" { span.sign aria-hidden="true" { (tone.sign()) } " " (state) }
            @match row.miner {
                Some(miner) => (connected(row, miner)),
                None => {
                    td data-label="hash rate, 1 h" { "–" } td data-label="last share" { "–" } td data-label="difficulty" { "–" }
                    td data-label="best ever" { (best(row)) }
                    td data-label="accepted" { "–" } td data-label="connected for" { "–" }
                }
            }
        }
    }
}

fn connected(row: &MinerRow<'_>, miner: &MinerView) -> Markup {
    html! {
        td data-label="hash rate, 1 h" { (rate(miner.hash_rates.one_hour)) }
        td data-label="last share" { (miner.last_share_ago.map_or_else(|| String::from("none yet"), ago)) }
        td data-label="difficulty" { (short(miner.difficulty)) }
        td data-label="best ever" { (best(row)) }
        td data-label="accepted" { (grouped(miner.accepted)) " · " (percent(miner.accepted, miner.accepted + miner.rejected)) }
        td data-label="connected for" { (span(miner.connected_for)) }
    }
}

fn best(row: &MinerRow<'_>) -> String {
    row.best().map_or_else(|| String::from("–"), short)
}

/// The state in words, with its tone.
fn state(status: &StatusSnapshot, state: MinerState) -> (Tone, Markup) {
    match state {
        MinerState::Unpaid => (Tone::Bad, html! { "pays somebody else" }),
        MinerState::Offline(since) => (Tone::Warn, html! { "offline since " (time::moment(status, since)) }),
        MinerState::Rejects(part) => (Tone::Bad, html! { (format!("{:.0} % rejected", part * 100.0)) }),
        MinerState::Silent(ago) => (Tone::Warn, html! { "no share for " (span(ago)) }),
        MinerState::PayoutUnknown => (Tone::Warn, html! { "payout not verified" }),
        MinerState::NothingAccepted => (Tone::Neutral, html! { "no accepted share yet" }),
        MinerState::Mining => (Tone::Good, html! { "mining" }),
    }
}
