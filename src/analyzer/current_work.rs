//! What a session's miner works on, as far as it could be read, and whether that can still be relied on.
//!
//! Miners do not agree in what is a job. A job that every miner reads replaces all before it. One that some
//! ignore stands beside the last one, and the worse of the two counts. What could not be read leaves all
//! verdicts in doubt, until the next job that every miner reads.

use std::time::Duration;

use super::job_interval::Cadence;
use super::job_verdict::{JudgedJob, OutputView};
use super::verdicts::{
    ChainState, ChainVerdict, Expectations, Expected, PayoutState, PayoutVerdict, WorkDoubt,
};
use crate::net::Stamp;
use crate::stratum::{LineShape, ReadingAgreement};

/// Jobs that some miners ignore are kept for so many ways in which they are odd. Beyond that the least bad
/// one is forgotten, and nobody can tell any more.
const MAX_ODD: usize = 4;
/// A verdict is relied on no longer than this while nothing is known of the pool's cadence. Most pools send a
/// job each minute; no block comes in an hour once in 400 blocks.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Why some miners may ignore a job. Two jobs of the same kind are read by the same miners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Oddness {
    /// `None` for an ordinary line.
    pub(super) shape: Option<LineShape>,
    /// The method's name is written as every miner knows it.
    pub(super) has_exact_name: bool,
}

/// What the miner works on.
#[derive(Debug, Default)]
pub(super) struct CurrentWork {
    /// The newest job that every miner reads.
    newest: Option<JudgedJob>,
    /// The newest of each kind that some miners ignore, since then.
    odd: Vec<(Oddness, JudgedJob)>,
    /// The worst job before it that was bad, and when the first that every miner reads came after it. Not all that
    /// calls itself a job is taken by every miner, so it counts until a share proves that the miner has moved on.
    suspect: Option<(JudgedJob, Stamp)>,
    /// What came since then that could not be read.
    unread: Option<(WorkDoubt, Stamp)>,
    /// How often something came that could not be read.
    unread_count: u64,
    /// The pool accepts shares for jobs that nobody could read.
    accepts_unseen: bool,
    /// When the newest job came that shows the pool's cadence.
    last: Option<Stamp>,
    cadence: Cadence,
    was_late: bool,
}

/// How long no job came, of a session that had some.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct JobGap {
    pub(super) seconds: f64,
    /// The longest gap of late.
    pub(super) usual: f64,
    /// It is longer than the pool's cadence allows.
    pub(super) is_late: bool,
}

/// The verdicts on what the miner works on.
#[derive(Debug, Clone)]
pub(super) struct CurrentVerdicts {
    pub(super) payout: PayoutVerdict,
    pub(super) chain: ChainVerdict,
    pub(super) outputs: Vec<OutputView>,
}

impl CurrentWork {
    /// A job has come. Returns whether jobs were late before it.
    pub(super) fn job(
        &mut self,
        job: JudgedJob,
        agreement: ReadingAgreement,
        oddness: Oddness,
        at: Stamp,
    ) -> bool {
        let job = job.without_large_coinbase();
        let was_late =
            if agreement == ReadingAgreement::All || self.newest.is_none() { self.came(at) } else { false };
        if agreement == ReadingAgreement::All {
            let before = self.newest.replace(job).into_iter().chain(self.odd.drain(..).map(|(_, job)| job));
            let worst = before.filter(JudgedJob::is_bad).max_by_key(|job| job.badness());
            let is_worse = |worst: &JudgedJob| {
                self.suspect.as_ref().is_none_or(|(known, _)| known.badness() <= worst.badness())
            };
            if let Some(worst) = worst.filter(is_worse) {
                self.suspect = Some((worst, at));
            }
            self.unread = None;
            return was_late;
        }
        self.odd.retain(|(known, _)| *known != oddness);
        self.odd.push((oddness, job));
        if self.odd.len() > MAX_ODD {
            let least = self.odd.iter().enumerate().min_by_key(|(_, (_, job))| job.badness());
            if let Some((place, _)) = least {
                self.odd.remove(place);
            }
            self.unread(WorkDoubt::Ambiguous, at);
        }
        was_late
    }

    /// A share proves that the miner works on the job that came then.
    pub(super) fn worked_on(&mut self, job_came: Stamp) {
        self.suspect.take_if(|(_, since)| job_came >= *since);
    }

    /// The bad job that the miner may still work on, though others came after it.
    pub(super) fn suspect(&self) -> Option<&JudgedJob> {
        self.suspect.as_ref().map(|(job, _)| job)
    }

    /// Something came that may be a job and could not be read, or was lost.
    pub(super) fn unread(&mut self, why: WorkDoubt, at: Stamp) {
        self.unread_count += 1;
        match &mut self.unread {
            Some((known, _)) => *known = why.max(*known),
            None => self.unread = Some((why, at)),
        }
    }

    /// The pool accepts shares for jobs that nobody could read, or does so no more.
    pub(super) fn accepts_unseen(&mut self, accepts: bool) {
        self.accepts_unseen = accepts;
    }

    /// How often that was so.
    pub(super) fn unread_count(&self) -> u64 {
        self.unread_count
    }

    /// Has what could not be read stay in doubt: it came behind the job that was judged last.
    pub(super) fn stays_unread(&mut self, unread: Option<(WorkDoubt, Stamp)>) {
        self.unread = self.unread.or(unread);
    }

    /// What could not be read, and since when.
    pub(super) fn unread_since(&self) -> Option<(WorkDoubt, Stamp)> {
        self.unread
    }

    /// The jobs are judged by other expectations.
    pub(super) fn again(&mut self, workers: Option<&[Expected]>, expectations: &Expectations) {
        let suspect = self.suspect.iter_mut().map(|(job, _)| job);
        let odd = self.odd.iter_mut().map(|(_, job)| job).chain(suspect);
        self.newest.iter_mut().chain(odd).for_each(|job| job.again(workers, expectations));
    }

    /// How long no job has come; `None` before the first. Jobs are late when that is more than `stale_job`
    /// and than the cadence allows.
    pub(super) fn gap(&mut self, now: Stamp, stale_job: Duration) -> Option<JobGap> {
        let seconds = now.since(self.last?).unwrap_or_default().as_secs_f64();
        let is_late = seconds > stale_job.as_secs_f64().max(self.cadence.late_after());
        self.was_late |= is_late;
        Some(JobGap { seconds, usual: self.cadence.longest(), is_late })
    }

    /// Until when the verdicts are good, unless another job comes.
    pub(super) fn good_until(&self, stale_job: Duration) -> Option<Stamp> {
        let by_cadence = Duration::try_from_secs_f64(self.cadence.late_after()).unwrap_or(MAX_AGE);
        let limit = by_cadence.min(MAX_AGE).max(stale_job);
        Some(self.last?.shifted(i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How bad it is: money first, then the chain. `None` before anything came.
    pub(super) fn badness(&self, now: Stamp, stale_job: Duration) -> Option<(PayoutState, ChainState)> {
        let doubt = self.doubt(now, stale_job);
        let (payout, chain) = match self.worst() {
            Some(job) => (job.payout.state, job.chain.state),
            None => (PayoutState::Verified, ChainState::Plausible),
        };
        match doubt {
            Some(why) => Some((payout.doubted(why), chain.doubted())),
            None => self.worst().map(|_| (payout, chain)),
        }
    }

    /// The worst verdicts, as they can still be relied on; `None` before anything came.
    pub(super) fn verdicts(&self, now: Stamp, stale_job: Duration) -> Option<CurrentVerdicts> {
        let doubt = self.doubt(now, stale_job);
        let Some(job) = self.worst() else {
            let why = doubt?;
            return Some(CurrentVerdicts {
                payout: PayoutVerdict::doubtful(why),
                chain: ChainVerdict::doubtful(why),
                outputs: Vec::new(),
            });
        };
        let mut verdicts =
            CurrentVerdicts { payout: job.payout.clone(), chain: job.chain.clone(), outputs: job.outputs() };
        if let Some(why) = doubt {
            verdicts.doubt(why);
        }
        Some(verdicts)
    }

    fn doubt(&self, now: Stamp, stale_job: Duration) -> Option<WorkDoubt> {
        let is_old = self.good_until(stale_job).is_some_and(|until| until < now);
        let unread = self.unread.map(|(why, _)| why);
        unread.max(self.accepts_unseen.then_some(WorkDoubt::Unread)).or(is_old.then_some(WorkDoubt::Old))
    }

    fn worst(&self) -> Option<&JudgedJob> {
        let odd = self.odd.iter().map(|(_, job)| job);
        self.newest.iter().chain(odd).chain(self.suspect()).max_by_key(|job| job.badness())
    }

    fn came(&mut self, at: Stamp) -> bool {
        let was_late = std::mem::take(&mut self.was_late);
        if let Some(last) = self.last {
            self.cadence.job(at.since(last).unwrap_or_default().as_secs_f64(), was_late);
        }
        self.last = Some(at);
        was_late
    }
}

impl CurrentVerdicts {
    /// Nobody can tell any more; what is bad stays bad.
    pub(super) fn doubt(&mut self, why: WorkDoubt) {
        self.payout.doubt(why);
        self.chain.doubt(why);
        if matches!(self.payout.state, PayoutState::Unverifiable(_)) {
            self.outputs.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdicts::Unverifiable;
    use super::*;
    use crate::stratum::{Nbits, Readings};

    const STALE: Duration = Duration::from_secs(300);
    const GOOD: PayoutState = PayoutState::Verified;
    const BAD: PayoutState = PayoutState::Mismatch;

    fn at(seconds: u64) -> Stamp {
        Stamp::from_nanos(seconds * 1_000_000_000)
    }

    fn job(state: PayoutState) -> JudgedJob {
        let mut job = JudgedJob::new(Nbits(0x1702_3a04), true, None, None, &Expectations::default());
        job.payout.state = state;
        job
    }

    /// That of a line with something behind its object, and of one with a key in another case.
    fn oddness(number: usize) -> Oddness {
        let lines =
            ["{} x", "{\"ID\":1}", "{'x':1,}", "\u{feff}{}", "{\"x\":\"\u{1}\",}", "{\"id\":1,\"id\":1}"];
        Oddness { shape: Readings::of(lines[number].as_bytes()).shape(), has_exact_name: true }
    }

    fn ordinary() -> Oddness {
        Oddness { shape: None, has_exact_name: true }
    }

    fn state(work: &CurrentWork, seconds: u64) -> Option<PayoutState> {
        let badness = work.badness(at(seconds), STALE);
        let verdicts = work.verdicts(at(seconds), STALE);
        let same = verdicts.map(|verdicts| (verdicts.payout.state, verdicts.chain.state));
        assert_eq!(badness, same);
        badness.map(|(payout, _)| payout)
    }

    fn doubt(why: WorkDoubt) -> Option<PayoutState> {
        Some(PayoutState::Unverifiable(Unverifiable::Doubt(why)))
    }

    #[test]
    fn the_worst_job_since_the_last_one_that_all_miners_read_counts() {
        let mut work = CurrentWork::default();
        assert_eq!(state(&work, 0), None);
        work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(1));
        work.job(job(BAD), ReadingAgreement::OrIgnored, oddness(0), at(2));
        assert_eq!(state(&work, 3), Some(BAD));
        // The miners that read it may ignore another kind.
        work.job(job(GOOD), ReadingAgreement::OrIgnored, oddness(1), at(3));
        assert_eq!(state(&work, 4), Some(BAD));
        // But not one of the same kind.
        work.job(job(GOOD), ReadingAgreement::OrIgnored, oddness(0), at(4));
        assert_eq!(state(&work, 5), Some(GOOD));
        work.job(job(BAD), ReadingAgreement::OrIgnored, oddness(1), at(5));
        // A share may be for a job from before it.
        work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(6));
        work.worked_on(at(5));
        assert_eq!(state(&work, 7), Some(BAD));
        work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(8));
        assert_eq!(state(&work, 9), Some(BAD));
        work.worked_on(at(6));
        assert_eq!(state(&work, 10), Some(GOOD));
    }

    #[test]
    fn more_kinds_than_are_kept_leave_nobody_sure() {
        let mut work = CurrentWork::default();
        work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(1));
        for number in 0..=MAX_ODD {
            work.job(job(GOOD), ReadingAgreement::OrIgnored, oddness(number), at(2));
        }
        assert_eq!(work.odd.len(), MAX_ODD);
        assert_eq!(state(&work, 3), doubt(WorkDoubt::Ambiguous));
    }

    #[test]
    fn what_was_not_read_leaves_verdicts_in_doubt_and_makes_none_better() {
        let mut work = CurrentWork::default();
        work.unread(WorkDoubt::Missed, at(1));
        assert_eq!(state(&work, 1), doubt(WorkDoubt::Missed));
        work.unread(WorkDoubt::Unread, at(2));
        work.unread(WorkDoubt::Missed, at(3));
        assert_eq!(
            (state(&work, 3), work.unread_since()),
            (doubt(WorkDoubt::Unread), Some((WorkDoubt::Unread, at(1))))
        );
        // A job that some miners ignore ends no doubt.
        work.job(job(GOOD), ReadingAgreement::OrIgnored, oddness(0), at(4));
        assert_eq!(state(&work, 4), doubt(WorkDoubt::Unread));
        work.job(job(BAD), ReadingAgreement::All, ordinary(), at(5));
        work.unread(WorkDoubt::Unread, at(6));
        assert_eq!(state(&work, 6), Some(BAD));
        work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(7));
        work.worked_on(at(7));
        assert_eq!(state(&work, 7), Some(GOOD));
    }

    #[test]
    fn verdicts_are_good_for_as_long_as_the_cadence_allows() {
        let mut work = CurrentWork::default();
        work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(0));
        // Nothing is known of the cadence.
        assert_eq!((state(&work, 3600), state(&work, 3601)), (Some(GOOD), doubt(WorkDoubt::Old)));
        assert!(work.gap(at(3601), STALE).is_some_and(|gap| !gap.is_late && gap.seconds == 3601.0));
        for number in 1..=70 {
            work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(200 * number));
        }
        // Three times its longest gap.
        assert_eq!((state(&work, 14_600), state(&work, 14_601)), (Some(GOOD), doubt(WorkDoubt::Old)));
        assert!(work.gap(at(14_601), STALE).is_some_and(|gap| gap.is_late));
        assert_eq!(work.good_until(Duration::from_secs(900)), Some(at(14_900)));
        // What some miners ignore does not make the others' work any newer.
        work.job(job(GOOD), ReadingAgreement::OrIgnored, oddness(0), at(14_602));
        assert_eq!(state(&work, 14_602), doubt(WorkDoubt::Old));
        assert!(work.job(job(GOOD), ReadingAgreement::All, ordinary(), at(14_603)), "it was late");
        assert_eq!(state(&work, 14_603), Some(GOOD));
    }
}
