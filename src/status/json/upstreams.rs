//! `/api/upstreams`: each pool's connection, jobs and responses; and the short form in `/status`.

use serde::Serialize;

use super::object::{Fields, Object};
use super::value::{MILLISECONDS, TimeJson, latency, number, percent};
use super::verdict::{chain, payout};
use super::{text, value};
use crate::analyzer::{BlockSpread, Latency, PoolView};
use crate::status::snapshot::StatusSnapshot;
use crate::upstream::{PoolStatus, UpstreamState};

/// Lists the upstreams in the order of preference.
pub(super) fn upstreams(status: &StatusSnapshot) -> String {
    let full = |(place, state)| {
        let pool = status.pool(place);
        brief(status, place, state).and(object!(payout = payout(status, pool), chain = chain(status, pool)))
    };
    let upstreams: Vec<_> = status.runtime.listed().into_iter().map(full).collect();
    text(&object!(at = TimeJson(status.at), upstreams = upstreams))
}

/// The short forms in the order of preference.
pub(super) fn briefs(status: &StatusSnapshot) -> Vec<impl Serialize> {
    status.runtime.listed().into_iter().map(|(place, state)| brief(status, place, state)).collect()
}

/// The short form in `/status`.
fn brief<'a>(status: &'a StatusSnapshot, place: usize, state: &'a UpstreamState) -> Object<impl Fields> {
    let pool = status.pool(place);
    let count = |count: fn(&PoolView) -> u64| pool.map_or(0, count);
    let (accepted, rejected) = (count(|pool| pool.accepted), count(|pool| pool.rejected));
    object!(
        upstream = number(place),
        pool = &state.name,
        url = &state.url,
        is_listed = state.rank.is_some(),
        is_up = state.standing == PoolStatus::Up,
        standing = value::standing(state.standing),
        sessions = state.sessions,
        heard_seconds_ago = state.heard_ago.map(|ago| ago.as_secs_f64()),
        blocked = state.blocked.as_deref(),
        trouble = state.trouble.as_ref().map(|(what, _)| what.as_str()),
        retry_seconds = state.trouble.as_ref().map(|(_, until)| until.as_secs_f64()),
        accepted = accepted,
        rejected = rejected,
        unanswered = count(|pool| pool.unanswered),
        unknown = count(|pool| pool.unknown),
        accepted_percent = percent(accepted, rejected),
        answer_ms = latency(pool.map_or(&Latency::default(), |pool| &pool.answers), MILLISECONDS),
        new_block = pool.and_then(|pool| pool.new_block).map(new_block),
        payout_state = pool.and_then(|pool| Some(pool.payout.as_ref()?.state.as_str())),
        chain_state = pool.and_then(|pool| Some(pool.chain.as_ref()?.state.as_str())),
    )
}

/// The newest block that has reached its miners.
fn new_block(BlockSpread { time, miners, age, median, blocks }: BlockSpread) -> impl Serialize {
    object!(
        seconds_ago = age.as_secs_f64(),
        miners = miners,
        spread_ms = time.as_secs_f64() * MILLISECONDS,
        median_spread_ms = median.as_secs_f64() * MILLISECONDS,
        blocks = blocks,
    )
}
