//! Metrics of single workers. Anybody can invent worker names, so their number is bounded.

use std::collections::BTreeMap;

use super::shares::results;
use super::text::{MetricFamily, MetricsText, label};
use crate::analyzer::{HashRates, MinerView, WorkerTotals};
use crate::status::snapshot::StatusSnapshot;

/// Caps the workers with samples of their own.
const MAX_WORKERS: usize = 200;
/// The worker label for the sum of all others. The analyzer uses the same name for workers beyond its
/// own cap.
const OTHER_WORKERS: &str = "(other)";

/// A worker, or several workers whose names become the same label.
#[derive(Debug, Default)]
struct WorkerLabel {
    totals: WorkerTotals,
    /// The sum over its connections; `None` without one.
    rates: Option<HashRates>,
    /// Seconds since its last share, or since it connected.
    silent: Option<f64>,
}

pub(super) fn write(to: &mut MetricsText, status: &StatusSnapshot) {
    let (workers, not_shown) = bounded(gather(status));
    let mut family = to.counters("sluice_worker_shares_total", "Shares by worker and result.");
    for (name, worker) in &workers {
        let WorkerTotals { accepted, rejected, unanswered, unknown, .. } = worker.totals;
        family.samples(&[("worker", name)], "result", results([accepted, rejected, unanswered, unknown]));
    }
    let each = |mut family: MetricFamily<'_>, of: fn(&WorkerLabel) -> Option<f64>| {
        for (name, worker) in &workers {
            family.sample(&[("worker", name)], of(worker));
        }
    };
    let help = "Sum of the assigned difficulties of a worker's shares whose hash proves it.";
    each(to.counters("sluice_worker_proven_difficulty_total", help), |worker| {
        Some(worker.totals.proven_difficulty)
    });
    let help = "Difficulty of a worker's best share in this run.";
    each(to.gauges("sluice_worker_best_difficulty", help), |worker| {
        Some(worker.totals.best_difficulty).filter(|best| *best > 0.0)
    });
    let help = "Hash rate that a connected worker's shares prove, by window.";
    let mut family = to.gauges("sluice_worker_hash_rate_hashes_per_second", help);
    for (name, worker) in &workers {
        if let Some(rates) = &worker.rates {
            let windows = [("5m", rates.five_minutes), ("1h", rates.one_hour)];
            family.samples(&[("worker", name)], "window", windows);
        }
    }
    let help = "Time since a connected worker's last share; before the first, since it connected.";
    let mut family = to.gauges("sluice_worker_silence_seconds", help);
    for (name, worker) in workers.iter().filter(|(name, _)| name != OTHER_WORKERS) {
        family.sample(&[("worker", name)], worker.silent);
    }
    known(to, status);
    to.gauge("sluice_workers_not_shown", "Workers that are counted in \"(other)\" only.", not_shown);
}

/// Writes which known workers are connected. Each has a sample, since an alert must find the one that is missing: the
/// analyzer caps their number, and a made-up name is known only after an accepted share or ten minutes.
fn known(to: &mut MetricsText, status: &StatusSnapshot) {
    let all = &status.snapshot.known_workers;
    let is_analyzed = status.program.config.analysis.enabled;
    let connected = all.iter().filter(|worker| worker.is_connected).count();
    let help = "Workers that have had a share or ten minutes here within a week.";
    to.gauge("sluice_workers_known", help, is_analyzed.then_some(all.len()));
    to.gauge(
        "sluice_workers_connected",
        "Known workers that are connected.",
        is_analyzed.then_some(connected),
    );
    let mut labels: BTreeMap<String, bool> = BTreeMap::new();
    for worker in all.iter() {
        // If names become the same label, the worker that is missing counts.
        *labels.entry(label(&worker.worker)).or_insert(true) &= worker.is_connected;
    }
    let help = "1 while the known worker is connected, 0 while it is not.";
    let mut family = to.gauges("sluice_worker_connected", help);
    for (name, is_connected) in &labels {
        family.sample(&[("worker", name)], *is_connected);
    }
}

/// Collects all workers by the value of their label.
fn gather(status: &StatusSnapshot) -> BTreeMap<String, WorkerLabel> {
    let mut workers: BTreeMap<String, WorkerLabel> = BTreeMap::new();
    for (name, totals) in status.snapshot.totals.iter().flat_map(|totals| &totals.workers) {
        let worker = WorkerLabel { totals: totals.clone(), ..WorkerLabel::default() };
        workers.entry(label(name)).or_default().add(&worker);
    }
    for miner in status.snapshot.miners.iter().filter(|miner| !miner.worker.is_empty()) {
        workers.entry(label(&miner.worker)).or_default().add(&WorkerLabel::connected(miner));
    }
    workers
}

/// Keeps the workers with the most proven work and adds up the others; with the number of the others.
fn bounded(workers: BTreeMap<String, WorkerLabel>) -> (Vec<(String, WorkerLabel)>, usize) {
    let mut all: Vec<(String, WorkerLabel)> = workers.into_iter().collect();
    if all.len() <= MAX_WORKERS {
        return (all, 0);
    }
    let work = |worker: &WorkerLabel| worker.totals.proven_difficulty;
    // The sort is stable: among equals the first by name is kept, so that the choice does not fluctuate.
    all.sort_by(|(_, a), (_, b)| work(b).total_cmp(&work(a)));
    let rest = all.split_off(MAX_WORKERS);
    let not_shown = rest.len();
    let mut other = WorkerLabel::default();
    for (_, worker) in &rest {
        other.add(worker);
    }
    match all.iter_mut().find(|(name, _)| name == OTHER_WORKERS) {
        Some((_, known)) => known.add(&other),
        None => all.push((OTHER_WORKERS.to_owned(), other)),
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
        // Of several connections the most active counts, since a dead one may stay open for minutes.
        self.silent = match (self.silent, other.silent) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
    }
}
