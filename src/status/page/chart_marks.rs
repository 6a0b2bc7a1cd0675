//! The events that the charts mark: blocks, failovers, starts of Sluice, and one miner's leaving and return.

use std::sync::Arc;

use crate::record::{EventRow, SavedState};
use crate::status::charts::{ChartMark, MarkKind};

/// Caps the marks of a chart, so that a pool that flaps does not hide the line.
const MAX_MARKS: usize = 20;

/// The marks since `from`, in seconds since 1970, newest first. With a worker, blocks are its own.
pub(super) fn marks(events: &[Arc<EventRow>], worker: Option<&str>, from: u64) -> Vec<ChartMark> {
    let wanted = worker.map(SavedState::worker_key);
    let mark = |event: &Arc<EventRow>| {
        let is_its_own = || event.worker.as_deref().map(SavedState::worker_key) == wanted;
        let kind = match event.kind.as_ref() {
            "block.found" if worker.is_none() || is_its_own() => MarkKind::Block,
            "pool.failed_over" | "pool.failed_back" => MarkKind::Pool,
            "miner.gone" | "miner.back" if worker.is_some() && is_its_own() => MarkKind::Miner,
            "program.start" => MarkKind::Start,
            _ => return None,
        };
        let at = u64::try_from(event.at.unix_seconds()).ok().filter(|at| *at >= from)?;
        Some(ChartMark { at, kind, text: event.text.clone() })
    };
    events.iter().filter_map(mark).take(MAX_MARKS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;

    #[test]
    fn marks_are_of_all_or_of_one_miner() {
        let event = |kind, at: &str, worker: &str| {
            let row = EventRow::new(at.parse().unwrap(), (kind, Severity::Info), "x", kind);
            Arc::new(if worker.is_empty() { row } else { row.with_worker(worker) })
        };
        let events = [
            event("miner.gone", "2026-11-21T01:05:00Z", "rig"),
            event("pool.failed_over", "2026-11-21T01:04:00Z", ""),
            event("block.found", "2026-11-21T01:03:00Z", "rig"),
            event("block.found", "2026-11-21T01:02:00Z", "other"),
            event("alert.begun", "2026-11-21T01:01:00Z", "rig"),
            event("program.start", "2026-11-21T01:00:00Z", ""),
        ];
        let kinds = |worker, from: &str| -> Vec<MarkKind> {
            let from: crate::clock::NtpTime = from.parse().unwrap();
            let from = u64::try_from(from.unix_seconds()).unwrap();
            marks(&events, worker, from).into_iter().map(|mark| mark.kind).collect()
        };
        use MarkKind::{Block, Miner, Pool, Start};
        assert_eq!(kinds(None, "2026-11-21T00:00:00Z"), [Pool, Block, Block, Start]);
        assert_eq!(kinds(Some("rig"), "2026-11-21T00:00:00Z"), [Miner, Pool, Block, Start]);
        assert_eq!(kinds(Some("else"), "2026-11-21T01:02:30Z"), [Pool]);
    }
}
