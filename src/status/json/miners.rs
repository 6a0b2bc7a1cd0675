//! `/api/miners`: the connected miners, page by page.

use serde::Serialize;

use super::clients::MinersJson;
use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::TimeJson;
use crate::analyzer::MinerView;
use crate::status::snapshot::StatusSnapshot;
use crate::util::escape::printable;

/// Caps `limit`. So many miners take about 5 MB; the gate relays 8 MiB at most.
const MAX_LIMIT: usize = 5000;

#[derive(Debug, Serialize)]
struct MinersPageJson<'a> {
    at: TimeJson,
    /// The number of miners that match the query.
    total: usize,
    offset: usize,
    miners: MinersJson<'a>,
}

/// Lists the miners in the order in which they connected.
pub(super) fn miners(status: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    let limit = query.number("limit", 100, 1..=MAX_LIMIT)?;
    let offset = query.number("offset", 0, 0..=usize::MAX)?;
    let worker = query.text("worker");
    let upstream = query.upstream(status.runtime.upstreams.len())?;
    let is_wanted = |miner: &&MinerView| {
        worker.as_ref().is_none_or(|worker| miner.worker == *worker || printable(&miner.worker) == *worker)
            && upstream.is_none_or(|place| miner.upstream == Some(place))
    };
    let wanted = || status.snapshot.miners.iter().filter(is_wanted);
    Ok(text(&MinersPageJson {
        at: TimeJson(status.at),
        total: wanted().count(),
        offset,
        miners: MinersJson::of(status, wanted().skip(offset).take(limit)),
    }))
}
