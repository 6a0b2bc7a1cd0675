//! The verdict on the observations: good, bad or unknown, with all findings.

use std::fmt;

use serde::Serialize;

use super::observations::{Authorized, Observations, PoolRefusal};
use super::phrases;
use super::settings::VerifySettings;
use super::watch::{WatchEnd, WatchReport};
use crate::analyzer::{ChainState, PayoutState, Unverifiable};
use crate::config::{PayoutKind, RulesConfig};
use crate::stratum::Reconnect;
use crate::util::escape::Printable;
use crate::util::format::count;

/// The outcome of a check, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyOutcome {
    /// Every job would pay the address, and nothing else is wrong.
    Good,
    /// The observations prove neither.
    Unknown,
    /// The pool pays somebody else, mines another coin, or rejects the miner.
    Bad,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyFinding {
    /// A stable id. It is the analyzer's rule id if there is such a rule.
    pub id: &'static str,
    pub weight: Weight,
    /// One sentence. Texts of the pool are escaped in it.
    pub text: String,
}

/// The effect of a finding on the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Good to know.
    Note,
    /// Worth a look, but decides nothing.
    Warning,
    Unknown,
    Bad,
}

impl VerifyOutcome {
    pub fn exit_code(self) -> u8 {
        match self {
            VerifyOutcome::Good => 0,
            VerifyOutcome::Bad => 1,
            VerifyOutcome::Unknown => 2,
        }
    }
}

/// The largest difference between a job's time and the clock, in seconds. The network rejects blocks
/// beyond it.
pub(super) fn max_drift() -> i64 {
    i64::try_from(RulesConfig::default().max_drift.as_secs()).unwrap_or(i64::MAX)
}

/// Judges a check. The deciding findings come first.
pub fn judge(watched: &WatchReport, settings: &VerifySettings) -> (VerifyOutcome, Vec<VerifyFinding>) {
    let mut findings = FindingList(Vec::new());
    findings.conversation(watched);
    findings.payout(watched, settings);
    findings.unreadable_jobs(&watched.observations);
    findings.chain(&watched.observations);
    findings.timing(watched);
    findings.behaviour(&watched.observations);
    let FindingList(mut findings) = findings;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    let outcome = match findings.first().map(|finding| finding.weight) {
        Some(Weight::Bad) => VerifyOutcome::Bad,
        Some(Weight::Unknown) => VerifyOutcome::Unknown,
        _ if watched.observations.jobs.all_pay() => VerifyOutcome::Good,
        _ => VerifyOutcome::Unknown,
    };
    (outcome, findings)
}

struct FindingList(Vec<VerifyFinding>);

impl FindingList {
    fn add(&mut self, weight: Weight, id: &'static str, text: impl fmt::Display) {
        self.0.push(VerifyFinding { id, weight, text: text.to_string() });
    }

    /// Judges the connection and the answers of the pool.
    fn conversation(&mut self, watched: &WatchReport) {
        let observations = &watched.observations;
        match &watched.end {
            WatchEnd::Unreachable(why) => {
                self.add(
                    Weight::Unknown,
                    "pool.unreachable",
                    format_args!("no connection: {}", Printable(why)),
                );
                return;
            }
            WatchEnd::Flood(what) => {
                self.add(
                    Weight::Unknown,
                    "pool.flood",
                    format_args!("the pool sent {what}, so the check stopped"),
                );
            }
            WatchEnd::Closed(why) if observations.jobs.telling < 2 && !is_refused(observations) => {
                let why = why.as_ref().map_or(String::new(), |why| format!(" ({})", Printable(why)));
                let weight = if observations.jobs.telling == 0 { Weight::Unknown } else { Weight::Warning };
                self.add(weight, "pool.closed", format!("the pool closed the connection{why}"));
            }
            WatchEnd::Stopped => {
                self.add(Weight::Note, "verify.stopped", "the check was stopped before its time was over")
            }
            WatchEnd::Closed(_) | WatchEnd::Enough | WatchEnd::Time => {}
        }
        if let Some(refusal) = &observations.subscribe_refused {
            let reason = pool_reason(refusal);
            self.add(Weight::Bad, "pool.refused", format_args!("the pool rejects mining.subscribe{reason}"));
        }
        match &observations.authorized {
            Authorized::Refused(refusal) => {
                let text = format!("the pool rejects this address as a user name{}", pool_reason(refusal));
                self.add(Weight::Bad, "pool.refused", text);
            }
            Authorized::Unanswered if observations.authorize_sent.is_some() => {
                self.add(Weight::Warning, "pool.unanswered", "mining.authorize was never answered");
            }
            Authorized::Unanswered | Authorized::Accepted => {}
        }
        if observations.lines == 0 {
            self.add(Weight::Unknown, "pool.silent", "the pool never sent anything");
        } else if observations.subscribed.is_none() && observations.subscribe_refused.is_none() {
            match &observations.space_doubt {
                Some(why) => {
                    let text = format!(
                        "the answer to mining.subscribe can't be read ({}), so it is unknown whom its jobs pay",
                        Printable(why)
                    );
                    self.add(Weight::Unknown, "job.unreadable", text);
                }
                None => self.add(Weight::Unknown, "pool.silent", "mining.subscribe was never answered"),
            }
        } else if observations.jobs.count == 0
            && observations.jobs.unreadable == 0
            && !is_refused(observations)
        {
            let text = "the pool sent no job: it has no work for this address, or none yet";
            self.add(Weight::Unknown, "pool.no_job", text);
        }
    }

    fn payout(&mut self, watched: &WatchReport, settings: &VerifySettings) {
        let jobs = &watched.observations.jobs;
        let Some(worst) = &jobs.worst else {
            if jobs.count > 0 && !is_refused(&watched.observations) {
                let text = "the only jobs came before the pool knew whom to pay; watch longer with --seconds";
                self.add(Weight::Unknown, "payout.unverifiable", text);
            }
            return;
        };
        let first = jobs.kept.iter().find(|job| job.is_named).map_or(1, |job| job.number);
        let which =
            if worst.number > first { format!("job {}", worst.number) } else { "its work".to_owned() };
        let percent = worst.payout.percent;
        match worst.payout.state {
            PayoutState::Verified => {}
            // The unreadable jobs have a finding of their own.
            PayoutState::Unverifiable(Unverifiable::Unreadable) => {}
            PayoutState::Unverifiable(_) => {
                let text = "a block would pay the pool, which is to share it out by its own books: no job can \
                            show whether it does";
                self.add(Weight::Unknown, "payout.unverifiable", text);
            }
            PayoutState::Short => {
                let least = settings.min_percent;
                let waste = worst.payout.waste().map_or(String::new(), |waste| format!(": {waste}"));
                let text =
                    format!("{which} pays this address only {percent:.2} %, less than {least} %{waste}");
                self.add(Weight::Bad, "payout.short", text);
            }
            PayoutState::Mismatch => {
                let text = "pays somebody else, and this address nothing";
                self.add(Weight::Bad, "payout.mismatch", format_args!("{which} {text}"));
                if settings.kind == PayoutKind::Solo {
                    let text = "a pool that shares blocks out by its own books (OCEAN, Braiins, F2Pool) is \
                                judged with --pooled";
                    self.add(Weight::Note, "payout.hint", text);
                }
            }
        }
    }

    fn chain(&mut self, observations: &Observations) {
        let Some(chain) = &observations.jobs.worst_chain else { return };
        if chain.state == ChainState::Wrong {
            let text = match chain.network {
                "mainnet" => {
                    let difficulty = phrases::number(chain.difficulty);
                    format!("this is not Bitcoin: the network difficulty of its work is {difficulty}")
                }
                network => format!("this is not Bitcoin's {network}: the difficulty is of another chain"),
            };
            self.add(Weight::Bad, "chain.wrong", text);
        }
        if let Some(job) = &observations.jobs.bad_parent {
            let text = format!(
                "job {} builds on {}, which is no valid block: its hash misses the target",
                job.number, job.parent
            );
            self.add(Weight::Bad, "chain.bad_prevhash", text);
        }
        if observations.jobs.went_back {
            self.add(Weight::Warning, "chain.height", "the height decreased from one job to the next");
        }
        if observations.jobs.empty > 0 {
            let (empty, jobs) = (observations.jobs.empty, observations.jobs.count);
            let text = if empty == jobs {
                "no job had any transactions but the coinbase".to_owned()
            } else {
                format!("{empty} of {} had no transactions, as after a new block", count(jobs, "job"))
            };
            self.add(Weight::Note, "chain.empty_job", text);
        }
    }

    fn timing(&mut self, watched: &WatchReport) {
        let observations = &watched.observations;
        if let Some(age) = observations.jobs.outdated_for(watched.lasted) {
            let age = phrases::span(age.as_secs_f64());
            let text = format!("no job has come for {age}: the last one may be out of date");
            self.add(Weight::Unknown, "timing.notify_gap", text);
        }
        let Some(drift) = observations.jobs.worst_drift else { return };
        let span = phrases::span(drift.unsigned_abs() as f64);
        let side = if drift > 0 { "ahead of" } else { "behind" };
        if drift.abs() > max_drift() {
            let text = format!(
                "a job's time is {span} {side} the clock (the network rejects such blocks; is this machine's \
                 clock right? --ntp asks)"
            );
            self.add(Weight::Bad, "timing.extreme", text);
        } else if drift.unsigned_abs() > RulesConfig::default().stale_job.as_secs() {
            let id = if drift > 0 { "timing.future_job" } else { "timing.old_job" };
            self.add(Weight::Warning, id, format_args!("a job's time is {span} {side} the clock"));
        }
    }

    fn behaviour(&mut self, observations: &Observations) {
        if let Some(reconnect) = &observations.reconnect {
            let Reconnect { host, port, .. } = &reconnect.target;
            let host = if host.is_empty() { "the same host" } else { host };
            let to = port.as_ref().map_or(host.to_owned(), |port| format!("{host}:{port}"));
            let (weight, text) = if reconnect.is_foreign {
                (Weight::Warning, "the pool sends miners to another host")
            } else {
                (Weight::Note, "the pool asks miners to reconnect")
            };
            self.add(weight, "pool.redirect", format!("{text}: {}", Printable(&to)));
        }
        for message in &observations.messages {
            self.add(Weight::Note, "pool.message", format!("the pool says: {}", Printable(message)));
        }
        if observations.extranonce_changed {
            let text = "the pool changed the extranonce1 of the running connection unasked";
            self.add(Weight::Warning, "extranonce.changed", text);
        }
        if observations.unreadable > 0 {
            let sample = Printable(observations.unreadable_sample.as_deref().unwrap_or_default());
            let were = if observations.unreadable == 1 { "was" } else { "were" };
            let text = format!(
                "{} {were} not Stratum, such as \"{sample}\"",
                count(observations.unreadable, "line")
            );
            self.add(Weight::Warning, "pool.nonsense", text);
        }
    }

    /// Reports jobs that miners may read and this check could not: they may pay anybody.
    fn unreadable_jobs(&mut self, observations: &Observations) {
        if observations.jobs.unreadable == 0 {
            return;
        }
        let why = observations.jobs.unreadable_reason.as_deref().unwrap_or_default();
        let (them, pay) =
            if observations.jobs.unreadable == 1 { ("it", "it pays") } else { ("them", "they pay") };
        let text = format!(
            "{} could not be read for certain, but miners may work on {them}: it is unknown whom {pay} ({})",
            count(observations.jobs.unreadable, "job"),
            Printable(why)
        );
        self.add(Weight::Unknown, "job.unreadable", text);
    }
}

fn is_refused(observations: &Observations) -> bool {
    observations.subscribe_refused.is_some() || matches!(observations.authorized, Authorized::Refused(_))
}

fn pool_reason(refusal: &PoolRefusal) -> String {
    match (&refusal.reason, refusal.code) {
        (Some(reason), Some(code)) => format!(": {} ({code})", Printable(reason)),
        (Some(reason), None) => format!(": {}", Printable(reason)),
        (None, Some(code)) => format!(" (code {code})"),
        (None, None) => " without a reason".to_owned(),
    }
}

#[cfg(test)]
mod tests;
