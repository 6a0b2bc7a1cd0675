//! Metrics of the shares, work and jobs of all miners together.

use std::collections::BTreeMap;
use std::time::Duration;

use super::text::{MetricsText, label};
use crate::analyzer::Totals;
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

/// The four outcomes of a share with their counts.
pub(super) fn results(counts: [u64; 4]) -> impl Iterator<Item = (&'static str, u64)> {
    ["accepted", "rejected", "unanswered", "unknown"].into_iter().zip(counts)
}

fn shares(to: &mut MetricsText, totals: Option<&Totals>) {
    let mut counter = |name, help, of: fn(&Totals) -> u64| to.counter(name, help, totals.map(of));
    counter("sluice_submitted_shares_total", "Shares that miners sent.", |totals| totals.submitted);
    let help = "Shares for a job that a later job had replaced.";
    counter("sluice_stale_shares_total", help, |totals| totals.stale);
    let help = "Submits whose fields can't be read.";
    counter("sluice_unreadable_submits_total", help, |totals| totals.unreadable_submits);
    let help = "Shares that met the network's target, on networks where not every share does.";
    counter("sluice_blocks_total", help, |totals| totals.blocks);
    let help = "Shares that came close to the network's target.";
    counter("sluice_near_misses_total", help, |totals| totals.near_misses);
    let mut family = to.counters("sluice_shares_total", "Shares by result.");
    if let Some(Totals { accepted, rejected, unanswered, unknown, .. }) = totals {
        family.samples(&[], "result", results([*accepted, *rejected, *unanswered, *unknown]));
    }
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for (reason, count) in totals.iter().flat_map(|totals| &totals.reasons) {
        *reasons.entry(label(reason)).or_default() += count;
    }
    let mut family = to.counters("sluice_rejected_shares_total", "Rejected shares by the pool's reason.");
    family.samples(&[], "reason", reasons.iter().map(|(reason, count)| (reason.as_str(), *count)));
}

fn work(to: &mut MetricsText, status: &StatusSnapshot, totals: Option<&Totals>) {
    let snapshot = &status.snapshot;
    let help = "Sum of the assigned difficulties of accepted shares.";
    to.counter("sluice_accepted_difficulty_total", help, totals.map(|totals| totals.accepted_difficulty));
    let help = "Sum of the assigned difficulties of shares whose hash proves it.";
    to.counter("sluice_proven_difficulty_total", help, totals.map(|totals| totals.proven_difficulty));
    let help = "Hash rate that shares prove, by window.";
    let mut family = to.gauges("sluice_hash_rate_hashes_per_second", help);
    if totals.is_some() {
        family.samples(&[], "window", windows(&snapshot.hash_rates));
    }
    let bests = [("run", &snapshot.bests.run), ("day", &snapshot.bests.day), ("ever", &snapshot.best_ever)];
    let bests = bests.map(|(period, best)| (period, best.as_ref().map(|best| best.difficulty.value())));
    let help = "Difficulty of the best accepted share, by period.";
    to.gauges("sluice_best_difficulty", help).samples(&[], "period", bests);
}

fn jobs(to: &mut MetricsText, status: &StatusSnapshot, totals: Option<&Totals>) {
    let help = "Jobs, counted once for each miner that received them.";
    to.counter("sluice_jobs_total", help, totals.map(|totals| totals.jobs));
    let age = totals.and_then(|totals| totals.last_job).map(|last| status.age_of(last).as_secs_f64());
    to.gauge("sluice_last_job_age_seconds", "Time since a miner last received a job.", age);
    let network = totals.and_then(|totals| totals.network_difficulty);
    to.gauge("sluice_network_difficulty", "Network difficulty of the newest job.", network);
    let height = totals.and_then(|totals| totals.height).map(f64::from);
    to.gauge("sluice_block_height", "Block height of the newest job.", height);
    let difference = totals.and_then(|totals| totals.job_time_difference);
    to.gauge("sluice_job_time_difference_seconds", "The newest job's time less NTP time.", difference);
    let mut family = to.histograms("sluice_job_age_seconds", "Age of the job when its share arrived.");
    if let Some(totals) = totals {
        family.histogram(&[], &totals.job_ages, &JOB_AGE_BUCKETS_SECS.map(Duration::from_secs));
    }
}
