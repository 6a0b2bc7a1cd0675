//! The daily summary that `notify.summary` sends.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::snapshot::StatusSnapshot;
use super::verdicts;
use crate::analyzer::{Alert, MinerView, PayoutState};
use crate::config::Severity;
use crate::notify::DailySummary;
use crate::record::Span;
use crate::upstream::UpstreamState;
use crate::util::escape::line_text;
use crate::util::format::{count, count_of, grouped, rate, short, span};
use crate::work::{HASHES_PER_DIFFICULTY, name_of_worker};

/// Caps the miners, pools and alerts that are listed; further ones are counted.
const MAX_MINERS: usize = 20;
const MAX_POOLS: usize = 5;
const MAX_ALERTS: usize = 5;

/// Caps the characters of a miner's name and of an alert.
const MAX_NAME: usize = 40;
const MAX_ALERT: usize = 120;

/// Less running time than this in a day is mentioned.
const WHOLE_DAY: f64 = 23.5 * 3600.0;

/// The figures of the last day.
struct DayFigures {
    /// Hashes per second while Sluice ran.
    hash_rate: f64,
    seconds: f64,
    accepted: u64,
    rejected: u64,
    unanswered: u64,
    best: f64,
}

/// One worker, over all its connections.
#[derive(Default)]
struct WorkerFigures {
    hash_rate: f64,
    accepted: u64,
    rejected: u64,
    best: f64,
    connected_for: Duration,
}

/// Sums up the last day. `None` without analysis.
pub fn daily_summary(status: &StatusSnapshot) -> Option<DailySummary> {
    status.snapshot.totals.as_ref()?;
    let (day, workers) = (DayFigures::of(status), workers(&status.snapshot.miners));
    let alerts = status.active_alerts().filter(|alert| alert.severity > Severity::Info).count() as u64;
    let miners = count(workers.len() as u64, "miner");
    let open = if alerts == 0 { String::new() } else { format!(", {}", count(alerts, "open alert")) };
    let title = format!("24 h: {}, {miners}{open}", rate(day.hash_rate));
    let mut lines = pool_lines(status);
    lines.push(payout(status));
    lines.extend(alert_lines(status));
    lines.push(if workers.is_empty() { "No miner is connected".to_owned() } else { format!("{miners}:") });
    let mut sorted: Vec<_> = workers.iter().collect();
    sorted.sort_by(|a, b| b.1.hash_rate.total_cmp(&a.1.hash_rate));
    lines.extend(
        sorted
            .iter()
            .take(MAX_MINERS)
            .map(|(name, worker)| worker.line(status.snapshot.shown_names.name_of(name))),
    );
    lines.extend(more(workers.len(), MAX_MINERS));
    let listed = sorted.iter().take(MAX_MINERS).map(|(name, worker)| worker.json(name));
    let data = json!({
        "subject": "the last 24 hours",
        "seconds_watched": day.seconds,
        "hash_rate": day.hash_rate,
        "accepted": day.accepted,
        "rejected": day.rejected,
        "unanswered": day.unanswered,
        "best": day.best,
        "open_alerts": alerts,
        "miners": listed.collect::<Vec<_>>(),
        "miners_connected": workers.len(),
    });
    Some(DailySummary { at: status.at, title, description: day.description(status), lines, data })
}

impl DayFigures {
    fn of(status: &StatusSnapshot) -> DayFigures {
        let now = u64::try_from(status.at.unix_seconds()).unwrap_or(0);
        let mut work = 0.0;
        let mut day =
            DayFigures { hash_rate: 0.0, seconds: 0.0, accepted: 0, rejected: 0, unanswered: 0, best: 0.0 };
        for bucket in status.snapshot.history.series(Span::Day, now) {
            work += bucket.work;
            day.seconds += bucket.watched;
            day.accepted += u64::from(bucket.accepted);
            day.rejected += u64::from(bucket.rejected);
            day.unanswered += u64::from(bucket.unanswered);
            day.best = day.best.max(bucket.best);
        }
        day.hash_rate = work * HASHES_PER_DIFFICULTY / day.seconds.max(1.0);
        day
    }

    fn description(&self, status: &StatusSnapshot) -> String {
        let ever = status.snapshot.best_ever.as_ref().map(|best| best.difficulty.value());
        let mut text = format!(
            "In the last 24 hours: {}, {} accepted, {} rejected",
            rate(self.hash_rate),
            count(self.accepted, "share"),
            grouped(self.rejected)
        );
        if self.unanswered > 0 {
            text += &format!(", {} unanswered", grouped(self.unanswered));
        }
        text += &format!(", best {}", short(self.best));
        if let Some(ever) = ever {
            text += &format!(" (ever {})", short(ever));
        }
        if self.seconds < WHOLE_DAY {
            text += &format!(". Sluice ran for {} of them", span(Duration::from_secs_f64(self.seconds)));
        }
        text
    }
}

impl WorkerFigures {
    fn line(&self, name: &str) -> String {
        let name = if name.is_empty() { "(no name yet)" } else { name_of_worker(name) };
        format!(
            "{}: {}, {} accepted, {} rejected, best {}, connected for {}",
            line_text(name, MAX_NAME),
            rate(self.hash_rate),
            grouped(self.accepted),
            grouped(self.rejected),
            short(self.best),
            span(self.connected_for)
        )
    }

    fn json(&self, name: &str) -> Value {
        json!({
            "worker": name,
            "hash_rate": self.hash_rate,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "best": self.best,
            "connected_seconds": self.connected_for.as_secs(),
        })
    }
}

/// The connected miners by name. Those without a name yet are one.
fn workers(miners: &[MinerView]) -> BTreeMap<String, WorkerFigures> {
    let mut workers: BTreeMap<String, WorkerFigures> = BTreeMap::new();
    for miner in miners {
        let worker = workers.entry(miner.worker.to_string()).or_default();
        worker.hash_rate += miner.hash_rates.one_day;
        worker.accepted += miner.accepted;
        worker.rejected += miner.rejected;
        worker.best = worker.best.max(miner.best);
        worker.connected_for = worker.connected_for.max(miner.connected_for);
    }
    workers
}

fn pool_lines(status: &StatusSnapshot) -> Vec<String> {
    let pools = status.runtime.listed();
    let line = |(_, pool): &(usize, &UpstreamState)| {
        let miners = count_of(pool.sessions as u64, "connection", "connections");
        match (pool.gives_no_work, &pool.trouble) {
            (true, _) => format!("Pool {}: gives no work", pool.name),
            (false, Some((why, _))) => format!("Pool {}: {}, {why}", pool.name, pool.standing),
            (false, None) => format!("Pool {}: {}, {miners}", pool.name, pool.standing),
        }
    };
    pools.iter().take(MAX_POOLS).map(line).chain(more(pools.len(), MAX_POOLS)).collect()
}

/// The worst payout among the pools in use.
fn payout(status: &StatusSnapshot) -> String {
    let verdict = verdicts::payout(&status.snapshot).and_then(|pool| pool.payout.as_ref());
    match verdict.map(|verdict| (verdict.state, verdict.percent)) {
        None => "Payout: no job received yet".to_owned(),
        Some((PayoutState::Verified, percent)) => format!("Payout: a block would pay you {percent:.2} %"),
        Some((PayoutState::Short, percent)) => format!("Payout: a block would pay you ONLY {percent:.2} %"),
        Some((PayoutState::Mismatch, _)) => "Payout: a block would pay you NOTHING".to_owned(),
        Some((PayoutState::Unverifiable(why), _)) => format!("Payout: nobody can tell: {why}"),
    }
}

fn alert_lines(status: &StatusSnapshot) -> Vec<String> {
    let open: Vec<_> = status.active_alerts().filter(|alert| alert.severity > Severity::Info).collect();
    if open.is_empty() {
        return vec!["No alert is open".to_owned()];
    }
    let line = |alert: &&Alert| {
        let description = line_text(&alert.description, MAX_ALERT);
        format!("Open for {}: {description}", span(status.age_of(alert.began)))
    };
    open.iter().take(MAX_ALERTS).map(line).chain(more(open.len(), MAX_ALERTS)).collect()
}

/// `3 more`, if not all are listed.
fn more(all: usize, listed: usize) -> Option<String> {
    all.checked_sub(listed).filter(|rest| *rest > 0).map(|rest| format!("{rest} more"))
}
