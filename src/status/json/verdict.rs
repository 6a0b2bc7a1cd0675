//! The payout and chain verdicts.

use serde::Serialize;

use super::value::{TimeJson, name, number};
use crate::analyzer::{ChainState, OutputView, PayoutState, PoolView};
use crate::config::PayoutKind;
use crate::status::snapshot::StatusSnapshot;
use crate::status::verdicts;

/// The payout verdict of a pool: the outputs of a block.
pub(super) fn payout<'a>(status: &'a StatusSnapshot, pool: Option<&'a PoolView>) -> impl Serialize {
    let (config, place) = (&status.program.config.payout, pool.map(|pool| pool.place));
    let verdict = pool.and_then(|pool| pool.payout.as_ref());
    let state = verdict.map(|verdict| verdict.state);
    let outputs = pool.map_or(&[][..], |pool| &pool.outputs);
    object!(
        state = state.map(PayoutState::as_str),
        reason = match state {
            Some(PayoutState::Unverifiable(why)) => Some(why.to_string()),
            _ => None,
        },
        kind = match config.kind {
            PayoutKind::Solo => "solo",
            PayoutKind::Pooled => "pooled",
        },
        min_percent = config.min_percent,
        address = verdict.and_then(|verdict| Some(&verdict.expected.as_ref()?.address)),
        percent = verdict.and_then(verdicts::percent),
        total_sats = verdict.map(|verdict| verdict.total.0),
        // The total, or the block subsidy of the height if that is more.
        reward_sats = verdict.map(|verdict| verdict.reward.0),
        wasted_sats = verdict.map(|verdict| verdict.waste().map_or(0, |waste| waste.lost.0)),
        upstream = place.map(number),
        pool = name(&status.runtime.upstreams, place),
        outputs = outputs.iter().map(output).collect::<Vec<_>>(),
    )
}

fn output(OutputView { address, kind, value, percent, is_expected }: &OutputView) -> impl Serialize {
    object!(address = address, kind = kind, sats = value.0, percent = percent, is_expected = is_expected)
}

/// The chain verdict of a pool, and its newest job.
pub(super) fn chain<'a>(status: &'a StatusSnapshot, pool: Option<&'a PoolView>) -> impl Serialize {
    let verdict = pool.and_then(|pool| pool.chain.as_ref());
    let job = pool.and_then(|pool| pool.job.as_deref());
    let place = pool.map(|pool| pool.place);
    object!(
        state = verdict.map(|verdict| verdict.state).map(ChainState::as_str),
        reason = verdict.and_then(|verdict| Some(verdict.doubt?.to_string())),
        network = verdict.map(|verdict| verdict.network),
        height = job.and_then(|job| job.height).map(|height| height.0),
        network_difficulty = verdict.map(|verdict| verdict.difficulty).filter(|difficulty| *difficulty > 0.0),
        prevhash = job.map(|job| job.parent.to_string()),
        nbits = job.map(|job| job.nbits.to_string()),
        tag = job.and_then(|job| job.tag.as_deref()),
        job_id = job.map(|job| job.job_id.as_str()),
        job_at = job.map(|job| TimeJson(job.at)),
        job_age_seconds = job.map(|job| status.age_of(job.at).as_secs_f64()),
        upstream = place.map(number),
        pool = name(&status.runtime.upstreams, place),
    )
}
