//! Rate limit of log lines about peers: a rejected NerdMiner reconnects several times a second, a
//! scanner more often.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::AddressKey;

/// Shortest time between two lines about the same address and topic.
const PAUSE: Duration = Duration::from_secs(10);

/// Caps the addresses counted separately; further ones share one entry.
const MAX_SOURCES: usize = 1024;

/// Decides which lines about a peer are logged.
#[derive(Debug)]
pub struct LogLimiter<T> {
    /// The lines of each address and topic. `None` stands for all that the table has no room for.
    topics: Mutex<HashMap<Option<(AddressKey, T)>, TopicLog>>,
}

#[derive(Debug)]
struct TopicLog {
    last: Instant,
    suppressed: u64,
}

impl<T> Default for LogLimiter<T> {
    fn default() -> LogLimiter<T> {
        LogLimiter { topics: Mutex::default() }
    }
}

impl<T: Copy + Eq + Hash> LogLimiter<T> {
    /// Decides about a line of this `topic` about `source`: `Some(n)` if it may be logged now, after `n`
    /// suppressed lines; `None` if not, and the line is counted as suppressed.
    pub fn allow(&self, source: AddressKey, topic: T, now: Instant) -> Option<u64> {
        let mut key = Some((source, topic));
        let mut topics = self.topics.lock();
        if !topics.contains_key(&key) {
            if topics.len() >= MAX_SOURCES {
                topics.retain(|key, topic| key.is_none() || !topic.is_over(now));
            }
            if topics.len() >= MAX_SOURCES {
                key = None;
            }
        }
        match topics.entry(key) {
            Entry::Occupied(mut known) => known.get_mut().speak(now),
            Entry::Vacant(new) => {
                new.insert(TopicLog { last: now, suppressed: 0 });
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
    fn a_noisy_source_is_suppressed_and_others_are_not() {
        let (limiter, start) = (LogLimiter::default(), Instant::now());
        assert_eq!(limiter.allow(source(1), "t", start), Some(0));
        for ms in 0..50 {
            assert_eq!(limiter.allow(source(1), "t", start + Duration::from_millis(ms)), None);
        }
        assert_eq!(limiter.allow(source(2), "t", start), Some(0));
        assert_eq!(limiter.allow(source(1), "another", start), Some(0));
        assert_eq!(limiter.allow(source(1), "t", start + PAUSE), Some(50));
        assert_eq!(limiter.allow(source(1), "t", start + 2 * PAUSE), Some(0));
    }

    #[test]
    fn a_flood_of_sources_shares_one_line() {
        let (limiter, start) = (LogLimiter::default(), Instant::now());
        let lines = (0..100_000).filter(|n| limiter.allow(source(*n), "t", start).is_some()).count();
        assert_eq!(lines, MAX_SOURCES + 1);
        assert_eq!(limiter.topics.lock().len(), MAX_SOURCES + 1);
        // And when it is over, the table is free again.
        assert_eq!(limiter.allow(source(200_000), "t", start + PAUSE), Some(0));
        assert_eq!(limiter.topics.lock().len(), 1 + 1);
    }
}
