//! Series of single workers. Strangers choose their names, so their number is bounded.

use std::collections::BTreeMap;

use super::text::{MetricKind, MetricsText, label};
use crate::analyzer::{HashRates, MinerView, WorkerTotals};
use crate::status::snapshot::StatusSnapshot;

/// The most workers that are shown.
const MOST: usize = 200;
/// The rest, added up; the analyzer uses the same name for those it does not tell apart.
const OTHER: &str = "(other)";

/// A worker, or several whose names can't be told apart here.
#[derive(Debug, Default)]
struct WorkerLabel {
    totals: WorkerTotals,
    /// Of its connections together; `None` without one.
    rates: Option<HashRates>,
    /// Since its last share, or since it connected.
    silent: Option<f64>,
}

pub(super) fn write(to: &mut MetricsText, sight: &StatusSnapshot) {
    let (workers, not_shown) = bounded(gather(sight));
    let mut family =
        to.family("sluice_worker_shares_total", MetricKind::Counter, "Shares by worker and result.");
    for (name, worker) in &workers {
        let totals = &worker.totals;
        let results = [
            ("accepted", totals.accepted),
            ("rejected", totals.rejected),
            ("unanswered", totals.unanswered),
            ("unknown", totals.unknown),
        ];
        for (result, count) in results {
            family.count(&[("worker", name), ("result", result)], count);
        }
    }
    let mut family = to.family(
        "sluice_worker_proven_difficulty_total",
        MetricKind::Counter,
        "What was asked for, over a worker's shares whose hash proves it.",
    );
    for (name, worker) in &workers {
        family.sample(&[("worker", name)], worker.totals.proven_difficulty);
    }
    let mut family = to.family(
        "sluice_worker_best_difficulty",
        MetricKind::Gauge,
        "Of a worker's best share in this run.",
    );
    for (name, worker) in workers.iter().filter(|(_, worker)| worker.totals.best_difficulty > 0.0) {
        family.sample(&[("worker", name)], worker.totals.best_difficulty);
    }
    let mut family = to.family(
        "sluice_worker_hash_rate_hashes_per_second",
        MetricKind::Gauge,
        "Hash rate that a connected worker's shares prove, by window.",
    );
    for (name, worker) in &workers {
        if let Some(rates) = &worker.rates {
            family.sample(&[("worker", name), ("window", "5m")], rates.five_minutes);
            family.sample(&[("worker", name), ("window", "1h")], rates.one_hour);
        }
    }
    let mut family = to.family(
        "sluice_worker_silence_seconds",
        MetricKind::Gauge,
        "Since a connected worker's last share; before the first, since it connected.",
    );
    for (name, worker) in workers.iter().filter(|(name, _)| name != OTHER) {
        if let Some(silent) = worker.silent {
            family.sample(&[("worker", name)], silent);
        }
    }
    to.gauge("sluice_workers_not_shown", "Workers that are only in \"(other)\".", Some(not_shown as f64));
}

/// All, by the value of their label.
fn gather(sight: &StatusSnapshot) -> BTreeMap<String, WorkerLabel> {
    let mut workers: BTreeMap<String, WorkerLabel> = BTreeMap::new();
    for (name, totals) in sight.snapshot.totals.iter().flat_map(|totals| &totals.workers) {
        let one = WorkerLabel { totals: totals.clone(), ..WorkerLabel::default() };
        workers.entry(label(name)).or_default().add(&one);
    }
    for miner in sight.snapshot.miners.iter().filter(|miner| !miner.worker.is_empty()) {
        workers.entry(label(&miner.worker)).or_default().add(&WorkerLabel::connected(miner));
    }
    workers
}

/// Those with most proven work, and how many are only in the sum of the rest.
fn bounded(workers: BTreeMap<String, WorkerLabel>) -> (Vec<(String, WorkerLabel)>, usize) {
    let mut all: Vec<(String, WorkerLabel)> = workers.into_iter().collect();
    if all.len() <= MOST {
        return (all, 0);
    }
    let work = |worker: &WorkerLabel| worker.totals.proven_difficulty;
    // Stable: of equal ones the first by name, so that the choice does not change from time to time.
    all.sort_by(|(_, a), (_, b)| work(b).total_cmp(&work(a)));
    let rest = all.split_off(MOST);
    let not_shown = rest.len();
    let mut other = WorkerLabel::default();
    for (_, worker) in &rest {
        other.add(worker);
    }
    match all.iter_mut().find(|(name, _)| name == OTHER) {
        Some((_, known)) => known.add(&other),
        None => all.push((OTHER.to_owned(), other)),
    }
    (all, not_shown)
}

impl WorkerLabel {
    fn connected(miner: &MinerView) -> WorkerLabel {
        let silent = miner.last_share_ago.unwrap_or(miner.connected_for).as_secs_f64();
        WorkerLabel { totals: WorkerTotals::default(), rates: Some(miner.hash_rates), silent: Some(silent) }
    }

    fn add(&mut self, other: &WorkerLabel) {
        let (mine, theirs) = (&mut self.totals, &other.totals);
        mine.accepted += theirs.accepted;
        mine.rejected += theirs.rejected;
        mine.unanswered += theirs.unanswered;
        mine.unknown += theirs.unknown;
        mine.accepted_difficulty += theirs.accepted_difficulty;
        mine.proven_difficulty += theirs.proven_difficulty;
        mine.best_difficulty = mine.best_difficulty.max(theirs.best_difficulty);
        if let Some(theirs) = &other.rates {
            let mine = self.rates.get_or_insert_default();
            mine.five_minutes += theirs.five_minutes;
            mine.one_hour += theirs.one_hour;
        }
        // Of several connections the liveliest counts: an old one may live on for minutes.
        self.silent = match (self.silent, other.silent) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
    }
}
