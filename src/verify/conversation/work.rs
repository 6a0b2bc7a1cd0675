//! The search space of a connection and the jobs in it, each in all the ways that miners may read.

use std::time::Duration;

use super::{UNFINISHED, VerifyClient};
use crate::analyzer::PayoutState;
use crate::stratum::{
    Extranonce2Size, JobLine, JobReading, Notify, ReadingAgreement, Readings, Spaces, SubscribeAnswer,
};
use crate::verify::job::SeenJob;
use crate::verify::observations::Subscribed;
use crate::verify::timestamp::Timestamp;

/// The most search spaces of earlier times in which a job is judged.
const MAX_SPACES: usize = 16;

impl VerifyClient {
    /// Takes the answer to subscribe. The jobs that came before it follow.
    pub(super) fn take_subscribed(&mut self, spaces: Spaces, at: Timestamp) {
        self.subscribe_answered = Some(at.since);
        if let Some(first) = spaces.first() {
            let took = at.since.saturating_sub(self.subscribe_sent);
            self.found.subscribed = Some(Subscribed { extranonces: first.clone(), took });
        }
        self.set_spaces(spaces);
    }

    /// A `mining.set_extranonce` before the answer to subscribe: some miners may keep its search space, so jobs are
    /// judged in it, too.
    pub(super) fn take_early_spaces(&mut self, spaces: Spaces) {
        if let Some(why) = doubt(&spaces) {
            self.found.jobs.add_unreadable(&why);
        }
        let room = MAX_SPACES.saturating_sub(self.earlier_spaces.len());
        self.earlier_spaces.extend(spaces.spaces().take(room).cloned());
    }

    /// Takes what some miners may take for an answer to subscribe. It does not matter if it says what is known.
    pub(super) fn take_unasked(&mut self, spaces: &Spaces) {
        let known = self.found.subscribed.as_ref().map(|subscribed| &subscribed.extranonces);
        if spaces.spaces().any(|space| Some(space) != known) {
            let why = "a second answer to mining.subscribe: miners may take either";
            self.found.jobs.add_unreadable(why);
        }
    }

    /// Puts the search spaces in force. Those that are known stay where none can be read.
    fn set_spaces(&mut self, spaces: Spaces) {
        self.found.space_doubt = doubt(&spaces);
        let mut readable = spaces.readable.into_iter().map(|(space, _)| space);
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

    /// Takes the job of a line in all its readings. The worst of them counts.
    pub(super) fn take_job(&mut self, line: JobLine, at: Timestamp) {
        let JobLine { readings, unreadable } = line;
        if let Some(why) = unreadable {
            self.found.jobs.add_unreadable(&why);
        }
        if readings.is_empty() {
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

    fn seen(&self, job: Notify, space: &SubscribeAnswer, at: Timestamp) -> SeenJob {
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

    /// Takes what has come of a line that pauses for a second: a NerdMiner takes that for the whole line.
    pub(in crate::verify) fn take_paused(&mut self, rest: &[u8], at: Timestamp) {
        let readings = Readings::of(rest);
        let (read, unread): (Vec<_>, Vec<_>) = readings.jobs().into_iter().partition(Result::is_ok);
        if let Some(Err(why)) = unread.first() {
            self.found.jobs.add_unreadable(&why.to_string());
        }
        self.found.cut_jobs += u64::from(read.is_empty() && readings.may_hide_job());
        let read = read.into_iter().flatten().collect();
        if let Some(worst) = self.worst(read, at).filter(|worst| worst.payout.state >= PayoutState::Short) {
            self.found.jobs.add(worst, self.most_drift);
        }
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

/// The reason why miners may take another search space than those that were read.
fn doubt(spaces: &Spaces) -> Option<String> {
    let is_long = |space: &SubscribeAnswer| space.extranonce2_size.bytes() > Extranonce2Size::MAX_OF_MINERS;
    if let Some(why) = &spaces.unreadable {
        return Some(why.to_string());
    }
    if spaces.spaces().any(is_long) {
        return Some("its extranonce2 is longer than 8 bytes, of which miners send fewer".to_owned());
    }
    let is_doubtful = spaces.is_doubtful();
    is_doubtful.then(|| "its extranonce1 is no hex text that all miners read alike".to_owned())
}
