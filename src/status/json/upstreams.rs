//! `/api/upstreams`: each pool, as dialling, its jobs and its answers show it; and the short form of
//! `/status`.

use serde::Serialize;

use super::text;
use super::value::{MILLISECONDS, Time, Times, number, percent};
use super::verdict::{Chain, Payout};
use crate::analyzer::{Latency, PoolView};
use crate::proxy::UpstreamState;
use crate::status::labels;
use crate::status::snapshot::Sight;
use crate::upstream::Standing;

#[derive(Debug, Serialize)]
struct Upstreams<'a> {
    at: Time,
    upstreams: Vec<Full<'a>>,
}

#[derive(Debug, Serialize)]
struct Full<'a> {
    #[serde(flatten)]
    brief: Brief<'a>,
    payout: Payout<'a>,
    chain: Chain<'a>,
}

/// The part of `/status`.
#[derive(Debug, Serialize)]
pub(super) struct Brief<'a> {
    upstream: usize,
    pool: &'a str,
    url: &'a str,
    /// Miners are with it until another works.
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
    answer_ms: Times,
    payout_state: Option<&'static str>,
    chain_state: Option<&'static str>,
}

/// In the order of preference.
pub(super) fn upstreams(sight: &Sight) -> String {
    let full = |(place, brief)| {
        let pool = view(sight, place);
        let verdict = pool.and_then(|pool| pool.payout.as_ref());
        Full { brief, payout: Payout::new(sight, pool, verdict), chain: Chain::new(sight, pool) }
    };
    text(&Upstreams { at: Time(sight.at), upstreams: listed(sight).map(full).collect() })
}

/// In the order of preference.
pub(super) fn briefs(sight: &Sight) -> Vec<Brief<'_>> {
    listed(sight).map(|(_, brief)| brief).collect()
}

fn listed(sight: &Sight) -> impl Iterator<Item = (usize, Brief<'_>)> {
    sight.around.listed().into_iter().map(|(place, state)| (place, Brief::of(sight, place, state)))
}

fn view(sight: &Sight, place: usize) -> Option<&PoolView> {
    sight.snapshot.pools.iter().find(|pool| pool.place == place)
}

impl<'a> Brief<'a> {
    fn of(sight: &'a Sight, place: usize, state: &'a UpstreamState) -> Brief<'a> {
        let pool = view(sight, place);
        let count = |count: fn(&PoolView) -> u64| pool.map_or(0, count);
        let (accepted, rejected) = (count(|pool| pool.accepted), count(|pool| pool.rejected));
        Brief {
            upstream: number(place),
            pool: &state.name,
            url: &state.url,
            is_listed: state.rank.is_some(),
            is_up: state.standing == Standing::Up,
            standing: labels::standing(state.standing),
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
            answer_ms: Times::of(pool.map_or(&Latency::default(), |pool| &pool.answers), MILLISECONDS),
            payout_state: pool.and_then(|pool| Some(pool.payout.as_ref()?.state.as_str())),
            chain_state: pool.and_then(|pool| Some(pool.chain.as_ref()?.state.as_str())),
        }
    }
}
