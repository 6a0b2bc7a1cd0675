//! The search space of a connection and its jobs, each in all the readings of miners.

use std::time::Duration;

use super::{UNFINISHED_AFTER, VerifyClient};
use crate::analyzer::PayoutState;
use crate::stratum::{
    Extranonce2Size, JobLine, JobReading, Notify, ReadingAgreement, Readings, SearchSpaces, SubscribeAnswer,
};
use crate::verify::job::ObservedJob;
use crate::verify::observations::{Authorized, Subscribed, Timestamp};

/// Caps the earlier search spaces in which a job is judged.
const MAX_EARLIER_SPACES: usize = 16;

/// A job that crosses the authorize on its way was not made for the address. A pool that has read it sends another one
/// within this time after its answer.
const MAX_CROSSING_TIME: Duration = Duration::from_secs(10);

impl VerifyClient {
    /// Takes the answer to subscribe. The events of jobs that came before it follow.
    pub(super) fn take_subscribed(&mut self, spaces: SearchSpaces, at: Timestamp) {
        self.subscribe_answered = Some(at.since);
        if let Some(first) = spaces.first() {
            let took = at.since.saturating_sub(self.subscribe_sent);
            self.observations.subscribed = Some(Subscribed { extranonces: first.clone(), took });
        }
        self.set_spaces(spaces);
    }

    /// Takes a `mining.set_extranonce` before the answer to subscribe. Some miners may keep its search space, so
    /// jobs are judged in it as well.
    pub(super) fn take_early_spaces(&mut self, spaces: SearchSpaces) {
        if let Some(why) = doubt(&spaces) {
            self.observations.jobs.add_unreadable(&why);
        }
        let room = MAX_EARLIER_SPACES.saturating_sub(self.earlier_spaces.len());
        self.earlier_spaces.extend(spaces.spaces().take(room).cloned());
    }

    /// Takes a line that some miners may read as an answer to subscribe. It does not matter if it repeats the
    /// known search space.
    pub(super) fn take_unasked(&mut self, spaces: &SearchSpaces) {
        let known = self.observations.subscribed.as_ref().map(|subscribed| &subscribed.extranonces);
        if spaces.spaces().any(|space| Some(space) != known) {
            let why = "a second answer to mining.subscribe: miners may take either";
            self.observations.jobs.add_unreadable(why);
        }
    }

    /// Sets the current search spaces. If none can be read, the known ones stay.
    fn set_spaces(&mut self, spaces: SearchSpaces) {
        self.observations.space_doubt = doubt(&spaces);
        let mut readable = spaces.readable.into_iter().map(|(space, _)| space);
        if let (Some(subscribed), Some(first)) = (&mut self.observations.subscribed, readable.next()) {
            subscribed.extranonces = first;
            self.observations.other_spaces = readable.collect();
        }
    }

    /// Takes a `mining.set_extranonce`. Some miners apply it at once, others ignore it. So later jobs are also
    /// judged in the earlier search spaces, and the current job in the new ones.
    pub(super) fn change_spaces(&mut self, spaces: SearchSpaces, at: Timestamp) {
        let Some(subscribed) = &self.observations.subscribed else { return };
        let before =
            std::iter::once(subscribed.extranonces.clone()).chain(self.observations.other_spaces.clone());
        for space in before {
            if !self.earlier_spaces.contains(&space) && self.earlier_spaces.len() < MAX_EARLIER_SPACES {
                self.earlier_spaces.push(space);
            }
        }
        self.set_spaces(spaces);
        let is_named = self.is_named() && !self.is_present_crossing;
        let worst = self.worst(self.present.clone(), at, is_named).filter(ObservedJob::has_coinbase);
        if let Some(worst) = worst.filter(|worst| worst.payout.state >= PayoutState::Short) {
            self.observations.jobs.add(worst, self.max_drift);
        }
    }

    /// Takes a job in all its readings. The worst one counts.
    pub(super) fn take_job(&mut self, line: JobLine, at: Timestamp) {
        let JobLine { readings, unreadable } = line;
        if let Some(why) = unreadable {
            self.observations.jobs.add_unreadable(&why);
        }
        if readings.is_empty() {
            return;
        }
        self.present.clone_from(&readings);
        let is_doubtful = readings.iter().any(|reading| reading.agreement == ReadingAgreement::Doubtful);
        let mut worst = self.worst(readings, at, self.is_named());
        let is_bad = worst.as_ref().is_some_and(|worst| worst.payout.state >= PayoutState::Short);
        self.is_present_crossing = is_bad && self.may_cross(at);
        if self.is_present_crossing {
            worst = self.worst(self.present.clone(), at, false);
        }
        let has_coinbase = worst.as_ref().is_none_or(ObservedJob::has_coinbase);
        let doubt = self.observations.space_doubt.clone();
        let doubt = doubt.or_else(|| is_doubtful.then(|| "miners may read it differently".to_owned()));
        let doubt = doubt.or_else(|| (!has_coinbase).then(|| "its coinbase can't be decoded".to_owned()));
        if let Some(why) = doubt {
            self.observations.jobs.add_unreadable(&why);
        }
        if let Some(worst) = worst {
            self.observations.jobs.add(worst, self.max_drift);
        }
    }

    /// Judges the current job as one that was made for the address, if it still is the current one long after the
    /// authorize: until then the pool may have sent it before it read the address.
    pub(super) fn rejudge_crossing(&mut self, at: Timestamp) {
        if std::mem::take(&mut self.is_present_crossing) {
            if let Some(worst) = self.worst(self.present.clone(), at, true) {
                self.observations.jobs.add(worst, self.max_drift);
            }
        }
    }

    /// The time at which the current job must be made for the address. `None` if it has been judged by that already.
    pub(super) fn crossing_ends(&self) -> Option<Duration> {
        let sent = self.observations.authorize_sent.filter(|_| self.is_present_crossing)?;
        Some(sent + self.observations.authorize_took.unwrap_or_default() + MAX_CROSSING_TIME)
    }

    /// Whether the pool knows whom to pay.
    fn is_named(&self) -> bool {
        self.observations.authorize_sent.is_some()
    }

    /// Whether a job of this time may have been sent before the pool read the address.
    fn may_cross(&self, at: Timestamp) -> bool {
        let is_unanswered = self.observations.authorized == Authorized::Unanswered;
        self.observations
            .authorize_sent
            .is_some_and(|sent| is_unanswered && at.since < sent + MAX_CROSSING_TIME)
    }

    /// The worst of a job's readings in all search spaces; `None` without a search space.
    fn worst(&self, readings: Vec<JobReading>, at: Timestamp, is_named: bool) -> Option<ObservedJob> {
        let subscribed = self.observations.subscribed.as_ref()?;
        let spaces = || std::iter::once(&subscribed.extranonces).chain(&self.observations.other_spaces);
        let seen = readings.iter().flat_map(|JobReading { job, .. }| {
            // A job that does not fit an earlier space is no work for a miner that still uses it.
            let earlier = self.earlier_spaces.iter().map(|space| self.seen(job.clone(), space, at, is_named));
            let earlier = earlier.filter(ObservedJob::has_coinbase);
            spaces()
                .map(|space| self.seen(job.clone(), space, at, is_named))
                .chain(earlier)
                .collect::<Vec<_>>()
        });
        seen.max_by_key(|job| job.badness(self.max_drift))
    }

    fn seen(&self, job: Notify, space: &SubscribeAnswer, at: Timestamp, is_named: bool) -> ObservedJob {
        let before = self.observations.jobs.newest.as_ref();
        let clean = job.clean_jobs.unwrap_or_else(|| {
            before.is_none_or(|before| before.parent != crate::work::parent_hash(&job.prevhash))
        });
        let number = self.observations.jobs.count + 1;
        ObservedJob::new(number, at, job, clean, is_named, space, &self.policy)
    }

    /// Takes a line that is longer than the limit.
    pub(in crate::verify) fn take_overlong(&mut self) {
        self.observations.jobs.add_unreadable("a line of more than 1 MiB");
    }

    /// Takes the start of a line that pauses for a second. A NerdMiner reads it as the whole line.
    pub(in crate::verify) fn take_paused(&mut self, rest: &[u8], at: Timestamp) {
        let readings = Readings::of(rest);
        let (read, unread): (Vec<_>, Vec<_>) = readings.jobs().into_iter().partition(Result::is_ok);
        if let Some(Err(why)) = unread.first() {
            self.observations.jobs.add_unreadable(&why.to_string());
        }
        self.observations.cut_jobs += u64::from(read.is_empty() && readings.may_hide_job());
        let read = read.into_iter().flatten().collect();
        let is_named = self.is_named() && !self.may_cross(at);
        if let Some(worst) =
            self.worst(read, at, is_named).filter(|worst| worst.payout.state >= PayoutState::Short)
        {
            self.observations.jobs.add(worst, self.max_drift);
        }
    }

    /// Takes the unfinished last line, which has not changed for `age`.
    pub(in crate::verify) fn take_unfinished(&mut self, rest: &[u8], age: Duration) {
        let readings = Readings::of(rest);
        let is_whole = !readings.jobs().is_empty();
        if is_whole || (age >= UNFINISHED_AFTER && readings.may_hide_job()) {
            self.observations.jobs.add_unreadable("the line has no end");
        }
    }
}

/// The reason why miners may use other search spaces than those that were read.
fn doubt(spaces: &SearchSpaces) -> Option<String> {
    let is_long = |space: &SubscribeAnswer| space.extranonce2_size.bytes() > Extranonce2Size::MAX_OF_MINERS;
    if let Some(why) = &spaces.unreadable {
        return Some(why.to_string());
    }
    if spaces.spaces().any(is_long) {
        return Some("its extranonce2 is longer than the 8 bytes that miners support".to_owned());
    }
    let is_doubtful = spaces.is_doubtful();
    is_doubtful.then(|| "its extranonce1 is not hex that all miners read alike".to_owned())
}
