//! The head of a miner's page: who it is, whether it works now, and its figures.

use std::net::IpAddr;
use std::time::Duration;

use maud::{Markup, html};

use super::{Tone, list_item, time};
use crate::analyzer::PayoutState;
use crate::status::snapshot::StatusSnapshot;
use crate::status::user_agent::device_name;
use crate::status::worker_facts::{WorkerFacts, WorkerHour};
use crate::util::format::{ago, count, rate, short, span};
use crate::work::account_of_worker;

const HOUR: Duration = Duration::from_secs(3600);
/// The seconds by which a worker's history may differ from the age of its connection.
const HISTORY_LAG: f64 = 10.0;

pub(super) fn section(status: &StatusSnapshot, facts: &WorkerFacts<'_>) -> Markup {
    html! {
        section.identity #identity data-live {
            h1 { (facts.name()) }
            @if facts.name() != facts.key { p.quiet.full-name { (facts.key) } }
            ul.answers {
                (connected(status, facts))
                (device(facts))
                (payout(facts))
            }
            (figures(status, facts))
        }
    }
}

/// Is it connected, and does it work?
fn connected(status: &StatusSnapshot, facts: &WorkerFacts<'_>) -> Markup {
    let last = facts.last_share().map(|at| ago(status.age_of(at)));
    let last = last.map_or_else(|| String::from("no share yet"), |last| format!("last share {last}"));
    if let Some(newest) = facts.newest() {
        let more = facts.connections.len() as u64;
        let title = if more == 1 {
            String::from("Connected")
        } else {
            format!("Connected, {}", count(more, "connection"))
        };
        let details = html! {
            span { "since " (time::moment(status, newest.connected_since)) " (" (span(newest.connected_for)) "), " (last) }
        };
        return list_item(Tone::Good, &title, details);
    }
    let details = |known| html! { span { "last seen " (time::moment(status, known)) ", " (ago(status.age_of(known))) } };
    match facts.known {
        Some(known) => list_item(Tone::Warn, "Offline", details(known.last_seen)),
        None => list_item(Tone::Neutral, "Not connected", html! { span { (last) } }),
    }
}

/// The device and its address.
fn device(facts: &WorkerFacts<'_>) -> Markup {
    let agent = facts.user_agent();
    let name = agent.and_then(device_name).unwrap_or_else(|| String::from("Unknown device"));
    let details = html! {
        @if let Some(agent) = agent { span { "calls itself " q { (agent) } } }
        @if let Some(address) = facts.address() {
            span {
                "at " (address)
                @if let Some(link) = own_page(address) { ", " a href=(link) rel="noreferrer noopener" { "its own page" } }
            }
        }
    };
    list_item(Tone::Neutral, &name, details)
}

/// The address of the device's own web page. Only for addresses of a home network: nothing else is a miner's.
fn own_page(address: IpAddr) -> Option<String> {
    match address {
        IpAddr::V4(v4) if v4.is_private() || v4.is_link_local() => Some(format!("http://{v4}/")),
        IpAddr::V6(v6) if v6.is_unique_local() => Some(format!("http://[{v6}]/")),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// Would a block of this miner pay its owner?
fn payout(facts: &WorkerFacts<'_>) -> Markup {
    let account = account_of_worker(&facts.key);
    let detail = |text: &str| html! { span.full-name { (text) } };
    match facts.payout() {
        Some(PayoutState::Verified) => {
            list_item(Tone::Good, "A block of this miner would pay you", detail(account))
        }
        Some(PayoutState::Short) => list_item(
            Tone::Bad,
            "A block of this miner would pay you too little",
            html! { span { "see " a href="/jobs" { "the jobs" } } },
        ),
        Some(PayoutState::Mismatch) => list_item(
            Tone::Bad,
            "A block of this miner would pay somebody else",
            html! { span { "not " (account) "; see " a href="/jobs" { "the jobs" } } },
        ),
        Some(PayoutState::Unverifiable(why)) => {
            list_item(Tone::Neutral, "Unknown whom a block of this miner would pay", detail(&why.to_string()))
        }
        None => list_item(Tone::Neutral, "Whom a block would pay", html! { span { "it has no work now" } }),
    }
}

fn figures(status: &StatusSnapshot, facts: &WorkerFacts<'_>) -> Markup {
    let dash = || String::from("–");
    let day = facts.day();
    let newest = facts.newest();
    html! {
        dl.tiles {
            div {
                dt { "hash rate, 1 h" }
                (hour(status, facts))
            }
            div {
                dt { "hash rate, 24 h" }
                @match day {
                    Some(day) => dd { (rate(day.hash_rate)) small { "while connected, " (uptime(day.connected, day.watched)) } },
                    None => dd { "–" small { "no history yet" } },
                }
            }
            div {
                dt { "difficulty" }
                dd {
                    (newest.map_or_else(dash, |newest| short(newest.difficulty)))
                    @if let Some(since) = newest.and_then(|newest| newest.difficulty_since) { small { "since " (time::moment(status, since)) } }
                }
            }
            div { dt { "best share, this connection" } dd { (facts.best_of_connection().map_or_else(dash, short)) } }
            div { dt { "best share, ever" } dd { (facts.best_ever().map_or_else(dash, short)) } }
            @if let Some(known) = facts.known {
                div { dt { "first seen" } dd.date { (time::date(known.first_seen)) } }
            }
        }
    }
}

/// The hash rate of the last hour, over reconnects. Of a miner that is gone, that of the last hour in which it mined.
fn hour(status: &StatusSnapshot, facts: &WorkerFacts<'_>) -> Markup {
    let Some(connected_for) = facts.connections.iter().map(|miner| miner.connected_for).max() else {
        let last = facts.known.map(|known| format!("last here {}", ago(status.age_of(known.last_seen))));
        let last = last.unwrap_or_else(|| String::from("offline"));
        return match facts.last_mined_hour() {
            Some(hour) => html! { dd.old { (rate(hour.hash_rate)) small { "when it mined, " (last) } } },
            None => html! { dd.old { "–" small { (last) } } },
        };
    };
    let is_longer = |hour: &WorkerHour| hour.connected > connected_for.as_secs_f64() + HISTORY_LAG;
    match facts.last_hour().filter(is_longer) {
        _ if connected_for >= HOUR => html! {
            dd {
                (rate(facts.sum(|miner| miner.hash_rates.one_hour)))
                small { "5 min: " (rate(facts.sum(|miner| miner.hash_rates.five_minutes))) }
            }
        },
        Some(hour) => html! {
            dd { (rate(hour.hash_rate)) small { "while connected, " (span(Duration::from_secs_f64(hour.connected))) } }
        },
        None => html! {
            dd { (rate(facts.sum(|miner| miner.hash_rates.one_hour))) small { "of " (span(connected_for)) } }
        },
    }
}

/// `97 % of 24 h`
fn uptime(connected: f64, watched: f64) -> String {
    let percent = (connected / watched * 100.0).min(100.0).floor();
    format!("{percent:.0} % of {}", span(Duration::from_secs_f64(watched)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::record::{HistoryShare, ShareOutcome, WorkerHistories};
    use crate::status::page::tests::{change, gone, miner, status};
    use crate::stratum::Difficulty;

    /// The tile of the last hour, without tags.
    fn shown(status: &StatusSnapshot) -> String {
        hour(status, &WorkerFacts::of(status, "rig").unwrap()).into_string()
    }

    #[test]
    fn the_hour_goes_over_reconnects_and_stays_when_the_miner_is_gone() {
        let mut now = status();
        let (second, mut histories) =
            (u64::try_from(now.at.unix_seconds()).unwrap(), WorkerHistories::default());
        // Half an hour with a share of difficulty 1 every 10 s.
        for at in (second - 1800..=second).step_by(10) {
            histories.tick(at, ["rig"].into_iter());
            let work = Some(Difficulty::ONE);
            let outcome = &ShareOutcome::Accepted;
            histories.share("rig", at, &HistoryShare { work, difficulty: None, outcome, stale: false });
        }
        let mut again = miner(2, "rig");
        again.connected_for = Duration::from_secs(13);
        change(&mut now, |snapshot| {
            snapshot.worker_histories = Arc::new(histories);
            snapshot.miners = vec![again];
        });
        let reconnected = shown(&now);
        assert!(reconnected.contains("<dd>43") && reconnected.contains("MH/s"), "{reconnected}");
        assert!(reconnected.contains("while connected, 30 min"), "{reconnected}");

        change(&mut now, |snapshot| snapshot.miners[0].connected_for = Duration::from_secs(1800));
        assert!(shown(&now).contains("of 30 min"), "{}", shown(&now));

        let last_seen = now.at;
        change(&mut now, |snapshot| {
            snapshot.miners.clear();
            snapshot.known_workers = [gone("rig", last_seen)].into();
        });
        now.at = "2026-11-21T16:00:00Z".parse().unwrap();
        let offline = shown(&now);
        assert!(offline.contains("class=\"old\"") && offline.contains("MH/s"), "{offline}");
        assert!(offline.contains("when it mined, last here 4 h"), "{offline}");
        change(&mut now, |snapshot| snapshot.worker_histories = Arc::default());
        assert!(shown(&now).contains("–<small>last here 4 h"), "{}", shown(&now));
    }

    #[test]
    fn only_devices_of_a_home_network_have_a_link() {
        let link = |address: &str| own_page(address.parse().unwrap());
        assert_eq!(link("192.168.1.7").as_deref(), Some("http://192.168.1.7/"));
        assert_eq!(link("fd00::7").as_deref(), Some("http://[fd00::7]/"));
        for other in ["8.8.8.8", "127.0.0.1", "::1", "2001:db8::1", "0.0.0.0"] {
            assert_eq!(link(other), None, "{other}");
        }
        assert_eq!(uptime(3600.0, 7200.0), "50 % of 2 h 0 min");
    }
}
