//! The miners: `/api/miners` page by page, and all of them in `/status`. Those that are gone are a list of their own.

use std::collections::HashMap;

use serde::{Serialize, Serializer};

use super::query::{JsonQuery, JsonQueryError};
use super::text;
use super::value::{PairsJson, TimeJson, name, number, percent, windows};
use crate::analyzer::{KnownWorkerView, MinerView, PayoutState, WorkerTotals};
use crate::proxy::aggregate::name_at_pool;
use crate::status::snapshot::StatusSnapshot;
use crate::status::user_agent::device_name;
use crate::util::escape::printable;

/// Caps `limit`. So many miners take about 5 MB; the gate relays 8 MiB at most.
const MAX_LIMIT: usize = 5000;

/// Lists the miners in the order in which they connected.
pub(super) fn miners(status: &StatusSnapshot, query: &JsonQuery<'_>) -> Result<String, JsonQueryError> {
    let limit = query.number("limit", 100, 1..=MAX_LIMIT)?;
    let offset = query.number("offset", 0, 0..=usize::MAX)?;
    let worker = query.text("worker");
    let upstream = query.upstream(status.runtime.upstreams.len())?;
    let is_wanted = |miner: &&MinerView| {
        worker.as_ref().is_none_or(|worker| *miner.worker == **worker || printable(&miner.worker) == *worker)
            && upstream.is_none_or(|place| miner.upstream == Some(place))
    };
    let wanted = || status.snapshot.miners.iter().filter(is_wanted);
    // Nobody knows which upstream a miner that is gone would use.
    let is_wanted_offline = |known: &&KnownWorkerView| {
        upstream.is_none() && worker.as_ref().is_none_or(|worker| *known.worker == **worker)
    };
    let offline = || status.offline_workers().filter(is_wanted_offline);
    Ok(text(&object!(
        at = TimeJson(status.at),
        // Of all that match the query.
        total = wanted().count(),
        offset = offset,
        miners = MinersJson { status, miners: wanted().skip(offset).take(limit).collect() },
        offline_total = offline().count(),
        offline = OfflineJson { status, workers: offline().skip(offset).take(limit).collect() },
    )))
}

/// A list of known workers that have no connection.
pub(super) struct OfflineJson<'a> {
    pub(super) status: &'a StatusSnapshot,
    pub(super) workers: Vec<&'a KnownWorkerView>,
}

impl Serialize for OfflineJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.workers.iter().map(|known| {
            let agent = known.user_agent.as_deref();
            object!(
                worker = &*known.worker,
                connected = known.is_connected,
                last_seen = TimeJson(known.last_seen),
                offline_seconds = self.status.age_of(known.last_seen).as_secs(),
                first_seen = TimeJson(known.first_seen),
                ip = known.address.map(|address| address.to_string()),
                user_agent = agent,
                device = agent.and_then(device_name),
                best_ever = known.best_ever,
            )
        }))
    }
}

/// A list of connected miners. Each is built while it is written, since a farm's would take megabytes.
pub(super) struct MinersJson<'a> {
    pub(super) status: &'a StatusSnapshot,
    pub(super) miners: Vec<&'a MinerView>,
}

impl Serialize for MinersJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // Many miners have the same user agent.
        let mut devices: HashMap<&str, Option<String>> = HashMap::new();
        for miner in &self.miners {
            devices.entry(&miner.user_agent).or_insert_with(|| device_name(&miner.user_agent));
        }
        let device = |miner: &MinerView| devices.get(&*miner.user_agent)?.as_deref();
        let status = self.status;
        to.collect_seq(self.miners.iter().map(|one| miner(one, device(one), status)))
    }
}

/// One connected miner. The first six names are those of the original proxy and never `null`.
fn miner<'a>(miner: &'a MinerView, device: Option<&'a str>, status: &'a StatusSnapshot) -> impl Serialize {
    let totals = status.snapshot.totals.as_ref();
    let state = miner.upstream.and_then(|place| status.runtime.upstreams.get(place));
    let worker = totals.and_then(|totals| totals.workers.get(&*miner.worker));
    object!(
        ip = miner.miner.to_string(),
        worker = &*miner.worker,
        upstream_user =
            name_at_pool(&status.program.config, &miner.worker, state.map(|state| state.user.as_str()),),
        ok = miner.accepted,
        bad = miner.rejected,
        diff = miner.difficulty,
        session = miner.session.0,
        user_agent = &*miner.user_agent,
        device = device,
        upstream = miner.upstream.map(number),
        pool = name(&status.runtime.upstreams, miner.upstream),
        connected_since = TimeJson(miner.connected_since),
        connected_seconds = miner.connected_for.as_secs_f64(),
        last_share = miner.last_share.map(TimeJson),
        last_share_seconds = miner.last_share_ago.map(|ago| ago.as_secs_f64()),
        unanswered = miner.unanswered,
        unknown = miner.unknown,
        stale = miner.stale,
        accepted_percent = percent(miner.accepted, miner.rejected),
        accepted_difficulty = miner.accepted_difficulty,
        hashrate = PairsJson(windows(&miner.hash_rates)),
        best = Some(miner.best).filter(|best| *best > 0.0),
        best_ever = miner.best_ever.as_ref().map(|best| best.difficulty.value()),
        best_ever_at = miner.best_ever.as_ref().map(|best| TimeJson(best.at)),
        difficulty_since = miner.difficulty_since.map(TimeJson),
        extranonce1 = miner.extranonce1.as_ref().map(ToString::to_string),
        extranonce2_size = miner.extranonce2_size.map(|size| size.bytes()),
        payout = miner.payout.map(PayoutState::as_str),
        answer_ms = worker.and_then(WorkerTotals::mean_answer_time).map(|time| time.as_secs_f64() * 1e3),
        cadence_seconds = worker.and_then(WorkerTotals::mean_share_interval).map(|time| time.as_secs_f64()),
    )
}
