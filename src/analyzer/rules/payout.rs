//! `payout.*`: does a block pay the miner, and does the pool pay whom it used to?

use serde_json::{Value, json};

use super::super::finding::JobSeen;
use super::super::verdicts::{PayoutState, Unverifiable};
use super::{Tongue, seconds_between};
use crate::clock::NtpTime;
use crate::config::Severity;

const MISMATCH: (&str, Severity) = ("payout.mismatch", Severity::High);
const SHORT: (&str, Severity) = ("payout.short", Severity::High);
const UNVERIFIABLE: (&str, Severity) = ("payout.unverifiable", Severity::Info);
const CHANGED: (&str, Severity) = ("payout.changed", Severity::Medium);

/// A pool that has paid the same others for so long, in seconds and jobs, is expected to go on. Pools
/// that share a block out pay others in each one, and never get there.
const SETTLED_SECONDS: f64 = 1800.0;
const SETTLED_JOBS: u64 = 20;

#[derive(Debug, Default)]
pub(super) struct Payout {
    /// By upstream: whom it pays besides the miner, since when, by how many jobs.
    habits: Vec<(String, Habit)>,
}

#[derive(Debug, Clone)]
struct Habit {
    print: String,
    since: NtpTime,
    jobs: u64,
}

/// The most upstreams whose habits are known.
const MOST_HABITS: usize = 64;

impl Payout {
    pub(super) fn job(&mut self, job: &JobSeen, at: NtpTime, tongue: &mut Tongue<'_>) {
        let upstream = tongue.upstream(job.upstream);
        verdict(job, &upstream, at, tongue);
        self.habit(job, &upstream, at, tongue);
    }

    fn habit(&mut self, job: &JobSeen, upstream: &str, at: NtpTime, tongue: &mut Tongue<'_>) {
        // A job for nobody yet pays the pool; pooled pools pay whom they like.
        let Some(print) = &job.payees else { return };
        if matches!(job.payout.state, PayoutState::Unverifiable(_)) {
            return;
        }
        let place = self.habits.iter().position(|(name, _)| name == upstream);
        let Some(habit) = place.map(|place| &mut self.habits[place].1) else {
            if self.habits.len() < MOST_HABITS {
                let kept = tongue.state.fingerprint(upstream).and_then(|kept| kept["payees"].as_str());
                // What was kept had settled in an earlier run.
                let (print_before, jobs) =
                    kept.map_or((print.clone(), 0), |kept| (kept.to_owned(), u64::MAX / 2));
                let since = at;
                let habit = Habit { print: print_before, since, jobs };
                self.habits.push((upstream.to_owned(), habit));
                if jobs > 0 {
                    self.habit(job, upstream, at, tongue);
                }
            }
            return;
        };
        if habit.print == *print {
            habit.jobs += 1;
            let is_settled = habit.jobs == SETTLED_JOBS
                || (habit.jobs > SETTLED_JOBS && habit.jobs % 256 == 0 && habit.jobs < u64::MAX / 2);
            if is_settled && seconds_between(habit.since, at) >= SETTLED_SECONDS {
                tongue.keep(upstream, json!({ "payees": print, "since": habit.since.to_string() }));
            }
            return;
        }
        let had_settled = habit.jobs >= SETTLED_JOBS
            && (habit.jobs >= u64::MAX / 2 || seconds_between(habit.since, at) >= SETTLED_SECONDS);
        let before = std::mem::replace(habit, Habit { print: print.clone(), since: at, jobs: 1 });
        if had_settled {
            tongue.happened(CHANGED, upstream, at, || {
                let mut evidence = job_evidence(job);
                evidence["before"] = json!(before.print);
                evidence["now"] = json!(print);
                (format!("{upstream}: a block would pay others than before"), evidence)
            });
        }
    }
}

fn verdict(job: &JobSeen, upstream: &str, at: NtpTime, tongue: &mut Tongue<'_>) {
    let verdict = &job.payout;
    let address = verdict.expected.as_ref().map_or("", |expected| &expected.address);
    let about_money = format!("{upstream} {address}");
    // What another miner's name does not prove stays unproven: that state ends when it is not seen
    // any more.
    if !matches!(verdict.state, PayoutState::Unverifiable(_)) {
        if verdict.state != PayoutState::Mismatch {
            tongue.ends(MISMATCH.0, &about_money, at);
        }
        if verdict.state != PayoutState::Short {
            tongue.ends(SHORT.0, &about_money, at);
        }
    }
    match verdict.state {
        PayoutState::Verified | PayoutState::Unverifiable(Unverifiable::NoWorker | Unverifiable::Pooled) => {}
        PayoutState::Mismatch => tongue.lasts(MISMATCH, &about_money, at, || {
            (format!("{upstream}: a block would pay nothing to {address}"), money_evidence(job, address))
        }),
        PayoutState::Short => tongue.lasts(SHORT, &about_money, at, || {
            let percent = verdict.percent;
            (
                format!("{upstream}: a block would pay {address} only {percent:.2} %"),
                money_evidence(job, address),
            )
        }),
        PayoutState::Unverifiable(why) => tongue.lasts(UNVERIFIABLE, upstream, at, || {
            (format!("{upstream}: nobody can tell whom a block would pay: {why}"), job_evidence(job))
        }),
    }
}

fn money_evidence(job: &JobSeen, address: &str) -> Value {
    let mut evidence = job_evidence(job);
    evidence["expected"] = json!(address);
    evidence["percent"] = json!(job.payout.percent);
    evidence["total_sats"] = json!(job.payout.total.0);
    evidence["outputs"] = job
        .outputs
        .iter()
        .map(|output| {
            json!({
                "address": output.address,
                "kind": output.kind,
                "sats": output.value.0,
                "percent": output.percent,
            })
        })
        .collect();
    evidence
}

/// Which job it was.
pub(super) fn job_evidence(job: &JobSeen) -> Value {
    json!({
        "job_id": job.job_id.as_str(),
        "height": job.height.map(|height| height.0),
        "nbits": job.nbits.to_string(),
        "prevhash": crate::work::parent_hash(&job.prevhash).to_string(),
        "session": job.session.0,
    })
}
