//! The first screen: the hash rate, and the answers to five questions.

use std::time::Duration;

use maud::{Markup, html};

use super::activity::{
    Activity, RECENT, is_still_used, is_up, is_work_old, last_share, max_share_age, rejected_only,
};
use super::headline::{alert_title, headline, is_disproved, no_pool, worst_of};
use super::rates::{self, ShownRate};
use super::{Tone, list_item, payout, pool_in_use, pool_name};
use crate::analyzer::{ChainState, PoolView};
use crate::config::Severity;
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;
use crate::upstream::UpstreamState;
use crate::util::format::{ago, count, delay, grouped, rate, rate_parts};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    html! {
        section.summary {
            div.speed #speed data-live { (speed(status)) }
            ul.answers #answers data-live {
                @for answer in answers(status) { (answer) }
            }
        }
    }
}

fn speed(status: &StatusSnapshot) -> Markup {
    if !status.program.config.analysis.enabled {
        // The hash rate is known from shares only.
        return html! { p.rate.old { span.number { "–" } } p.scope { "hash rate unknown: analysis is off" } };
    }
    let rates = &status.snapshot.hash_rates;
    let windows = [(HOUR, "last hour", rates.one_hour), (DAY, "last 24 h", rates.one_day)];
    let shown = rates::shown(status);
    let mut scopes: Vec<String> = shown.iter().map(|shown| shown.scope.clone()).collect();
    // After a recent start, several windows are the same.
    let mut is_new = |scope: &String| {
        let is_new = !scopes.contains(scope);
        scopes.push(scope.clone());
        is_new
    };
    let windows = windows.map(|(window, name, hashes)| (rates::scope(status, window, name), hashes));
    let windows: Vec<(String, f64)> = windows.into_iter().filter(|(scope, _)| is_new(scope)).collect();
    html! {
        h2.hidden { "Hash rate" }
        @match &shown {
            Some(ShownRate { hashes, scope, is_now }) => {
                @let (number, unit) = rate_parts(*hashes);
                p.rate.old[!is_now] { span.number { (number) } span.unit { " " (unit) } }
                p.scope { (scope) }
            }
            None => {
                p.rate.old { span.number { "–" } }
                p.scope {
                    @if let Some(last) = last_share(status) { "unknown, last share " (ago(last)) } @else { "no share yet" }
                }
            }
        }
        @if shown.is_some_and(|shown| shown.is_now) {
            p.windows {
                span { "last min " b { (rate(rates.one_minute)) } }
                @for (scope, hashes) in &windows { span { (scope) " " b { (rate(*hashes)) } } }
            }
        }
    }
}

fn answers(status: &StatusSnapshot) -> Vec<Markup> {
    let activity = Activity::of(status);
    if !status.program.config.analysis.enabled {
        let off = answer(Tone::Neutral, "Analysis is off", "shares and jobs are forwarded unread");
        return vec![mining(status, activity), off];
    }
    let (tone, title, detail) = payout::answer(status, activity);
    vec![
        mining(status, activity),
        answer(tone, &title, &detail),
        chain(status, activity),
        pool_answers(status, activity),
        alerts(status, activity),
    ]
}

fn answer(tone: Tone, title: &str, detail: &str) -> Markup {
    list_item(tone, title, html! { span { (detail) } })
}

/// Is it mining?
fn mining(status: &StatusSnapshot, activity: Activity) -> Markup {
    let miners = count(status.runtime.sessions as u64, "miner");
    let last = last_share(status);
    match (activity, last) {
        (Activity::NoPool, _) => answer(Tone::Bad, "Not mining", no_pool_of(&status.runtime.listed())),
        (Activity::NoMiner, Some(last)) => answer(
            headline(status).tone,
            "Not mining",
            &format!("no miner is connected, last share {}", ago(last)),
        ),
        (Activity::NoMiner, None) => answer(headline(status).tone, "Not mining", "no miner is connected"),
        (Activity::NoWork, _) => {
            answer(Tone::Neutral, "Nothing to mine yet", &format!("{miners}, no job yet"))
        }
        (Activity::OldWork, _) => answer(Tone::Warn, "Mining on old work", &format!("{miners}, no new job")),
        (Activity::Working, Some(last)) => {
            let detail = format!("{miners}, last share {}", ago(last));
            match (rejected_only(status), last < max_share_age(status)) {
                (Some(_), _) => answer(Tone::Bad, "No share is accepted", &detail),
                (None, true) => answer(Tone::Good, "Mining", &detail),
                (None, false) => answer(Tone::Neutral, "Connected", &detail),
            }
        }
        (Activity::Working, None) if !status.program.config.analysis.enabled => {
            answer(Tone::Neutral, "Connected", &miners)
        }
        (Activity::Working, None) => answer(Tone::Neutral, "Connected", &format!("{miners}, no share yet")),
    }
}

/// The reason why no pool can be used.
fn no_pool_of(upstreams: &[(usize, &UpstreamState)]) -> &'static str {
    match upstreams {
        [(_, only)] if only.gives_no_work => {
            "the pool gives no work; no other pool is configured, so the miners stay with it"
        }
        _ => no_pool(upstreams).0,
    }
}

/// Is this really Bitcoin?
fn chain(status: &StatusSnapshot, activity: Activity) -> Markup {
    let pool = verdicts::chain(&status.snapshot);
    let Some(verdict) = pool.and_then(|pool| pool.chain.as_ref()) else {
        return answer(Tone::Neutral, "Which chain", "no job received yet");
    };
    if let (Some(why), ChainState::Unknown) = (verdict.doubt, verdict.state) {
        return answer(Tone::Neutral, "Unknown which chain this is", &why.to_string());
    }
    let job = pool.and_then(|pool| pool.job.as_ref());
    let age = job.map_or_else(String::new, |job| format!(", {}", ago(status.age_of(job.at))));
    if !activity.has_job() && verdict.state == ChainState::Plausible {
        return answer(
            Tone::Neutral,
            "No chain is worked on now",
            &format!("the last job was of {}{age}", verdict.network),
        );
    }
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
fn pool_answers(status: &StatusSnapshot, activity: Activity) -> Markup {
    let Some(pool) = pool_in_use(&status.snapshot) else { return no_pool_yet(status) };
    let state = status.runtime.upstreams.get(pool.place);
    let job = pool.job.as_ref().map(|job| status.age_of(job.at));
    let newest = job.map_or_else(String::new, |age| format!(", newest job {}", ago(age)));
    let detail = format!("{}{newest}", pool_name(status, pool));
    if let Some(state) = state.filter(|state| !is_up(state)) {
        let title = match state.gives_no_work {
            true => "The pool gives no work",
            false if is_still_used(status, pool.place, state) => "The pool takes no new connection",
            false => "The pool is down",
        };
        let tone = if activity == Activity::NoPool { Tone::Bad } else { Tone::Warn };
        return answer(tone, title, &detail);
    }
    if pool.miners == 0 {
        return answer(Tone::Neutral, "No pool is in use", &detail);
    }
    if is_work_old(pool) {
        return answer(Tone::Warn, "The pool sends no new job", &detail);
    }
    match recent_answer(status, pool) {
        None => answer(Tone::Neutral, "The pool has answered no share lately", &detail),
        Some(time) => answer(Tone::Good, &format!("The pool answers in {}", delay(time)), &detail),
    }
}

/// The answer before the first job of any pool.
fn no_pool_yet(status: &StatusSnapshot) -> Markup {
    let upstreams = status.runtime.listed();
    if let Some((_, idle)) = upstreams.iter().find(|(_, one)| one.gives_no_work) {
        let detail = match &idle.trouble {
            Some((why, _)) => format!("{}: {why}", idle.name),
            None => format!("{} accepts miners but sends no job", idle.name),
        };
        return answer(Tone::Warn, "The pool gives no work", &detail);
    }
    match upstreams.first() {
        Some((_, first)) if !is_up(first) => answer(Tone::Bad, "The pool is down", &first.name),
        _ => answer(Tone::Neutral, "The pool", "nothing received from it yet"),
    }
}

/// The median of the pool's newest response times, if the last is recent.
pub(super) fn recent_answer(status: &StatusSnapshot, pool: &PoolView) -> Option<Duration> {
    pool.last_answer.filter(|last| status.age_of(status.time_of(*last)) < RECENT)?;
    let mut times: Vec<Duration> = pool.newest_answers.iter().copied().collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// Is anything wrong?
fn alerts(status: &StatusSnapshot, activity: Activity) -> Markup {
    let serious = || status.present_alerts().filter(|alert| alert.severity > Severity::Info);
    let Some(worst) = worst_of(status, serious()) else {
        let notes = status.active_alerts().count() as u64;
        let detail = if notes == 0 { String::from("nothing was reported") } else { count(notes, "note") };
        // Alerts wait until a state has lasted, and the answers above do not.
        return match activity {
            Activity::Working if rejected_only(status).is_none() => answer(Tone::Good, "No alert", &detail),
            _ => answer(Tone::Neutral, "No alert yet", &detail),
        };
    };
    let is_bad = worst.severity == Severity::High && !is_disproved(status, worst);
    let tone = if is_bad { Tone::Bad } else { Tone::Warn };
    answer(tone, &count(serious().count() as u64, "alert"), &alert_title(status, worst))
}
