//! `/api/upstreams`: each pool's connection, jobs and responses; and the short form in `/status`.

use serde::Serialize;

use super::value::{LatencyJson, MILLISECONDS, TimeJson, number, percent};
use super::verdict::{ChainJson, PayoutJson};
use super::{text, value};
use crate::analyzer::{Latency, PoolView};
use crate::proxy::UpstreamState;
use crate::status::snapshot::StatusSnapshot;
use crate::upstream::PoolStatus;

#[derive(Debug, Serialize)]
struct UpstreamsJson<'a> {
    at: TimeJson,
    upstreams: Vec<UpstreamFullJson<'a>>,
}

#[derive(Debug, Serialize)]
struct UpstreamFullJson<'a> {
    #[serde(flatten)]
    brief: UpstreamBriefJson<'a>,
    payout: PayoutJson<'a>,
    chain: ChainJson<'a>,
}

/// The short form in `/status`.
#[derive(Debug, Serialize)]
pub(super) struct UpstreamBriefJson<'a> {
    upstream: usize,
    pool: &'a str,
    url: &'a str,
    /// False for an upstream that was removed from the configuration while miners are still connected to it.
    is_listed: bool,
    is_up: bool,
    standing: &'static str,
    sessions: usize,
    heard_seconds_ago: Option<f64>,
    blocked: Option<&'a str>,
    trouble: Option<&'a str>,
    retry_seconds: Option<f64>,
    accepted: u64,
    rejected: u64,
    unanswered: u64,
    unknown: u64,
    accepted_percent: Option<f64>,
    answer_ms: LatencyJson,
    payout_state: Option<&'static str>,
    chain_state: Option<&'static str>,
}

/// Lists the upstreams in the order of preference.
pub(super) fn upstreams(status: &StatusSnapshot) -> String {
    let full = |(place, brief)| {
        let pool = view(status, place);
        let verdict = pool.and_then(|pool| pool.payout.as_ref());
        UpstreamFullJson {
            brief,
            payout: PayoutJson::new(status, pool, verdict),
            chain: ChainJson::new(status, pool),
        }
    };
    text(&UpstreamsJson { at: TimeJson(status.at), upstreams: listed(status).map(full).collect() })
}

/// Lists the short forms in the order of preference.
pub(super) fn briefs(status: &StatusSnapshot) -> Vec<UpstreamBriefJson<'_>> {
    listed(status).map(|(_, brief)| brief).collect()
}

fn listed(status: &StatusSnapshot) -> impl Iterator<Item = (usize, UpstreamBriefJson<'_>)> {
    status
        .runtime
        .listed()
        .into_iter()
        .map(|(place, state)| (place, UpstreamBriefJson::of(status, place, state)))
}

fn view(status: &StatusSnapshot, place: usize) -> Option<&PoolView> {
    status.snapshot.pools.iter().find(|pool| pool.place == place)
}

impl<'a> UpstreamBriefJson<'a> {
    fn of(status: &'a StatusSnapshot, place: usize, state: &'a UpstreamState) -> UpstreamBriefJson<'a> {
        let pool = view(status, place);
        let count = |count: fn(&PoolView) -> u64| pool.map_or(0, count);
        let (accepted, rejected) = (count(|pool| pool.accepted), count(|pool| pool.rejected));
        UpstreamBriefJson {
            upstream: number(place),
            pool: &state.name,
            url: &state.url,
            is_listed: state.rank.is_some(),
            is_up: state.standing == PoolStatus::Up,
            standing: value::standing(state.standing),
            sessions: state.sessions,
            heard_seconds_ago: state.heard_ago.map(|ago| ago.as_secs_f64()),
            blocked: state.blocked.as_deref(),
            trouble: state.trouble.as_ref().map(|(what, _)| what.as_str()),
            retry_seconds: state.trouble.as_ref().map(|(_, until)| until.as_secs_f64()),
            accepted,
            rejected,
            unanswered: count(|pool| pool.unanswered),
            unknown: count(|pool| pool.unknown),
            accepted_percent: percent(accepted, rejected),
            answer_ms: LatencyJson::of(pool.map_or(&Latency::default(), |pool| &pool.answers), MILLISECONDS),
            payout_state: pool.and_then(|pool| Some(pool.payout.as_ref()?.state.as_str())),
            chain_state: pool.and_then(|pool| Some(pool.chain.as_ref()?.state.as_str())),
        }
    }
}
