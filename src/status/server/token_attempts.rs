//! Limits the wrong tokens of each address, so that the token can't be guessed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::limits::AddressKey;

/// Caps the wrong tokens of one address in a minute.
pub(super) const MAX_WRONG_TOKENS: u32 = 10;

const WINDOW: Duration = Duration::from_secs(60);

/// Caps the tracked addresses. Further addresses share one count.
const MAX_SOURCES: usize = 1024;

/// The wrong tokens by address.
#[derive(Debug, Default)]
pub(super) struct TokenAttempts(Mutex<AttemptCounts>);

#[derive(Debug, Default)]
struct AttemptCounts {
    sources: HashMap<AddressKey, AttemptCount>,
    others: Option<AttemptCount>,
}

/// The wrong tokens since the first of them.
#[derive(Debug, Clone, Copy)]
struct AttemptCount {
    since: Instant,
    wrong: u32,
}

impl TokenAttempts {
    /// Tells whether this address has used up its attempts.
    pub(super) fn is_limited(&self, source: AddressKey, now: Instant) -> bool {
        let counts = self.0.lock();
        let count = match counts.sources.get(&source) {
            Some(count) => Some(count),
            None if counts.sources.len() >= MAX_SOURCES => counts.others.as_ref(),
            None => None,
        };
        count.is_some_and(|count| !count.is_over(now) && count.wrong >= MAX_WRONG_TOKENS)
    }

    /// Counts a wrong token.
    pub(super) fn add(&self, source: AddressKey, now: Instant) {
        let mut counts = self.0.lock();
        let counts = &mut *counts;
        if !counts.sources.contains_key(&source) && counts.sources.len() >= MAX_SOURCES {
            counts.sources.retain(|_, count| !count.is_over(now));
        }
        let fresh = AttemptCount { since: now, wrong: 0 };
        let count = if counts.sources.contains_key(&source) || counts.sources.len() < MAX_SOURCES {
            counts.sources.entry(source).or_insert(fresh)
        } else {
            counts.others.get_or_insert(fresh)
        };
        if count.is_over(now) {
            *count = fresh;
        }
        count.wrong = count.wrong.saturating_add(1);
    }
}

impl AttemptCount {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
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
    fn ten_wrong_tokens_a_minute_for_each_address() {
        let (attempts, start) = (TokenAttempts::default(), Instant::now());
        for _ in 0..MAX_WRONG_TOKENS {
            assert!(!attempts.is_limited(source(1), start));
            attempts.add(source(1), start);
        }
        assert!(attempts.is_limited(source(1), start + Duration::from_secs(59)));
        assert!(!attempts.is_limited(source(2), start));
        assert!(!attempts.is_limited(source(1), start + WINDOW));
        attempts.add(source(1), start + WINDOW);
        assert!(!attempts.is_limited(source(1), start + WINDOW));
    }

    #[test]
    fn a_flood_of_addresses_shares_one_count() {
        let (attempts, start) = (TokenAttempts::default(), Instant::now());
        for n in 0..100_000 {
            attempts.add(source(n), start);
        }
        assert_eq!(attempts.0.lock().sources.len(), MAX_SOURCES);
        assert!(attempts.is_limited(source(200_000), start));
        assert!(!attempts.is_limited(source(1), start));
        // A minute later the table is empty again.
        attempts.add(source(200_000), start + WINDOW);
        assert_eq!(attempts.0.lock().sources.len(), 1);
    }
}
