//! What the pool says: jobs, difficulties, answers.

use super::super::finding::{Event, Finding, JobSeen};
use super::super::jobs::Added;
use super::super::judged_job::JudgedJob;
use super::super::requests::{Asked, EarlyAnswer};
use super::super::share::outcome_of;
use super::super::unjudged::is_unjudged;
use super::super::{Chunk, Role};
use super::{MOST_WORKERS, OPENING, Session, Worker};
use crate::net::Stamp;
use crate::record::Outcome;
use crate::stratum::{
    ConfigureAnswer, Difficulty, Envelope, Extranonce1, Extranonce2Size, Notify, Reconnect, SubscribeAnswer,
    Verdict, VersionMask, elements, first_text,
};

impl Session {
    pub(super) fn pool_said(
        &mut self,
        message: &Envelope<'_>,
        line: &[u8],
        chunk: &Chunk,
        each: &mut impl FnMut(Finding),
    ) {
        match message.method().as_deref() {
            None => match self.requests.answer(message.id()) {
                Some((asked, asked_at)) => {
                    self.answered(asked, message, asked_at, chunk.readable_at, each);
                }
                None => {
                    self.unasked(message, chunk.readable_at);
                    self.requests.keep(message.id(), chunk.readable_at, line);
                }
            },
            Some("mining.notify") => {
                // Whether or not it can be read: miners may work on it.
                self.conversation.clock.job_came();
                self.job_came = Some(chunk.readable_at);
                self.job(message, chunk.readable_at, each);
            }
            Some("mining.set_difficulty") => {
                let first =
                    message.params.and_then(|params| elements("params", params).ok()?.first().copied());
                if let Some(difficulty) = first.and_then(|raw| Difficulty::from_json(raw).ok()) {
                    self.difficulties.set_difficulty(difficulty);
                    self.difficulty_set = Some(chunk.readable_at);
                    let (session, upstream) = (self.conversation.id, self.conversation.upstream());
                    let event = Event::DifficultySet { session, upstream, difficulty };
                    each(Finding::Event(event, chunk.readable_at));
                }
            }
            Some("client.reconnect") => {
                let Reconnect { host, .. } = Reconnect::from_params(message.params);
                let (session, upstream) = (self.conversation.id, self.conversation.upstream());
                each(Finding::Event(Event::Redirected { session, upstream, host }, chunk.readable_at));
            }
            Some("mining.set_extranonce") => {
                if let Some((extranonce1, size)) = read_extranonce(message) {
                    self.next_extranonce = Some((extranonce1, size));
                }
            }
            Some("mining.set_version_mask") => {
                let mask = first_text(message.params).and_then(|text| VersionMask::from_text(&text).ok());
                if let Some(mask) = mask {
                    self.version_mask = Some(mask);
                }
            }
            Some(_) => {}
        }
    }

    fn job(&mut self, message: &Envelope<'_>, at: Stamp, each: &mut impl FnMut(Finding)) {
        let Ok(notify) = Notify::from_params(message.params) else {
            each(Finding::Unreadable);
            return;
        };
        if let Some((extranonce1, size)) = self.next_extranonce.take() {
            // From this job on (NiceHash; wire reference, section 2.6).
            self.jobs.kill_all(at);
            (self.extranonce1, self.extranonce2_size) = (Some(extranonce1), Some(size));
        }
        let (Some(extranonce1), Some(size)) = (&self.extranonce1, self.extranonce2_size) else { return };
        self.difficulties.notify(notify.job_id.clone());
        let gap = self.jobs.newest().and_then(|job| at.since(job.received_at));
        let assigned = self.difficulties.current();
        let nbits = notify.nbits;
        let Added { job, coinbase, clean } = self.jobs.add(notify, extranonce1, size, assigned, at);
        let workers = self.expected.as_deref();
        // A pool that has not yet answered who the miner is may not know it: its job can pay anybody.
        let is_new = at.since(self.opened).is_some_and(|age| age < OPENING);
        let early = self.workers.is_empty() && is_new;
        let mut judged = JudgedJob::new(nbits, clean, coinbase, workers, &self.expectations);
        if early {
            judged.excuse();
        }
        let seen = JobSeen::new(&self.conversation, job, gap, &judged);
        self.newest_job = Some(judged);
        let block_age = self.jobs.block_age(at);
        each(Finding::Job(Box::new(JobSeen { block_age, early, ..seen })));
    }

    fn answered(
        &mut self,
        asked: Asked,
        message: &Envelope<'_>,
        asked_at: Stamp,
        answered_at: Stamp,
        each: &mut impl FnMut(Finding),
    ) {
        match asked {
            Asked::Subscribe => {
                if let Some(Ok(answer)) = message.result.map(SubscribeAnswer::from_result) {
                    if self.extranonce1.as_ref().is_some_and(|known| *known != answer.extranonce1) {
                        self.jobs.kill_all(answered_at);
                    }
                    self.unasked_extranonce1 = None;
                    self.extranonce1 = Some(answer.extranonce1);
                    self.extranonce2_size = Some(answer.extranonce2_size);
                }
            }
            Asked::Configure { mask } => {
                let granted = ConfigureAnswer::from_result(message.result).version_rolling;
                // BIP310: the answer is a subset of what was asked for; ckpool's is not always.
                self.version_mask = granted.zip(mask).map(|(granted, asked)| granted.intersection(asked));
            }
            Asked::Authorize { worker, login } => {
                let verdict = Verdict::of(message);
                let refused = !verdict.is_accepted();
                if !refused {
                    login.into_iter().for_each(|login| self.conversation.set_login(login));
                    self.conversation.clock.authorize_accepted();
                    self.is_accepted = true;
                }
                let (session, upstream) = (self.conversation.id, self.conversation.upstream());
                let event = match outcome_of(verdict) {
                    Outcome::Rejected { reason, .. } => {
                        Event::AuthorizeRefused { session, upstream, worker: worker.clone(), reason }
                    }
                    _ => Event::Authorized { upstream, worker: worker.clone() },
                };
                each(Finding::Event(event, answered_at));
                if self.workers.len() < MOST_WORKERS && self.workers.iter().all(|known| known.name != worker)
                {
                    self.workers.push(Worker { name: worker, refused });
                }
            }
            Asked::Submit(share) => {
                // A near pool answers before the sending thread has looked at the clock.
                let after =
                    answered_at.since(asked_at).or_else(|| answered_at.since(share.at)).unwrap_or_default();
                let outcome = outcome_of(Verdict::of(message));
                if self.conversation.role == Role::Miner && is_unjudged(&outcome) {
                    return self.judged(*share, Outcome::Unanswered, None, each);
                }
                self.judged(*share, outcome, Some(after), each);
            }
            Asked::Other => {}
        }
    }

    pub(super) fn answered_early(
        &mut self,
        asked: Asked,
        answer: &EarlyAnswer,
        asked_at: Stamp,
        each: &mut impl FnMut(Finding),
    ) {
        if let Ok(message) = Envelope::read(&answer.line) {
            self.answered(asked, &message, asked_at, answer.at, each);
        }
    }
}

/// The two params of `mining.set_extranonce`.
fn read_extranonce(message: &Envelope<'_>) -> Option<(Extranonce1, Extranonce2Size)> {
    let params = elements("params", message.params?).ok()?;
    let extranonce1 = Extranonce1::from_json(params.first()?).ok()?;
    let size = Extranonce2Size::from_json(params.get(1)?).ok()?;
    Some((extranonce1, size))
}
