//! The forwarded traffic and the added latency in `/status`.

use serde::Serialize;

use super::value::{LatencyJson, MICROSECONDS};
use crate::analyzer::Latency;
use crate::status::snapshot::StatusSnapshot;

/// The totals since the start.
#[derive(Debug, Serialize)]
pub(super) struct ForwardingJson {
    sessions: u64,
    messages: Option<u64>,
    chunks: u64,
    bytes: u64,
    dropped_copies: u64,
    latency_us: LatencyJson,
    unreadable_lines: u64,
    too_long_lines: u64,
    gaps: u64,
    up: DirectionJson,
    down: DirectionJson,
}

#[derive(Debug, Serialize)]
struct DirectionJson {
    messages: Option<u64>,
    chunks: u64,
    bytes: u64,
    latency_us: LatencyJson,
}

impl ForwardingJson {
    pub(super) fn of(status: &StatusSnapshot) -> ForwardingJson {
        let (volume, summary) = (&status.runtime.volume, &status.snapshot.summary);
        // Only the analyzer counts lines.
        let lines = |messages: u64| status.program.config.analysis.enabled.then_some(messages);
        let way = |messages: u64, chunks: u64, bytes: u64, latency: &Latency| DirectionJson {
            messages: lines(messages),
            chunks,
            bytes,
            latency_us: LatencyJson::of(latency, MICROSECONDS),
        };
        ForwardingJson {
            sessions: volume.sessions,
            messages: lines(summary.messages_up + summary.messages_down),
            chunks: volume.chunks_up + volume.chunks_down,
            bytes: volume.bytes_up + volume.bytes_down,
            dropped_copies: volume.dropped_copies,
            latency_us: LatencyJson::of(&summary.latency_up.merged(&summary.latency_down), MICROSECONDS),
            unreadable_lines: summary.unreadable,
            too_long_lines: summary.too_long,
            gaps: summary.gaps,
            up: way(summary.messages_up, volume.chunks_up, volume.bytes_up, &summary.latency_up),
            down: way(summary.messages_down, volume.chunks_down, volume.bytes_down, &summary.latency_down),
        }
    }
}
