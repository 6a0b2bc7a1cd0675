//! Metrics of each upstream. The label `upstream` is its number, since the same pool can be configured
//! twice.

use std::time::Duration;

use super::shares::results;
use super::text::{MetricsText, label};
use crate::analyzer::{PoolReach, PoolView};
use crate::status::json::value::standing;
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;
use crate::upstream::{PoolStatus, UpstreamState};

/// The histogram bounds for response times.
const ANSWER_BUCKETS_MILLIS: [u64; 14] =
    [1, 5, 10, 20, 50, 100, 150, 200, 300, 500, 1000, 2000, 5000, 30_000];
/// The state before the first job.
const NO_VERDICT: &str = "none";
const PAYOUT_STATES: [&str; 5] = ["verified", "unverifiable", "short", "mismatch", NO_VERDICT];
const CHAIN_STATES: [&str; 4] = ["plausible", "unknown", "wrong", NO_VERDICT];
const STANDINGS: [&str; 4] = ["untried", "up", "failed", "blocked"];

/// An upstream with the values of its labels.
struct UpstreamMetrics<'a> {
    number: String,
    name: String,
    state: &'a UpstreamState,
    view: Option<&'a PoolView>,
}

impl UpstreamMetrics<'_> {
    fn labels(&self) -> [(&'static str, &str); 2] {
        [("upstream", &self.number), ("pool", &self.name)]
    }
}

pub(super) fn write(to: &mut MetricsText, status: &StatusSnapshot) {
    let listed = status.runtime.listed().into_iter();
    let all: Vec<UpstreamMetrics<'_>> = listed
        .map(|(place, state)| UpstreamMetrics {
            number: (place + 1).to_string(),
            name: label(&state.name),
            state,
            view: status.pool(place),
        })
        .collect();
    let reach = status.runtime.pool_reach();
    let help = "1 while a miner that connects would get a pool, whether one is connected now or not.";
    to.gauge("sluice_pool_reachable", help, reach.iter().any(PoolReach::is_usable));
    to.gauge("sluice_failed_over", "1 while a miner works on a less preferred pool.", is_failed_over(&all));
    let connected = all.iter().any(|one| one.state.sessions > 0 && one.state.standing == PoolStatus::Up);
    to.gauge(
        "sluice_upstream_connected",
        "1 while a miner is connected to an upstream that is up.",
        connected,
    );
    health(to, &all);
    states(to, &all);
    shares(to, &all);
}

/// Whether a miner works on a pool that is not the most preferred one. Miners of a pool that is not listed any more are
/// about to move.
fn is_failed_over(all: &[UpstreamMetrics<'_>]) -> bool {
    let preferred = all.iter().filter_map(|one| one.state.rank).min();
    all.iter().any(|one| one.state.sessions > 0 && one.state.rank.is_some() && one.state.rank != preferred)
}

fn health(to: &mut MetricsText, all: &[UpstreamMetrics<'_>]) {
    let mut gauge = |name, help, of: &dyn Fn(&UpstreamMetrics<'_>) -> Option<f64>| {
        let mut family = to.gauges(name, help);
        for one in all {
            family.sample(&one.labels(), of(one));
        }
    };
    gauge("sluice_upstream_up", "1 while the upstream is up.", &|one| {
        Some(f64::from(u8::from(one.state.standing == PoolStatus::Up)))
    });
    gauge("sluice_upstream_sessions", "Miners connected to the upstream.", &|one| {
        Some(one.state.sessions as f64)
    });
    let help = "Time since the pool last sent anything to one of its miners.";
    gauge("sluice_upstream_silence_seconds", help, &|one| one.state.heard_ago.map(|ago| ago.as_secs_f64()));
    let help = "Time from the pool's newest block to the last miner's socket.";
    gauge("sluice_new_block_spread_seconds", help, &|one| Some(one.view?.new_block?.time.as_secs_f64()));
    gauge("sluice_new_block_miners", "Miners that the pool's newest block has reached.", &|one| {
        Some(one.view?.new_block?.miners as f64)
    });
    gauge("sluice_payout_ratio", "Part of a block that the expected address would get.", &|one| {
        verdicts::percent(one.view?.payout.as_ref()?).map(|percent| percent / 100.0)
    });
    gauge("sluice_payout_total_btc", "Total payout of a block, in bitcoins.", &|one| {
        one.view?.payout.as_ref().map(|verdict| verdict.total.0 as f64 / 1e8)
    });
}

fn states(to: &mut MetricsText, all: &[UpstreamMetrics<'_>]) {
    let mut states = |name, help, states: &[&str], of: fn(&UpstreamMetrics<'_>) -> Option<&'static str>| {
        let mut family = to.gauges(name, help);
        for one in all {
            family.state(&one.labels(), states, of(one).unwrap_or(NO_VERDICT));
        }
    };
    let help = "1 for the state of the upstream, 0 for the other states.";
    states("sluice_upstream_standing", help, &STANDINGS, |one| Some(standing(one.state.standing)));
    let help = "1 for the payout verdict on the newest jobs, 0 for the others.";
    states("sluice_payout_state", help, &PAYOUT_STATES, |one| {
        Some(one.view?.payout.as_ref()?.state.as_str())
    });
    let help = "1 for the chain verdict on the newest jobs, 0 for the others.";
    states("sluice_chain_state", help, &CHAIN_STATES, |one| Some(one.view?.chain.as_ref()?.state.as_str()));
}

fn shares(to: &mut MetricsText, all: &[UpstreamMetrics<'_>]) {
    let viewed = || all.iter().filter_map(|one| Some((one.labels(), one.view?)));
    let mut family = to.counters("sluice_upstream_shares_total", "Shares by pool and result.");
    for (labels, view) in viewed() {
        let PoolView { accepted, rejected, unanswered, unknown, .. } = view;
        family.samples(&labels, "result", results([*accepted, *rejected, *unanswered, *unknown]));
    }
    let mut family =
        to.histograms("sluice_pool_answer_seconds", "Time from a submit to the pool's response.");
    for (labels, view) in viewed() {
        family.histogram(&labels, &view.answers, &ANSWER_BUCKETS_MILLIS.map(Duration::from_millis));
    }
}
