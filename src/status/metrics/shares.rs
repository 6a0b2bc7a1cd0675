//! Metrics of the shares, work and jobs of all miners together.

use std::collections::BTreeMap;
use std::time::Duration;

use super::text::{MetricKind, MetricsText, label};
use crate::analyzer::Totals;
use crate::record::BestShare;
use crate::status::json::value::windows;
use crate::status::snapshot::StatusSnapshot;

/// The histogram bounds for the age of a share's job.
const JOB_AGE_BUCKETS_SECS: [u64; 14] = [1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600];

pub(super) fn write(to: &mut MetricsText, status: &StatusSnapshot) {
    let totals = status.snapshot.totals.as_ref();
    shares(to, totals);
    work(to, status, totals);
    jobs(to, status, totals);
}

fn shares(to: &mut MetricsText, totals: Option<&Totals>) {
    let mut counter = |name, help, of: fn(&Totals) -> u64| to.counter(name, help, totals.map(of));
    counter("sluice_submitted_shares_total", "Shares that miners sent.", |totals| totals.submitted);
    counter("sluice_stale_shares_total", "Shares for a job that a later job had replaced.", |totals| {
        totals.stale
    });
    counter("sluice_unreadable_submits_total", "Submits whose fields can't be read.", |totals| {
        totals.unreadable_submits
    });
    counter(
        "sluice_blocks_total",
        "Shares that met the network's target, on networks where not every share does.",
        |totals| totals.blocks,
    );
    counter("sluice_near_misses_total", "Shares that came close to the network's target.", |totals| {
        totals.near_misses
    });
    let mut family = to.family("sluice_shares_total", MetricKind::Counter, "Shares by result.");
    if let Some(totals) = totals {
        family.count(&[("result", "accepted")], totals.accepted);
        family.count(&[("result", "rejected")], totals.rejected);
        family.count(&[("result", "unanswered")], totals.unanswered);
        family.count(&[("result", "unknown")], totals.unknown);
    }
    let mut family = to.family(
        "sluice_rejected_shares_total",
        MetricKind::Counter,
        "Rejected shares by the pool's reason.",
    );
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for (reason, count) in totals.iter().flat_map(|totals| &totals.reasons) {
        *reasons.entry(label(reason)).or_default() += count;
    }
    for (reason, count) in reasons {
        family.count(&[("reason", &reason)], count);
    }
}

fn work(to: &mut MetricsText, status: &StatusSnapshot, totals: Option<&Totals>) {
    let mut sum = |name, help, of: fn(&Totals) -> f64| {
        let mut family = to.family(name, MetricKind::Counter, help);
        if let Some(totals) = totals {
            family.sample(&[], of(totals));
        }
    };
    sum(
        "sluice_accepted_difficulty_total",
        "Sum of the assigned difficulties of accepted shares.",
        |totals| totals.accepted_difficulty,
    );
    sum(
        "sluice_proven_difficulty_total",
        "Sum of the assigned difficulties of shares whose hash proves it.",
        |totals| totals.proven_difficulty,
    );
    let snapshot = &status.snapshot;
    let mut family = to.family(
        "sluice_hash_rate_hashes_per_second",
        MetricKind::Gauge,
        "Hash rate that shares prove, by window.",
    );
    if totals.is_some() {
        for (window, rate) in windows(&snapshot.hash_rates) {
            family.sample(&[("window", window)], rate);
        }
    }
    let mut family = to.family(
        "sluice_best_difficulty",
        MetricKind::Gauge,
        "Difficulty of the best accepted share, by period.",
    );
    let bests: [(&str, &Option<BestShare>); 3] =
        [("run", &snapshot.bests.run), ("day", &snapshot.bests.day), ("ever", &snapshot.best_ever)];
    for (period, best) in bests {
        if let Some(best) = best {
            family.sample(&[("period", period)], best.difficulty.value());
        }
    }
}

fn jobs(to: &mut MetricsText, status: &StatusSnapshot, totals: Option<&Totals>) {
    to.counter(
        "sluice_jobs_total",
        "Jobs, counted once for each miner that received them.",
        totals.map(|totals| totals.jobs),
    );
    let last = totals.and_then(|totals| totals.last_job);
    let age = last.map(|last| status.at.timestamp().duration_since(last.timestamp()).as_secs_f64().max(0.0));
    to.gauge("sluice_last_job_age_seconds", "Time since a miner last received a job.", age);
    let network = totals.and_then(|totals| totals.network_difficulty);
    to.gauge("sluice_network_difficulty", "Network difficulty of the newest job.", network);
    let height = totals.and_then(|totals| totals.height).map(f64::from);
    to.gauge("sluice_block_height", "Block height of the newest job.", height);
    let difference = totals.and_then(|totals| totals.job_time_difference);
    to.gauge("sluice_job_time_difference_seconds", "The newest job's time less NTP time.", difference);
    let mut family =
        to.family("sluice_job_age_seconds", MetricKind::Histogram, "Age of the job when its share arrived.");
    if let Some(totals) = totals {
        family.histogram(&[], &totals.job_ages, &JOB_AGE_BUCKETS_SECS.map(Duration::from_secs));
    }
}
