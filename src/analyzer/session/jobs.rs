//! Jobs: read, judged once the search space is known, and doubted when they cannot be read.

use super::waiting_jobs::WaitingJob;
use super::{AnalyzedSession, LostCopies, MAX_OPENING};
use crate::analyzer::current_work::Oddness;
use crate::analyzer::job_verdict::JudgedJob;
use crate::analyzer::jobs::AddedJob;
use crate::analyzer::session_event::{EventKind, JobSeen, SessionEvent};
use crate::analyzer::verdicts::{PayoutState, WorkDoubt};
use crate::net::Stamp;
use crate::stratum::{JobReading, ReadingAgreement, Readings};

/// The most bytes of an unreadable line that are kept as evidence.
const MAX_EXCERPT_BYTES: usize = 200;

impl AnalyzedSession {
    /// Follows a line that is a job in at least one reading.
    pub(super) fn job_line(&mut self, readings: &Readings<'_>, has_exact_name: bool, line: &[u8], at: Stamp) {
        let mut read = Vec::new();
        for job in readings.jobs() {
            match job {
                Ok(job) => read.push(job),
                Err(why) => self.unread(&why.to_string(), line, at),
            }
        }
        if read.is_empty() {
            self.events.push(SessionEvent::Unreadable);
            return;
        }
        for JobReading { job, .. } in &read {
            self.job_ids.add(&job.job_id, at);
            self.shared.upstream_job_ids.add(self.conversation.upstream(), &job.job_id, at);
            self.difficulties.notify(job.job_id.clone());
        }
        let is_doubtful = read.iter().any(|reading| reading.agreement == ReadingAgreement::Doubtful);
        let oddness = Oddness { shape: readings.shape(), has_exact_name };
        let (assigned, unread_count) = (self.difficulties.current(), self.work.unread_count);
        let job = WaitingJob { readings: read, oddness, at, assigned, unread_count };
        if self.extranonce1.is_some() {
            let is_decoded = self.judge_job(job);
            if is_doubtful {
                self.unread_event("miners may read its values differently", line, at);
            } else if !is_decoded {
                self.unread_event("its coinbase can't be decoded", line, at);
            }
        } else if self.is_subscribe_answered {
            self.unread("the pool's extranonce1 could not be read", line, at);
        } else if !self.waiting_jobs.keep(job) {
            self.unread("it came before the search space was known, and is too long to be kept", line, at);
        }
    }

    /// Judges a job whose search space is known. Returns whether its coinbase could be decoded.
    fn judge_job(&mut self, job: WaitingJob) -> bool {
        let WaitingJob { readings, oddness, at, assigned, unread_count: _ } = job;
        if let Some((extranonce1, size)) = self.next_extranonce.take() {
            // It holds from this job on (NiceHash; wire reference, section 2.6).
            self.jobs.mark_all_stale(at);
            (self.extranonce1, self.extranonce2_size) = (Some(extranonce1), Some(size));
        }
        let (Some(extranonce1), Some(size)) = (&self.extranonce1, self.extranonce2_size) else {
            return false;
        };
        let gap = self.jobs.newest().and_then(|job| at.since(job.received_at));
        // Before the pool has answered the authorize it may not know the miner: its job can pay anybody.
        let is_new = at.since(self.opened).is_some_and(|age| age < MAX_OPENING);
        let early = self.workers.is_empty() && (is_new || !self.expectations.has_worker());
        let least = readings.iter().map(|reading| reading.agreement).max().unwrap_or(ReadingAgreement::All);
        let mut is_decoded = true;
        let mut found = Vec::with_capacity(readings.len());
        for JobReading { job: notify, agreement } in readings {
            let times = (notify.nbits, notify.ntime);
            let AddedJob { job, coinbase, clean } = self.jobs.add(notify, extranonce1, size, assigned, at);
            is_decoded &= coinbase.is_some();
            let mut judged = JudgedJob::new(times, clean, coinbase, &self.expectations);
            if early {
                judged.excuse(JobSeen::new(&self.conversation, job, gap, &judged, early, agreement));
            }
            let is_doubtful = agreement == ReadingAgreement::Doubtful;
            if let Some(why) = self.space_doubt.or(is_doubtful.then_some(WorkDoubt::Ambiguous)) {
                judged.doubt(why);
            }
            let seen = JobSeen::new(&self.conversation, job, gap, &judged, early, agreement);
            found.push((judged, seen));
        }
        // The worst reading comes last, so that the rules' verdict on it stays.
        found.sort_by_key(|(judged, _)| judged.badness());
        let block_age = self.jobs.block_age(at);
        let (judged, seen): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let worst = judged.into_iter().next_back();
        let was_late = worst.is_some_and(|worst| self.work.job(worst, least, oddness, at));
        if let Some(gap) = self.gap.as_mut().filter(|_| least == ReadingAgreement::All) {
            gap.followed_at.get_or_insert(at);
        }
        let superseded_doubt = self.work.superseded_doubt(at);
        for mut seen in seen {
            for bad in &self.work.superseded.bad {
                if bad.payout.state >= PayoutState::Short && bad.payout.state > seen.payout.state {
                    (seen.payout, seen.outputs) = (bad.payout.clone(), bad.outputs());
                }
                if bad.chain.state > seen.chain.state {
                    seen.chain = bad.chain.clone();
                }
            }
            let worker = self.worker().to_owned();
            let seen = JobSeen { worker, block_age, was_late, superseded_doubt, ..seen };
            self.events.push(SessionEvent::Job(Box::new(seen)));
        }
        is_decoded
    }

    /// Judges the jobs that waited for the search space.
    pub(super) fn judge_waiting(&mut self) {
        for job in self.waiting_jobs.take() {
            let (at, has_unread) = (job.at, self.work.unread_count > job.unread_count);
            let unread = self.work.unread.filter(|_| has_unread);
            if self.extranonce1.is_none() {
                self.unread("the pool's extranonce1 could not be read", b"", at);
            } else if !self.judge_job(job) {
                self.unread_event("its coinbase can't be decoded", b"", at);
            }
            // The unreadable line came after this job, which does not end the doubt.
            self.work.unread = self.work.unread.or(unread);
        }
    }

    /// Doubts all verdicts because the pool sent a possible job that could not be read.
    pub(super) fn unread(&mut self, why: &str, line: &[u8], at: Stamp) {
        self.work.mark_unread(WorkDoubt::Unread, at);
        self.unread_event(why, line, at);
    }

    pub(super) fn unread_event(&mut self, why: &str, line: &[u8], at: Stamp) {
        let line = line[..line.len().min(MAX_EXCERPT_BYTES)].escape_ascii().to_string();
        self.report(EventKind::JobUnread { why: why.to_owned(), line }, at);
    }

    /// Doubts all verdicts because copies of the pool's bytes were lost, maybe a job among them.
    pub(super) fn copies_lost(&mut self, at: Stamp) {
        let first = self.gap.and_then(|gap| gap.first).or(Some(at));
        self.gap = Some(LostCopies { first, newest: at, followed_at: None });
        self.work.mark_unread(WorkDoubt::Missed, at);
    }
}
