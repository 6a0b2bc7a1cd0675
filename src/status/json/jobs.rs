//! `/api/jobs`: the newest jobs, with their verdicts.

use serde::Serialize;

use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::{TimeJson, name, number, seconds_between};
use crate::analyzer::RecentJob;
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;

/// Caps `limit`. The analyzer keeps as many jobs.
const MAX_LIMIT: usize = 100;

#[derive(Debug, Serialize)]
struct JobsJson<'a> {
    at: TimeJson,
    /// The number of kept jobs that match the query.
    total: usize,
    jobs: Vec<JobJson<'a>>,
}

#[derive(Debug, Serialize)]
struct JobJson<'a> {
    at: TimeJson,
    age_seconds: f64,
    upstream: Option<usize>,
    pool: Option<&'a str>,
    job_id: &'a str,
    miners: u32,
    height: Option<u32>,
    prevhash: String,
    nbits: String,
    network_difficulty: Option<f64>,
    ntime_unix: u32,
    ntime_minus_clock_seconds: f64,
    gap_seconds: Option<f64>,
    block_age_seconds: Option<f64>,
    branches: usize,
    clean: bool,
    coinbase_bytes: Option<usize>,
    tag: Option<&'a str>,
    payout_state: &'static str,
    payout_address: Option<&'a str>,
    payout_percent: Option<f64>,
    total_sats: u64,
    chain_state: &'static str,
    network: &'static str,
}

/// Lists the jobs, newest first. A job that several miners received is listed once, as the first of
/// them received it.
pub(super) fn jobs(status: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    let limit = query.number("limit", 20, 1..=MAX_LIMIT)?;
    let upstream = query.upstream(status.runtime.upstreams.len())?;
    let is_wanted = |recent: &&RecentJob| upstream.is_none_or(|place| recent.job.upstream == Some(place));
    let wanted = || status.snapshot.recent.jobs.iter().filter(is_wanted);
    Ok(text(&JobsJson {
        at: TimeJson(status.at),
        total: wanted().count(),
        jobs: wanted().take(limit).map(|recent| JobJson::of(recent, status)).collect(),
    }))
}

impl<'a> JobJson<'a> {
    fn of(recent: &'a RecentJob, status: &'a StatusSnapshot) -> JobJson<'a> {
        let job = recent.job.as_ref();
        JobJson {
            at: TimeJson(job.at),
            age_seconds: seconds_between(job.at, status.at),
            upstream: job.upstream.map(number),
            pool: name(&status.runtime.upstreams, job.upstream),
            job_id: job.job_id.as_str(),
            miners: recent.miners,
            height: job.height.map(|height| height.0),
            prevhash: job.parent.to_string(),
            nbits: job.nbits.to_string(),
            network_difficulty: job.network_difficulty,
            ntime_unix: job.ntime.0,
            ntime_minus_clock_seconds: job.time_difference,
            gap_seconds: job.gap.map(|gap| gap.as_secs_f64()),
            block_age_seconds: job.block_age.map(|age| age.as_secs_f64()),
            branches: job.branches,
            clean: job.clean,
            coinbase_bytes: Some(job.coinbase_length).filter(|length| *length > 0),
            tag: job.tag.as_deref(),
            payout_state: job.payout.state.as_str(),
            payout_address: job.payout.expected.as_ref().map(|expected| expected.address.as_str()),
            payout_percent: verdicts::percent(&job.payout),
            total_sats: job.payout.total.0,
            chain_state: job.chain.state.as_str(),
            network: job.chain.network,
        }
    }
}
