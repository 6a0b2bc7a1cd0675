//! Is one pool, or one miner, really better than another?

use serde::Serialize;

use super::layout::ms;
use super::records::{NamedTally, Records};
use super::selection::plain_pool;
use super::statistics::{chance_text, proportions_differ, two_sided};
use crate::util::format::{count, grouped};
use crate::work::name_of_worker;

/// A difference that comes by chance more rarely is real.
const REAL: f64 = 0.001;
/// A difference that comes by chance at least so often needs no figure.
const USUAL: f64 = 0.05;
/// Answered shares that a comparison needs on each side.
const MIN_ANSWERED: u64 = 100;
/// New blocks that a comparison needs.
pub(super) const MIN_BLOCKS: u64 = 20;
/// Caps the pools and workers that are compared, those with the most work.
const MAX_COMPARED: usize = 8;

/// The comparison of two pools, or of a worker with all others.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedComparison {
    /// `pool_rejects`, `pool_answers`, `pool_new_blocks` or `worker_rejects`.
    pub kind: &'static str,
    pub first: String,
    pub second: String,
    /// The chance of such a difference if there is none; `null` if there is not enough data.
    pub p_value: Option<f64>,
    /// `first`, `second`, `none` or `unknown`.
    pub better: &'static str,
    /// The result in plain words.
    pub text: String,
}

/// Two samples of one proportion, and how they are called.
struct Samples<'a> {
    kind: &'static str,
    names: [&'a str; 2],
    shown: [String; 2],
    /// Bad ones among all.
    counts: [(u64, u64); 2],
    /// The number of comparisons of this kind: among many, some look real by chance.
    tests: usize,
}

/// Compares the pools with each other, and each worker with all others that are well: one that is ill would make all
/// others look good.
pub(super) fn compare(records: &Records, ill: &[&str]) -> Vec<ReportedComparison> {
    let mut found = Vec::new();
    let pools = most_work(&records.pools);
    let pairs: Vec<_> = pools
        .iter()
        .enumerate()
        .flat_map(|(place, first)| pools.iter().skip(place + 1).map(move |second| (*first, *second)))
        .collect();
    for (first, second) in &pairs {
        found.push(pool_rejects([first, second], records, ill, pairs.len()));
        found.push(pool_answers(first, second, pairs.len()));
    }
    found.extend(new_blocks(records));
    let workers = most_work(&records.workers);
    if workers.len() > 1 {
        found.extend(workers.iter().map(|worker| worker_rejects(worker, records, ill, workers.len())));
    }
    found
}

/// By the shares of workers that are well.
fn pool_rejects(
    [first, second]: [&NamedTally; 2],
    records: &Records,
    ill: &[&str],
    tests: usize,
) -> ReportedComparison {
    let counts = [first, second].map(|pool| {
        let place = records.pools.iter().position(|other| other.name == pool.name);
        let well = records.workers.iter().filter(|worker| !ill.contains(&worker.name.as_str()));
        let answers = well.filter_map(|worker| worker.by_pool.get(place?));
        answers.fold((0, 0), |(rejected, answered), (more, all)| (rejected + more, answered + all))
    });
    Samples {
        kind: "pool_rejects",
        names: [&first.name, &second.name],
        shown: [&first.name, &second.name].map(shown_pool),
        counts,
        tests,
    }
    .compare(|shown, counts| {
        let of = if ill.is_empty() { "" } else { ", of miners that are well" };
        format!("{} rejects {}, {} {}{of}", shown[0], part_of(counts[0]), shown[1], part_of(counts[1]))
    })
}

/// By the answers that take longer than the median of both.
fn pool_answers(first: &NamedTally, second: &NamedTally, tests: usize) -> ReportedComparison {
    let mut both = first.tally.response.clone();
    both.merge(&second.tally.response);
    let median = both.quantile(0.5).unwrap_or(0.0);
    let counts =
        [first, second].map(|pool| (pool.tally.response.count_above(median), pool.tally.response.total()));
    let medians = [first, second].map(|pool| pool.tally.response.quantile(0.5).unwrap_or(0.0));
    Samples {
        kind: "pool_answers",
        names: [&first.name, &second.name],
        shown: [&first.name, &second.name].map(shown_pool),
        counts,
        tests,
    }
    .compare(|shown, _| {
        format!("{} answers in {} (median), {} in {}", shown[0], ms(medians[0]), shown[1], ms(medians[1]))
    })
}

/// Which pool has a new block first; for two pools only.
fn new_blocks(records: &Records) -> Option<ReportedComparison> {
    let propagation = records.jobs.propagation();
    let seen: Vec<_> =
        records.jobs.pools.iter().zip(&propagation).filter(|(_, found)| found.blocks > 0).collect();
    let [(first, first_lag), (second, second_lag)] = seen.as_slice() else { return None };
    let blocks = first_lag.blocks.min(second_lag.blocks);
    // Each block is one throw of a coin.
    let wins = first_lag.first.min(blocks);
    let score = (2.0 * wins as f64 - blocks as f64) / (blocks as f64).sqrt();
    let p_value = (blocks >= MIN_BLOCKS).then(|| two_sided(score));
    let better = better(p_value, wins < blocks - wins);
    let lag = |lag: &super::jobs_seen::Propagation| lag.lag.quantile(0.5).unwrap_or(0.0);
    let text = format!(
        "Of {}, {} had {} first and {} {} (median lag {} and {}): {}.",
        count(blocks, "new block"),
        shown_pool(&first.name),
        grouped(wins),
        shown_pool(&second.name),
        grouped(second_lag.first),
        ms(lag(first_lag)),
        ms(lag(second_lag)),
        verdict(p_value, better)
    );
    Some(ReportedComparison {
        kind: "pool_new_blocks",
        first: first.name.clone(),
        second: second.name.clone(),
        p_value,
        better,
        text,
    })
}

fn worker_rejects(worker: &NamedTally, records: &Records, ill: &[&str], tests: usize) -> ReportedComparison {
    let own = (worker.tally.rejected, worker.tally.answered());
    let well = records
        .workers
        .iter()
        .filter(|other| other.name != worker.name && !ill.contains(&other.name.as_str()));
    let others = well.fold((0, 0), |(rejected, answered), other| {
        (rejected + other.tally.rejected, answered + other.tally.answered())
    });
    let shown = [name_of_worker(&worker.name).to_owned(), String::from("all others")];
    Samples {
        kind: "worker_rejects",
        names: [&worker.name, "(all others)"],
        shown,
        counts: [own, others],
        tests,
    }
    .compare(|shown, counts| {
        format!("{} has {} rejected, {} {}", shown[0], part_of(counts[0]), shown[1], part_of(counts[1]))
    })
}

impl Samples<'_> {
    fn compare(self, describe: impl Fn(&[String; 2], &[(u64, u64); 2]) -> String) -> ReportedComparison {
        let [first, second] = self.counts;
        let is_enough = first.1 >= MIN_ANSWERED && second.1 >= MIN_ANSWERED;
        let p_value =
            proportions_differ(first, second).filter(|_| is_enough).map(|p| (p * self.tests as f64).min(1.0));
        let rate = |(bad, all): (u64, u64)| bad as f64 / all.max(1) as f64;
        let better = better(p_value, rate(first) > rate(second));
        let text = format!("{}: {}.", describe(&self.shown, &self.counts), verdict(p_value, better));
        let [first, second] = self.names.map(str::to_owned);
        ReportedComparison { kind: self.kind, first, second, p_value, better, text }
    }
}

fn better(p_value: Option<f64>, is_second: bool) -> &'static str {
    match p_value {
        None => "unknown",
        Some(p) if p >= REAL => "none",
        Some(_) if is_second => "second",
        Some(_) => "first",
    }
}

fn verdict(p_value: Option<f64>, better: &str) -> String {
    match (p_value, better) {
        (None, _) => String::from("not enough data"),
        (Some(p), "none") if p >= USUAL => String::from("no real difference; chance explains it"),
        (Some(p), "none") => {
            format!("no real difference ({} by chance alone)", chance_text(p))
        }
        (Some(p), _) => {
            format!("a real difference ({} by chance alone)", chance_text(p))
        }
    }
}

fn most_work(tallies: &[NamedTally]) -> Vec<&NamedTally> {
    let mut found: Vec<&NamedTally> =
        tallies.iter().filter(|named| named.tally.submitted > 0 && !named.name.is_empty()).collect();
    found.sort_by(|a, b| {
        b.tally.proven_difficulty.total_cmp(&a.tally.proven_difficulty).then_with(|| a.name.cmp(&b.name))
    });
    found.truncate(MAX_COMPARED);
    found
}

fn part_of((part, whole): (u64, u64)) -> String {
    format!("{:.2} % of {} shares", part as f64 * 100.0 / whole.max(1) as f64, grouped(whole))
}

fn shown_pool(name: &impl AsRef<str>) -> String {
    plain_pool(name.as_ref()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_difference_is_chance_and_a_rare_one_has_its_figure() {
        assert_eq!(verdict(None, "unknown"), "not enough data");
        assert_eq!(verdict(Some(1.0), "none"), "no real difference; chance explains it");
        assert_eq!(verdict(Some(0.02), "none"), "no real difference (1 in 50 by chance alone)");
        assert_eq!(verdict(Some(1e-4), "first"), "a real difference (1 in 10,000 by chance alone)");
    }
}
