//! Counts how often each pool loses its connections. One lost connection is bad luck, and the next is to the
//! same pool; a connection that is lost every minute leaves miners without work as often.

use std::time::{Duration, Instant};

use crate::upstream::UpstreamId;

/// The meaning of a lost connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Bad luck.
    First,
    /// One more, and the pool counts as failed.
    Repeated,
    /// The pool counts as failed.
    TooMany,
}

/// The latest lost connections of a group.
#[derive(Debug)]
pub(crate) struct DisconnectCounter {
    within: Duration,
    /// The number that makes the pool count as failed.
    most: usize,
    lost: Vec<(UpstreamId, Instant)>,
}

impl DisconnectCounter {
    /// A counter of those within this time of each other.
    pub(crate) fn new(within: Duration, most: usize) -> DisconnectCounter {
        DisconnectCounter { within, most, lost: Vec::new() }
    }

    /// Notes a lost connection to this pool. After too many it starts over.
    pub(crate) fn note(&mut self, upstream: UpstreamId, now: Instant) -> Loss {
        self.lost.retain(|(_, at)| now.saturating_duration_since(*at) < self.within);
        self.lost.push((upstream, now));
        match self.lost.iter().filter(|(of, _)| *of == upstream).count() {
            count if count >= self.most => {
                self.lost.retain(|(of, _)| *of != upstream);
                Loss::TooMany
            }
            count if count + 1 == self.most => Loss::Repeated,
            _ => Loss::First,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(300);

    #[test]
    fn the_third_within_the_time_is_too_many_however_long_each_connection_lasted() {
        let (mut disconnects, now) = (DisconnectCounter::new(WITHIN, 3), Instant::now());
        let (pool, other) = (UpstreamId(0), UpstreamId(1));
        let mut lost = |upstream, second| disconnects.note(upstream, now + Duration::from_secs(second));
        assert_eq!(lost(pool, 0), Loss::First);
        assert_eq!(lost(pool, 100), Loss::Repeated);
        assert_eq!(lost(other, 150), Loss::First);
        assert_eq!(lost(pool, 200), Loss::TooMany);
        // It has another chance when it is back.
        assert_eq!(lost(pool, 210), Loss::First);
        assert_eq!(lost(other, 220), Loss::Repeated);
    }

    #[test]
    fn old_disconnects_do_not_count() {
        let (mut disconnects, now) = (DisconnectCounter::new(WITHIN, 3), Instant::now());
        for number in 0..10 {
            let loss = disconnects.note(UpstreamId(0), now + number * WITHIN / 2);
            assert_ne!(loss, Loss::TooMany);
        }
        assert!(disconnects.lost.len() < 3);
    }
}
