//! The first screen: the hash rate, and the answers to five questions.

use std::time::Duration;

use maud::{Markup, html};

use super::{Tone, list_item, pool_in_use, pool_name};
use crate::analyzer::{ChainState, PayoutState, PoolView};
use crate::config::Severity;
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;
use crate::upstream::{PoolStatus, UpstreamState};
use crate::util::format::{ago, count, delay, grouped, rate, rate_parts};

/// A share within this time counts as mining. Low-power miners may find none for hours; the page then
/// says "Connected".
const RECENT_SHARE: Duration = Duration::from_secs(600);

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
                @for answer in answers(status) { (answer) }
            }
        }
    }
}

fn answers(status: &StatusSnapshot) -> Vec<Markup> {
    if !status.program.config.analysis.enabled {
        let off = answer(Tone::Neutral, "Analysis is off", "shares and jobs are forwarded unread");
        return vec![mining(status), off];
    }
    vec![
        mining(status),
        payout(verdicts::payout(&status.snapshot)),
        chain(verdicts::chain(&status.snapshot)),
        pool_answers(status, pool_in_use(&status.snapshot)),
        alerts(status),
    ]
}

fn answer(tone: Tone, title: &str, detail: &str) -> Markup {
    list_item(tone, title, html! { span { (detail) } })
}

/// Is it mining?
fn mining(status: &StatusSnapshot) -> Markup {
    let sessions = count(status.runtime.sessions as u64, "miner");
    let last = status.snapshot.miners.iter().filter_map(|miner| miner.last_share_ago).min();
    let upstreams = status.runtime.listed();
    if upstreams.iter().all(|(_, one)| matches!(one.standing, PoolStatus::Failed | PoolStatus::Blocked)) {
        return answer(Tone::Bad, "Not mining", no_pool(&upstreams));
    }
    match last {
        _ if status.runtime.sessions == 0 => answer(Tone::Warn, "Not mining", "no miner is connected"),
        Some(last) => {
            let is_recent = last < RECENT_SHARE;
            let (tone, title) = if is_recent { (Tone::Good, "Mining") } else { (Tone::Neutral, "Connected") };
            answer(tone, title, &format!("{sessions}, last share {}", ago(last)))
        }
        None if !status.program.config.analysis.enabled => answer(Tone::Neutral, "Connected", &sessions),
        None => answer(Tone::Neutral, "Connected", &format!("{sessions}, no share yet")),
    }
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
fn payout(pool: Option<&PoolView>) -> Markup {
    let Some(verdict) = pool.and_then(|pool| pool.payout.as_ref()) else {
        return answer(Tone::Neutral, "Whom a block would pay", "no job received yet");
    };
    let address = shortened(verdict.expected.as_ref().map_or("", |expected| &expected.address));
    let percent = format!("{:.2}\u{a0}%", verdict.percent);
    match verdict.state {
        PayoutState::Verified => answer(Tone::Good, &format!("A block would pay you {percent}"), &address),
        PayoutState::Short => {
            let detail = verdict.waste().map_or(address, |waste| waste.to_string());
            answer(Tone::Bad, &format!("A block would pay you only {percent}"), &detail)
        }
        PayoutState::Mismatch => {
            answer(Tone::Bad, "A block would pay you nothing", &format!("no output pays {address}"))
        }
        PayoutState::Unverifiable(why) => {
            answer(Tone::Neutral, "Unknown whom a block would pay", &why.to_string())
        }
    }
}

/// Is this really Bitcoin?
fn chain(pool: Option<&PoolView>) -> Markup {
    let Some(verdict) = pool.and_then(|pool| pool.chain.as_ref()) else {
        return answer(Tone::Neutral, "Which chain", "no job received yet");
    };
    if let (Some(why), ChainState::Unknown) = (verdict.doubt, verdict.state) {
        return answer(Tone::Neutral, "Unknown which chain this is", &why.to_string());
    }
    let job = pool.and_then(|pool| pool.job.as_ref());
    let height = job.and_then(|job| job.height).map(|height| format!("height {}", grouped(height.0.into())));
    let tag = job.and_then(|job| job.tag.as_ref()).map(|tag| format!("“{tag}”"));
    let detail = height.into_iter().chain(tag).collect::<Vec<_>>().join(", ");
    match (verdict.state, verdict.network) {
        (ChainState::Plausible, "mainnet") => answer(Tone::Good, "This is Bitcoin", &detail),
        (ChainState::Plausible | ChainState::Unknown, network) => {
            answer(Tone::Neutral, &format!("This is a test network: {network}"), &detail)
        }
        (ChainState::Wrong, _) => answer(Tone::Bad, "This is not Bitcoin", &detail),
    }
}

/// Does the pool answer quickly, and is its work fresh?
fn pool_answers(status: &StatusSnapshot, pool: Option<&PoolView>) -> Markup {
    let Some(pool) = pool else {
        let upstreams = status.runtime.listed();
        let Some((_, idle)) = upstreams.iter().find(|(_, one)| one.gives_no_work) else {
            return answer(Tone::Neutral, "The pool", "nothing received from it yet");
        };
        let detail = match &idle.trouble {
            Some((why, _)) => format!("{}: {why}", idle.name),
            None => format!("{} accepts miners but sends no job", idle.name),
        };
        return answer(Tone::Warn, "The pool gives no work", &detail);
    };
    let job = pool.job.as_ref();
    let age = job.and_then(|job| status.at.timestamp().duration_since(job.at.timestamp()).try_into().ok());
    let newest = age.map_or_else(String::new, |age: Duration| format!(", newest job {}", ago(age)));
    let state = status.runtime.upstreams.get(pool.place);
    let is_up = state.is_none_or(|state| !matches!(state.standing, PoolStatus::Failed | PoolStatus::Blocked));
    let (tone, title) = match recent_answer(pool) {
        _ if !is_up && state.is_some_and(|state| state.gives_no_work) => {
            (Tone::Warn, String::from("The pool gives no work"))
        }
        _ if !is_up => (Tone::Warn, String::from("The pool is down")),
        None => (Tone::Neutral, String::from("The pool has answered no share lately")),
        Some(time) => (Tone::Good, format!("The pool answers in {}", delay(time))),
    };
    answer(tone, &title, &format!("{}{newest}", pool_name(status, pool)))
}

/// The median of the pool's newest response times. Times from hours ago do not matter.
fn recent_answer(pool: &PoolView) -> Option<Duration> {
    let mut times: Vec<Duration> = pool.newest_answers.iter().copied().collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// Is anything wrong?
fn alerts(status: &StatusSnapshot) -> Markup {
    let serious = || status.active_alerts().filter(|alert| alert.severity > Severity::Info);
    let Some(worst) = serious().max_by_key(|alert| alert.severity) else {
        let notes = status.active_alerts().count() as u64;
        let detail = if notes == 0 { String::from("nothing is wrong") } else { count(notes, "note") };
        return answer(Tone::Good, "No alert", &detail);
    };
    let tone = if worst.severity == Severity::High { Tone::Bad } else { Tone::Warn };
    answer(tone, &count(serious().count() as u64, "alert"), &worst.description)
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
