//! The jobs in the JSON report.

use serde::Serialize;

use crate::verify::job::ObservedJob;
use crate::verify::jobs::ObservedJobs;

#[derive(Serialize)]
pub(super) struct JobsView {
    count: u64,
    telling: u64,
    clean: u64,
    empty: u64,
    unreadable: u64,
    list: Vec<VerifyJobJson>,
}

#[derive(Serialize)]
struct VerifyJobJson {
    number: u64,
    at: String,
    seconds: f64,
    job_id: String,
    clean: bool,
    after_authorize: bool,
    payout: &'static str,
    percent: f64,
    chain: &'static str,
    height: Option<u32>,
    prevhash: String,
    prevhash_meets_target: Option<bool>,
    nbits: String,
    ntime: u32,
    ntime_offset_seconds: i64,
    branches: usize,
    coinbase_bytes: usize,
}

impl JobsView {
    pub(super) fn of(jobs: &ObservedJobs) -> JobsView {
        JobsView {
            count: jobs.count,
            telling: jobs.telling,
            clean: jobs.clean,
            empty: jobs.empty,
            unreadable: jobs.unreadable,
            list: jobs.kept.iter().map(VerifyJobJson::of).collect(),
        }
    }
}

impl VerifyJobJson {
    fn of(job: &ObservedJob) -> VerifyJobJson {
        VerifyJobJson {
            number: job.number,
            at: job.at.clock.to_string(),
            seconds: job.at.since.as_secs_f64(),
            job_id: job.job_id.to_string(),
            clean: job.clean,
            after_authorize: job.is_named,
            payout: job.payout.state.as_str(),
            percent: job.payout.percent,
            chain: job.chain.state.as_str(),
            height: job.height.map(|height| height.0),
            prevhash: job.parent.to_string(),
            prevhash_meets_target: job.parent_work.is_met(),
            nbits: job.nbits.to_string(),
            ntime: job.ntime.0,
            ntime_offset_seconds: job.drift(),
            branches: job.branches,
            coinbase_bytes: job.coinbase_bytes,
        }
    }
}
