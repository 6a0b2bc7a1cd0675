//! The steps that are due twice a second, whether or not bytes come.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{AnalyzedSession, MAX_OPENING};
use crate::analyzer::session_event::SessionEvent;
use crate::net::Stamp;
use crate::record::ShareOutcome;
use crate::stratum::Readings;

/// An unfinished line this old is not on its way any more: TCP sends lost packets again within seconds.
const MAX_UNFINISHED_AGE: Duration = Duration::from_secs(10);
/// A job from before the pool knew the miner, which pays others, is excused for this long after the miner began to
/// mine. Pools send another job right behind it.
pub(super) const MAX_EXCUSE: Duration = Duration::from_secs(10);
/// The excuse ends this soon if the pool accepts a share for the job, or if the session ends: by then the other job
/// would have come.
const MIN_EXCUSE: Duration = Duration::from_secs(2);

impl AnalyzedSession {
    /// Gives up shares that were not answered in time, and does everything else that is due.
    pub(in crate::analyzer) fn expire(&mut self, timeout: Duration, now: Stamp) {
        // The answer may have been among lost copies. The forwarding thread counts a lost copy at once; the gap
        // shows only with the next copy.
        let is_whole = self.conversation.dropped_copies.load(Ordering::Relaxed) == 0;
        let outcome = if is_whole { ShareOutcome::Unanswered } else { ShareOutcome::Unknown };
        let expired = self.requests.expire(timeout, now);
        self.take_settled();
        for kind in expired {
            self.give_up(kind, outcome.clone());
        }
        self.publish();
        self.check_unfinished_line(now);
        // The last copies may be lost, and then no further copy shows the gap.
        let lost_copies = self.conversation.down.dropped.load(Ordering::Relaxed);
        if lost_copies > self.lost_copies {
            self.lost_copies = lost_copies;
            self.copies_lost(now);
        }
        let oldest = self.requests.oldest_share();
        let age = oldest.map(|at| now.since(at).unwrap_or_default());
        self.conversation.clock.set_oldest_unanswered(age);
        self.conversation.clock.mark_current();
        self.change_extranonce1(now);
        self.end_excuse(now);
        self.up.release_memory();
        self.down.release_memory();
    }

    /// Judges jobs again that came before the pool knew the miner, if the miner still works on them. After something
    /// that was lost or could not be read nobody knows that: the right job may be among it.
    fn end_excuse(&mut self, now: Stamp) {
        if self.is_excuse_over(now) && self.work.has_early() && self.work.unread.is_none() {
            self.judge_excused(now);
        }
    }

    /// Whether the pool has had its time to give the miner a job of its own.
    pub(super) fn is_excuse_over(&self, now: Stamp) -> bool {
        let (since, excused) =
            self.mining_since.map_or((self.opened, MAX_OPENING), |since| (since, MAX_EXCUSE));
        now.since(since).is_some_and(|age| age >= excused)
    }

    /// Ends the excuse before its time, if no other job has come although the miner has mined for a while. A pool
    /// that ends each session early would be excused for ever.
    pub(super) fn end_excuse_early(&mut self, now: Stamp) {
        let has_mined = self.mining_since.and_then(|since| now.since(since));
        let lost_copies = self.conversation.down.dropped.load(Ordering::Relaxed);
        if has_mined.is_some_and(|time| time >= MIN_EXCUSE)
            && self.work.is_all_excused()
            && lost_copies <= self.lost_copies
        {
            self.judge_excused(now);
        }
    }

    fn judge_excused(&mut self, now: Stamp) {
        for job in self.work.end_excuse(&self.expectations) {
            self.events.push(SessionEvent::Rejudged(Box::new(job), now));
        }
    }

    /// Reports an unfinished line that may hold a job. A NerdMiner takes everything that came within a second as a
    /// line, even without an end (wire reference, section 1.4).
    fn check_unfinished_line(&mut self, now: Stamp) {
        let is_due = |since: Stamp| now.since(since).is_some_and(|age| age >= MAX_UNFINISHED_AGE);
        if !self.unfinished_since.is_some_and(is_due) {
            return;
        }
        self.unfinished_since = None;
        let rest = self.down.unfinished().to_vec();
        let readings = Readings::of(&rest);
        if readings.may_hide_job() || !readings.jobs().is_empty() {
            self.unread("its line has no end", &rest, now);
        }
    }
}
