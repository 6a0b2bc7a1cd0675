//! Older jobs that a miner may still work on although newer ones came.
//!
//! Not every miner takes every job: some drop a message with an odd id, or the second of two messages in one packet.
//! A newer job therefore does not prove that the miner has left an older one that is bad or could not be judged. A
//! share for the newer job does.

use std::time::Duration;

use super::job_verdict::JudgedJob;
use super::verdicts::WorkDoubt;
use crate::net::Stamp;

/// Lost copies leave verdicts in doubt for at most this long after the next job if no share comes. Copies are lost
/// when the machine is overloaded, and a slow miner may not send a share for days.
const MAX_MISSED_AGE: Duration = Duration::from_secs(3600);

/// The worst job before the newest one, until a share proves that the miner has moved on.
#[derive(Debug, Default)]
pub(super) struct SupersededWork {
    bad: Option<JudgedJob>,
    /// The gravest doubt, and the time when it began.
    doubt: Option<(WorkDoubt, Stamp)>,
    /// The time of the first later job that every miner reads.
    followed_at: Option<Stamp>,
}

impl SupersededWork {
    /// Adds these jobs and this doubt, which a job that every miner reads has followed at `at`.
    pub(super) fn add(
        &mut self,
        jobs: impl IntoIterator<Item = JudgedJob>,
        doubt: Option<(WorkDoubt, Stamp)>,
        at: Stamp,
    ) {
        if doubt.is_some() {
            self.add_doubt(doubt, at);
        }
        for job in jobs {
            if let Some(why) = job.unverifiable_reason() {
                self.add_doubt(Some((why, at)), at);
            } else if job.is_bad() {
                self.followed_at = Some(at);
                if self.bad.as_ref().is_none_or(|known| known.badness() <= job.badness()) {
                    self.bad = Some(job);
                }
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

    /// The bad job that the miner may still work on.
    pub(super) fn bad(&self) -> Option<&JudgedJob> {
        self.bad.as_ref()
    }

    /// The same job, to be judged again.
    pub(super) fn bad_mut(&mut self) -> Option<&mut JudgedJob> {
        self.bad.as_mut()
    }

    /// The reason why it is unknown what the miner works on, and the time when the doubt began.
    pub(super) fn doubt(&self, now: Stamp) -> Option<(WorkDoubt, Stamp)> {
        let is_over = |since: Stamp| now.since(since).is_some_and(|age| age > MAX_MISSED_AGE);
        self.doubt.filter(|(why, since)| *why != WorkDoubt::Missed || !is_over(*since))
    }

    fn add_doubt(&mut self, new: Option<(WorkDoubt, Stamp)>, at: Stamp) {
        self.followed_at = Some(at);
        let Some((why, since)) = new else { return };
        self.doubt = match self.doubt {
            Some((known, _)) if known < why => Some((why, since)),
            // Copies that are lost again start a new period.
            Some((WorkDoubt::Missed, _)) => Some((WorkDoubt::Missed, since)),
            known => known.or(Some((why, since))),
        };
    }
}
