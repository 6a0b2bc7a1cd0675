//! The page `/jobs`: the newest jobs with their verdicts, newest first.

use maud::{Markup, html};

use super::shell::{ListQuery, subpage};
use super::{Page, Tone, time};
use crate::analyzer::{ChainState, PayoutState, RecentJob};
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;
use crate::util::format::{count, grouped, short, span};

const PATH: &str = "/jobs";
const PER_PAGE: usize = 50;

/// Renders the jobs that the query asks for.
pub fn jobs_page(status: &StatusSnapshot, query: &ListQuery<'_>) -> Page {
    let upstreams = &status.runtime.upstreams;
    let number = query.text("upstream").and_then(|text| text.parse::<usize>().ok());
    // Upstreams count from 1.
    let chosen = number.and_then(|number| number.checked_sub(1)).filter(|place| *place < upstreams.len());
    let wanted = status.snapshot.recent.jobs.iter();
    let wanted = wanted.filter(|recent| chosen.is_none() || recent.job.upstream == chosen);
    let part = query.part(wanted, PER_PAGE);
    let content = html! {
        section.list #list data-live {
            h1 { "Jobs" }
            @if upstreams.len() > 1 { (pools(status, *query, chosen)) }
            p.quiet {
                (count(part.total as u64, "job")) ", newest first. The newest 100 are kept here, all in timing.csv. A job that "
                "several miners got is listed once."
            }
            @if part.rows.is_empty() { p { "None so far." } } @else { (table(status, &part.rows)) }
            (part.pages(*query, PATH))
        }
    };
    subpage(status, PATH, "Jobs", &content)
}

fn pools(status: &StatusSnapshot, query: ListQuery<'_>, chosen: Option<usize>) -> Markup {
    html! {
        nav.filters aria-label="Pools" {
            @if chosen.is_some() { a href=(query.address(PATH, &[("upstream", "")])) { "all" } }
            @else { strong aria-current="page" { "all" } }
            @for (place, upstream) in status.runtime.listed() {
                " · "
                @if chosen == Some(place) { strong aria-current="page" { (upstream.name) } }
                @else { a href=(query.address(PATH, &[("upstream", &(place + 1).to_string())])) { (upstream.name) } }
            }
        }
    }
}

fn table(status: &StatusSnapshot, jobs: &[&RecentJob]) -> Markup {
    html! {
        table.rows {
            thead {
                tr {
                    th scope="col" { "time" } th scope="col" { "pool" } th scope="col" { "height" }
                    th scope="col" { "pays you" } th scope="col" { "chain" } th scope="col" { "network difficulty" }
                    th scope="col" { "since last" } th scope="col" { "miners" } th scope="col" { "job" }
                }
            }
            tbody { @for job in jobs { (row(status, job)) } }
        }
    }
}

fn row(status: &StatusSnapshot, recent: &RecentJob) -> Markup {
    let job = &recent.job;
    let pool = job.upstream.and_then(|place| status.runtime.upstreams.get(place));
    let (payout, percent) = (payout_tone(job.payout.state), verdicts::percent(&job.payout));
    let chain = chain_tone(job.chain.state);
    html! {
        tr {
            td data-label="time" { (time::clock(job.at)) }
            td data-label="pool" { span.name { (pool.map_or("–", |pool| pool.name.as_str())) } }
            td data-label="height" { @match job.height { Some(height) => (grouped(height.0.into())), None => "–" } }
            td.result class=(payout.class()) data-label="pays you" {
                span.sign aria-hidden="true" { (payout.sign()) } " "
                @match percent { Some(percent) => (format!("{percent:.2} %")), None => "can't tell" }
            }
            td.result class=(chain.class()) data-label="chain" {
                span.sign aria-hidden="true" { (chain.sign()) } " " (job.chain.network)
            }
            td data-label="network difficulty" { (job.network_difficulty.map_or_else(|| String::from("–"), short)) }
            td data-label="since last" { (job.gap.map_or_else(|| String::from("–"), span)) }
            td data-label="miners" { (grouped(recent.miners.into())) }
            td data-label="job" {
                span.name { (job.job_id.as_str()) }
                @if job.clean { " clean" }
            }
        }
    }
}

pub(super) fn payout_tone(state: PayoutState) -> Tone {
    match state {
        PayoutState::Verified => Tone::Good,
        PayoutState::Unverifiable(_) => Tone::Neutral,
        PayoutState::Short | PayoutState::Mismatch => Tone::Bad,
    }
}

fn chain_tone(state: ChainState) -> Tone {
    match state {
        ChainState::Plausible => Tone::Good,
        ChainState::Unknown => Tone::Neutral,
        ChainState::Wrong => Tone::Bad,
    }
}
