//! Wrong tokens, counted for each address, so that none can be guessed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::AddressKey;

/// So many wrong ones in a minute.
pub(super) const MAX_WRONG: u32 = 10;

const MINUTE: Duration = Duration::from_secs(60);

/// How many addresses are told apart; beyond it the newcomers share one count.
const MAX_SOURCES: usize = 1024;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct TokenAttempts(Mutex<AttemptCounts>);

#[derive(Debug, Default)]
struct AttemptCounts {
    sources: HashMap<AddressKey, Count>,
    others: Option<Count>,
}

/// Since the first wrong one.
#[derive(Debug, Clone, Copy)]
struct Count {
    since: Instant,
    wrong: u32,
}

impl TokenAttempts {
    /// Whether this address has to wait.
    pub(super) fn are_used_up(&self, source: AddressKey, now: Instant) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match counts.sources.get(&source) {
            Some(count) => Some(count),
            None if counts.sources.len() >= MAX_SOURCES => counts.others.as_ref(),
            None => None,
        };
        count.is_some_and(|count| !count.is_over(now) && count.wrong >= MAX_WRONG)
    }

    /// Counts a wrong token.
    pub(super) fn add(&self, source: AddressKey, now: Instant) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &mut *counts;
        if !counts.sources.contains_key(&source) && counts.sources.len() >= MAX_SOURCES {
            counts.sources.retain(|_, count| !count.is_over(now));
        }
        let fresh = Count { since: now, wrong: 0 };
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

impl Count {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= MINUTE
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
    fn ten_a_minute_for_each_address() {
        let (tries, start) = (TokenAttempts::default(), Instant::now());
        for _ in 0..MAX_WRONG {
            assert!(!tries.are_used_up(source(1), start));
            tries.add(source(1), start);
        }
        assert!(tries.are_used_up(source(1), start + Duration::from_secs(59)));
        assert!(!tries.are_used_up(source(2), start));
        assert!(!tries.are_used_up(source(1), start + MINUTE));
        tries.add(source(1), start + MINUTE);
        assert!(!tries.are_used_up(source(1), start + MINUTE));
    }

    #[test]
    fn a_flood_of_addresses_shares_one_count() {
        let (tries, start) = (TokenAttempts::default(), Instant::now());
        for n in 0..100_000 {
            tries.add(source(n), start);
        }
        assert_eq!(tries.0.lock().unwrap().sources.len(), MAX_SOURCES);
        assert!(tries.are_used_up(source(200_000), start));
        assert!(!tries.are_used_up(source(1), start));
        // A minute later the table is free again.
        tries.add(source(200_000), start + MINUTE);
        assert_eq!(tries.0.lock().unwrap().sources.len(), 1);
    }
}
