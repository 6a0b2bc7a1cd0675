//! `/api/jobs`: the newest jobs, with their verdicts.

use serde::Serialize;

use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::{TimeJson, name, number};
use crate::analyzer::RecentJob;
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;

/// Caps `limit`. The analyzer keeps as many jobs.
const MAX_LIMIT: usize = 100;

/// Lists the jobs, newest first. A job that several miners received is listed once, as the first of
/// them received it.
pub(super) fn jobs(status: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    let limit = query.number("limit", 20, 1..=MAX_LIMIT)?;
    let upstream = query.upstream(status.runtime.upstreams.len())?;
    let is_wanted = |recent: &&RecentJob| upstream.is_none_or(|place| recent.job.upstream == Some(place));
    let wanted = || status.snapshot.recent.jobs.iter().filter(is_wanted);
    Ok(text(&object!(
        at = TimeJson(status.at),
        // Of all that match the query.
        total = wanted().count(),
        jobs = wanted().take(limit).map(|recent| job(recent, status)).collect::<Vec<_>>(),
    )))
}

fn job(recent: &RecentJob, status: &StatusSnapshot) -> impl Serialize {
    let job = recent.job.as_ref();
    object!(
        at = TimeJson(job.at),
        age_seconds = status.age_of(job.at).as_secs_f64(),
        upstream = job.upstream.map(number),
        pool = name(&status.runtime.upstreams, job.upstream),
        job_id = job.job_id.as_str(),
        miners = recent.miners,
        height = job.height.map(|height| height.0),
        prevhash = job.parent.to_string(),
        nbits = job.nbits.to_string(),
        network_difficulty = job.network_difficulty,
        ntime_unix = job.ntime.0,
        ntime_minus_clock_seconds = job.time_difference,
        gap_seconds = job.gap.map(|gap| gap.as_secs_f64()),
        block_age_seconds = job.block_age.map(|age| age.as_secs_f64()),
        branches = job.branches,
        clean = job.clean,
        coinbase_bytes = Some(job.coinbase_length).filter(|length| *length > 0),
        tag = job.tag.as_deref(),
        payout_state = job.payout.state.as_str(),
        payout_address = job.payout.expected.as_ref().map(|expected| expected.address.as_str()),
        payout_percent = verdicts::percent(&job.payout),
        total_sats = job.payout.total.0,
        chain_state = job.chain.state.as_str(),
        network = job.chain.network,
    )
}
