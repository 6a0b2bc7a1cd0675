//! The periodic report on the console: one section a line.

use std::fmt::Write;
use std::time::Duration;

use crate::analyzer::{HashRates, MinerView, Snapshot, Totals};
use crate::logging::Printable;
use crate::upstream::Standing;

/// How many miners are listed.
const TOP: usize = 3;

/// What else is known, beside the snapshot.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    pub sessions: usize,
    pub dropped_copies: u64,
    /// The upstreams' names and what is known of each, in the order of preference.
    pub upstreams: Vec<(String, Standing)>,
}

/// The report, in lines. Every text from the network is escaped.
pub fn report(snapshot: &Snapshot, around: &Surroundings) -> Vec<String> {
    let Some(totals) = &snapshot.totals else { return Vec::new() };
    let mut lines = vec![
        performance(snapshot, totals, around),
        shares(totals),
        difficulty(snapshot, totals),
        timing(snapshot, totals),
        clock(snapshot),
        miners(snapshot, around),
        pools(totals, around),
    ];
    lines.extend(top_miners(snapshot));
    lines.push(security(snapshot, totals, around));
    lines
}

fn performance(snapshot: &Snapshot, totals: &Totals, around: &Surroundings) -> String {
    let seconds = snapshot.up_for.as_secs_f64().max(1.0);
    let messages = snapshot.summary.messages_up + snapshot.summary.messages_down;
    format!(
        "PERFORMANCE  up {} | {} miners | {:.1} messages/s | {:.1} shares/min | {}",
        span(snapshot.up_for),
        around.sessions,
        messages as f64 / seconds,
        totals.submitted as f64 * 60.0 / seconds,
        rates(&snapshot.hash_rates),
    )
}

fn shares(totals: &Totals) -> String {
    let judged = totals.accepted + totals.rejected;
    let mut line = format!(
        "SHARES       {} submitted | {} accepted ({}) | {} rejected ({}) | {} unanswered | {} blocks | {} near misses",
        totals.submitted,
        totals.accepted,
        percent(totals.accepted, judged),
        totals.rejected,
        percent(totals.rejected, judged),
        totals.unanswered,
        totals.blocks,
        totals.near_misses,
    );
    let mut reasons: Vec<_> = totals.reasons.iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(a.1));
    for (reason, count) in reasons.into_iter().take(TOP) {
        let _ = write!(line, " | {count} \"{}\"", Printable(reason));
    }
    line
}

fn difficulty(snapshot: &Snapshot, totals: &Totals) -> String {
    let best = |best: &Option<crate::record::BestShare>| {
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
    format!(
        "TIMING       added up {} | added down {} | pool answers in {} | job time {}",
        snapshot.summary.latency_up,
        snapshot.summary.latency_down,
        totals.mean_answer_time().map_or_else(|| "(no answer yet)".to_owned(), |time| format!("{time:.1?}")),
        totals
            .job_time_difference
            .map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds:+.1} s from the clock")),
    )
}

fn clock(snapshot: &Snapshot) -> String {
    let state = snapshot.clock.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    format!("NTP          {}", Printable(&state))
}

fn miners(snapshot: &Snapshot, around: &Surroundings) -> String {
    let working = |miner: &&MinerView| miner.last_share_ago.is_some_and(|ago| ago < Duration::from_secs(600));
    format!(
        "MINERS       {} connected | {} with a share in the last 10 min",
        around.sessions,
        snapshot.miners.iter().filter(working).count(),
    )
}

fn pools(totals: &Totals, around: &Surroundings) -> String {
    let mut line = format!(
        "POOLS        height {} | {} jobs",
        totals.height.map_or_else(|| "unknown".to_owned(), |height| height.to_string()),
        totals.jobs
    );
    for (place, (name, standing)) in around.upstreams.iter().enumerate() {
        let _ = write!(line, " | #{} {} {standing}", place + 1, Printable(name));
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
            miner.accepted + miner.rejected + miner.unanswered,
            short(miner.best),
            miner.difficulty,
        )
    };
    miners.iter().take(TOP).map(line).collect()
}

fn security(snapshot: &Snapshot, totals: &Totals, around: &Surroundings) -> String {
    let mut line = format!(
        "SECURITY     {} unreadable lines | {} over-long | {} stale shares | {} copies not analysed",
        snapshot.summary.unreadable, snapshot.summary.too_long, totals.stale, around.dropped_copies,
    );
    if let Some(recording) = &snapshot.recording {
        if recording.dropped + recording.lost > 0 {
            let _ = write!(line, " | {} rows not recorded", recording.dropped + recording.lost);
        }
        for trouble in &recording.troubles {
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

/// `1.23 MH/s`
pub(super) fn rate(hashes: f64) -> String {
    format!("{}H/s", short_with_space(hashes))
}

/// `12.3M`: three digits and a power of 1000, as pools write it.
pub fn short(value: f64) -> String {
    short_with_space(value).replace(' ', "")
}

fn short_with_space(value: f64) -> String {
    let (mut scaled, mut unit) = (value, "");
    for next in ["k", "M", "G", "T", "P", "E"] {
        if scaled < 1000.0 {
            break;
        }
        (scaled, unit) = (scaled / 1000.0, next);
    }
    match scaled {
        0.0 => "0 ".to_owned(),
        small if small < 0.01 => format!("{small:.2e} {unit}"),
        small if small < 10.0 => format!("{small:.2} {unit}"),
        other => format!("{other:.1} {unit}"),
    }
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_right() {
        for (value, text) in [
            (0.0, "0"),
            (0.00015, "1.50e-4"),
            (2.5, "2.50"),
            (999.0, "999.0"),
            (1.5e12, "1.50T"),
            (5.758e15, "5.76P"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!(rate(312_000.0), "312.0 kH/s");
        assert_eq!(span(Duration::from_secs(90_061)), "1 d 1 h");
        assert_eq!((percent(1, 0), percent(1, 4)), ("-".to_owned(), "25.0 %".to_owned()));
    }

    #[test]
    fn before_the_first_moment_there_is_nothing_to_report() {
        assert!(report(&Snapshot::default(), &Surroundings::default()).is_empty());
    }
}
