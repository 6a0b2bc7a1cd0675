//! Older jobs that a miner may still work on although newer ones came.
//!
//! Not every miner takes every job: some drop a message with an odd id, or the second of two messages in one packet.
//! A newer job therefore does not prove that the miner has left an older one that is bad or could not be judged. A
//! share for the newer job does.

use std::time::Duration;

use super::job_verdict::JudgedJob;
use super::session_event::JobSeen;
use super::verdicts::{Expectations, PayoutState, WorkDoubt};
use crate::net::Stamp;

/// Lost copies leave verdicts in doubt for at most this long after the next job if no share comes. Copies are lost
/// when the machine is overloaded, and a slow miner may not send a share for days.
const MAX_MISSED_AGE: Duration = Duration::from_secs(3600);

/// Caps the excused jobs. An honest pool sends one before it knows the miner.
const MAX_EXCUSED: usize = 4;

/// The worst jobs before the newest one, until a share proves that the miner has moved on.
#[derive(Debug, Default)]
pub(super) struct SupersededWork {
    /// The job with the worst payout and the one with the worst chain, which can be the same.
    pub(super) bad: Vec<JudgedJob>,
    /// Jobs whose bad payout is excused, and since when each is superseded. The newest are last.
    pub(super) excused: Vec<(JudgedJob, Stamp)>,
    /// The gravest doubt, and the time when it began.
    doubt: Option<(WorkDoubt, Stamp)>,
    /// The time of the first later job that every miner reads. Then a share for a later job proves that the miner has
    /// moved on.
    pub(super) followed_at: Option<Stamp>,
}

impl SupersededWork {
    /// Adds these jobs and this doubt, which a job that every miner reads has followed at `at`.
    pub(super) fn add(
        &mut self,
        jobs: impl IntoIterator<Item = JudgedJob>,
        doubt: Option<(WorkDoubt, Stamp)>,
        at: Stamp,
    ) {
        if let Some((why, since)) = doubt {
            self.add_doubt(why, since, at);
        }
        for job in jobs {
            if let Some(why) = job.unverifiable_reason() {
                self.add_doubt(why, at, at);
            }
            if job.is_bad() {
                self.followed_at = Some(at);
                self.add_bad(job);
            } else if job.excused_since().is_some() {
                if self.excused.len() >= MAX_EXCUSED {
                    self.excused.remove(0);
                }
                self.excused.push((job, at));
            }
        }
    }

    /// Handles a share for the job that came at `job_came`. Returns whether it ends a doubt.
    pub(super) fn worked_on(&mut self, job_came: Stamp) -> bool {
        if self.followed_at.is_none_or(|followed_at| job_came < followed_at) {
            return false;
        }
        std::mem::take(self).doubt.is_some()
    }

    /// A share proves that the miner works on the job that came then. If that job is excused and has been superseded
    /// for longer than `grace`, it is judged without the excuse; returns it if it is bad.
    pub(super) fn end_excuse(
        &mut self,
        job_came: Stamp,
        now: Stamp,
        grace: Duration,
        expectations: &Expectations,
    ) -> Option<JobSeen> {
        let is_stayed_with = |(job, since): &(JudgedJob, Stamp)| {
            job.excused_since() == Some(job_came) && now.since(*since).is_some_and(|age| age > grace)
        };
        let index = self.excused.iter().position(is_stayed_with)?;
        let (job, _) = self.excused.get_mut(index)?;
        let seen = job.end_excuse(expectations)?;
        let (job, _) = self.excused.remove(index);
        let is_bad = job.is_bad();
        if is_bad {
            self.add_bad(job);
        }
        Some(seen).filter(|seen| is_bad && seen.payout.state >= PayoutState::Short)
    }

    /// The reason why it is unknown what the miner works on, and the time when the doubt began.
    pub(super) fn doubt(&self, now: Stamp) -> Option<(WorkDoubt, Stamp)> {
        let is_over = |since: Stamp| now.since(since).is_some_and(|age| age > MAX_MISSED_AGE);
        self.doubt.filter(|(why, since)| *why != WorkDoubt::Missed || !is_over(*since))
    }

    /// Keeps what has the worst payout or the worst chain; of equal ones the newest.
    fn add_bad(&mut self, job: JudgedJob) {
        self.bad.push(job);
        let last = self.bad.len() - 1;
        let worst_payout = (0..=last).max_by_key(|index| self.bad[*index].payout.state);
        let worst_chain = (0..=last).max_by_key(|index| self.bad[*index].chain.state);
        let mut index = 0;
        self.bad.retain(|_| {
            index += 1;
            [worst_payout, worst_chain].contains(&Some(index - 1))
        });
    }

    fn add_doubt(&mut self, why: WorkDoubt, since: Stamp, at: Stamp) {
        self.followed_at = Some(at);
        self.doubt = match self.doubt {
            // Copies that are lost again start a new period.
            Some((known, _)) if known > why || (known == why && why != WorkDoubt::Missed) => self.doubt,
            _ => Some((why, since)),
        };
    }
}
