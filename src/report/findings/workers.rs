//! Findings about single miners.

use serde_json::json;

use super::slump::{self, Slump};
use super::{FindingContext, ReportFinding};
use crate::config::Severity;
use crate::report::absences::AbsenceCause;
use crate::report::fields::{minute_text, time_text};
use crate::report::figures::ReportedWorker;
use crate::report::statistics::proportions_differ;
use crate::report::tally::WorkBucket;
use crate::util::format::{count, grouped, rate, span};
use crate::work::{HASHES_PER_DIFFICULTY, name_of_worker};
use std::time::Duration;

/// A chance below which a difference between workers is real, for each worker.
const REAL: f64 = 1e-6;
/// The part of rejected shares from which a worker, or a pool, is worth a finding.
const MANY_REJECTS: f64 = 0.02;
/// Milliseconds of absence that are worth a finding.
const LONG_ABSENCE_MS: i64 = 3_600_000;

/// A miner that is ill, and its finding.
pub(super) struct IllWorker {
    pub name: String,
    pub finding: ReportFinding,
}

/// Miners whose hash rate sank for hours.
pub(super) fn ill(context: &FindingContext<'_>) -> Vec<IllWorker> {
    let named = context.records.workers.iter().filter(|named| !named.is_part);
    let found = named.filter_map(|named| {
        let slump = slump::find(&named.tally, &named.pauses.absences)?;
        Some(IllWorker { name: named.name.clone(), finding: ill_finding(context, &named.name, &slump) })
    });
    found.collect()
}

fn ill_finding(context: &FindingContext<'_>, name: &str, slump: &Slump) -> ReportFinding {
    let drop = 1.0 - slump.rate / slump.usual_rate;
    let hashes = |rate: f64| rate * 1000.0 * HASHES_PER_DIFFICULTY;
    let rejects = |bucket: &WorkBucket| f64::from(bucket.rejected) / bucket.answered().max(1) as f64;
    let pair = |bucket: &WorkBucket| (u64::from(bucket.rejected), bucket.answered());
    let p_rejects = proportions_differ(pair(&slump.inside), pair(&slump.outside));
    let has_rejects = rejects(&slump.inside) > rejects(&slump.outside) && p_rejects.is_some_and(|p| p < 1e-4);
    let hot = context.records.time_line.alert_states.iter().find(|state| {
        state.rule == "device.hot" && state.worker.as_deref() == Some(name) && state.from <= slump.to
    });
    let mut text = format!(
        "{} mined {:.0} % less from {} to {} UTC: {} instead of {} ({})",
        name_of_worker(name),
        drop * 100.0,
        minute_text(slump.from),
        minute_text(slump.to),
        rate(hashes(slump.rate)),
        rate(hashes(slump.usual_rate)),
        count(u64::from(slump.inside.proven_shares), "share"),
    );
    if has_rejects {
        text += &format!(
            "; {:.1} % of its shares were rejected, usually {:.1} %",
            rejects(&slump.inside) * 100.0,
            rejects(&slump.outside) * 100.0
        );
    }
    if hot.is_some() {
        text += "; it reported that it was too hot";
    }
    let action = if has_rejects || hot.is_some() {
        "Check its cooling: fan, dust, room. A chip that is too hot slows down and makes faulty shares. Then its power supply and frequency."
    } else {
        "Check its temperature, power supply and settings, and whether somebody changed its frequency."
    };
    ReportFinding {
        id: String::from("worker.ill"),
        severity: Severity::Medium,
        text: text + ".",
        action: action.to_owned(),
        evidence: json!({
            "worker": name,
            "from": time_text(slump.from),
            "to": time_text(slump.to),
            "hashrate": hashes(slump.rate),
            "usual_hashrate": hashes(slump.usual_rate),
            "standard_score": slump.score,
            "shares": slump.inside.proven_shares,
            "reject_rate": rejects(&slump.inside),
            "usual_reject_rate": rejects(&slump.outside),
            "reject_p_value": p_rejects,
            "reported_hot": hot.is_some(),
        }),
        weight: (slump.usual_rate - slump.rate) * (slump.to - slump.from) as f64,
    }
}

/// Miners that were away, for reasons of their own.
pub(super) fn away(context: &FindingContext<'_>) -> Vec<ReportFinding> {
    context.workers.iter().filter_map(|worker| away_finding(context, worker)).collect()
}

fn away_finding(context: &FindingContext<'_>, worker: &ReportedWorker) -> Option<ReportFinding> {
    let own: Vec<_> =
        worker.absences.iter().filter(|absence| absence.reason == AbsenceCause::Miner).collect();
    let absent_ms = (worker.absent_seconds * 1000.0) as i64;
    let longest = own.iter().max_by_key(|absence| absence.at.length_ms())?;
    if absent_ms < LONG_ABSENCE_MS {
        return None;
    }
    let name = name_of_worker(&worker.worker);
    let time = |ms: i64| span(Duration::from_millis(ms.unsigned_abs()));
    // One that is away now comes before a longer pause that is over.
    let gone = own.iter().find(|absence| absence.is_open && absence.at.length_ms() >= LONG_ABSENCE_MS);
    let others = if context.records.shows_everybody() && context.records.workers.len() > 1 {
        ", while others mined"
    } else {
        ""
    };
    let text = if let Some(gone) = gone {
        format!(
            "{name} has sent no share since {} UTC, for {}.",
            minute_text(gone.at.from),
            time(gone.at.length_ms())
        )
    } else {
        format!(
            "{name} was away for {} in {}, the longest from {} to {} UTC{others}.",
            time(absent_ms),
            count(own.len() as u64, "pause"),
            minute_text(longest.at.from),
            minute_text(longest.at.to)
        )
    };
    Some(ReportFinding {
        id: String::from(if gone.is_some() { "worker.gone" } else { "worker.away" }),
        severity: if gone.is_some() { Severity::Medium } else { Severity::Low },
        text,
        action: String::from(
            "Check its power and its Wi-Fi; events.jsonl says when it connected and disconnected.",
        ),
        evidence: json!({
            "worker": worker.worker,
            "absent_seconds": worker.absent_seconds,
            "pauses": own.len(),
            "longest_from": longest.from,
            "longest_to": longest.to,
            "gone_since": gone.map(|gone| &gone.from),
        }),
        weight: worker.shares.hashrate.unwrap_or(0.0) * absent_ms as f64 / context.length_ms(),
    })
}

/// Miners with more rejected shares than the others, all the time.
pub(super) fn rejects(context: &FindingContext<'_>, ill: &[IllWorker]) -> Vec<ReportFinding> {
    let all = &context.records.all;
    let workers = context.workers.iter().filter(|worker| ill.iter().all(|ill| ill.name != worker.worker));
    let found = workers.filter_map(|worker| {
        let own = (worker.shares.rejected, worker.shares.answered());
        let others = (all.rejected - own.0, all.answered() - own.1);
        let (rate, others_rate) = (worker.shares.reject_rate?, others.0 as f64 / others.1.max(1) as f64);
        let p_value = proportions_differ(own, others)?;
        let is_worse = rate > MANY_REJECTS && rate > 2.0 * others_rate && p_value < REAL;
        is_worse.then(|| ReportFinding {
            id: String::from("worker.rejects"),
            severity: Severity::Low,
            text: format!(
                "{}: {:.1} % of its {} shares were rejected; of the others' {:.1} %.",
                name_of_worker(&worker.worker),
                rate * 100.0,
                grouped(own.1),
                others_rate * 100.0
            ),
            action: String::from(
                "Compare its firmware, its connection and its frequency with those of the others.",
            ),
            evidence: json!({
                "worker": worker.worker, "rejected": own.0, "answered": own.1, "reject_rate": rate,
                "others_reject_rate": others_rate, "p_value": p_value,
            }),
            weight: own.0 as f64,
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::luck::ReportedLuck;
    use crate::report::records::Records;
    use crate::report::selection::ReportSelection;
    use crate::report::share_line::ShareLine;

    const START: i64 = 1_790_000_000_000;

    /// The findings about absences in a day of `rig`, which sends a share in these minutes, and of the other workers.
    fn findings(is_on: fn(i64) -> bool, others: &[&str], selection: ReportSelection) -> Vec<ReportFinding> {
        let mut records = Records::new();
        records.selection = selection;
        for minute in 0..1440 {
            for worker in others.iter().chain(is_on(minute).then_some(&"rig")) {
                let share = ShareLine::for_tests(worker, START + minute * 60_000);
                records.add_share(&share, 0);
            }
        }
        let (from, to) = (START, START + 1439 * 60_000);
        records.workers.iter_mut().for_each(|worker| worker.pauses.end(to));
        let all =
            records.workers.iter().map(|named| ReportedWorker::of(named, 1.0, to, |_| AbsenceCause::Miner));
        let workers: Vec<ReportedWorker> = all.collect();
        let luck = ReportedLuck::of(&records.all);
        away(&FindingContext { records: &records, workers: &workers, luck: &luck, from, to })
    }

    #[test]
    fn others_mined_only_if_there_are_others() {
        let is_on = |minute: i64| !(600..800).contains(&minute);
        let says_others = |others: &[&str], selection| {
            let found = findings(is_on, others, selection);
            assert_eq!((found.len(), found[0].id.as_str()), (1, "worker.away"));
            found[0].text.ends_with(", while others mined.")
        };
        assert!(says_others(&["b"], ReportSelection::default()));
        assert!(!says_others(&[], ReportSelection::default()));
        let selected = ReportSelection { worker: Some("rig".into()), ..ReportSelection::default() };
        assert!(!says_others(&[], selected));
    }

    #[test]
    fn a_miner_that_is_away_now_is_gone_though_it_was_away_for_longer_before() {
        let found = findings(
            |minute| !(300..600).contains(&minute) && minute < 1300,
            &["b"],
            ReportSelection::default(),
        );
        assert_eq!((found.len(), found[0].id.as_str()), (1, "worker.gone"));
        assert!(found[0].text.contains("has sent no share since"), "{}", found[0].text);
        assert_eq!(found[0].evidence["gone_since"], time_text(START + 1299 * 60_000));
    }

    #[test]
    fn a_report_about_one_pool_says_nothing_about_absences() {
        let selection = ReportSelection { upstream: Some("pool".into()), ..ReportSelection::default() };
        assert!(findings(|minute| minute % 600 < 100, &["b"], selection).is_empty());
    }
}
