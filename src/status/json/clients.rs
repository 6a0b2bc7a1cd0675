//! A connected miner, as `/status` and `/api/miners` show it.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Serialize, Serializer};

use super::value::{Rates, Time, name, number, percent};
use crate::analyzer::{MinerView, PayoutState, WorkerTotals};
use crate::proxy::aggregate::name_at_pool;
use crate::status::snapshot::StatusSnapshot;
use crate::status::user_agent::device;

/// The first six names are those of the original proxy, and never `null`.
#[derive(Debug, Serialize)]
struct Client<'a> {
    ip: String,
    worker: &'a str,
    /// What the pool sees: in passthrough the same.
    upstream_user: Cow<'a, str>,
    ok: u64,
    bad: u64,
    diff: f64,
    session: u64,
    user_agent: &'a str,
    device: Option<&'a str>,
    upstream: Option<usize>,
    pool: Option<&'a str>,
    connected_since: Time,
    connected_seconds: f64,
    last_share: Option<Time>,
    last_share_seconds: Option<f64>,
    unanswered: u64,
    unknown: u64,
    stale: u64,
    accepted_percent: Option<f64>,
    accepted_difficulty: f64,
    hashrate: Rates,
    best: Option<f64>,
    best_ever: Option<f64>,
    best_ever_at: Option<Time>,
    difficulty_since: Option<Time>,
    extranonce1: Option<String>,
    extranonce2_size: Option<usize>,
    payout: Option<&'static str>,
    /// Of its worker, over all sessions of this run.
    answer_ms: Option<f64>,
    cadence_seconds: Option<f64>,
}

/// Some of the connected miners. Each is written as soon as it is made: a farm's would take megabytes.
#[derive(Debug)]
pub(super) struct Clients<'a> {
    sight: &'a StatusSnapshot,
    miners: Vec<&'a MinerView>,
    /// By user agent, of which there are few.
    devices: HashMap<&'a str, Option<String>>,
}

impl<'a> Clients<'a> {
    pub(super) fn of(sight: &'a StatusSnapshot, miners: impl Iterator<Item = &'a MinerView>) -> Clients<'a> {
        let (miners, mut devices): (Vec<&MinerView>, HashMap<_, _>) = (miners.collect(), HashMap::new());
        for miner in &miners {
            devices.entry(miner.user_agent.as_str()).or_insert_with(|| device(&miner.user_agent));
        }
        Clients { sight, miners, devices }
    }
}

impl Serialize for Clients<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let device = |miner: &MinerView| self.devices.get(miner.user_agent.as_str())?.as_deref();
        to.collect_seq(self.miners.iter().map(|miner| Client::of(miner, device(miner), self.sight)))
    }
}

impl<'a> Client<'a> {
    fn of(miner: &'a MinerView, device: Option<&'a str>, sight: &'a StatusSnapshot) -> Client<'a> {
        let totals = sight.snapshot.totals.as_ref();
        let state = miner.upstream.and_then(|place| sight.around.upstreams.get(place));
        let worker = totals.and_then(|totals| totals.workers.get(&miner.worker));
        Client {
            ip: miner.miner.to_string(),
            worker: &miner.worker,
            upstream_user: name_at_pool(
                &sight.facts.config,
                &miner.worker,
                state.map(|state| state.user.as_str()),
            ),
            ok: miner.accepted,
            bad: miner.rejected,
            diff: miner.difficulty,
            session: miner.session.0,
            user_agent: &miner.user_agent,
            device,
            upstream: miner.upstream.map(number),
            pool: name(&sight.around.upstreams, miner.upstream),
            connected_since: Time(miner.connected_since),
            connected_seconds: miner.connected_for.as_secs_f64(),
            last_share: miner.last_share.map(Time),
            last_share_seconds: miner.last_share_ago.map(|ago| ago.as_secs_f64()),
            unanswered: miner.unanswered,
            unknown: miner.unknown,
            stale: miner.stale,
            accepted_percent: percent(miner.accepted, miner.rejected),
            accepted_difficulty: miner.accepted_difficulty,
            hashrate: Rates::from(&miner.hash_rates),
            best: Some(miner.best).filter(|best| *best > 0.0),
            best_ever: miner.best_ever.as_ref().map(|best| best.difficulty.value()),
            best_ever_at: miner.best_ever.as_ref().map(|best| Time(best.at)),
            difficulty_since: miner.difficulty_since.map(Time),
            extranonce1: miner.extranonce1.as_ref().map(ToString::to_string),
            extranonce2_size: miner.extranonce2_size.map(|size| size.bytes()),
            payout: miner.payout.map(PayoutState::as_str),
            answer_ms: worker.and_then(WorkerTotals::mean_answer_time).map(|time| time.as_secs_f64() * 1e3),
            cadence_seconds: worker
                .and_then(WorkerTotals::mean_share_interval)
                .map(|time| time.as_secs_f64()),
        }
    }
}
