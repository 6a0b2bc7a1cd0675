//! From verdicts to alerts: what each says, with which evidence.

use serde_json::{Value, json};

use super::alerts::{Alerts, News};
use super::finding::JobSeen;
use super::share::JudgedShare;
use super::verdicts::{ChainState, PayoutState, Unverifiable};
use crate::clock::NtpTime;
use crate::config::Severity;
use crate::record::AlertRow;
use crate::work::{name_of_worker, parent_hash};

/// What a job's verdicts are worth. `upstream` is the pool's name.
pub(super) fn of_job(alerts: &mut Alerts, job: &JobSeen, upstream: &str, at: NtpTime) -> Vec<AlertRow> {
    let mut rows = payout(alerts, job, upstream, at);
    rows.extend(chain(alerts, job, upstream, at));
    rows
}

fn payout(alerts: &mut Alerts, job: &JobSeen, upstream: &str, at: NtpTime) -> Vec<AlertRow> {
    let verdict = &job.payout;
    let (id, severity) = match verdict.state {
        PayoutState::Mismatch => ("payout.mismatch", Severity::High),
        PayoutState::Short => ("payout.short", Severity::High),
        PayoutState::Unverifiable(Unverifiable::NoAddress | Unverifiable::Unreadable) => {
            ("payout.unverifiable", Severity::Info)
        }
        PayoutState::Unverifiable(Unverifiable::NoWorker | Unverifiable::Pooled) => return Vec::new(),
        PayoutState::Verified => ("", Severity::Info),
    };
    let address = verdict.expected.as_ref().map_or("", |expected| &expected.address);
    let about_money = format!("{upstream} {address}");
    let subject = if id == "payout.unverifiable" { upstream } else { &about_money };
    let mut rows = Vec::new();
    if !matches!(verdict.state, PayoutState::Unverifiable(_)) {
        let others = ["payout.mismatch", "payout.short"].into_iter().filter(|other| *other != id);
        rows.extend(others.filter_map(|other| alerts.ends(other, &about_money, at)));
        rows.extend(alerts.ends("payout.unverifiable", upstream, at));
    }
    if id.is_empty() {
        return rows;
    }
    let description = || match verdict.state {
        PayoutState::Mismatch => format!("{upstream}: a block would pay nothing to {address}"),
        PayoutState::Short => {
            format!("{upstream}: a block would pay {address} only {:.2} %", verdict.percent)
        }
        PayoutState::Unverifiable(why) => {
            format!("{upstream}: nobody can tell whom a block would pay: {why}")
        }
        PayoutState::Verified => String::new(),
    };
    let evidence = || {
        let mut evidence = job_evidence(job);
        evidence["expected"] = json!(address);
        evidence["percent"] = json!(verdict.percent);
        evidence["total_sats"] = json!(verdict.total.0);
        evidence["outputs"] = job
            .outputs
            .iter()
            .map(|output| {
                json!({ "address": output.address, "kind": output.kind, "sats": output.value.0, "percent": output.percent })
            })
            .collect();
        evidence
    };
    rows.extend(alerts.lasts(&News { id, severity, subject, at }, || (description(), evidence())));
    rows
}

fn chain(alerts: &mut Alerts, job: &JobSeen, upstream: &str, at: NtpTime) -> Option<AlertRow> {
    let verdict = &job.chain;
    if verdict.state != ChainState::Wrong {
        return alerts.ends("chain.wrong", upstream, at);
    }
    let news = News { id: "chain.wrong", severity: Severity::High, subject: upstream, at };
    alerts.lasts(&news, || {
        let description = format!(
            "{upstream}: this is not Bitcoin's {}: its work has a network difficulty of {:.4e}",
            verdict.network, verdict.difficulty
        );
        let mut evidence = job_evidence(job);
        evidence["network_difficulty"] = json!(verdict.difficulty);
        (description, evidence)
    })
}

fn job_evidence(job: &JobSeen) -> Value {
    json!({
        "job_id": job.job_id.as_str(),
        "height": job.height.map(|height| height.0),
        "nbits": job.nbits.to_string(),
        "prevhash": parent_hash(&job.prevhash).to_string(),
        "session": job.session.0,
    })
}

/// A share to be glad of. `best_before`: the best ever until now, where this one is better.
pub(super) fn of_share(
    alerts: &mut Alerts,
    judged: &JudgedShare,
    kind: GoodNews,
    upstream: &str,
    at: NtpTime,
) -> Option<AlertRow> {
    let share = &judged.share;
    let rebuilt = share.rebuilt.as_ref()?;
    let network = share.network_difficulty.unwrap_or(f64::INFINITY);
    let id = match kind {
        GoodNews::Block => "block.found",
        GoodNews::NearMiss => "share.near_miss",
        GoodNews::Best { .. } => "share.best",
    };
    let news = News { id, severity: Severity::Info, subject: &share.worker, at };
    let name = name_of_worker(&share.worker);
    alerts.happened(&news, || {
        let description = match kind {
            GoodNews::Block => {
                format!("{name} found a block: the pool's verdict is {}", judged.outcome.name())
            }
            GoodNews::NearMiss => format!(
                "{} came close to a block: {:.2} % of the network difficulty",
                name,
                rebuilt.difficulty / network * 100.0
            ),
            GoodNews::Best { before } => {
                format!("{} found the best share ever: {:.6}, after {before:.6}", name, rebuilt.difficulty)
            }
        };
        let evidence = json!({
            "worker": share.worker,
            "hash": rebuilt.hash.to_string(),
            "share_difficulty": rebuilt.difficulty,
            "network_difficulty": share.network_difficulty,
            "height": share.height.map(|height| height.0),
            "upstream": upstream,
            "session": judged.session.0,
            "outcome": judged.outcome.name(),
        });
        (description, evidence)
    })
}

/// Why a share is worth telling.
#[derive(Debug, Clone, Copy)]
pub(super) enum GoodNews {
    Block,
    NearMiss,
    /// Better than any before, of which the best had this difficulty.
    Best {
        before: f64,
    },
}
