//! The periodic report on the console, a section after the other.

use std::time::Duration;

use super::snapshot::RuntimeStatus;
use crate::analyzer::{HashRates, MinerView, Snapshot, Totals};
use crate::record::BestShare;
use crate::util::escape::Printable;
use crate::util::format::{count, count_of, delay, percent, rate, short, span};
use crate::util::wrap::{CONSOLE_COLUMNS, shortened, wrapped_items};
use crate::work::name_of_worker;

/// Caps the listed miners and reject reasons.
const MAX_LISTED: usize = 3;
/// Caps the pools with an item of their own.
const MAX_POOLS: usize = 5;
/// The width of the report: what the log leaves of a terminal's columns behind the time and the level.
const WIDTH: usize = CONSOLE_COLUMNS - 31;
/// The column where a section's items begin.
const INDENT: usize = 13;

/// The report as lines of at most 69 characters. Every text from the network is escaped.
pub fn report(snapshot: &Snapshot, runtime: &RuntimeStatus) -> Vec<String> {
    let Some(totals) = &snapshot.totals else { return Vec::new() };
    let mut lines = Vec::new();
    for (label, items) in [
        ("PERFORMANCE", performance(snapshot, totals, runtime)),
        ("HASH RATE", rates(&snapshot.hash_rates)),
        ("SHARES", shares(totals)),
        ("", lost_shares(totals)),
        ("DIFFICULTY", difficulty(totals)),
        ("", bests(snapshot)),
        ("TIMING", timing(snapshot, totals)),
        ("NTP", vec![clock(snapshot)]),
        ("MINERS", miners(snapshot, runtime)),
        ("POOLS", pools(snapshot, totals, runtime)),
    ] {
        section(&mut lines, label, &items);
    }
    for items in top_miners(snapshot) {
        lines.extend(wrapped_items("  ", items.iter().map(String::as_str), INDENT, WIDTH));
    }
    section(&mut lines, "SECURITY", &security(snapshot, totals, runtime));
    lines
}

/// Adds a section: its label, and its items in as many lines as they need.
fn section(lines: &mut Vec<String>, label: &str, items: &[String]) {
    lines.extend(wrapped_items(
        &format!("{label:<INDENT$}"),
        items.iter().map(String::as_str),
        INDENT,
        WIDTH,
    ));
}

fn performance(snapshot: &Snapshot, totals: &Totals, runtime: &RuntimeStatus) -> Vec<String> {
    let seconds = snapshot.up_for.as_secs_f64().max(1.0);
    let messages = snapshot.summary.messages_up + snapshot.summary.messages_down;
    vec![
        format!("up {}", span(snapshot.up_for)),
        count(runtime.sessions as u64, "miner"),
        format!("{:.1} messages/s", messages as f64 / seconds),
        format!("{:.1} shares/min", totals.submitted as f64 * 60.0 / seconds),
    ]
}

fn rates(rates: &HashRates) -> Vec<String> {
    let windows = [
        ("1m", rates.one_minute),
        ("5m", rates.five_minutes),
        ("1h", rates.one_hour),
        ("24h", rates.one_day),
    ];
    windows.map(|(window, rate_of)| format!("{window} {}", rate(rate_of))).to_vec()
}

fn shares(totals: &Totals) -> Vec<String> {
    let judged = totals.accepted + totals.rejected;
    vec![
        format!("{} submitted", totals.submitted),
        format!("{} accepted ({})", totals.accepted, percent(totals.accepted, judged)),
        format!("{} rejected ({})", totals.rejected, percent(totals.rejected, judged)),
    ]
}

fn lost_shares(totals: &Totals) -> Vec<String> {
    let mut items = vec![
        format!("{} unanswered", totals.unanswered),
        format!("{} unknown", totals.unknown),
        count_of(totals.near_misses, "near miss", "near misses"),
        count_of(totals.blocks, "share met the network's target", "shares met the network's target"),
    ];
    let mut reasons: Vec<_> = totals.reasons.iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(a.1));
    let reasons = reasons.into_iter().take(MAX_LISTED);
    items.extend(reasons.map(|(reason, count)| format!("{count} \"{}\"", Printable(reason))));
    items
}

fn difficulty(totals: &Totals) -> Vec<String> {
    let network = totals.network_difficulty.map_or_else(|| "unknown".to_owned(), short);
    vec![
        format!("accepted {}", short(totals.accepted_difficulty)),
        format!("proven {}", short(totals.proven_difficulty)),
        format!("network {network}"),
    ]
}

fn bests(snapshot: &Snapshot) -> Vec<String> {
    let best = |best: &Option<BestShare>| {
        best.as_ref().map_or_else(|| "none".to_owned(), |best| short(best.difficulty.value()))
    };
    let (run, day) = (best(&snapshot.bests.run), best(&snapshot.bests.day));
    vec![format!("best: run {run}, day {day}, ever {}", best(&snapshot.best_ever))]
}

fn timing(snapshot: &Snapshot, totals: &Totals) -> Vec<String> {
    let answers =
        totals.mean_answer_time().map_or_else(|| "(no answer yet)".to_owned(), |time| format!("{time:.1?}"));
    let difference = totals.job_time_difference;
    vec![
        format!("added up {}", snapshot.summary.latency_up),
        format!("added down {}", snapshot.summary.latency_down),
        format!("pool answers in {answers}"),
        difference.map_or_else(
            || "job time unknown".to_owned(),
            |seconds| format!("job time {seconds:+.1} s from the clock"),
        ),
    ]
}

fn clock(snapshot: &Snapshot) -> String {
    let state = snapshot.clock.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    Printable(&state).to_string()
}

fn miners(snapshot: &Snapshot, runtime: &RuntimeStatus) -> Vec<String> {
    let working = |miner: &&MinerView| miner.last_share_ago.is_some_and(|ago| ago < Duration::from_secs(600));
    let mut items = vec![
        format!("{} connected", runtime.sessions),
        format!("{} with a share in the last 10 min", snapshot.miners.iter().filter(working).count()),
    ];
    let missing = snapshot.known_workers.iter().filter(|worker| !worker.is_connected).count();
    if missing > 0 {
        items.push(format!("{missing} missing"));
    }
    items
}

fn pools(snapshot: &Snapshot, totals: &Totals, runtime: &RuntimeStatus) -> Vec<String> {
    let height = totals.height.map_or_else(|| "unknown".to_owned(), |height| height.to_string());
    let mut items = vec![format!("height {height}"), count(totals.jobs, "job")];
    let listed = runtime.listed();
    for (place, upstream) in listed.iter().take(MAX_POOLS) {
        items.push(format!("#{} {} {}", place + 1, Printable(&upstream.name), upstream.standing));
        let view = snapshot.pools.iter().find(|pool| pool.place == *place);
        if let Some(block) = view.and_then(|view| view.new_block) {
            let (miners, time) = (count(block.miners as u64, "miner"), delay(block.time));
            items.push(format!("new block at {miners} within {time}"));
        }
    }
    if listed.len() > MAX_POOLS {
        items.push(format!("{} more", listed.len() - MAX_POOLS));
    }
    items
}

fn top_miners(snapshot: &Snapshot) -> Vec<Vec<String>> {
    let mut miners: Vec<&MinerView> = snapshot.miners.iter().collect();
    miners.sort_by(|a, b| b.hash_rates.one_hour.total_cmp(&a.hash_rates.one_hour));
    let items = |miner: &&MinerView| {
        let name = if miner.worker.is_empty() { "(no worker yet)" } else { name_of_worker(&miner.worker) };
        let shares = miner.accepted + miner.rejected + miner.unanswered + miner.unknown;
        vec![
            format!("{} {}", shortened(&Printable(name).to_string()), rate(miner.hash_rates.five_minutes)),
            format!("{} accepted of {shares}", miner.accepted),
            format!("best {}", short(miner.best)),
            format!("difficulty {}", miner.difficulty),
            miner.miner.ip().to_string(),
        ]
    };
    let mut listed: Vec<Vec<String>> = miners.iter().take(MAX_LISTED).map(items).collect();
    if miners.len() > MAX_LISTED {
        listed.push(vec![count_of((miners.len() - MAX_LISTED) as u64, "more miner", "more miners")]);
    }
    listed
}

fn security(snapshot: &Snapshot, totals: &Totals, runtime: &RuntimeStatus) -> Vec<String> {
    let mut items = vec![
        count(snapshot.summary.unreadable, "unreadable line"),
        format!("{} over-long", snapshot.summary.too_long),
        count(totals.stale, "stale share"),
        format!("{} not analysed", count_of(runtime.volume.dropped_copies, "copy", "copies")),
    ];
    if let Some(recording) = &snapshot.recording {
        if recording.dropped + recording.lost > 0 {
            items.push(format!("{} not recorded", count(recording.dropped + recording.lost, "row")));
        }
        let failing = recording.write_errors.iter();
        items.extend(
            failing.map(|error| format!("can't write {}", Printable(&error.file.display().to_string()))),
        );
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_snapshot_the_report_is_empty() {
        assert!(report(&Snapshot::default(), &RuntimeStatus::default()).is_empty());
    }
}
