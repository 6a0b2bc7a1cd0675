//! Findings about new blocks: shares that came too late for them.

use serde_json::json;

use super::{FindingContext, ReportFinding};
use crate::config::Severity;
use crate::report::fields::{minute_text, time_text};
use crate::report::statistics::at_least;
use crate::util::format::count;

/// Stale shares that a cluster needs.
const MIN_STALE: u32 = 5;
/// Minutes between the parts of a cluster, and its greatest length. What lasts longer is no race.
const MAX_GAP_MINUTES: i64 = 3;
const MAX_MINUTES: i64 = 15;
/// The chance of a cluster anywhere in the records, below which it is no accident.
const RARE: f64 = 1e-4;
/// Milliseconds between a new block and the stale shares that it explains.
const BLOCK_WINDOW_MS: i64 = 180_000;

/// Clusters of stale shares: miners worked on while two blocks raced, or the news of a block came late. One finding
/// for the largest.
pub(super) fn races(context: &FindingContext<'_>) -> Option<ReportFinding> {
    let minutes = context.length_ms() / 60_000.0;
    let stale = &context.records.stale_minutes;
    let total: u32 = stale.values().sum();
    let mut clusters: Vec<(i64, i64, u32)> = Vec::new();
    for (minute, shares) in stale {
        match clusters.last_mut() {
            Some((_, last, sum)) if minute - *last <= MAX_GAP_MINUTES => {
                (*last, *sum) = (*minute, *sum + shares)
            }
            _ => clusters.push((*minute, *minute, *shares)),
        }
    }
    clusters.retain(|(first, last, shares)| {
        let length = (last - first + 1) as f64;
        // The cluster itself says nothing about the usual number.
        let usual = f64::from(total - shares).max(1.0) / minutes.max(1.0);
        let chance = at_least(f64::from(*shares), usual * (length + MAX_GAP_MINUTES as f64)) * minutes;
        *shares >= MIN_STALE && last - first < MAX_MINUTES && chance < RARE
    });
    let (first, last, shares) = *clusters.iter().max_by_key(|(.., shares)| *shares)?;
    let (from, to) = (first * 60_000, (last + 1) * 60_000);
    let block = context.records.jobs.new_block_near(from, BLOCK_WINDOW_MS);
    let about = match block {
        Some((height, at)) => format!(", around the first job of block {height} at {} UTC", minute_text(at)),
        None => String::new(),
    };
    let others =
        if clusters.len() > 1 { format!("; {} such times in all", clusters.len()) } else { String::new() };
    Some(ReportFinding {
        id: String::from("chain.race"),
        severity: Severity::Low,
        text: format!(
            "{} came too late within {} from {} UTC{about}{others}: two blocks raced, or the news of a block reached the pool late.",
            count(u64::from(shares), "share"),
            count((last - first + 1).unsigned_abs(), "minute"),
            minute_text(from)
        ),
        action: String::from(
            "Nothing to do if it is rare: each block costs a few shares. If it is frequent, the pool hears of blocks late; compare pools below.",
        ),
        evidence: json!({
            "from": time_text(from), "to": time_text(to), "stale_shares": shares, "height": block.map(|(height, _)| height),
            "clusters": clusters.len(), "stale_in_all": total,
        }),
        weight: f64::from(shares),
    })
}
