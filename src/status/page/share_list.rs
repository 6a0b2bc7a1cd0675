//! The page `/shares`: the newest shares, newest first. The table is on a miner's page, too.

use maud::{Markup, html};

use super::shell::{ListQuery, miner_link, subpage};
use super::{Page, Tone, time};
use crate::record::{SavedState, ShareOutcome, ShareRow};
use crate::status::snapshot::StatusSnapshot;
use crate::stratum::Difficulty;
use crate::util::format::{count, delay, short};
use crate::work::name_of_worker;

const PATH: &str = "/shares";
const PER_PAGE: usize = 50;

/// The results that a visitor can choose.
const RESULTS: [&str; 4] = ["accepted", "rejected", "unanswered", "unknown"];

/// Renders the shares that the query asks for.
pub fn shares_page(status: &StatusSnapshot, query: &ListQuery<'_>) -> Page {
    let (worker, result) = (query.text("worker"), query.text("result"));
    let shares = status.snapshot.recent.shares.iter().map(AsRef::as_ref);
    let wanted = shares.filter(|share: &&ShareRow| {
        worker.is_none_or(|worker| is_of(share, worker))
            && result.is_none_or(|result| share.outcome.name() == result)
    });
    let part = query.part(wanted, PER_PAGE);
    let content = html! {
        section.list #list data-live {
            h1 { "Shares" }
            (filters(*query, worker, result))
            p.quiet {
                (count(part.total as u64, "share")) ", newest first. The newest 200 of all miners are kept here, all in shares.csv."
            }
            @if part.rows.is_empty() { p { "None so far." } } @else { (share_table(status, &part.rows, true)) }
            (part.pages(*query, PATH))
        }
    };
    subpage(status, PATH, "Shares", &content)
}

/// Whether a share is of this worker, by its whole name or without the address.
pub(super) fn is_of(share: &ShareRow, worker: &str) -> bool {
    let key = SavedState::worker_key(&share.worker);
    key == SavedState::worker_key(worker) || name_of_worker(&key) == worker
}

fn filters(query: ListQuery<'_>, worker: Option<&str>, result: Option<&str>) -> Markup {
    html! {
        nav.filters aria-label="Results" {
            @if result.is_some() { a href=(query.address(PATH, &[("result", "")])) { "all" } }
            @else { strong aria-current="page" { "all" } }
            @for each in RESULTS {
                " · "
                @if result == Some(each) { strong aria-current="page" { (each) } }
                @else { a href=(query.address(PATH, &[("result", each)])) { (each) } }
            }
        }
        @if let Some(worker) = worker {
            p.quiet { "only of " strong.name { (worker) } ", " a href=(query.address(PATH, &[("worker", "")])) { "show all miners" } }
        }
    }
}

/// A table of shares. Without `has_miner` they are all of one.
pub(super) fn share_table(status: &StatusSnapshot, shares: &[&ShareRow], has_miner: bool) -> Markup {
    html! {
        table.rows {
            thead {
                tr {
                    th scope="col" { "time" }
                    @if has_miner { th scope="col" { "miner" } }
                    th scope="col" { "result" } th scope="col" { "difficulty" } th scope="col" { "asked for" }
                    th scope="col" { "answered in" } th scope="col" { "height" } th scope="col" { "age of job" }
                }
            }
            tbody {
                @for share in shares {
                    tr {
                        td data-label="time" { (time::clock(share.at)) }
                        @if has_miner { td data-label="miner" { (miner_link(&status.snapshot.shown_names, &share.worker)) } }
                        (result(share))
                        td data-label="difficulty" {
                            (share.share_difficulty.map_or_else(|| String::from("–"), short))
                            @if share.is_block == Some(true) { " " strong.block { "★ block" } }
                        }
                        td data-label="asked for" { (share.assigned_difficulty.map(Difficulty::value).map_or_else(|| String::from("–"), short)) }
                        td data-label="answered in" { (share.response.map_or_else(|| String::from("–"), delay)) }
                        td data-label="height" { @match share.height { Some(height) => (height.0), None => "–" } }
                        td data-label="age of job" { (share.job_age.map_or_else(|| String::from("–"), delay)) }
                    }
                }
            }
        }
    }
}

fn result(share: &ShareRow) -> Markup {
    let tone = match share.outcome {
        ShareOutcome::Accepted => Tone::Good,
        ShareOutcome::Rejected { .. } => Tone::Bad,
        ShareOutcome::Unanswered => Tone::Warn,
        ShareOutcome::Unknown => Tone::Neutral,
    };
    html! {
        td.result class=(tone.class()) data-label="result" {
            span.sign aria-hidden="true" { (tone.sign()) } " " (share.outcome.name())
            @if let ShareOutcome::Rejected { reason: Some(reason), .. } = &share.outcome { ": " q { (reason) } }
        }
    }
}
