//! The first screen: the hash rate, and the answers to five questions.

use std::time::Duration;

use maud::{Markup, html};

use super::{Tone, list_item, pool_in_use, pool_name};
use crate::analyzer::{ChainState, PayoutState, PoolView};
use crate::config::Severity;
use crate::proxy::UpstreamState;
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;
use crate::upstream::PoolStatus;
use crate::util::format::{ago, count, delay, grouped, rate, rate_parts};

/// A share within this time counts as mining. Low-power miners may find none for hours; the page then
/// says "Connected".
const RECENT_SHARE: Duration = Duration::from_secs(600);

/// One answer.
struct SummaryLine {
    tone: Tone,
    title: String,
    detail: String,
}

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let rates = &status.snapshot.hash_rates;
    let (number, unit) = rate_parts(rates.five_minutes);
    html! {
        section.summary {
            @if status.program.config.analysis.enabled { div.speed #speed data-live {
                h1 { span.number { (number) } span.unit { " " (unit) } }
                p.windows {
                    span { "1 min " b { (rate(rates.one_minute)) } }
                    span { "1 h " b { (rate(rates.one_hour)) } }
                    span { "24 h " b { (rate(rates.one_day)) } }
                }
            } } @else {
                // The hash rate is known from shares only.
                div.speed { h1 { span.number { "–" } } }
            }
            ul.answers #answers data-live {
                @for answer in answers(status) {
                    (list_item(answer.tone, &answer.title, html! { span { (answer.detail) } }))
                }
            }
        }
    }
}

fn answers(status: &StatusSnapshot) -> Vec<SummaryLine> {
    let pool = pool_in_use(&status.snapshot);
    let mut answers = vec![mining(status)];
    if status.program.config.analysis.enabled {
        let (payer, chain_of) = (verdicts::payout(&status.snapshot), verdicts::chain(&status.snapshot));
        answers.extend([payout(payer), chain(chain_of), pool_answers(status, pool), alerts(status)]);
    } else {
        answers.push(SummaryLine {
            tone: Tone::Neutral,
            title: String::from("Analysis is off"),
            detail: String::from("shares and jobs are forwarded unread"),
        });
    }
    answers
}

/// Is it mining?
fn mining(status: &StatusSnapshot) -> SummaryLine {
    let sessions = status.runtime.sessions as u64;
    let miners = &status.snapshot.miners;
    let last = miners.iter().filter_map(|miner| miner.last_share_ago).min();
    let upstreams = status.runtime.listed();
    let (tone, title, detail) = match (sessions, last) {
        _ if upstreams
            .iter()
            .all(|(_, upstream)| matches!(upstream.standing, PoolStatus::Failed | PoolStatus::Blocked)) =>
        {
            (Tone::Bad, "Not mining", String::from(no_pool(&upstreams)))
        }
        (0, _) => (Tone::Warn, "Not mining", String::from("no miner is connected")),
        (_, Some(last)) if last < RECENT_SHARE => {
            (Tone::Good, "Mining", format!("{}, last share {}", count(sessions, "miner"), ago(last)))
        }
        (_, Some(last)) => {
            (Tone::Neutral, "Connected", format!("{}, last share {}", count(sessions, "miner"), ago(last)))
        }
        (_, None) if !status.program.config.analysis.enabled => {
            (Tone::Neutral, "Connected", count(sessions, "miner"))
        }
        (_, None) => (Tone::Neutral, "Connected", format!("{}, no share yet", count(sessions, "miner"))),
    };
    SummaryLine { tone, title: title.to_owned(), detail }
}

/// The reason why no pool can be used.
fn no_pool(upstreams: &[(usize, &UpstreamState)]) -> &'static str {
    match upstreams {
        [(_, only)] if only.gives_no_work => {
            "the pool gives no work; no other pool is configured, so the miners stay with it"
        }
        _ if upstreams.iter().any(|(_, one)| one.gives_no_work) => "the pool gives no work",
        _ => "no pool can be reached",
    }
}

/// Would a block pay me?
fn payout(pool: Option<&PoolView>) -> SummaryLine {
    let Some(verdict) = pool.and_then(|pool| pool.payout.as_ref()) else {
        return unknown("Whom a block would pay", "no job received yet");
    };
    let address = verdict.expected.as_ref().map_or("", |expected| &expected.address);
    let (tone, title, detail) = match verdict.state {
        PayoutState::Verified => {
            (Tone::Good, format!("A block would pay you {:.2}\u{a0}%", verdict.percent), shortened(address))
        }
        PayoutState::Short => (
            Tone::Bad,
            format!("A block would pay you only {:.2}\u{a0}%", verdict.percent),
            verdict.waste().map_or_else(|| shortened(address), |waste| waste.to_string()),
        ),
        PayoutState::Mismatch => (
            Tone::Bad,
            String::from("A block would pay you nothing"),
            format!("no output pays {}", shortened(address)),
        ),
        PayoutState::Unverifiable(why) => {
            (Tone::Neutral, String::from("Unknown whom a block would pay"), why.to_string())
        }
    };
    SummaryLine { tone, title, detail }
}

/// Is this really Bitcoin?
fn chain(pool: Option<&PoolView>) -> SummaryLine {
    let Some(verdict) = pool.and_then(|pool| pool.chain.as_ref()) else {
        return unknown("Which chain", "no job received yet");
    };
    let job = pool.and_then(|pool| pool.job.as_ref());
    let height = job
        .and_then(|job| job.height)
        .map_or_else(String::new, |height| format!("height {}", grouped(height.0.into())));
    let tag = job.and_then(|job| job.tag.as_ref()).map(|tag| format!("“{tag}”"));
    let detail: Vec<String> =
        [Some(height), tag].into_iter().flatten().filter(|text| !text.is_empty()).collect();
    if let (Some(why), ChainState::Unknown) = (verdict.doubt, verdict.state) {
        return unknown("Unknown which chain this is", &why.to_string());
    }
    let (tone, title) = match (verdict.state, verdict.network) {
        (ChainState::Plausible, "mainnet") => (Tone::Good, String::from("This is Bitcoin")),
        (ChainState::Plausible | ChainState::Unknown, network) => {
            (Tone::Neutral, format!("This is a test network: {network}"))
        }
        (ChainState::Wrong, _) => (Tone::Bad, String::from("This is not Bitcoin")),
    };
    SummaryLine { tone, title, detail: detail.join(", ") }
}

/// Does the pool answer quickly, and is its work fresh?
fn pool_answers(status: &StatusSnapshot, pool: Option<&PoolView>) -> SummaryLine {
    let Some(pool) = pool else {
        let upstreams = status.runtime.listed();
        return match upstreams.iter().find(|(_, one)| one.gives_no_work) {
            Some((_, idle)) => SummaryLine {
                tone: Tone::Warn,
                title: String::from("The pool gives no work"),
                detail: match &idle.trouble {
                    Some((why, _)) => format!("{}: {why}", idle.name),
                    None => format!("{} accepts miners but sends no job", idle.name),
                },
            },
            None => unknown("The pool", "nothing received from it yet"),
        };
    };
    let since_job = pool
        .job
        .as_ref()
        .and_then(|job| status.at.timestamp().duration_since(job.at.timestamp()).try_into().ok());
    let job = since_job.map_or_else(String::new, |age: Duration| format!(", newest job {}", ago(age)));
    let state = status.runtime.upstreams.get(pool.place);
    let gives_no_work = state.is_some_and(|state| state.gives_no_work);
    let is_up = state.is_none_or(|state| !matches!(state.standing, PoolStatus::Failed | PoolStatus::Blocked));
    let (tone, title) = match (is_up, recent_answer(pool)) {
        (false, _) if gives_no_work => (Tone::Warn, String::from("The pool gives no work")),
        (false, _) => (Tone::Warn, String::from("The pool is down")),
        (true, None) => (Tone::Neutral, String::from("The pool has answered no share lately")),
        (true, Some(time)) => (Tone::Good, format!("The pool answers in {}", delay(time))),
    };
    SummaryLine { tone, title, detail: format!("{}{job}", pool_name(status, pool)) }
}

/// The median of the pool's newest response times. Times from hours ago do not matter.
fn recent_answer(pool: &PoolView) -> Option<Duration> {
    let mut times: Vec<Duration> = pool.newest_answers.iter().copied().collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// Is anything wrong?
fn alerts(status: &StatusSnapshot) -> SummaryLine {
    let serious = || status.active_alerts().filter(|alert| alert.severity > Severity::Info);
    let worst = serious().max_by_key(|alert| alert.severity);
    match worst {
        None => {
            let notes = status.active_alerts().count() as u64;
            let detail = if notes == 0 { String::from("nothing is wrong") } else { count(notes, "note") };
            SummaryLine { tone: Tone::Good, title: String::from("No alert"), detail }
        }
        Some(alert) => SummaryLine {
            tone: if alert.severity == Severity::High { Tone::Bad } else { Tone::Warn },
            title: count(serious().count() as u64, "alert"),
            detail: alert.description.clone(),
        },
    }
}

fn unknown(title: &str, detail: &str) -> SummaryLine {
    SummaryLine { tone: Tone::Neutral, title: title.to_owned(), detail: detail.to_owned() }
}

/// Shortens an address to fit a phone. The outputs show the full address.
fn shortened(address: &str) -> String {
    let characters: Vec<char> = address.chars().collect();
    if characters.len() <= 20 {
        return address.to_owned();
    }
    let (start, end) = (&characters[..10], &characters[characters.len() - 8..]);
    format!("{}…{}", start.iter().collect::<String>(), end.iter().collect::<String>())
}
