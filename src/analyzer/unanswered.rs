//! Which shares of a conversation the pool has not judged yet. Matched by id only: ids may repeat
//! (cpuminer sends 4 for every submit), and an answer's copy can arrive before its submit's.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The most ids that are followed in one conversation; a NerdMiner keeps 32 itself.
const MOST_IDS: usize = 512;
/// The longest id, in bytes; real ones have a few digits.
const LONGEST_ID: usize = 128;
/// How long an answer without a submit waits for it.
const EARLY: Duration = Duration::from_secs(1);

/// The open submits of one conversation.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    /// By the id's text; below zero while only the answer has been seen.
    open: HashMap<Box<str>, Open>,
}

#[derive(Debug)]
struct Open {
    count: i32,
    last: Instant,
}

impl Unanswered {
    /// The miner has sent a share.
    pub(super) fn submitted(&mut self, id: &str, now: Instant) {
        self.change(id, 1, now);
    }

    /// The pool has answered something.
    pub(super) fn answered(&mut self, id: &str, now: Instant) {
        self.change(id, -1, now);
    }

    /// Forgets answers that belonged to no share, and shares older than `timeout`.
    pub(super) fn expire(&mut self, timeout: Duration, now: Instant) {
        self.open.retain(|_, open| {
            let age = now.saturating_duration_since(open.last);
            age < if open.count < 0 { EARLY } else { timeout }
        });
    }

    /// How many shares wait for an answer.
    pub(super) fn count(&self) -> u32 {
        self.open.values().map(|open| u32::try_from(open.count).unwrap_or(0)).sum()
    }

    fn change(&mut self, id: &str, by: i32, now: Instant) {
        if id.len() > LONGEST_ID {
            return;
        }
        if let Some(open) = self.open.get_mut(id) {
            if open.count < 0 && now.saturating_duration_since(open.last) >= EARLY {
                open.count = 0;
            }
            open.count += by;
            open.last = now;
            if open.count == 0 {
                self.open.remove(id);
            }
        } else if self.open.len() < MOST_IDS {
            self.open.insert(id.into(), Open { count: by, last: now });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn one_id_for_every_share_is_counted() {
        let (mut unanswered, now) = (Unanswered::default(), Instant::now());
        for expected in 1..=3 {
            unanswered.submitted("4", now);
            assert_eq!(unanswered.count(), expected);
        }
        unanswered.answered("4", now);
        assert_eq!(unanswered.count(), 2);
    }

    #[test]
    fn the_answer_may_come_first() {
        let (mut unanswered, now) = (Unanswered::default(), Instant::now());
        unanswered.answered("7", now);
        unanswered.submitted("7", now);
        assert_eq!(unanswered.count(), 0);
        // But an old answer to something else hides no later share.
        unanswered.answered("8", now);
        unanswered.submitted("8", now + EARLY);
        assert_eq!(unanswered.count(), 1);
    }

    #[test]
    fn what_is_never_answered_is_forgotten() {
        let (mut unanswered, now) = (Unanswered::default(), Instant::now());
        unanswered.submitted("\"a\"", now);
        unanswered.expire(MINUTE, now + MINUTE / 2);
        assert_eq!(unanswered.count(), 1);
        unanswered.expire(MINUTE, now + MINUTE);
        assert_eq!(unanswered.count(), 0);
    }

    #[test]
    fn a_flood_of_ids_is_bounded() {
        let (mut unanswered, now) = (Unanswered::default(), Instant::now());
        for id in 0..10_000 {
            unanswered.submitted(&id.to_string(), now);
        }
        assert_eq!(unanswered.open.len(), MOST_IDS);
    }
}
