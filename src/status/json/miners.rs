//! `/api/miners`: the connected miners, page by page.

use serde::Serialize;

use super::clients::Clients;
use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::Time;
use crate::analyzer::MinerView;
use crate::status::snapshot::StatusSnapshot;
use crate::util::escape::printable;

/// Caps `limit`. So many miners take about 5 MB; the gate relays 8 MiB at most.
const MOST: usize = 5000;

#[derive(Debug, Serialize)]
struct Miners<'a> {
    at: Time,
    /// The number of miners that match the query.
    total: usize,
    offset: usize,
    miners: Clients<'a>,
}

/// Lists the miners in the order in which they connected.
pub(super) fn miners(sight: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    let limit = query.number("limit", 100, 1..=MOST)?;
    let offset = query.number("offset", 0, 0..=usize::MAX)?;
    let worker = query.text("worker");
    let upstream = query.upstream(sight.around.upstreams.len())?;
    let is_wanted = |miner: &&MinerView| {
        worker.as_ref().is_none_or(|worker| miner.worker == *worker || printable(&miner.worker) == *worker)
            && upstream.is_none_or(|place| miner.upstream == Some(place))
    };
    let wanted = || sight.snapshot.miners.iter().filter(is_wanted);
    Ok(text(&Miners {
        at: Time(sight.at),
        total: wanted().count(),
        offset,
        miners: Clients::of(sight, wanted().skip(offset).take(limit)),
    }))
}
