//! The forwarded traffic and the added latency in `/status`.

use serde::{Serialize, Serializer};

use super::value::{LatencyJson, MICROSECONDS};
use crate::status::snapshot::StatusSnapshot;

/// The totals since the start.
pub(super) struct ForwardingJson<'a>(pub(super) &'a StatusSnapshot);

#[derive(Serialize)]
struct DirectionJson<'a> {
    messages: Option<u64>,
    chunks: u64,
    bytes: u64,
    latency_us: LatencyJson<'a>,
}

impl Serialize for ForwardingJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (volume, summary) = (&self.0.runtime.volume, &self.0.snapshot.summary);
        // Only the analyzer counts lines.
        let lines = |messages: u64| self.0.program.config.analysis.enabled.then_some(messages);
        object!(
            to,
            sessions = volume.sessions,
            messages = lines(summary.messages_up + summary.messages_down),
            chunks = volume.chunks_up + volume.chunks_down,
            bytes = volume.bytes_up + volume.bytes_down,
            dropped_copies = volume.dropped_copies,
            latency_us = LatencyJson(&summary.latency_up.merged(&summary.latency_down), MICROSECONDS),
            unreadable_lines = summary.unreadable,
            too_long_lines = summary.too_long,
            gaps = summary.gaps,
            up = DirectionJson {
                messages: lines(summary.messages_up),
                chunks: volume.chunks_up,
                bytes: volume.bytes_up,
                latency_us: LatencyJson(&summary.latency_up, MICROSECONDS),
            },
            down = DirectionJson {
                messages: lines(summary.messages_down),
                chunks: volume.chunks_down,
                bytes: volume.bytes_down,
                latency_us: LatencyJson(&summary.latency_down, MICROSECONDS),
            },
        )
    }
}
