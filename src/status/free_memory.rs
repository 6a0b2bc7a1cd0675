//! Returns free memory to the system after many sessions have closed.

use std::time::{Duration, Instant};

use crate::net::process;
use crate::tap::CopiedBytes;

/// The fewest closed sessions that are worth the call, which may block other threads for milliseconds.
const MIN_SESSIONS: usize = 50;

/// The time without further change before memory is returned, so that a wave of disconnects is over
/// and every part of the program has dropped those sessions.
const SETTLE_TIME: Duration = Duration::from_secs(3);

/// Watches the number of sessions and returns memory to the system.
#[derive(Debug)]
pub(super) struct FreeMemory {
    /// The most sessions since memory was last returned.
    peak: usize,
    last: usize,
    changed: Instant,
}

impl FreeMemory {
    pub(super) fn new(now: Instant) -> FreeMemory {
        FreeMemory { peak: 0, last: 0, changed: now }
    }

    /// Takes the number of sessions, and returns memory when it is time.
    pub(super) fn update(&mut self, sessions: usize, now: Instant) {
        if self.is_due(sessions, now) {
            CopiedBytes::release_free_buffers();
            process::release_free_memory();
            log::debug!(
                "free memory returned to the system: {} sessions have closed",
                self.peak.saturating_sub(sessions)
            );
            self.peak = sessions;
        }
    }

    fn is_due(&mut self, sessions: usize, now: Instant) -> bool {
        if sessions != self.last {
            (self.last, self.changed) = (sessions, now);
        }
        self.peak = self.peak.max(sessions);
        let gone = self.peak - sessions;
        gone >= MIN_SESSIONS && gone * 2 >= self.peak && now.duration_since(self.changed) >= SETTLE_TIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_returned_when_most_sessions_have_closed_and_none_follows() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut memory = FreeMemory::new(began);
        assert!(!memory.is_due(1000, at(0)) && !memory.is_due(1000, at(60)));
        // Some sessions close, then most.
        assert!(!memory.is_due(900, at(61)) && !memory.is_due(900, at(90)));
        assert!(!memory.is_due(10, at(91)) && !memory.is_due(9, at(93)) && !memory.is_due(9, at(95)));
        assert!(memory.is_due(9, at(96)));
        memory.peak = 9;
        assert!(!memory.is_due(9, at(200)));
        // The few miners of a home are not worth it.
        assert!(!memory.is_due(30, at(201)) && !memory.is_due(0, at(202)) && !memory.is_due(0, at(300)));
    }
}
