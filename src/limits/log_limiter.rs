//! Keeps one noisy peer from filling the log: a NerdMiner that is refused comes back several
//! times a second, a scanner more often.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::AddressKey;

/// One line per source and topic in this time.
const PAUSE: Duration = Duration::from_secs(10);

/// How many are told apart; beyond it the newcomers share one.
const MAX_SOURCES: usize = 1024;

/// Decides which lines about a peer are written.
#[derive(Debug, Default)]
pub struct LogLimiter {
    inner: Mutex<LogLimiterInner>,
}

#[derive(Debug, Default)]
struct LogLimiterInner {
    sources: HashMap<(AddressKey, &'static str), TopicLog>,
    others: Option<TopicLog>,
}

#[derive(Debug)]
struct TopicLog {
    last: Instant,
    suppressed: u64,
}

impl LogLimiter {
    pub fn new() -> LogLimiter {
        LogLimiter::default()
    }

    /// Whether a line of this `topic` about `source` may be written now: `Some(n)` yes, after `n`
    /// suppressed ones; `None` no, it was counted instead.
    pub fn allow(&self, source: AddressKey, topic: &'static str, now: Instant) -> Option<u64> {
        // A panic elsewhere can't leave a count half-changed.
        let key = (source, topic);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spoken) = inner.sources.get_mut(&key) {
            return spoken.speak(now);
        }
        if inner.sources.len() >= MAX_SOURCES {
            inner.sources.retain(|_, spoken| !spoken.is_over(now));
        }
        if inner.sources.len() < MAX_SOURCES {
            inner.sources.insert(key, TopicLog { last: now, suppressed: 0 });
            return Some(0);
        }
        match &mut inner.others {
            Some(spoken) => spoken.speak(now),
            none => {
                *none = Some(TopicLog { last: now, suppressed: 0 });
                Some(0)
            }
        }
    }
}

impl TopicLog {
    fn speak(&mut self, now: Instant) -> Option<u64> {
        if !self.is_over(now) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.last = now;
        Some(std::mem::take(&mut self.suppressed))
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= PAUSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn source(n: u32) -> AddressKey {
        AddressKey::V4(Ipv4Addr::from_bits(n))
    }

    #[test]
    fn a_noisy_source_is_counted_and_another_still_heard() {
        let (quiet, start) = (LogLimiter::new(), Instant::now());
        assert_eq!(quiet.allow(source(1), "t", start), Some(0));
        for ms in 0..50 {
            assert_eq!(quiet.allow(source(1), "t", start + Duration::from_millis(ms)), None);
        }
        assert_eq!(quiet.allow(source(2), "t", start), Some(0));
        assert_eq!(quiet.allow(source(1), "another", start), Some(0));
        assert_eq!(quiet.allow(source(1), "t", start + PAUSE), Some(50));
        assert_eq!(quiet.allow(source(1), "t", start + 2 * PAUSE), Some(0));
    }

    #[test]
    fn a_flood_of_sources_shares_one_line() {
        let (quiet, start) = (LogLimiter::new(), Instant::now());
        let lines = (0..100_000).filter(|n| quiet.allow(source(*n), "t", start).is_some()).count();
        assert_eq!(lines, MAX_SOURCES + 1);
        assert_eq!(quiet.inner.lock().unwrap().sources.len(), MAX_SOURCES);
        // And when it is over, the table is free again.
        assert_eq!(quiet.allow(source(200_000), "t", start + PAUSE), Some(0));
        assert_eq!(quiet.inner.lock().unwrap().sources.len(), 1);
    }
}
