//! Findings about times in which a pool, Sluice or everything was away.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::{FindingContext, ReportFinding};
use crate::config::Severity;
use crate::report::absences::AbsenceCause;
use crate::report::fields::{minute_text, time_text};
use crate::report::selection::plain_pool;
use crate::report::time_line::Outage;
use crate::util::format::{count, grouped, span};

/// Milliseconds that are worth a finding: a restart is none.
const LONG_OUTAGE_MS: i64 = 120_000;

/// Pools that could not be used, one finding each.
pub(super) fn of_pools(context: &FindingContext<'_>) -> Vec<ReportFinding> {
    let mut by_pool: BTreeMap<&str, Vec<&Outage>> = BTreeMap::new();
    for outage in &context.records.time_line.pool_outages {
        by_pool.entry(&outage.subject).or_default().push(outage);
    }
    let found = by_pool.into_iter().filter_map(|(pool, outages)| {
        let length = |outage: &Outage| outage.to.unwrap_or(context.to).max(outage.from) - outage.from;
        let total: i64 = outages.iter().map(|outage| length(outage)).sum();
        let longest = outages.iter().max_by_key(|outage| length(outage))?;
        let silent_ms: i64 = context.silences().iter().map(|silence| {
            let covered = outages.iter().map(|outage| silence.covered_by(outage.from, outage.to.unwrap_or(context.to)));
            (covered.fold(0.0, f64::max) * silence.length_ms() as f64) as i64
        }).sum();
        (total >= LONG_OUTAGE_MS).then(|| {
            let is_failover = silent_ms == 0 && another_mined(context, longest);
            let lost = if context.records.all.submitted == 0 {
                String::from("; the records have no share")
            } else if silent_ms > 0 {
                format!("; nothing was mined for {} of it", time(silent_ms))
            } else if is_failover {
                String::from("; another pool got the work")
            } else {
                String::new()
            };
            let why = if longest.reason.is_empty() { String::new() } else { format!(" ({})", longest.reason) };
            ReportFinding {
                id: String::from("pool.outage"),
                severity: if silent_ms >= LONG_OUTAGE_MS { Severity::High } else { Severity::Medium },
                text: format!(
                    "Pool {pool} could not be used for {} in {}, the longest from {} to {} UTC{why}{lost}.",
                    time(total),
                    count(outages.len() as u64, "outage"),
                    minute_text(longest.from),
                    minute_text(longest.to.unwrap_or(context.to))
                ),
                action: String::from(if is_failover {
                    "Nothing to do if it was once: failover worked. If it happens often, put another pool first."
                } else if silent_ms > 0 {
                    "Add a second [[upstream]] at another operator, so that miners go on when this pool is away."
                } else {
                    "Add a second [[upstream]] at another operator if there is none, so that miners go on when this pool is away."
                }),
                evidence: json!({
                    "upstream": pool, "seconds": total as f64 / 1000.0, "outages": outages.len(),
                    "longest_from": time_text(longest.from), "longest_to": longest.to.map(time_text),
                    "silent_seconds": silent_ms as f64 / 1000.0, "reason": longest.reason,
                }),
                weight: (silent_ms.max(total / 10)) as f64,
            }
        })
    });
    found.collect()
}

/// True if another pool has shares of the time of this outage. The pools of another Sluice prove nothing.
fn another_mined(context: &FindingContext<'_>, outage: &Outage) -> bool {
    let to = outage.to.unwrap_or(context.to);
    let mut others = context
        .records
        .pools
        .iter()
        .filter(|pool| !pool.name.is_empty() && plain_pool(&pool.name) != plain_pool(&outage.subject));
    context.records.shows_everybody()
        && others.any(|pool| {
            let width = pool.tally.work.width_ms();
            let mut buckets = pool.tally.work.iter();
            buckets.any(|(at, bucket)| at < to && at + width > outage.from && bucket.accepted > 0)
        })
}

/// Times in which Sluice did not run.
pub(super) fn of_sluice(context: &FindingContext<'_>) -> Option<ReportFinding> {
    let outages = &context.records.time_line.sluice_outages;
    let length = |outage: &Outage| outage.to.unwrap_or(context.to) - outage.from;
    let total: i64 = outages.iter().map(length).sum();
    let longest = outages.iter().max_by_key(|outage| length(outage)).filter(|_| total >= LONG_OUTAGE_MS)?;
    let crashes = outages.iter().filter(|outage| outage.is_crash).count();
    let to = longest.to.unwrap_or(context.to);
    let crashed = if crashes > 0 {
        format!("; {} after a crash or a power cut", grouped(crashes as u64))
    } else {
        String::new()
    };
    Some(ReportFinding {
        id: String::from("sluice.down"),
        severity: Severity::Medium,
        text: format!(
            "Sluice did not run for {} in {}, the longest from {} to {} UTC{crashed}. Nothing was mined through it.",
            time(total),
            count(outages.len() as u64, "pause"),
            minute_text(to - length(longest)),
            minute_text(to)
        ),
        action: String::from(
            "Let the system start it again (deploy/ has a systemd unit), and look at sluice.log around that time.",
        ),
        evidence: json!({
            "seconds": total as f64 / 1000.0, "pauses": outages.len(), "crashes": crashes,
            "longest_from": time_text(to - length(longest)), "longest_to": time_text(to),
        }),
        weight: total as f64,
    })
}

/// Times in which nobody mined, and nothing in the records says why.
pub(super) fn of_everything(context: &FindingContext<'_>) -> Option<ReportFinding> {
    let time_line = &context.records.time_line;
    let unexplained: Vec<_> = context
        .silences()
        .iter()
        .filter(|silence| {
            let cause = silence.cause(&time_line.sluice_outages, &time_line.pool_outages, &[], 1);
            cause == AbsenceCause::Miner && context.records.workers.len() > 1
        })
        .collect();
    let total: i64 = unexplained.iter().map(|silence| silence.length_ms()).sum();
    let longest = unexplained
        .iter()
        .max_by_key(|silence| silence.length_ms())
        .filter(|_| total >= LONG_OUTAGE_MS * 5)?;
    Some(ReportFinding {
        id: String::from("everything.silent"),
        severity: Severity::Medium,
        text: format!(
            "No miner sent a share for {} in {}, the longest from {} to {} UTC, and no event says why.",
            time(total),
            count(unexplained.len() as u64, "pause"),
            minute_text(longest.from),
            minute_text(longest.to)
        ),
        action: String::from(
            "Look for a cut in power or network at that time. Without events.jsonl, pass the whole data directory.",
        ),
        evidence: json!({
            "seconds": total as f64 / 1000.0, "pauses": unexplained.len(),
            "longest_from": time_text(longest.from), "longest_to": time_text(longest.to),
        }),
        weight: total as f64,
    })
}

fn time(ms: i64) -> String {
    span(Duration::from_millis(ms.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::luck::ReportedLuck;
    use crate::report::records::Records;
    use crate::report::selection::ReportSelection;
    use crate::report::share_line::ShareLine;

    const START: i64 = 1_790_000_000_000;

    /// The finding about pool `a`, away from minute 60 to 75 of two hours with a share every minute; `pool` names the pool of
    /// each minute, and `directory` its Sluice.
    fn outage_of_a(pool: fn(i64) -> &'static str, directory: fn(i64) -> usize) -> ReportFinding {
        let mut records = Records::new();
        for minute in 0..120 {
            let share =
                ShareLine { upstream: pool(minute), ..ShareLine::for_tests("rig", START + minute * 60_000) };
            records.add_share(&share, directory(minute));
        }
        let time = |minute: i64| time_text(START + minute * 60_000);
        let event = |minute, kind| {
            format!("{{\"at\":\"{}\",\"kind\":\"{kind}\",\"subject\":\"a:1\"}}\n", time(minute))
        };
        let events = [event(60, "pool.failed"), event(75, "pool.returned")].concat();
        let selection = ReportSelection::default();
        records
            .time_line
            .read_events(events.as_bytes(), 0, &selection, |_, _| panic!("it is whole"))
            .unwrap();
        let luck = ReportedLuck::of(&records.all);
        let (from, to) = (START, START + 119 * 60_000);
        let context = FindingContext { records: &records, workers: &[], luck: &luck, from, to };
        of_pools(&context).pop().unwrap()
    }

    #[test]
    fn only_shares_at_another_pool_tell_that_failover_worked() {
        const A: &str = "stratum+tcp://a:1";
        const B: &str = "stratum+tcp://b:1";
        let is_failover = |finding: &ReportFinding| {
            let says = [finding.text.contains("another pool"), finding.action.contains("failover worked")];
            assert_eq!(says[0], says[1], "{finding:?}");
            assert_ne!(says[0], finding.action.contains("Add a second [[upstream]]"), "{finding:?}");
            says[0]
        };
        assert!(is_failover(&outage_of_a(|minute| if (60..75).contains(&minute) { B } else { A }, |_| 0)));
        // The sessions that were open went on.
        assert!(!is_failover(&outage_of_a(|_| A, |_| 0)));
        assert!(!is_failover(&outage_of_a(|minute| if minute < 30 { B } else { A }, |_| 0)));
        // The other pool is another Sluice's.
        let by_half = |minute: i64| usize::from(minute >= 60);
        assert!(!is_failover(&outage_of_a(|minute| if minute < 60 { A } else { B }, by_half)));
    }
}
