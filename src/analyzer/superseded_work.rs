//! Work that a session's miner may still do although newer jobs came.
//!
//! Not every miner takes everything that calls itself a job: some drop a message with an odd id, or the second
//! of two messages in one packet. So a newer job does not prove that the miner has left an older one that is bad
//! or could not be judged. A share for the newer job does.

use std::time::Duration;

use super::job_verdict::JudgedJob;
use super::verdicts::WorkDoubt;
use crate::net::Stamp;

/// Lost copies leave verdicts in doubt for so long after the next job if no share comes. Copies are lost when
/// this machine is overloaded, and a slow miner may not send a share for days.
const MISSED_COUNTS: Duration = Duration::from_secs(3600);

/// The worst of what came before the newest job, until a share proves that the miner has moved on.
#[derive(Debug, Default)]
pub(super) struct SupersededWork {
    bad: Option<JudgedJob>,
    /// The gravest doubt, and since when.
    doubt: Option<(WorkDoubt, Stamp)>,
    /// When the first job after all of these came that every miner should read.
    followed_at: Option<Stamp>,
}

impl SupersededWork {
    /// A job that every miner should read came `at` this time, after these jobs and this doubt.
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
            if let Some(why) = job.unjudged() {
                self.add_doubt(Some((why, at)), at);
            } else if job.is_bad() {
                self.followed_at = Some(at);
                if self.bad.as_ref().is_none_or(|known| known.badness() <= job.badness()) {
                    self.bad = Some(job);
                }
            }
        }
    }

    /// A share proves that the miner works on the job that came then. Returns whether that ends a doubt.
    pub(super) fn worked_on(&mut self, job_came: Stamp) -> bool {
        if self.followed_at.is_none_or(|followed_at| job_came < followed_at) {
            return false;
        }
        std::mem::take(self).doubt.is_some()
    }

    /// Whether something waits for a share that proves that the miner has moved on.
    pub(super) fn awaits_proof(&self) -> bool {
        self.followed_at.is_some()
    }

    /// The bad job that the miner may still work on.
    pub(super) fn bad(&self) -> Option<&JudgedJob> {
        self.bad.as_ref()
    }

    /// The same, to be judged anew.
    pub(super) fn bad_mut(&mut self) -> Option<&mut JudgedJob> {
        self.bad.as_mut()
    }

    /// Why nobody can tell what the miner works on, and since when.
    pub(super) fn doubt(&self, now: Stamp) -> Option<(WorkDoubt, Stamp)> {
        let is_over = |since: Stamp| now.since(since).is_some_and(|age| age > MISSED_COUNTS);
        self.doubt.filter(|(why, since)| *why != WorkDoubt::Missed || !is_over(*since))
    }

    fn add_doubt(&mut self, new: Option<(WorkDoubt, Stamp)>, at: Stamp) {
        self.followed_at = Some(at);
        let Some((why, since)) = new else { return };
        self.doubt = match self.doubt {
            Some((known, _)) if known < why => Some((why, since)),
            // Copies that were lost once more count anew.
            Some((WorkDoubt::Missed, _)) => Some((WorkDoubt::Missed, since)),
            known => known.or(Some((why, since))),
        };
    }
}
