//! The periodic report on the console: one line a section.

use std::fmt::Write;
use std::time::Duration;

use super::snapshot::RuntimeStatus;
use crate::analyzer::{HashRates, MinerView, Snapshot, Totals};
use crate::record::BestShare;
use crate::util::escape::Printable;
use crate::util::format::{count, count_of, percent, rate, short, span};

/// Caps the listed miners and reject reasons.
const MAX_LISTED: usize = 3;

/// The report as lines. Every text from the network is escaped.
pub fn report(snapshot: &Snapshot, runtime: &RuntimeStatus) -> Vec<String> {
    let Some(totals) = &snapshot.totals else { return Vec::new() };
    let mut lines = vec![
        performance(snapshot, totals, runtime),
        shares(totals),
        difficulty(snapshot, totals),
        timing(snapshot, totals),
        clock(snapshot),
        miners(snapshot, runtime),
        pools(totals, runtime),
    ];
    lines.extend(top_miners(snapshot));
    lines.push(security(snapshot, totals, runtime));
    lines
}

fn performance(snapshot: &Snapshot, totals: &Totals, runtime: &RuntimeStatus) -> String {
    let seconds = snapshot.up_for.as_secs_f64().max(1.0);
    let messages = snapshot.summary.messages_up + snapshot.summary.messages_down;
    format!(
        "PERFORMANCE  up {} | {} | {:.1} messages/s | {:.1} shares/min | {}",
        span(snapshot.up_for),
        count(runtime.sessions as u64, "miner"),
        messages as f64 / seconds,
        totals.submitted as f64 * 60.0 / seconds,
        rates(&snapshot.hash_rates),
    )
}

fn shares(totals: &Totals) -> String {
    let judged = totals.accepted + totals.rejected;
    let mut line = format!(
        "SHARES       {} submitted | {} accepted ({}) | {} rejected ({}) | {} unanswered | {} unknown | {} | {}",
        totals.submitted,
        totals.accepted,
        percent(totals.accepted, judged),
        totals.rejected,
        percent(totals.rejected, judged),
        totals.unanswered,
        totals.unknown,
        count_of(totals.blocks, "share met the network's target", "shares met the network's target"),
        count_of(totals.near_misses, "near miss", "near misses"),
    );
    let mut reasons: Vec<_> = totals.reasons.iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(a.1));
    for (reason, count) in reasons.into_iter().take(MAX_LISTED) {
        let _ = write!(line, " | {count} \"{}\"", Printable(reason));
    }
    line
}

fn difficulty(snapshot: &Snapshot, totals: &Totals) -> String {
    let best = |best: &Option<BestShare>| {
        best.as_ref().map_or_else(|| "none".to_owned(), |best| short(best.difficulty.value()))
    };
    format!(
        "DIFFICULTY   accepted {} | proven {} | best: run {}, day {}, ever {} | network {}",
        short(totals.accepted_difficulty),
        short(totals.proven_difficulty),
        best(&snapshot.bests.run),
        best(&snapshot.bests.day),
        best(&snapshot.best_ever),
        totals.network_difficulty.map_or_else(|| "unknown".to_owned(), short),
    )
}

fn timing(snapshot: &Snapshot, totals: &Totals) -> String {
    let difference = totals.job_time_difference;
    format!(
        "TIMING       added up {} | added down {} | pool answers in {} | job time {}",
        snapshot.summary.latency_up,
        snapshot.summary.latency_down,
        totals.mean_answer_time().map_or_else(|| "(no answer yet)".to_owned(), |time| format!("{time:.1?}")),
        difference.map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds:+.1} s from the clock")),
    )
}

fn clock(snapshot: &Snapshot) -> String {
    let state = snapshot.clock.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    format!("NTP          {}", Printable(&state))
}

fn miners(snapshot: &Snapshot, runtime: &RuntimeStatus) -> String {
    let working = |miner: &&MinerView| miner.last_share_ago.is_some_and(|ago| ago < Duration::from_secs(600));
    format!(
        "MINERS       {} connected | {} with a share in the last 10 min",
        runtime.sessions,
        snapshot.miners.iter().filter(working).count(),
    )
}

fn pools(totals: &Totals, runtime: &RuntimeStatus) -> String {
    let mut line = format!(
        "POOLS        height {} | {}",
        totals.height.map_or_else(|| "unknown".to_owned(), |height| height.to_string()),
        count(totals.jobs, "job")
    );
    for (place, upstream) in runtime.listed() {
        let _ = write!(line, " | #{} {} {}", place + 1, Printable(&upstream.name), upstream.standing);
    }
    line
}

fn top_miners(snapshot: &Snapshot) -> Vec<String> {
    let mut miners: Vec<&MinerView> = snapshot.miners.iter().collect();
    miners.sort_by(|a, b| b.hash_rates.one_hour.total_cmp(&a.hash_rates.one_hour));
    let line = |miner: &&MinerView| {
        format!(
            "  {}  {} | {} | {} accepted of {} | best {} | difficulty {}",
            miner.miner,
            Printable(if miner.worker.is_empty() { "(no worker yet)" } else { &miner.worker }),
            rate(miner.hash_rates.five_minutes),
            miner.accepted,
            miner.accepted + miner.rejected + miner.unanswered + miner.unknown,
            short(miner.best),
            miner.difficulty,
        )
    };
    miners.iter().take(MAX_LISTED).map(line).collect()
}

fn security(snapshot: &Snapshot, totals: &Totals, runtime: &RuntimeStatus) -> String {
    let mut line = format!(
        "SECURITY     {} | {} over-long | {} | {} not analysed",
        count(snapshot.summary.unreadable, "unreadable line"),
        snapshot.summary.too_long,
        count(totals.stale, "stale share"),
        count_of(runtime.volume.dropped_copies, "copy", "copies"),
    );
    if let Some(recording) = &snapshot.recording {
        if recording.dropped + recording.lost > 0 {
            let _ = write!(line, " | {} not recorded", count(recording.dropped + recording.lost, "row"));
        }
        for trouble in &recording.write_errors {
            let _ = write!(line, " | can't write {}", Printable(&trouble.file.display().to_string()));
        }
    }
    line
}

fn rates(rates: &HashRates) -> String {
    format!(
        "hash rate 1m {}, 5m {}, 1h {}, 24h {}",
        rate(rates.one_minute),
        rate(rates.five_minutes),
        rate(rates.one_hour),
        rate(rates.one_day)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_snapshot_the_report_is_empty() {
        assert!(report(&Snapshot::default(), &RuntimeStatus::default()).is_empty());
    }
}
