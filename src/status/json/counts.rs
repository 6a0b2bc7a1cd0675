//! The counts of shares and of forwarded messages.

use std::time::Duration;

use serde::Serialize;

use super::value::{MICROSECONDS, MILLISECONDS, SECONDS, latency, percent};
use crate::analyzer::{Latency, MinerView, Totals};
use crate::config::Mode;
use crate::record::LifetimeCounts;
use crate::status::snapshot::StatusSnapshot;

/// A miner that connected or sent a share within this time is active, as with the original proxy.
const ACTIVE_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn shares(status: &StatusSnapshot) -> impl Serialize {
    let totals = status.snapshot.totals.as_ref();
    let count = |count: fn(&Totals) -> u64| totals.map_or(0, count);
    let sum = |sum: fn(&Totals) -> f64| totals.map_or(0.0, sum);
    let (accepted, rejected) = (count(|totals| totals.accepted), count(|totals| totals.rejected));
    let (no_answers, no_ages) = (Latency::default(), Latency::of_ages());
    let minutes = status.snapshot.up_for.as_secs_f64().max(1.0) / 60.0;
    object!(
        submitted = count(|totals| totals.submitted),
        accepted = accepted,
        rejected = rejected,
        unanswered = count(|totals| totals.unanswered),
        unknown = count(|totals| totals.unknown),
        accepted_percent = percent(accepted, rejected),
        stale = count(|totals| totals.stale),
        unreadable_submits = count(|totals| totals.unreadable_submits),
        blocks = count(|totals| totals.blocks),
        near_misses = count(|totals| totals.near_misses),
        accepted_difficulty = sum(|totals| totals.accepted_difficulty),
        proven_difficulty = sum(|totals| totals.proven_difficulty),
        per_minute = count(|totals| totals.submitted) as f64 / minutes,
        jobs = count(|totals| totals.jobs),
        pool_answer_ms = latency(totals.map_or(&no_answers, |totals| &totals.answers), MILLISECONDS),
        job_age_seconds = latency(totals.map_or(&no_ages, |totals| &totals.job_ages), SECONDS),
        reasons = totals.map(|totals| &totals.reasons),
    )
}

/// The share counts of all runs together.
pub(super) fn lifetime(lifetime: &LifetimeCounts) -> impl Serialize {
    object!(
        accepted = lifetime.accepted,
        rejected = lifetime.rejected,
        unanswered = lifetime.unanswered,
        unknown = lifetime.unknown,
        blocks = lifetime.blocks,
        accepted_difficulty = lifetime.accepted_difficulty,
        seconds = lifetime.seconds,
    )
}

/// The vardiff state, with the names of the original proxy. In passthrough mode the pool's difficulty
/// is forwarded unchanged: `enabled` is false, and the limits are those that would apply.
pub(super) fn vardiff(status: &StatusSnapshot) -> impl Serialize {
    let (miners, config) = (&status.snapshot.miners, &status.program.config.vardiff);
    let is_active = |miner: &&MinerView| {
        miner.connected_for < ACTIVE_WITHIN || miner.last_share_ago.is_some_and(|ago| ago < ACTIVE_WITHIN)
    };
    // Not sum(), which is -0 for an empty list.
    let mean = |of: fn(&MinerView) -> f64| {
        miners.iter().map(of).fold(0.0, std::ops::Add::add) / miners.len().max(1) as f64
    };
    object!(
        enabled = status.program.config.mode == Mode::Aggregate && config.enabled,
        total_clients = status.runtime.sessions,
        active_clients = miners.iter().filter(is_active).count(),
        avg_difficulty = mean(|miner| miner.difficulty),
        avg_shares_per_sec = mean(|miner| {
            let shares = miner.accepted + miner.rejected + miner.unanswered + miner.unknown;
            shares as f64 / miner.connected_for.as_secs_f64().max(1.0)
        }),
        target_seconds = config.target.as_secs_f64(),
        min_difficulty = config.min,
        max_difficulty = config.max,
    )
}

/// The forwarded traffic since the start, and the added latency.
pub(super) fn forwarding(status: &StatusSnapshot) -> impl Serialize {
    let (volume, summary) = (&status.runtime.volume, &status.snapshot.summary);
    // Only the analyzer counts lines.
    let lines = |messages: u64| status.program.config.analysis.enabled.then_some(messages);
    let direction = |messages, chunks, bytes, delays: &Latency| {
        let latency_us = latency(delays, MICROSECONDS);
        object!(messages = lines(messages), chunks = chunks, bytes = bytes, latency_us = latency_us)
    };
    object!(
        sessions = volume.sessions,
        messages = lines(summary.messages_up + summary.messages_down),
        chunks = volume.chunks_up + volume.chunks_down,
        bytes = volume.bytes_up + volume.bytes_down,
        dropped_copies = volume.dropped_copies,
        latency_us = latency(&summary.latency_up.merged(&summary.latency_down), MICROSECONDS),
        unreadable_lines = summary.unreadable,
        too_long_lines = summary.too_long,
        gaps = summary.gaps,
        up = direction(summary.messages_up, volume.chunks_up, volume.bytes_up, &summary.latency_up),
        down = direction(summary.messages_down, volume.chunks_down, volume.bytes_down, &summary.latency_down),
    )
}
