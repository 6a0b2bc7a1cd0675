//! The jobs that a session's miner may be working on, and whether their verdicts can still be relied on.
//!
//! Miners do not agree on which lines are a job. A job that every miner reads replaces all jobs before it. A job
//! that some miners ignore stands beside the last one, and the worse of the two counts. A line that may be a job
//! and cannot be read leaves all verdicts in doubt. A bad or doubtful job counts until a share proves that the
//! miner works on a later one.

use std::time::Duration;

use super::job_interval::JobIntervals;
use super::job_verdict::{JudgedJob, OutputView};
use super::session_event::JobSeen;
use super::superseded_work::SupersededWork;
use super::verdicts::{ChainState, ChainVerdict, Expectations, PayoutState, PayoutVerdict, WorkDoubt};
use crate::net::Stamp;
use crate::stratum::{LineShape, ReadingAgreement};

/// Caps the kinds of odd jobs that are kept, one job for each. If there are more, the least bad one is dropped and
/// the verdict is in doubt.
const MAX_ODD_JOBS: usize = 4;
/// Caps the age of a verdict while the pool's job interval is unknown. Most pools send a job each minute, and only
/// one block in 400 takes longer than an hour.
const MAX_VERDICT_AGE: Duration = Duration::from_secs(3600);

/// The reason why some miners may ignore a job. The same miners read two jobs of the same oddness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Oddness {
    /// `None` for an ordinary line.
    pub(super) shape: Option<LineShape>,
    /// The method's name is spelled as every miner knows it.
    pub(super) has_exact_name: bool,
}

/// The jobs that a miner may be working on.
#[derive(Debug, Default)]
pub(super) struct CurrentWork {
    /// The newest job that every miner reads.
    newest: Option<JudgedJob>,
    /// The newest job of each kind that some miners ignore, since `newest`.
    odd: Vec<(Oddness, JudgedJob)>,
    pub(super) superseded: SupersededWork,
    /// The doubt about lines since the newest job that could not be read, and when it began.
    pub(super) unread: Option<(WorkDoubt, Stamp)>,
    /// When the last such line came.
    unread_last: Option<Stamp>,
    /// The number of such lines.
    pub(super) unread_count: u64,
    /// The pool accepts shares for jobs that Sluice could not read.
    pub(super) accepts_unseen: bool,
    /// When the newest job came that counts for the pool's job interval.
    last: Option<Stamp>,
    cadence: JobIntervals,
    was_late: bool,
}

/// The time since the newest job of a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct JobGap {
    pub(super) seconds: f64,
    /// The longest recent gap between two jobs.
    pub(super) usual: f64,
    /// The gap is longer than the pool's job interval allows.
    pub(super) is_late: bool,
}

/// The verdicts on the jobs that a miner may be working on.
#[derive(Debug, Clone)]
pub(super) struct CurrentVerdicts {
    pub(super) payout: PayoutVerdict,
    pub(super) chain: ChainVerdict,
    pub(super) outputs: Vec<OutputView>,
}

impl CurrentWork {
    /// Adds a job. Returns whether jobs were late before it.
    pub(super) fn job(
        &mut self,
        job: JudgedJob,
        agreement: ReadingAgreement,
        oddness: Oddness,
        at: Stamp,
    ) -> bool {
        let job = job.without_large_coinbase();
        let is_ordinary = agreement == ReadingAgreement::All;
        let was_late = (is_ordinary || self.newest.is_none()) && self.note_arrival(at);
        if is_ordinary {
            let before = self.newest.replace(job).into_iter().chain(self.odd.drain(..).map(|(_, job)| job));
            self.superseded.add(before, self.unread.take(), at);
            return was_late;
        }
        let same = self.odd.iter().position(|(known, _)| *known == oddness);
        self.superseded.add(same.map(|index| self.odd.remove(index).1), None, at);
        self.odd.push((oddness, job));
        if self.odd.len() > MAX_ODD_JOBS {
            let least = self.odd.iter().enumerate().min_by_key(|(_, (_, job))| job.badness());
            if let Some((index, _)) = least {
                self.odd.remove(index);
            }
            self.mark_unread(WorkDoubt::Ambiguous, at);
        }
        was_late
    }

    /// Drops what came before `job_came`, because a share proves that the miner works on that job. Returns whether
    /// this ended the last doubt.
    pub(super) fn worked_on(&mut self, job_came: Stamp) -> bool {
        let mut doubt_ended = self.superseded.worked_on(job_came);
        if self.unread_last.is_some_and(|last| last < job_came) {
            doubt_ended |= self.unread.take().is_some();
        }
        doubt_ended && self.unread.is_none() && self.present().all(|job| job.unverifiable_reason().is_none())
    }

    /// Whether something waits for a share that proves what the miner works on.
    pub(super) fn awaits_proof(&self) -> bool {
        self.unread.is_some() || self.superseded.followed_at.is_some()
    }

    /// The reason why the miner may still be working on an unreadable job from before the newest one.
    pub(super) fn superseded_doubt(&self, now: Stamp) -> Option<WorkDoubt> {
        self.superseded.doubt(now).map(|(why, _)| why)
    }

    /// Judges the jobs again by other expectations.
    pub(super) fn rejudge(&mut self, expectations: &Expectations) {
        self.jobs_mut().for_each(|job| job.rejudge(expectations));
        self.superseded.excused.iter_mut().for_each(|(job, _)| job.rejudge(expectations));
    }

    /// Judges early jobs again with the name that the miner has given. They stay excused.
    pub(super) fn rejudge_early(&mut self, expectations: &Expectations) {
        self.jobs_mut().filter(|job| job.is_early()).for_each(|job| job.rejudge(expectations));
        self.superseded.excused.iter_mut().for_each(|(job, _)| job.rejudge(expectations));
    }

    /// Returns whether jobs are excused because the pool could not know the miner's name.
    pub(super) fn has_early(&self) -> bool {
        self.jobs().any(JudgedJob::is_early)
    }

    /// Judges excused jobs without the excuse. Returns them in the order of their verdicts, the worst last.
    pub(super) fn end_excuse(&mut self, expectations: &Expectations) -> Vec<JobSeen> {
        let mut ended: Vec<_> = self.jobs_mut().filter_map(|job| job.end_excuse(expectations)).collect();
        ended.sort_by_key(|seen| seen.payout.state);
        ended
    }

    /// A share proves that the miner works on the job that came then. If that job is excused, and for longer than
    /// `grace` another one has been there or may have been, it is judged without the excuse; returns it if it is bad.
    pub(super) fn end_excuse_of(
        &mut self,
        job_came: Stamp,
        now: Stamp,
        grace: Duration,
        expectations: &Expectations,
    ) -> Option<JobSeen> {
        let superseded = self.superseded.end_excuse(job_came, now, grace, expectations);
        if superseded.is_some() {
            return superseded;
        }
        let is_unread_old =
            self.unread_last.is_none_or(|last| now.since(last).is_some_and(|age| age > grace));
        let mut current_jobs = self.newest.iter_mut().chain(self.odd.iter_mut().map(|(_, job)| job));
        let job = current_jobs.find(|job| is_unread_old && job.excused_since() == Some(job_came))?;
        let seen = job.end_excuse(expectations)?;
        Some(seen).filter(|seen| seen.payout.state >= PayoutState::Short)
    }

    /// Whether nothing but excused jobs came so far, as far as everything that came could be read.
    pub(super) fn is_all_excused(&self) -> bool {
        let mut jobs = self.present().peekable();
        self.unread.is_none() && jobs.peek().is_some() && jobs.all(|job| job.excused_since().is_some())
    }

    /// Records a line that may be a job and could not be read, or was lost.
    pub(super) fn mark_unread(&mut self, why: WorkDoubt, at: Stamp) {
        self.unread_count += 1;
        self.unread_last = Some(at);
        match &mut self.unread {
            Some((known, _)) => *known = why.max(*known),
            None => self.unread = Some((why, at)),
        }
    }

    /// The doubt of [`CurrentWork::unread`], or that about unreadable lines from before the newest job.
    pub(super) fn in_doubt_since(&self, now: Stamp) -> Option<(WorkDoubt, Stamp)> {
        self.unread.or(self.superseded.doubt(now).filter(|(why, _)| why.is_about_reading()))
    }

    /// The time since the newest job, or `None` before the first. Jobs are late if it is longer than `stale_job`
    /// and than the pool's job interval allows.
    pub(super) fn gap(&mut self, now: Stamp, stale_job: Duration) -> Option<JobGap> {
        let seconds = now.since(self.last?).unwrap_or_default().as_secs_f64();
        let is_late = seconds > stale_job.as_secs_f64().max(self.cadence.late_after());
        self.was_late |= is_late;
        Some(JobGap { seconds, usual: self.cadence.longest(), is_late })
    }

    /// The time until which the verdicts hold, unless another job comes.
    pub(super) fn good_until(&self, stale_job: Duration) -> Option<Stamp> {
        let by_cadence = Duration::try_from_secs_f64(self.cadence.late_after()).unwrap_or(MAX_VERDICT_AGE);
        let limit = by_cadence.min(MAX_VERDICT_AGE).max(stale_job);
        Some(self.last?.shifted(i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// The worst states, payout first, then chain. `None` before anything came.
    pub(super) fn badness(&self, now: Stamp, stale_job: Duration) -> Option<(PayoutState, ChainState)> {
        let doubt = self.doubt(now, stale_job);
        let payout = self.worst_payout().map_or(PayoutState::Verified, |job| job.payout.state);
        let chain = self.worst_chain().map_or(ChainState::Plausible, |chain| chain.state);
        match doubt {
            Some(why) => Some((payout.doubted(why), chain.doubted())),
            None => self.worst_payout().map(|_| (payout, chain)),
        }
    }

    /// The worst payout, even if it is in doubt, and the address it should pay.
    pub(super) fn payout(&self) -> Option<(PayoutState, Option<&str>)> {
        let payout = &self.worst_payout()?.payout;
        Some((payout.state, payout.expected.as_ref().map(|expected| expected.address.as_str())))
    }

    /// The worst verdicts, each by itself, with any doubt applied. `None` before anything came.
    pub(super) fn verdicts(&self, now: Stamp, stale_job: Duration) -> Option<CurrentVerdicts> {
        let doubt = self.doubt(now, stale_job);
        let (Some(worst), Some(chain)) = (self.worst_payout(), self.worst_chain()) else {
            let (payout, chain) = (PayoutVerdict::doubtful(doubt?), ChainVerdict::doubtful(doubt?));
            return Some(CurrentVerdicts { payout, chain, outputs: Vec::new() });
        };
        let (payout, chain) = (worst.payout.clone(), chain.clone());
        let mut verdicts = CurrentVerdicts { payout, chain, outputs: worst.outputs() };
        doubt.into_iter().for_each(|why| verdicts.doubt(why));
        Some(verdicts)
    }

    fn doubt(&self, now: Stamp, stale_job: Duration) -> Option<WorkDoubt> {
        let is_old = self.good_until(stale_job).is_some_and(|until| until < now);
        let unread = self.unread.map(|(why, _)| why).max(self.superseded_doubt(now));
        unread.max(self.accepts_unseen.then_some(WorkDoubt::Unread)).or(is_old.then_some(WorkDoubt::Old))
    }

    fn worst_payout(&self) -> Option<&JudgedJob> {
        self.jobs().max_by_key(|job| job.badness())
    }

    /// The worst chain, which need not be that of the job with the worst payout.
    fn worst_chain(&self) -> Option<&ChainVerdict> {
        self.jobs().map(|job| &job.chain).max_by_key(|chain| chain.state)
    }

    fn present(&self) -> impl Iterator<Item = &JudgedJob> {
        self.newest.iter().chain(self.odd.iter().map(|(_, job)| job))
    }

    fn jobs(&self) -> impl Iterator<Item = &JudgedJob> {
        self.present().chain(&self.superseded.bad)
    }

    fn jobs_mut(&mut self) -> impl Iterator<Item = &mut JudgedJob> {
        let odd = self.odd.iter_mut().map(|(_, job)| job);
        self.newest.iter_mut().chain(odd).chain(&mut self.superseded.bad)
    }

    fn note_arrival(&mut self, at: Stamp) -> bool {
        let was_late = std::mem::take(&mut self.was_late);
        if let Some(last) = self.last {
            self.cadence.add(at.since(last).unwrap_or_default().as_secs_f64(), was_late);
        }
        self.last = Some(at);
        was_late
    }
}

impl CurrentVerdicts {
    /// Applies a doubt. A bad verdict stays bad.
    pub(super) fn doubt(&mut self, why: WorkDoubt) {
        self.payout.doubt(why);
        self.chain.doubt(why);
        if matches!(self.payout.state, PayoutState::Unverifiable(_)) {
            self.outputs.clear();
        }
    }
}

#[cfg(test)]
mod tests;
