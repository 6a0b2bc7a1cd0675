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

/// Longest time for which the lines about a topic are counted together. It grows up to this while there are too many.
const MAX_BURST: Duration = Duration::from_secs(600);

/// Caps the addresses counted separately; further ones share one entry.
const MAX_SOURCES: usize = 1024;

/// Decides which lines about a peer are logged.
#[derive(Debug)]
pub struct LogLimiter<T> {
    /// The lines of each address and topic. `None` stands for all that the table has no room for.
    topics: Mutex<HashMap<Option<(AddressKey, T)>, TopicLog>>,
    /// The lines of each topic about all addresses. Taken after `topics`.
    bursts: Mutex<HashMap<T, LogBurst>>,
}

/// The lines about one topic since a moment.
#[derive(Debug)]
struct LogBurst {
    since: Instant,
    lasts: Duration,
    lines: u32,
    suppressed: u64,
}

/// The lines about a topic that were suppressed because there were too many about all addresses together.
#[derive(Debug, PartialEq, Eq)]
pub struct SuppressedLines<T> {
    pub topic: T,
    pub count: u64,
    pub within: Duration,
}

#[derive(Debug)]
struct TopicLog {
    last: Instant,
    suppressed: u64,
}

impl<T> Default for LogLimiter<T> {
    fn default() -> LogLimiter<T> {
        LogLimiter { topics: Mutex::default(), bursts: Mutex::default() }
    }
}

impl<T: Copy + Eq + Hash> LogLimiter<T> {
    /// Decides about a line of this `topic` about `source`: `Some(n)` if it may be logged now, after `n`
    /// suppressed lines; `None` if not, and the line is counted as suppressed. About all sources together there are at
    /// most `max_lines` in ten seconds: when the line drops, all machines of a farm come and go at once. While there
    /// are too many, there are as many in twice the time.
    pub fn allow(&self, source: AddressKey, topic: T, max_lines: u32, now: Instant) -> Option<u64> {
        let suppressed = self.allow_source(source, topic, now)?;
        let mut bursts = self.bursts.lock();
        let new = || LogBurst { since: now, lasts: PAUSE, lines: 0, suppressed: 0 };
        let burst = bursts.entry(topic).or_insert_with(new);
        if burst.is_over(now) {
            let goes_on = burst.lines >= max_lines && !burst.is_long_over(now);
            burst.lasts = if goes_on { (burst.lasts * 2).min(MAX_BURST) } else { PAUSE };
            (burst.since, burst.lines) = (now, 0);
        }
        if burst.lines >= max_lines {
            burst.suppressed = burst.suppressed.saturating_add(suppressed).saturating_add(1);
            return None;
        }
        burst.lines += 1;
        Some(suppressed)
    }

    /// The lines that were suppressed because there were too many about all addresses together, by topic, once the
    /// time for which they are counted is over.
    pub fn take_suppressed(&self, now: Instant) -> Vec<SuppressedLines<T>> {
        let mut bursts = self.bursts.lock();
        let over = bursts.iter_mut().filter(|(_, burst)| burst.suppressed > 0 && burst.is_over(now));
        let taken = over.map(|(topic, burst)| {
            let count = std::mem::take(&mut burst.suppressed);
            SuppressedLines { topic: *topic, count, within: burst.lasts }
        });
        taken.collect()
    }

    fn allow_source(&self, source: AddressKey, topic: T, now: Instant) -> Option<u64> {
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

impl LogBurst {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= self.lasts
    }

    /// Nothing has come for as long again.
    fn is_long_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= 2 * self.lasts
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
        assert_eq!(limiter.allow(source(1), "t", 10, start), Some(0));
        for ms in 0..50 {
            assert_eq!(limiter.allow(source(1), "t", 10, start + Duration::from_millis(ms)), None);
        }
        assert_eq!(limiter.allow(source(2), "t", 10, start), Some(0));
        assert_eq!(limiter.allow(source(1), "another", 10, start), Some(0));
        assert_eq!(limiter.allow(source(1), "t", 10, start + PAUSE), Some(50));
        assert_eq!(limiter.allow(source(1), "t", 10, start + 2 * PAUSE), Some(0));
    }

    #[test]
    fn a_farm_that_comes_at_once_gets_some_lines_and_a_count() {
        let (limiter, start) = (LogLimiter::default(), Instant::now());
        let allowed = |now| (0..300).filter(|n| limiter.allow(source(*n), "t", 10, now).is_some()).count();
        let suppressed = |count, within| [SuppressedLines { topic: "t", count, within }];
        assert_eq!(allowed(start), 10);
        assert_eq!(limiter.allow(source(1), "another", 10, start), Some(0));
        assert_eq!(limiter.take_suppressed(start), []);
        assert_eq!(limiter.take_suppressed(start + PAUSE), suppressed(290, PAUSE));
        assert_eq!(limiter.take_suppressed(start + PAUSE), []);
        // It goes on, so the next time is twice as long.
        assert_eq!(allowed(start + PAUSE), 10);
        assert_eq!(allowed(start + 2 * PAUSE), 0);
        assert_eq!(limiter.take_suppressed(start + 2 * PAUSE), []);
        assert_eq!(limiter.take_suppressed(start + 3 * PAUSE), suppressed(590, 2 * PAUSE));
        // After a while of quiet it begins anew.
        assert_eq!(allowed(start + 9 * PAUSE), 10);
        assert_eq!(limiter.take_suppressed(start + 10 * PAUSE), suppressed(290, PAUSE));
    }

    #[test]
    fn a_flood_of_sources_shares_one_line() {
        let (limiter, start) = (LogLimiter::default(), Instant::now());
        let lines = (0..100_000).filter(|n| limiter.allow(source(*n), "t", 10, start).is_some()).count();
        assert_eq!(lines, 10);
        assert_eq!(limiter.topics.lock().len(), MAX_SOURCES + 1);
        // And when it is over, the table is free again.
        assert_eq!(limiter.allow(source(200_000), "t", 10, start + PAUSE), Some(0));
        assert_eq!(limiter.topics.lock().len(), 1 + 1);
    }
}
