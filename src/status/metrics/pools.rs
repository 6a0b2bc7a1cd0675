//! Metrics of each upstream. The label `upstream` is its number, since the same pool can be configured
//! twice.

use std::time::Duration;

use super::text::{MetricKind, MetricsText, label};
use crate::analyzer::PoolView;
use crate::proxy::UpstreamState;
use crate::status::json::value::standing;
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;
use crate::upstream::PoolStatus;

/// The histogram bounds for response times.
const ANSWER_BUCKETS_MILLIS: [u64; 14] =
    [1, 5, 10, 20, 50, 100, 150, 200, 300, 500, 1000, 2000, 5000, 30_000];
/// The state before the first job.
const NO_VERDICT: &str = "none";
const PAYOUT_STATES: [&str; 5] = ["verified", "unverifiable", "short", "mismatch", NO_VERDICT];
const CHAIN_STATES: [&str; 4] = ["plausible", "unknown", "wrong", NO_VERDICT];
const STANDINGS: [&str; 3] = ["untried", "up", "failed"];

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
    let states = status.runtime.listed().into_iter();
    let all: Vec<UpstreamMetrics<'_>> = states
        .map(|(place, state)| UpstreamMetrics {
            number: (place + 1).to_string(),
            name: label(&state.name),
            state,
            view: status.pool(place),
        })
        .collect();
    let connected = all.iter().any(|one| one.state.sessions > 0 && one.state.standing == PoolStatus::Up);
    to.gauge(
        "sluice_upstream_connected",
        "1 while a miner is connected to an upstream that is up.",
        Some(f64::from(u8::from(connected))),
    );
    health(to, &all);
    verdict_states(to, &all);
    shares(to, &all);
}

fn health(to: &mut MetricsText, all: &[UpstreamMetrics<'_>]) {
    let mut gauge = |name, help, of: &dyn Fn(&UpstreamMetrics<'_>) -> Option<f64>| {
        let mut family = to.family(name, MetricKind::Gauge, help);
        for one in all {
            if let Some(value) = of(one) {
                family.sample(&one.labels(), value);
            }
        }
    };
    gauge("sluice_upstream_up", "1 while the upstream is up.", &|one| {
        Some(f64::from(u8::from(one.state.standing == PoolStatus::Up)))
    });
    gauge("sluice_upstream_sessions", "Miners connected to the upstream.", &|one| {
        Some(one.state.sessions as f64)
    });
    gauge(
        "sluice_upstream_silence_seconds",
        "Time since the pool last sent anything to one of its miners.",
        &|one| one.state.heard_ago.map(|ago| ago.as_secs_f64()),
    );
    gauge("sluice_payout_ratio", "Part of a block that the expected address would get.", &|one| {
        verdicts::percent(one.view?.payout.as_ref()?).map(|percent| percent / 100.0)
    });
    gauge("sluice_payout_total_btc", "Total payout of a block, in bitcoins.", &|one| {
        one.view?.payout.as_ref().map(|verdict| verdict.total.0 as f64 / 1e8)
    });
    let mut family = to.family(
        "sluice_upstream_standing",
        MetricKind::Gauge,
        "1 for the state of the upstream, 0 for the other states.",
    );
    for one in all {
        family.state(&one.labels(), "state", &STANDINGS, standing(one.state.standing));
    }
}

fn verdict_states(to: &mut MetricsText, all: &[UpstreamMetrics<'_>]) {
    let mut family = to.family(
        "sluice_payout_state",
        MetricKind::Gauge,
        "1 for the payout verdict on the newest jobs, 0 for the others.",
    );
    for one in all {
        let state =
            one.view.and_then(|view| view.payout.as_ref()).map_or(NO_VERDICT, |payout| payout.state.as_str());
        family.state(&one.labels(), "state", &PAYOUT_STATES, state);
    }
    let mut family = to.family(
        "sluice_chain_state",
        MetricKind::Gauge,
        "1 for the chain verdict on the newest jobs, 0 for the others.",
    );
    for one in all {
        let state =
            one.view.and_then(|view| view.chain.as_ref()).map_or(NO_VERDICT, |chain| chain.state.as_str());
        family.state(&one.labels(), "state", &CHAIN_STATES, state);
    }
}

fn shares(to: &mut MetricsText, all: &[UpstreamMetrics<'_>]) {
    let mut family =
        to.family("sluice_upstream_shares_total", MetricKind::Counter, "Shares by pool and result.");
    for one in all {
        let Some(view) = one.view else { continue };
        let [number, name] = one.labels();
        let results = [
            ("accepted", view.accepted),
            ("rejected", view.rejected),
            ("unanswered", view.unanswered),
            ("unknown", view.unknown),
        ];
        for (result, count) in results {
            family.count(&[number, name, ("result", result)], count);
        }
    }
    let mut family = to.family(
        "sluice_pool_answer_seconds",
        MetricKind::Histogram,
        "Time from a submit to the pool's response.",
    );
    for one in all {
        if let Some(view) = one.view {
            family.histogram(&one.labels(), &view.answers, &ANSWER_BUCKETS_MILLIS.map(Duration::from_millis));
        }
    }
}
