//! Counting of the last 60 seconds in constant memory.

use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);

/// Counts the events of the last minute by two fixed minutes: the current one in full, and the part of
/// the previous one that the last 60 seconds still cover.
#[derive(Debug, Clone, Copy)]
pub(super) struct MinuteCounter {
    started: Instant,
    current: u32,
    previous: u32,
}

impl MinuteCounter {
    pub(super) fn new(now: Instant) -> MinuteCounter {
        MinuteCounter { started: now, current: 0, previous: 0 }
    }

    /// Counts one event.
    pub(super) fn add(&mut self, now: Instant) {
        self.advance(now);
        self.current = self.current.saturating_add(1);
    }

    /// The number of events in the last 60 seconds, exact for the first minute.
    pub(super) fn count(&mut self, now: Instant) -> u32 {
        self.advance(now);
        let covered = 1.0 - now.saturating_duration_since(self.started).as_secs_f64() / WINDOW.as_secs_f64();
        // The cast saturates; a fraction of an event is not an event.
        self.current.saturating_add((f64::from(self.previous) * covered.clamp(0.0, 1.0)) as u32)
    }

    fn advance(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.started);
        if elapsed >= 2 * WINDOW {
            *self = MinuteCounter::new(now);
        } else if elapsed >= WINDOW {
            *self = MinuteCounter { started: self.started + WINDOW, current: 0, previous: self.current };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_events_fade_within_the_second_minute() {
        let start = Instant::now();
        let mut minute = MinuteCounter::new(start);
        for _ in 0..60 {
            minute.add(start);
        }
        assert_eq!(minute.count(start + Duration::from_secs(59)), 60);
        assert_eq!(minute.count(start + Duration::from_secs(90)), 30);
        assert_eq!(minute.count(start + Duration::from_secs(120)), 0);
    }

    #[test]
    fn a_steady_rate_is_counted() {
        let start = Instant::now();
        let mut minute = MinuteCounter::new(start);
        for second in 0..600 {
            minute.add(start + Duration::from_secs(second));
        }
        let seen = minute.count(start + Duration::from_secs(600));
        assert!((58..=61).contains(&seen), "{seen}");
    }
}
