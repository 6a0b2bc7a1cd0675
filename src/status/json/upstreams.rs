//! `/api/upstreams`: each pool's connection, jobs and responses; and the short form in `/status`.

use serde::{Serialize, Serializer};

use super::value::{LatencyJson, MILLISECONDS, TimeJson, number, percent};
use super::verdict::{ChainJson, PayoutJson};
use super::{text, value};
use crate::analyzer::{BlockSpread, Latency, PoolView};
use crate::status::snapshot::StatusSnapshot;
use crate::upstream::{PoolStatus, UpstreamState};

#[derive(Serialize)]
struct UpstreamsJson<'a> {
    at: TimeJson,
    upstreams: Vec<UpstreamFullJson<'a>>,
}

#[derive(Serialize)]
struct UpstreamFullJson<'a> {
    #[serde(flatten)]
    brief: UpstreamBriefJson<'a>,
    payout: PayoutJson<'a>,
    chain: ChainJson<'a>,
}

/// The short form in `/status`.
pub(super) struct UpstreamBriefJson<'a> {
    status: &'a StatusSnapshot,
    place: usize,
    state: &'a UpstreamState,
}

/// The newest block that has reached its miners.
struct NewBlockJson(BlockSpread);

/// Lists the upstreams in the order of preference.
pub(super) fn upstreams(status: &StatusSnapshot) -> String {
    let full = briefs(status).map(|brief| {
        let pool = status.pool(brief.place);
        UpstreamFullJson { brief, payout: PayoutJson { status, pool }, chain: ChainJson { status, pool } }
    });
    text(&UpstreamsJson { at: TimeJson(status.at), upstreams: full.collect() })
}

/// The short forms in the order of preference.
pub(super) fn briefs(status: &StatusSnapshot) -> impl Iterator<Item = UpstreamBriefJson<'_>> {
    let listed = status.runtime.listed().into_iter();
    listed.map(|(place, state)| UpstreamBriefJson { status, place, state })
}

impl Serialize for UpstreamBriefJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let UpstreamBriefJson { status, place, state } = *self;
        let pool = status.pool(place);
        let count = |count: fn(&PoolView) -> u64| pool.map_or(0, count);
        let (accepted, rejected) = (count(|pool| pool.accepted), count(|pool| pool.rejected));
        object!(
            to,
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
            answer_ms = LatencyJson(pool.map_or(&Latency::default(), |pool| &pool.answers), MILLISECONDS),
            new_block = pool.and_then(|pool| pool.new_block).map(NewBlockJson),
            payout_state = pool.and_then(|pool| Some(pool.payout.as_ref()?.state.as_str())),
            chain_state = pool.and_then(|pool| Some(pool.chain.as_ref()?.state.as_str())),
        )
    }
}

impl Serialize for NewBlockJson {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let BlockSpread { time, miners, age, median, blocks } = self.0;
        object!(
            to,
            seconds_ago = age.as_secs_f64(),
            miners = miners,
            spread_ms = time.as_secs_f64() * MILLISECONDS,
            median_spread_ms = median.as_secs_f64() * MILLISECONDS,
            blocks = blocks,
        )
    }
}
