//! `/api/shares`: the newest shares, with the column names of `shares.csv`.

use serde::Serialize;

use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::{TimeJson, name, number};
use crate::record::{ShareOutcome, ShareRow};
use crate::status::snapshot::StatusSnapshot;
use crate::stratum::Difficulty;

/// Caps `limit`. The analyzer keeps as many shares.
const MAX_LIMIT: usize = 200;

/// Lists the shares, newest first.
pub(super) fn shares(status: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    let limit = query.number("limit", 50, 1..=MAX_LIMIT)?;
    let worker = query.text("worker");
    let upstream = query.upstream(status.runtime.upstreams.len())?;
    let upstreams = &status.runtime.upstreams;
    let place = |share: &ShareRow| upstreams.iter().position(|one| one.url == share.upstream);
    let is_wanted = |share: &&ShareRow| {
        worker.as_ref().is_none_or(|worker| share.worker == *worker)
            && upstream.is_none_or(|wanted| place(share) == Some(wanted))
    };
    let wanted = || status.snapshot.recent.shares.iter().map(AsRef::as_ref).filter(is_wanted);
    Ok(text(&object!(
        at = TimeJson(status.at),
        // Of all that match the query.
        total = wanted().count(),
        shares = wanted().take(limit).map(|row| share(row, place(row), status)).collect::<Vec<_>>(),
    )))
}

/// One share. The names are the columns of `shares.csv`, except that `upstream` is a number.
fn share(share: &ShareRow, place: Option<usize>, status: &StatusSnapshot) -> impl Serialize {
    let (code, reason) = match &share.outcome {
        ShareOutcome::Rejected { code, reason } => (*code, reason.as_deref()),
        _ => (None, None),
    };
    object!(
        timestamp = TimeJson(share.at),
        miner_addr = share.miner.to_string(),
        worker = &share.worker,
        job_id = share.job_id.as_str(),
        nonce = share.nonce.to_string(),
        share_difficulty = share.share_difficulty,
        job_age_seconds = share.job_age.map(|age| age.as_secs_f64()),
        is_block = share.is_block,
        msg_id = &share.msg_id,
        assigned_difficulty = share.assigned_difficulty.map(Difficulty::value),
        result = share.outcome.name(),
        reject_code = code,
        reject_reason = reason,
        response_ms = share.response.map(|time| time.as_secs_f64() * 1e3),
        ntime = share.ntime.to_string(),
        version = share.version.map(|version| version.to_string()),
        extranonce1 = share.extranonce1.as_ref().map(ToString::to_string),
        extranonce2 = share.extranonce2.to_string(),
        hash = share.hash.map(|hash| hash.to_string()),
        height = share.height.map(|height| height.0),
        network_difficulty = share.network_difficulty,
        upstream = place.map(number),
        pool = name(&status.runtime.upstreams, place),
        session = share.session.0,
        user_agent = &share.user_agent,
    )
}
