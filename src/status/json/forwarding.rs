//! What was carried, and how much delay that added.

use serde::Serialize;

use super::value::{MICROSECONDS, Times};
use crate::analyzer::Latency;
use crate::status::snapshot::StatusSnapshot;

/// Since the start.
#[derive(Debug, Serialize)]
pub(super) struct Forwarding {
    sessions: u64,
    messages: Option<u64>,
    chunks: u64,
    bytes: u64,
    dropped_copies: u64,
    latency_us: Times,
    unreadable_lines: u64,
    too_long_lines: u64,
    gaps: u64,
    up: OneWay,
    down: OneWay,
}

#[derive(Debug, Serialize)]
struct OneWay {
    messages: Option<u64>,
    chunks: u64,
    bytes: u64,
    latency_us: Times,
}

impl Forwarding {
    pub(super) fn of(sight: &StatusSnapshot) -> Forwarding {
        let (volume, summary) = (&sight.around.volume, &sight.snapshot.summary);
        // Without the analyzer nobody looks for lines.
        let lines = |messages: u64| sight.facts.config.analysis.enabled.then_some(messages);
        let way = |messages: u64, chunks: u64, bytes: u64, latency: &Latency| OneWay {
            messages: lines(messages),
            chunks,
            bytes,
            latency_us: Times::of(latency, MICROSECONDS),
        };
        Forwarding {
            sessions: volume.sessions,
            messages: lines(summary.messages_up + summary.messages_down),
            chunks: volume.chunks_up + volume.chunks_down,
            bytes: volume.bytes_up + volume.bytes_down,
            dropped_copies: volume.dropped_copies,
            latency_us: Times::of(&summary.latency_up.merged(&summary.latency_down), MICROSECONDS),
            unreadable_lines: summary.unreadable,
            too_long_lines: summary.too_long,
            gaps: summary.gaps,
            up: way(summary.messages_up, volume.chunks_up, volume.bytes_up, &summary.latency_up),
            down: way(summary.messages_down, volume.chunks_down, volume.bytes_down, &summary.latency_down),
        }
    }
}
