//! The figures of a report as they are shown, for all shares, a worker or a pool. Serialized, they are the JSON contract.

use serde::Serialize;

use super::absences::{Absence, AbsenceCause};
use super::fields::{UnixMs, time_text};
use super::records::NamedTally;
use super::statistics::{poisson_interval, proportion_interval};
use super::tally::ShareTally;
use crate::work::{HASHES_PER_DIFFICULTY, blocks_per_day, name_of_worker};

/// Caps the absences that are listed for one worker.
const MAX_LISTED_ABSENCES: usize = 20;

/// The figures of many shares. Without shares, times and rates are `null`.
#[derive(Debug, Clone, Serialize)]
pub struct ShareFigures {
    pub submitted: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub unanswered: u64,
    pub unknown: u64,
    pub stale: u64,
    pub duplicates: u64,
    pub below_difficulty: u64,
    pub proven_shares: u64,
    pub proven_difficulty: f64,
    pub accepted_difficulty: f64,
    /// H/s over the whole time of the report.
    pub hashrate: Option<f64>,
    /// The 95 % interval: luck moves the figure within it.
    pub hashrate_low: Option<f64>,
    pub hashrate_high: Option<f64>,
    /// Rejected among the accepted and rejected.
    pub reject_rate: Option<f64>,
    pub reject_rate_low: Option<f64>,
    pub reject_rate_high: Option<f64>,
    pub best_difficulty: Option<f64>,
    pub best_at: Option<String>,
    /// Shares that meet the network's target.
    pub blocks: u64,
    pub network_difficulty: Option<f64>,
    /// Blocks that this hash rate finds in a day on average.
    pub blocks_per_day: Option<f64>,
    pub assigned_difficulty_least: Option<f64>,
    pub assigned_difficulty_greatest: Option<f64>,
    pub assigned_difficulty_last: Option<f64>,
    pub answers_timed: u64,
    pub response_ms_p50: Option<f64>,
    pub response_ms_p99: Option<f64>,
    pub job_age_seconds_p50: Option<f64>,
    pub job_age_seconds_p99: Option<f64>,
    pub first_at: Option<String>,
    pub last_at: Option<String>,
}

/// The figures of one worker.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedWorker {
    pub worker: String,
    /// The name that a person has given to it.
    pub shown_name: Option<String>,
    #[serde(flatten)]
    pub shares: ShareFigures,
    /// The part of the report's time, from its first share on, in which it mined. Pauses of the pool and of Sluice are not held against it.
    /// `None` if the report is about one pool: it may have mined at another.
    pub uptime: Option<f64>,
    pub absent_seconds: f64,
    pub absences: Vec<ReportedAbsence>,
}

/// The figures of one pool.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedPool {
    pub upstream: String,
    #[serde(flatten)]
    pub shares: ShareFigures,
    pub jobs: u64,
    pub empty_jobs: u64,
    pub blocks_seen: u64,
    /// Seconds by which its jobs' times are ahead of the clock, on average.
    pub ntime_ahead_seconds: Option<f64>,
    /// Blocks for which another pool was there as well, and those for which this one was first.
    pub blocks_compared: u64,
    pub blocks_first: u64,
    /// Milliseconds from the first pool's job of a new block to this one's.
    pub new_block_lag_ms_p50: Option<f64>,
    pub new_block_lag_ms_p99: Option<f64>,
    pub outage_seconds: f64,
    pub outages: u64,
}

/// A time without shares of a worker.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedAbsence {
    pub from: String,
    pub to: String,
    pub seconds: f64,
    /// `sluice`, `pool`, `everything` or `miner`.
    pub cause: &'static str,
    /// Whether it still lasted at the end of the records.
    pub is_open: bool,
    #[serde(skip)]
    pub(super) reason: AbsenceCause,
    #[serde(skip)]
    pub(super) at: Absence,
}

impl ShareFigures {
    /// The figures of these shares, over `seconds`.
    pub(super) fn of(tally: &ShareTally, seconds: f64) -> ShareFigures {
        let rate = (seconds > 0.0).then(|| tally.proven_difficulty * HASHES_PER_DIFFICULTY / seconds);
        let count = tally.effective_shares();
        let (low, high) = poisson_interval(count);
        let part = |bound: f64| rate.filter(|_| count > 0.0).map(|rate| rate * bound / count);
        let rejects = proportion_interval(tally.rejected, tally.answered());
        let time = |at: UnixMs| (tally.submitted > 0).then(|| time_text(at));
        ShareFigures {
            submitted: tally.submitted,
            accepted: tally.accepted,
            rejected: tally.rejected,
            unanswered: tally.unanswered,
            unknown: tally.unknown,
            stale: tally.stale,
            duplicates: tally.duplicates,
            below_difficulty: tally.below_difficulty,
            proven_shares: tally.proven_shares,
            proven_difficulty: tally.proven_difficulty,
            accepted_difficulty: tally.accepted_difficulty,
            hashrate: rate,
            hashrate_low: part(low),
            hashrate_high: part(high),
            reject_rate: rejects.map(|_| tally.rejected as f64 / tally.answered() as f64),
            reject_rate_low: rejects.map(|(low, _)| low),
            reject_rate_high: rejects.map(|(_, high)| high),
            best_difficulty: tally.best.map(|best| best.difficulty),
            best_at: tally.best.map(|best| time_text(best.at)),
            blocks: tally.blocks,
            network_difficulty: tally.network_difficulty,
            blocks_per_day: rate.and_then(|rate| blocks_per_day(rate, tally.network_difficulty)),
            assigned_difficulty_least: tally.least_assigned,
            assigned_difficulty_greatest: tally.greatest_assigned,
            assigned_difficulty_last: tally.last_assigned,
            answers_timed: tally.response.total(),
            response_ms_p50: tally.response.quantile(0.5),
            response_ms_p99: tally.response.quantile(0.99),
            job_age_seconds_p50: tally.job_age.quantile(0.5),
            job_age_seconds_p99: tally.job_age.quantile(0.99),
            first_at: time(tally.first_at),
            last_at: time(tally.last_at),
        }
    }

    /// Accepted and rejected shares.
    pub fn answered(&self) -> u64 {
        self.accepted + self.rejected
    }
}

impl ReportedWorker {
    /// The name that a person has given to it and its own, without the address.
    pub(super) fn shown(&self) -> String {
        let own = name_of_worker(&self.worker);
        match &self.shown_name {
            Some(given) if given != own => format!("{given} ({own})"),
            _ => own.to_owned(),
        }
    }

    /// The figures of a worker. `cause` says why it was absent.
    pub(super) fn of(
        named: &NamedTally,
        seconds: f64,
        end: UnixMs,
        cause: impl Fn(&Absence) -> AbsenceCause,
    ) -> ReportedWorker {
        let own = |absence: &Absence, cause: AbsenceCause| {
            if cause == AbsenceCause::Miner { absence.length_ms() } else { 0 }
        };
        let mut absent = 0;
        let mut absences: Vec<ReportedAbsence> = Vec::new();
        for absence in &named.pauses.absences {
            let reason = cause(absence);
            absent += own(absence, reason);
            absences.push(ReportedAbsence {
                from: time_text(absence.from),
                to: time_text(absence.to),
                seconds: absence.length_ms() as f64 / 1000.0,
                cause: reason.as_str(),
                is_open: absence.is_open,
                reason,
                at: *absence,
            });
        }
        // The one that still lasts is listed, however short.
        absences.sort_by_key(|absence| std::cmp::Reverse((absence.is_open, absence.at.length_ms())));
        absences.truncate(MAX_LISTED_ABSENCES);
        absences.sort_by_key(|absence| absence.at.from);
        let present = end - named.tally.first_at.min(end);
        ReportedWorker {
            worker: named.name.clone(),
            shown_name: None,
            shares: ShareFigures::of(&named.tally, seconds),
            uptime: (present > 0 && !named.is_part).then(|| (1.0 - absent as f64 / present as f64).max(0.0)),
            absent_seconds: absent as f64 / 1000.0,
            absences,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_name_stands_before_the_workers_own() {
        let (tally, pauses) = (ShareTally::new(4), Default::default());
        let named =
            NamedTally { name: String::from("rig-1"), tally, pauses, by_pool: Vec::new(), is_part: false };
        let mut worker = ReportedWorker::of(&named, 0.0, 0, |_| AbsenceCause::Miner);
        assert_eq!(worker.shown(), "rig-1");
        worker.shown_name = Some(String::from("Kitchen"));
        assert_eq!(worker.shown(), "Kitchen (rig-1)");
    }
}
