//! The section "what to do": at most five findings, the most important first, each with its evidence.

mod chain;
mod outages;
mod pools;
mod slump;
mod workers;

use serde::Serialize;
use serde_json::{Value, json};

use super::absences::Absence;
use super::fields::UnixMs;
use super::figures::ReportedWorker;
use super::luck::{ODD_LUCK, ReportedLuck};
use super::records::Records;
use super::statistics::chance_text;
use crate::config::Severity;
use crate::util::format::{count_of, grouped};

/// Caps the findings: a longer list is not read.
const MAX_FINDINGS: usize = 5;
/// Part of the rows that may be damaged before it is worth a finding: a crash tears one.
const DAMAGED_PART: f64 = 0.01;
/// Blocks that are worth a finding. On a test network every share is one.
const MAX_BLOCKS: u64 = 20;

/// One thing to know, and what to do about it.
#[derive(Debug, Clone, Serialize)]
pub struct ReportFinding {
    /// Such as `pool.credit`.
    pub id: String,
    #[serde(serialize_with = "severity_word")]
    pub severity: Severity,
    /// The words for what happened, with figures.
    pub text: String,
    /// The advice.
    pub action: String,
    /// The figures for programs.
    pub evidence: Value,
    /// The cost: of two findings with the same severity, the heavier comes first.
    #[serde(skip)]
    pub weight: f64,
}

impl ReportFinding {
    /// The worker with many rejected shares, if the finding is about one.
    pub(super) fn sick_worker(&self) -> Option<&str> {
        let is_about_one = ["worker.ill", "worker.rejects"].contains(&self.id.as_str());
        self.evidence.get("worker").filter(|_| is_about_one)?.as_str()
    }
}

/// The records, and what was concluded from them.
pub(super) struct FindingContext<'a> {
    pub records: &'a Records,
    pub workers: &'a [ReportedWorker],
    pub luck: &'a ReportedLuck,
    pub from: UnixMs,
    pub to: UnixMs,
}

/// Finds what matters most.
pub(super) fn find(context: &FindingContext<'_>) -> Vec<ReportFinding> {
    let ill = workers::ill(context);
    let mut found = pools::credit(context);
    found.extend(pools::serious_alerts(context));
    found.extend(outages::of_pools(context));
    found.extend(outages::of_sluice(context));
    found.extend(outages::of_everything(context));
    found.extend(workers::away(context));
    found.extend(workers::rejects(context, &ill));
    found.extend(pools::rejects(context, &ill));
    found.extend(pools::unanswered(context));
    found.extend(chain::races(context));
    found.extend(blocks(context));
    found.extend(odd_luck(context));
    found.extend(damage(context));
    found.extend(ill.into_iter().map(|ill| ill.finding));
    found.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| b.weight.total_cmp(&a.weight)));
    found.truncate(MAX_FINDINGS);
    found
}

impl FindingContext<'_> {
    /// The length of the report in milliseconds.
    fn length_ms(&self) -> f64 {
        (self.to - self.from).max(1) as f64
    }

    /// The times without a share from anybody.
    fn silences(&self) -> &[Absence] {
        &self.records.all_pauses.absences
    }
}

fn blocks(context: &FindingContext<'_>) -> Option<ReportFinding> {
    let blocks = context.records.all.blocks;
    (1..=MAX_BLOCKS).contains(&blocks).then(|| ReportFinding {
        id: String::from("block.found"),
        severity: Severity::Info,
        text: format!(
            "{} the network's target: a block, if the pool took it in time.",
            count_of(blocks, "share meets", "shares meet")
        ),
        action: String::from(
            "Look it up in an explorer by its hash; blocks/ in the data directory has the proof.",
        ),
        evidence: json!({ "shares": blocks }),
        weight: f64::INFINITY,
    })
}

fn odd_luck(context: &FindingContext<'_>) -> Option<ReportFinding> {
    let distribution = context.luck.distribution.as_ref().filter(|found| found.p_value < ODD_LUCK)?;
    Some(ReportFinding {
        id: String::from("luck.odd"),
        severity: Severity::Low,
        text: format!(
            "The difficulties of {} shares are not those of honest hashes: chance alone makes such a distribution in {} of cases.",
            grouped(distribution.shares),
            chance_text(distribution.p_value)
        ),
        action: String::from(
            "Look for shares that are missing from the records, or recorded twice; a miner may also hold shares back.",
        ),
        evidence: json!({ "shares": distribution.shares, "chi_square": distribution.chi_square, "p_value": distribution.p_value }),
        weight: 0.0,
    })
}

fn damage(context: &FindingContext<'_>) -> Option<ReportFinding> {
    let (rows, shares) = (context.records.damage.rows, context.records.all.submitted);
    let part = rows as f64 / (rows + shares).max(1) as f64;
    (part > DAMAGED_PART && rows > 1).then(|| ReportFinding {
        id: String::from("record.damaged"),
        severity: Severity::Low,
        text: format!(
            "{} could not be read, {:.1} % of all. The figures lack them.",
            count_of(rows, "row", "rows"),
            part * 100.0
        ),
        action: String::from(
            "Look at the first of them (below): a failing disk or card damages more and more.",
        ),
        evidence: json!({ "rows": rows, "part": part }),
        weight: part,
    })
}

fn severity_word<S: serde::Serializer>(severity: &Severity, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(severity.as_str())
}
