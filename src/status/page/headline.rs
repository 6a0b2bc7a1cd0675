//! The first line: one sentence about the worst that is wrong, with what to do, or that all is well.

use std::cmp::Reverse;

use maud::{Markup, html};
use serde_json::json;

use super::activity::{Activity, is_up, last_share, max_share_age, rejected_only};
use super::payout::PayoutSummary;
use super::{Tone, pool_in_use, rates};
use crate::analyzer::{Alert, ChainState};
use crate::config::Severity;
use crate::notify;
use crate::record::{AlertKind, ShareOutcome};
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;
use crate::upstream::{PoolStatus, UpstreamState};
use crate::util::escape::Printable;
use crate::util::format::{ago, count, span};

/// After a start, miners need some time to connect again.
const RETURN_SECONDS: u64 = 60;

/// Alerts about these are worse than others of the same severity.
const WORST: [&str; 3] = ["payout.", "chain.wrong", "internal."];

/// The first line of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Headline {
    pub(super) tone: Tone,
    /// A sentence without its full stop.
    pub(super) title: String,
    /// The cause, and what to do; may be empty.
    pub(super) detail: String,
}

pub(super) fn section(status: &StatusSnapshot) -> Markup {
    let Headline { tone, title, detail } = headline(status);
    html! {
        section #headline class={ "headline " (tone.class()) } data-live {
            // The class is on the inner element, too, since only what is inside is renewed.
            div class=(tone.class()) role="status" {
                span.sign aria-hidden="true" { (tone.sign()) }
                div {
                    h1 { (title) }
                    @if !detail.is_empty() { p { (detail) } }
                }
            }
        }
    }
}

/// One line without markup, for the service manager: the miners and their hash rate, and what is badly wrong. Every text
/// from the network is escaped.
pub fn status_line(status: &StatusSnapshot) -> String {
    let mut line = count(status.runtime.sessions as u64, "miner");
    if let Some(shown) = rates::shown(status).filter(|shown| shown.is_now) {
        line.push_str(&format!(", {}", shown.text()));
    }
    let Headline { tone, title, .. } = headline(status);
    if tone == Tone::Bad {
        line.push_str(&format!("; {}", Printable(&title)));
    }
    line
}

/// The worst that is wrong now, else how it goes.
pub(super) fn headline(status: &StatusSnapshot) -> Headline {
    let activity = Activity::of(status);
    not_mining(status, activity)
        .or_else(|| alert(status, Severity::High))
        .or_else(|| bad_work(status, activity))
        .or_else(|| no_fresh_work(status, activity))
        .or_else(|| alert(status, Severity::Low))
        .or_else(|| doubtful_payout(status))
        .unwrap_or_else(|| going_well(status))
}

/// The title of an alert, in the words of its message.
pub(super) fn alert_title(status: &StatusSnapshot, alert: &Alert) -> String {
    let mut row = alert.row(AlertKind::Begins);
    // The state has gone on since it was reported.
    if let Some(seconds) = row.data["seconds"].as_f64() {
        row.data["seconds"] = json!(seconds + status.age_of(alert.began).as_secs_f64());
    }
    let worker = row.data["worker"].as_str().unwrap_or_default();
    if let Some(name) = status.snapshot.shown_names.get(worker).map(str::to_owned) {
        row.data["shown_name"] = json!(name);
    }
    let title = notify::title(&row);
    if is_disproved(status, alert) {
        // A state is reported as over only when it has been for a while, or is not seen again for long.
        return format!("{}: {title}", ago(status.age_of(alert.last)));
    }
    title
}

/// Whether the miners' present work shows that the state of this alert is over, or is another pool's.
pub(super) fn is_disproved(status: &StatusSnapshot, alert: &Alert) -> bool {
    match alert.id {
        "payout.mismatch" | "payout.short" => PayoutSummary::of(status).is_all_verified(),
        "chain.wrong" => {
            let chain = verdicts::chain(&status.snapshot).and_then(|pool| pool.chain.as_ref());
            chain.is_some_and(|chain| chain.state == ChainState::Plausible)
        }
        _ => false,
    }
}

fn new(tone: Tone, title: impl Into<String>, detail: impl Into<String>) -> Headline {
    Headline { tone, title: title.into(), detail: detail.into() }
}

fn not_mining(status: &StatusSnapshot, activity: Activity) -> Option<Headline> {
    match activity {
        Activity::NoPool => {
            let (title, detail) = no_pool(&status.runtime.listed());
            Some(new(Tone::Bad, format!("Not mining: {title}"), detail))
        }
        Activity::NoMiner => Some(no_miner(status)),
        _ => None,
    }
}

/// The reason why no pool can be used, and what to do.
pub(super) fn no_pool(upstreams: &[(usize, &UpstreamState)]) -> (&'static str, String) {
    let Some((_, first)) = upstreams.first() else { return ("no pool is configured", String::new()) };
    let why = first.blocked.as_ref().or(first.trouble.as_ref().map(|(why, _)| why));
    let why = why.map_or_else(String::new, |why| format!("{}: {why}. ", first.name));
    let is_blocked = |(_, one): &(usize, &UpstreamState)| one.standing == PoolStatus::Blocked;
    if let [(_, only)] = upstreams {
        if only.gives_no_work {
            let advice = "No other pool is configured, so the miners stay with it. Add another [[upstream]].";
            return ("the pool gives no work", format!("{why}{advice}"));
        }
    }
    if upstreams.iter().all(is_blocked) {
        return (
            "every pool is out of rotation",
            format!("{why}A restart clears it, or the API with the token."),
        );
    }
    if upstreams.iter().any(|(_, one)| one.gives_no_work) {
        return ("no pool gives work", format!("{why}Add another [[upstream]], or ask the pool."));
    }
    let advice = match &first.trouble {
        Some((_, wait)) => format!(
            "Next try in {}. Check the internet connection, or add another [[upstream]].",
            span(*wait)
        ),
        None => String::from("Check the internet connection, or add another [[upstream]]."),
    };
    ("no pool can be reached", format!("{why}{advice}"))
}

fn no_miner(status: &StatusSnapshot) -> Headline {
    let known = status.snapshot.known_workers.len() as u64;
    let expected = count(known, "miner");
    if known > 0 && status.up_for.as_secs() < RETURN_SECONDS {
        let detail = format!("{expected} should connect within a minute.");
        return new(Tone::Neutral, format!("Sluice started {}", ago(status.up_for)), detail);
    }
    let advice = "Check their power and network, and that they have the right address of this machine.";
    let last = status.offline_workers().map(|worker| worker.last_seen).max();
    match last {
        // A restart does not make an absence shorter.
        Some(last) => {
            let title = format!("Not mining: no miner has been connected for {}", span(status.age_of(last)));
            new(Tone::Bad, title, format!("{expected} known. {advice}"))
        }
        None => {
            let detail = "Nobody who connected so far has sent a share. Check the user name and the port on the miner.";
            new(Tone::Warn, "Not mining: no miner is connected", detail)
        }
    }
}

/// The worst of these alerts. Of the same severity, one that is still so is worse than one that the present work disproves.
pub(super) fn worst_of<'a>(
    status: &StatusSnapshot,
    alerts: impl Iterator<Item = &'a Alert>,
) -> Option<&'a Alert> {
    alerts.max_by_key(|alert| {
        let place = WORST.iter().rposition(|family| alert.id.starts_with(family));
        (alert.severity, !is_disproved(status, alert), place.is_some(), Reverse(place), alert.began)
    })
}

/// The worst alert that lasts, of this severity at least.
fn alert(status: &StatusSnapshot, least: Severity) -> Option<Headline> {
    let is_serious = |alert: &&Alert| alert.severity >= least;
    let is_wanted = |alert: &&Alert| least < Severity::High || !is_disproved(status, alert);
    let serious = || status.present_alerts().filter(is_serious).filter(is_wanted);
    let worst = worst_of(status, serious())?;
    let row = worst.row(AlertKind::Begins);
    let mut detail = match (worst.id, notify::advice(&row)) {
        // Its description tells how long it was when it began.
        ("miner.gone", _) => String::from("Check power and network."),
        (_, Some(advice)) => advice.to_owned(),
        (_, None) => sentence(&worst.description),
    };
    let all = status.present_alerts().filter(|alert| alert.severity > Severity::Info).count();
    match all.saturating_sub(1) {
        0 => {}
        more => {
            detail = format!(
                "{detail} There {} more below.",
                if more == 1 { "is 1".to_owned() } else { format!("are {more}") }
            )
        }
    }
    let is_now = !is_disproved(status, worst);
    if !is_now {
        detail = format!("It is not so of the miners' present work. {detail}");
    }
    let tone = if is_now && worst.severity == Severity::High { Tone::Bad } else { Tone::Warn };
    Some(new(tone, alert_title(status, worst), detail))
}

/// Work that earns nothing, where no alert says so: its rule may be off, or wait for more.
fn bad_work(status: &StatusSnapshot, activity: Activity) -> Option<Headline> {
    let payout = PayoutSummary::of(status);
    if let Some(title) = payout.unpaid_title() {
        return Some(new(
            Tone::Bad,
            title,
            "Check the address in the user name. If it is right, change the pool.",
        ));
    }
    let chain = verdicts::chain(&status.snapshot).and_then(|pool| pool.chain.as_ref());
    if activity.has_job() && chain.is_some_and(|chain| chain.state == ChainState::Wrong) {
        return Some(new(Tone::Bad, "Your miners work on another coin, not Bitcoin", "Use another pool."));
    }
    let share = rejected_only(status)?;
    let detail = match &share.outcome {
        ShareOutcome::Rejected { reason: Some(reason), .. } => {
            format!("The pool's reason: “{reason}”. Check the miner's user name, then ask the pool.")
        }
        _ => String::from("Check the miner's user name, then ask the pool."),
    };
    Some(new(Tone::Bad, "Not one of the newest shares was accepted", detail))
}

fn no_fresh_work(status: &StatusSnapshot, activity: Activity) -> Option<Headline> {
    match activity {
        Activity::NoWork => {
            let miners = count(status.runtime.sessions as u64, "connection");
            let is_new = status.snapshot.miners.iter().all(|miner| miner.worker.is_empty());
            let detail = if is_new { "No miner has logged in yet." } else { "The pool has sent no job yet." };
            Some(new(Tone::Neutral, format!("{miners}, nothing to mine yet"), detail))
        }
        Activity::OldWork => {
            let job = pool_in_use(&status.snapshot)?.job.as_ref()?;
            let title = format!("The pool has sent no job for {}", span(status.age_of(job.at)));
            Some(new(Tone::Warn, title, "The miners go on with old work. If it lasts, use another pool."))
        }
        _ => None,
    }
}

fn doubtful_payout(status: &StatusSnapshot) -> Option<Headline> {
    let summary = PayoutSummary::of(status);
    let title = summary.partly_verified().filter(|_| summary.lacks_address())?;
    Some(new(Tone::Warn, title, "Put a Bitcoin address into its user name, or set payout.address."))
}

fn going_well(status: &StatusSnapshot) -> Headline {
    let miners = count(status.runtime.sessions as u64, "miner");
    if !status.program.config.analysis.enabled {
        let detail = "Analysis is off: bytes are forwarded unread, so nothing else is known.";
        return new(Tone::Neutral, format!("{miners} connected"), detail);
    }
    let Some(last) = last_share(status) else {
        return new(Tone::Neutral, format!("{miners} connected, no share yet"), first_share(status));
    };
    let rate = rates::shown(status).map_or_else(String::new, |shown| format!(" at {}", shown.text()));
    let title = format!("{miners}{rate}");
    let (detail, is_all_known) = match PayoutSummary::of(status).doubt(status) {
        _ if unreachable(status).is_some() => (unreachable(status).unwrap_or_default(), false),
        _ if chain_doubt(status).is_some() => (chain_doubt(status).unwrap_or_default(), false),
        Some(doubt) => (doubt, false),
        None => (absent(status).unwrap_or_else(|| format!("Last share {}.", ago(last))), true),
    };
    if last >= max_share_age(status) {
        // A miner that hangs keeps its connection.
        let detail = if is_all_known { absent(status).unwrap_or_default() } else { detail };
        return new(Tone::Neutral, format!("Connected: {miners}, last share {}", ago(last)), detail);
    }
    if is_all_known {
        new(Tone::Good, format!("All well: {title}"), detail)
    } else {
        new(Tone::Neutral, format!("Mining: {title}"), detail)
    }
}

/// The reason why a miner that connects now would get no pool, although the connected ones have theirs.
fn unreachable(status: &StatusSnapshot) -> Option<String> {
    let upstreams = status.runtime.listed();
    if upstreams.iter().any(|(_, one)| is_up(one)) {
        return None;
    }
    let (_, first) = upstreams.first()?;
    let why = first.blocked.as_ref().or(first.trouble.as_ref().map(|(why, _)| why));
    let why = why.map_or_else(String::new, |why| format!(" {}: {why}.", first.name));
    Some(format!("The connected miners go on, and no pool takes a new connection.{why}"))
}

/// The reason why it is not certain that this is Bitcoin.
fn chain_doubt(status: &StatusSnapshot) -> Option<String> {
    let chain = verdicts::chain(&status.snapshot)?.chain.as_ref()?;
    match (chain.state, chain.network, chain.doubt) {
        (ChainState::Plausible, "mainnet", _) => None,
        (_, _, Some(why)) => Some(format!("Unknown which chain this is: {why}.")),
        (_, network, None) => {
            Some(format!("This is a test network: {network}. Its coins are worth nothing."))
        }
    }
}

/// The miners that are gone and that no alert is about yet.
fn absent(status: &StatusSnapshot) -> Option<String> {
    let gone: Vec<_> = status.offline_workers().collect();
    let [one] = gone.as_slice() else {
        let gone = gone.len() as u64;
        return (gone > 0).then(|| {
            format!("{} not connected.", count(gone, "miner") + if gone == 1 { " is" } else { " are" })
        });
    };
    let name = status.snapshot.shown_names.name_of(&one.worker);
    Some(format!("{name} has been offline for {}.", span(status.age_of(one.last_seen))))
}

fn first_share(status: &StatusSnapshot) -> String {
    let easiest = status.snapshot.miners.iter().map(|miner| miner.difficulty).reduce(f64::min);
    let text = |difficulty: f64| {
        format!("At difficulty {} the first share may take a while.", crate::util::format::short(difficulty))
    };
    easiest.map_or_else(String::new, text)
}

/// A description as a sentence: it begins with a capital and ends with a full stop.
fn sentence(description: &str) -> String {
    let mut characters = description.chars();
    let first: String = characters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", characters.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests;
