//! A connected miner, as `/status` and `/api/miners` show it.

use serde::Serialize;

use super::value::{Rates, Time, name, number, percent};
use crate::analyzer::{MinerView, PayoutState};
use crate::status::device::device;
use crate::status::sight::Sight;

/// The first six names are those of the original proxy, and never `null`.
#[derive(Debug, Serialize)]
pub(super) struct Client<'a> {
    ip: String,
    worker: &'a str,
    /// What the pool sees: in passthrough the same.
    upstream_user: &'a str,
    ok: u64,
    bad: u64,
    diff: f64,
    session: u64,
    user_agent: &'a str,
    device: Option<String>,
    upstream: Option<usize>,
    pool: Option<&'a str>,
    connected_since: Time,
    connected_seconds: f64,
    last_share: Option<Time>,
    last_share_seconds: Option<f64>,
    unanswered: u64,
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
}

impl<'a> Client<'a> {
    pub(super) fn of(miner: &'a MinerView, sight: &'a Sight) -> Client<'a> {
        Client {
            ip: miner.miner.to_string(),
            worker: &miner.worker,
            upstream_user: &miner.worker,
            ok: miner.accepted,
            bad: miner.rejected,
            diff: miner.difficulty,
            session: miner.session.0,
            user_agent: &miner.user_agent,
            device: device(&miner.user_agent),
            upstream: miner.upstream.map(number),
            pool: name(&sight.around.upstreams, miner.upstream),
            connected_since: Time(miner.connected_since),
            connected_seconds: miner.connected_for.as_secs_f64(),
            last_share: miner.last_share.map(Time),
            last_share_seconds: miner.last_share_ago.map(|ago| ago.as_secs_f64()),
            unanswered: miner.unanswered,
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
        }
    }
}
