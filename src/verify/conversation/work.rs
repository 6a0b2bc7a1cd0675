//! The search space of a connection and the jobs in it, each in all the ways that miners may read.

use std::time::Duration;

use super::line::Spaces;
use super::{MAX_EARLY_JOBS, UNFINISHED, VerifyClient};
use crate::analyzer::PayoutState;
use crate::stratum::{JobReading, Notify, ReadingAgreement, Readings};
use crate::verify::job::{Extranonces, SeenJob};
use crate::verify::observations::{PoolRefusal, Subscribed};
use crate::verify::timestamp::Timestamp;

/// The most search spaces of earlier times in which a job is judged.
const MAX_SPACES: usize = 16;

impl VerifyClient {
    /// Takes the answer to subscribe. Whoever reads a refusal does not mine; what others read counts.
    pub(super) fn take_subscribed(&mut self, spaces: Spaces, refusal: Option<PoolRefusal>, at: Timestamp) {
        if spaces.is_empty() {
            self.found.subscribe_refused = self.found.subscribe_refused.take().or(refusal);
            return;
        }
        self.subscribe_answered = Some(at.since);
        if let Some(first) = spaces.readable.first() {
            let took = at.since.saturating_sub(self.subscribe_sent);
            self.found.subscribed = Some(Subscribed { extranonces: first.clone(), took });
        }
        self.set_spaces(spaces);
        for (job, at) in std::mem::take(&mut self.early) {
            self.take_job(job, at);
        }
    }

    /// Puts the search spaces in force. Those that are known stay where none can be read.
    pub(super) fn set_spaces(&mut self, spaces: Spaces) {
        self.found.space_doubt = spaces.doubt;
        let mut readable = spaces.readable.into_iter();
        if let (Some(subscribed), Some(first)) = (&mut self.found.subscribed, readable.next()) {
            subscribed.extranonces = first;
            self.found.other_spaces = readable.collect();
        }
    }

    /// A `mining.set_extranonce`: some miners take it at once, others ignore it. So jobs are judged in the search
    /// spaces before it, too, and the present job in the new ones.
    pub(super) fn change_spaces(&mut self, spaces: Spaces, at: Timestamp) {
        let Some(subscribed) = &self.found.subscribed else { return };
        let before = std::iter::once(subscribed.extranonces.clone()).chain(self.found.other_spaces.clone());
        for space in before {
            if !self.earlier_spaces.contains(&space) && self.earlier_spaces.len() < MAX_SPACES {
                self.earlier_spaces.push(space);
            }
        }
        self.set_spaces(spaces);
        let worst = self.worst(self.present.clone(), at).filter(SeenJob::has_coinbase);
        if let Some(worst) = worst.filter(|worst| worst.payout.state >= PayoutState::Short) {
            self.found.jobs.add(worst, self.most_drift);
        }
    }

    /// Takes a job in all its readings. The worst of them counts.
    pub(super) fn take_job(&mut self, readings: Vec<JobReading>, at: Timestamp) {
        if self.subscribe_answered.is_none() {
            if self.early.len() < MAX_EARLY_JOBS {
                self.early.push((readings, at));
            } else {
                self.found.jobs.add_unreadable("it came before the answer to mining.subscribe, like many");
            }
            return;
        }
        self.present.clone_from(&readings);
        let is_doubtful = readings.iter().any(|reading| reading.agreement == ReadingAgreement::Doubtful);
        let worst = self.worst(readings, at);
        let has_coinbase = worst.as_ref().is_none_or(SeenJob::has_coinbase);
        let doubt = self.found.space_doubt.clone();
        let doubt = doubt.or_else(|| is_doubtful.then(|| "miners may read it in several ways".to_owned()));
        let doubt = doubt.or_else(|| (!has_coinbase).then(|| "its coinbase can't be decoded".to_owned()));
        if let Some(why) = doubt {
            self.found.jobs.add_unreadable(&why);
        }
        if let Some(worst) = worst {
            self.found.jobs.add(worst, self.most_drift);
        }
    }

    /// The worst of a job's readings in all search spaces; `None` without a search space.
    fn worst(&self, readings: Vec<JobReading>, at: Timestamp) -> Option<SeenJob> {
        let subscribed = self.found.subscribed.as_ref()?;
        let spaces = || std::iter::once(&subscribed.extranonces).chain(&self.found.other_spaces);
        let seen = readings.iter().flat_map(|JobReading { job, .. }| {
            // A job that does not fit an earlier space is no work for a miner that is still there.
            let earlier = self.earlier_spaces.iter().map(|space| self.seen(job.clone(), space, at));
            let earlier = earlier.filter(SeenJob::has_coinbase);
            spaces().map(|space| self.seen(job.clone(), space, at)).chain(earlier).collect::<Vec<_>>()
        });
        seen.max_by_key(|job| job.badness(self.most_drift))
    }

    fn seen(&self, job: Notify, space: &Extranonces, at: Timestamp) -> SeenJob {
        let before = self.found.jobs.newest.as_ref();
        let clean = job.clean_jobs.unwrap_or_else(|| {
            before.is_none_or(|before| before.parent != crate::work::parent_hash(&job.prevhash))
        });
        let number = self.found.jobs.count + 1;
        let is_named = self.found.authorize_sent.is_some();
        SeenJob::new(number, at, job, clean, is_named, space, &self.judging)
    }

    /// Takes a line that is longer than any miner reads.
    pub(in crate::verify) fn take_overlong(&mut self) {
        self.found.jobs.add_unreadable("a line of more than 1 MiB");
    }

    /// Takes what came behind the last end of a line, and is as it is for `age`.
    pub(in crate::verify) fn take_unfinished(&mut self, rest: &[u8], age: Duration) {
        let readings = Readings::of(rest);
        let is_whole = !readings.jobs().is_empty();
        if is_whole || (age >= UNFINISHED && readings.may_hide_job()) {
            self.found.jobs.add_unreadable("the line has no end");
        }
    }
}
