//! `/api/miners`: the connected miners, page by page.

use serde::Serialize;

use super::clients::Clients;
use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::Time;
use crate::analyzer::MinerView;
use crate::status::snapshot::StatusSnapshot;
use crate::util::escape::printable;

/// About 5 MB; what the server passes on is bounded.
const MOST: usize = 5000;

#[derive(Debug, Serialize)]
struct Miners<'a> {
    at: Time,
    /// How many there are that were asked for.
    total: usize,
    offset: usize,
    miners: Clients<'a>,
}

/// In the order in which they connected.
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
