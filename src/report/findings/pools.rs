//! Findings about what pools did with the work.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::workers::IllWorker;
use super::{FindingContext, ReportFinding};
use crate::config::Severity;
use crate::notify::advice_on;
use crate::report::fields::{minute_text, time_text};
use crate::report::records::NamedTally;
use crate::report::statistics::proportion_interval;
use crate::report::time_line::AlertState;
use crate::util::format::{count_of, grouped, short};

/// The rule that compares the pool's own figures with the proven work.
const CREDIT_RULE: &str = "pool.stats_mismatch";
/// Rules that other findings speak of.
const TOLD_ELSEWHERE: [&str; 4] = [CREDIT_RULE, "pool.unreachable", "internal.restarted", "share.unanswered"];
/// The part of shares that may be rejected, or stay without an answer, before it is worth a finding.
const MANY: f64 = 0.02;

/// Pools whose own statistics credit less than was proven.
pub(super) fn credit(context: &FindingContext<'_>) -> Vec<ReportFinding> {
    let states = context.records.time_line.alert_states.iter().filter(|state| state.rule == CREDIT_RULE);
    let mut by_pool: BTreeMap<&str, Vec<&AlertState>> = BTreeMap::new();
    for state in states {
        // The description begins with the pool.
        let named = state.text.split_once(": ").map_or("", |(pool, _)| pool);
        by_pool.entry(state.upstream.as_deref().unwrap_or(named)).or_default().push(state);
    }
    let found = by_pool.into_iter().filter_map(|(pool, states)| {
        let number = |state: &AlertState, name: &str| state.data.get(name).and_then(Value::as_f64);
        let worst = states.iter().min_by(|a, b| {
            let part = |state: &AlertState| number(state, "credited").zip(number(state, "proven")).map_or(1.0, |(credited, proven)| credited / proven);
            part(a).total_cmp(&part(b))
        })?;
        let (credited, proven) = (number(worst, "credited"), number(worst, "proven"));
        let part = credited.zip(proven).filter(|(_, proven)| *proven > 0.0).map(|(credited, proven)| credited / proven);
        let share = match (part, credited, proven) {
            (Some(part), Some(credited), Some(proven)) => {
                format!("only {} of {} proven difficulty ({:.0} %)", short(credited), short(proven), part * 100.0)
            }
            _ => String::from("less than the shares have proven"),
        };
        let end = worst.to.map_or_else(|| String::from("the end of the records"), minute_text);
        let again = if states.len() > 1 { format!("; {} times in all", states.len()) } else { String::new() };
        Some(ReportFinding {
            id: String::from("pool.credit"),
            severity: Severity::High,
            text: format!("Pool {pool} credited {share}, by its own statistics, from {} to {end} UTC{again}.", minute_text(worst.from)),
            action: String::from("Ask the operator, with these figures and shares.csv as the proof. Use another pool until the answer is good."),
            evidence: json!({
                "upstream": pool, "from": time_text(worst.from), "to": worst.to.map(time_text), "credited": credited,
                "proven": proven, "part": part, "probability": worst.data.get("probability"), "alerts": states.len(),
            }),
            weight: 1e300 * (1.0 - part.unwrap_or(0.5)),
        })
    });
    found.collect()
}

/// Alerts of high severity: each rule is a finding.
pub(super) fn serious_alerts(context: &FindingContext<'_>) -> Vec<ReportFinding> {
    let time_line = &context.records.time_line;
    let mut rules: BTreeMap<&str, (u64, Option<&AlertState>)> = BTreeMap::new();
    for state in time_line.alert_states.iter().filter(|state| state.severity == Severity::High) {
        let rule = rules.entry(&state.rule).or_default();
        *rule = (rule.0 + 1, Some(state));
    }
    for (rule, (severity, alerts)) in &time_line.alert_counts {
        if *severity == Severity::High {
            rules.entry(rule).or_insert((*alerts, None));
        }
    }
    rules.retain(|rule, _| !TOLD_ELSEWHERE.contains(rule) && *rule != "block.found");
    let found = rules.into_iter().map(|(rule, (alerts, last))| {
        let text = match last {
            Some(state) => format!(
                "{} (last at {} UTC; {})",
                state.text,
                minute_text(state.from),
                count_of(alerts, "alert", "alerts")
            ),
            None => format!("{} of high severity: {rule}.", count_of(alerts, "alert", "alerts")),
        };
        ReportFinding {
            id: rule.to_owned(),
            severity: Severity::High,
            text,
            action: format!(
                "{} docs/rules.md has more about {rule}, and alerts.log the evidence.",
                advice_on(rule).unwrap_or("The alert says what to do.")
            ),
            evidence: json!({
                "rule": rule, "alerts": alerts, "last_at": last.map(|state| time_text(state.from)),
                "data": last.map(|state| state.data.clone()),
            }),
            weight: alerts as f64,
        }
    });
    found.collect()
}

/// Pools that reject many shares. The shares of miners that are ill do not count.
pub(super) fn rejects(context: &FindingContext<'_>, ill: &[IllWorker]) -> Option<ReportFinding> {
    let well = |named: &&NamedTally| ill.iter().all(|ill| ill.name != named.name);
    let sum =
        |figure: fn(&NamedTally) -> u64| context.records.workers.iter().filter(well).map(figure).sum::<u64>();
    let (rejected, answered) = (sum(|named| named.tally.rejected), sum(|named| named.tally.answered()));
    let stale = sum(|named| named.tally.stale);
    let (low, _) = proportion_interval(rejected, answered)?;
    if low < MANY {
        return None;
    }
    let part = rejected as f64 / answered.max(1) as f64;
    let worst = context.records.reasons.iter().max_by_key(|(_, count)| **count);
    let reason =
        worst.map(|((code, reason), count)| json!({ "code": code, "reason": reason, "shares": count }));
    let is_stale = stale * 2 > rejected;
    let because = if is_stale {
        format!("{:.0} % of them came too late for their job", stale as f64 * 100.0 / rejected.max(1) as f64)
    } else {
        worst.map_or_else(String::new, |((_, reason), count)| {
            format!("{} times with \"{reason}\"", grouped(*count))
        })
    };
    Some(ReportFinding {
        id: String::from(if is_stale { "pool.stale" } else { "pool.rejects" }),
        severity: Severity::Medium,
        text: format!("{:.1} % of {} shares were rejected, {because}.", part * 100.0, grouped(answered)),
        action: String::from(if is_stale {
            "Choose a pool that is closer, or look at the line: late shares are lost on the way. The answer times below tell which."
        } else {
            "Look at the reasons below. One reason for all miners is the pool's or a setting's fault; one miner alone is its own."
        }),
        evidence: json!({ "rejected": rejected, "answered": answered, "part": part, "stale": stale, "most_frequent": reason }),
        weight: rejected as f64,
    })
}

/// Shares that no pool answered.
pub(super) fn unanswered(context: &FindingContext<'_>) -> Option<ReportFinding> {
    let all = &context.records.all;
    let asked = all.submitted - all.unknown;
    let (low, _) = proportion_interval(all.unanswered, asked)?;
    (low >= MANY).then(|| ReportFinding {
        id: String::from("pool.unanswered"),
        severity: Severity::Medium,
        text: format!(
            "{} shares ({:.1} %) got no answer in time.",
            grouped(all.unanswered),
            all.unanswered as f64 * 100.0 / asked.max(1) as f64
        ),
        action: String::from("Nobody knows whether the pool counted them. Compare its figures with the proven work, or use another pool."),
        evidence: json!({ "unanswered": all.unanswered, "of": asked }),
        weight: all.unanswered as f64,
    })
}
