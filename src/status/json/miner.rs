//! `/api/miner`: one miner, connected or not.

use super::devices::DevicesJson;
use super::miners::MinersJson;
use super::query::JsonQuery;
use super::text;
use super::value::TimeJson;
use crate::status::snapshot::StatusSnapshot;
use crate::status::worker_facts::WorkerFacts;

/// The document about the worker of the query. `None` if there is no such worker.
pub(super) fn miner(status: &StatusSnapshot, query: &JsonQuery<'_>) -> Option<String> {
    let facts = WorkerFacts::of(status, &query.text("worker")?)?;
    let (known, day) = (facts.known, facts.day());
    Some(text(&object!(
        at = TimeJson(status.at),
        worker = &facts.key,
        name = facts.name(),
        connected = !facts.connections.is_empty(),
        first_seen = known.map(|known| TimeJson(known.first_seen)),
        last_seen = known.filter(|known| !known.is_connected).map(|known| TimeJson(known.last_seen)),
        ip = facts.address().map(|address| address.to_string()),
        user_agent = facts.user_agent(),
        last_share = facts.last_share().map(TimeJson),
        best_ever = facts.best_ever(),
        hashrate_24h = day.map(|day| day.hash_rate),
        connected_seconds_24h = day.map(|day| day.connected),
        shares = facts.totals.map(|totals| object!(
            accepted = totals.accepted,
            rejected = totals.rejected,
            unanswered = totals.unanswered,
            unknown = totals.unknown,
            stale = totals.stale,
            reasons = &totals.reasons,
        )),
        connections = MinersJson { status, miners: facts.connections.clone() },
        devices = DevicesJson { status, devices: facts.devices().collect() },
    )))
}

/// The answer for a worker that is not known.
pub(super) fn unknown_miner() -> String {
    text(&object!(
        error = "no miner of this name is connected or known; the parameter worker is its whole name"
    ))
}
