//! Counts the sessions in a row that a pool has turned away. Time is passed in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::session::PassthroughSession;

/// Caps the ended sessions that wait for the pool supervisor, which takes them twice a second. More would
/// show nothing new.
const MAX_UNSERVED: usize = 64;

/// Refusals in a row, without any miner served meanwhile, after which a pool is left. One may be a miner's
/// mistake that is corrected at once.
const MAX_REFUSALS: u32 = 2;
/// Sessions in a row that ended before they had work, after which a probe looks at the pool. A pool that
/// restarts ends one or two.
const MAX_EARLY_ENDS: u32 = 3;
/// The time after which earlier sessions show nothing about the pool any more.
const RESET_AFTER: Duration = Duration::from_secs(600);

/// The way in which a session was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TurnedAway {
    /// The pool refused its subscribe or authorize.
    Refused,
    /// The session ended before it had work.
    EndedEarly,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextStep {
    Nothing,
    /// A probe finds out whether the pool serves anyone.
    Probe,
    /// The pool is left.
    Leave,
}

/// The count of one pool.
#[derive(Debug, Default)]
pub(super) struct TurnedAwayCount {
    refused: u32,
    ended_early: u32,
    last_at: Option<Instant>,
}

impl TurnedAwayCount {
    /// Counts another session that was turned away.
    pub(super) fn note(&mut self, how: TurnedAway, now: Instant) {
        if self.last_at.is_some_and(|last| now.saturating_duration_since(last) > RESET_AFTER) {
            *self = TurnedAwayCount::default();
        }
        self.last_at = Some(now);
        match how {
            TurnedAway::Refused => self.refused += 1,
            TurnedAway::EndedEarly => self.ended_early += 1,
        }
    }

    /// Decides the next step. `is_waiting`: a refused miner has stayed, without work, for as long as a pool
    /// may take.
    pub(super) fn next(&self, is_waiting: bool) -> NextStep {
        if self.refused >= MAX_REFUSALS || is_waiting {
            NextStep::Leave
        } else if self.refused + self.ended_early >= MAX_EARLY_ENDS {
            NextStep::Probe
        } else {
            NextStep::Nothing
        }
    }
}

/// Sessions that ended before they had work, and when.
#[derive(Debug, Default)]
pub(super) struct UnservedSessions(Mutex<VecDeque<(Instant, Arc<PassthroughSession>)>>);

impl UnservedSessions {
    pub(super) fn add(&self, session: Arc<PassthroughSession>, now: Instant) {
        let mut sessions = self.0.lock();
        if sessions.len() < MAX_UNSERVED {
            sessions.push_back((now, session));
        }
    }

    /// Takes the sessions that ended at `until` or before.
    pub(super) fn take(&self, until: Instant) -> Vec<Arc<PassthroughSession>> {
        let mut sessions = self.0.lock();
        let due = sessions.iter().take_while(|(at, _)| *at <= until).count();
        sessions.drain(..due).map(|(_, session)| session).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_refusals_or_three_early_ends_are_no_accident() {
        let (mut count, now) = (TurnedAwayCount::default(), Instant::now());
        assert_eq!(count.next(false), NextStep::Nothing);
        count.note(TurnedAway::Refused, now);
        assert_eq!((count.next(false), count.next(true)), (NextStep::Nothing, NextStep::Leave));
        count.note(TurnedAway::EndedEarly, now);
        count.note(TurnedAway::EndedEarly, now);
        assert_eq!(count.next(false), NextStep::Probe);
        count.note(TurnedAway::Refused, now);
        assert_eq!(count.next(false), NextStep::Leave);
        count.note(TurnedAway::Refused, now + RESET_AFTER * 2);
        assert_eq!(count.next(false), NextStep::Nothing);
    }
}
