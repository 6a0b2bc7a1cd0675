//! The payout and chain verdicts.

use serde::Serialize;

use super::value::{TimeJson, name, number, seconds_between};
use crate::analyzer::{ChainState, JobView, OutputView, PayoutState, PayoutVerdict, PoolView};
use crate::config::PayoutKind;
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;

/// The payout verdict: the outputs of a block.
#[derive(Debug, Serialize)]
pub(super) struct PayoutJson<'a> {
    state: Option<&'static str>,
    reason: Option<String>,
    kind: &'static str,
    min_percent: f64,
    address: Option<&'a str>,
    percent: Option<f64>,
    total_sats: Option<u64>,
    /// The total, or the block subsidy of the height if that is more.
    reward_sats: Option<u64>,
    /// The part of the reward that no output claims.
    wasted_sats: Option<u64>,
    upstream: Option<usize>,
    pool: Option<&'a str>,
    outputs: Vec<OutputJson<'a>>,
}

#[derive(Debug, Serialize)]
struct OutputJson<'a> {
    address: Option<&'a str>,
    kind: &'static str,
    sats: u64,
    percent: f64,
    is_expected: bool,
}

/// The chain verdict and the newest job.
#[derive(Debug, Serialize)]
pub(super) struct ChainJson<'a> {
    state: Option<&'static str>,
    /// The reason why the chain is unknown.
    reason: Option<String>,
    network: Option<&'static str>,
    height: Option<u32>,
    network_difficulty: Option<f64>,
    prevhash: Option<String>,
    nbits: Option<String>,
    tag: Option<&'a str>,
    job_id: Option<&'a str>,
    job_at: Option<TimeJson>,
    job_age_seconds: Option<f64>,
    upstream: Option<usize>,
    pool: Option<&'a str>,
}

impl<'a> PayoutJson<'a> {
    /// The worst payout among the pools in use.
    pub(super) fn worst(status: &'a StatusSnapshot) -> PayoutJson<'a> {
        match verdicts::payout(&status.snapshot) {
            Some((pool, verdict)) => PayoutJson::new(status, Some(pool), Some(verdict)),
            None => PayoutJson::new(status, None, None),
        }
    }

    pub(super) fn new(
        status: &'a StatusSnapshot,
        pool: Option<&'a PoolView>,
        verdict: Option<&'a PayoutVerdict>,
    ) -> PayoutJson<'a> {
        let config = &status.program.config.payout;
        let state = verdict.map(|verdict| verdict.state);
        let place = pool.map(|pool| pool.place);
        PayoutJson {
            state: state.map(PayoutState::as_str),
            reason: reason(state),
            kind: match config.kind {
                PayoutKind::Solo => "solo",
                PayoutKind::Pooled => "pooled",
            },
            min_percent: config.min_percent,
            address: verdict.and_then(|verdict| Some(verdict.expected.as_ref()?.address.as_str())),
            percent: verdict.and_then(verdicts::percent),
            total_sats: verdict.map(|verdict| verdict.total.0),
            reward_sats: verdict.map(|verdict| verdict.reward.0),
            wasted_sats: verdict.map(|verdict| verdict.waste().map_or(0, |waste| waste.lost.0)),
            upstream: place.map(number),
            pool: name(&status.runtime.upstreams, place),
            outputs: pool.map_or(&[][..], |pool| &pool.outputs).iter().map(OutputJson::from).collect(),
        }
    }
}

fn reason(state: Option<PayoutState>) -> Option<String> {
    match state? {
        PayoutState::Unverifiable(why) => Some(why.to_string()),
        PayoutState::Verified | PayoutState::Short | PayoutState::Mismatch => None,
    }
}

impl<'a> From<&'a OutputView> for OutputJson<'a> {
    fn from(output: &'a OutputView) -> OutputJson<'a> {
        OutputJson {
            address: output.address.as_deref(),
            kind: output.kind,
            sats: output.value.0,
            percent: output.percent,
            is_expected: output.is_expected,
        }
    }
}

impl<'a> ChainJson<'a> {
    /// The worst chain verdict among the pools in use.
    pub(super) fn worst(status: &'a StatusSnapshot) -> ChainJson<'a> {
        ChainJson::new(status, verdicts::chain(&status.snapshot).map(|(pool, _)| pool))
    }

    pub(super) fn new(status: &'a StatusSnapshot, pool: Option<&'a PoolView>) -> ChainJson<'a> {
        let verdict = pool.and_then(|pool| pool.chain.as_ref());
        let job: Option<&JobView> = pool.and_then(|pool| pool.job.as_deref());
        let place = pool.map(|pool| pool.place);
        ChainJson {
            state: verdict.map(|verdict| verdict.state).map(ChainState::as_str),
            reason: verdict.and_then(|verdict| Some(verdict.doubt?.to_string())),
            network: verdict.map(|verdict| verdict.network),
            height: job.and_then(|job| job.height).map(|height| height.0),
            network_difficulty: verdict
                .map(|verdict| verdict.difficulty)
                .filter(|difficulty| *difficulty > 0.0),
            prevhash: job.map(|job| job.parent.to_string()),
            nbits: job.map(|job| job.nbits.to_string()),
            tag: job.and_then(|job| job.tag.as_deref()),
            job_id: job.map(|job| job.job_id.as_str()),
            job_at: job.map(|job| TimeJson(job.at)),
            job_age_seconds: job.map(|job| seconds_between(job.at, status.at)),
            upstream: place.map(number),
            pool: name(&status.runtime.upstreams, place),
        }
    }
}
