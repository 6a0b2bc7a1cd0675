//! What the miner says.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::value::RawValue;

use super::super::block::BlockSeen;
use super::super::requests::RequestKind;
use super::super::share::{PendingShare, UnseenJob};
use super::super::verdicts::Expected;
use super::{AnalyzedSession, EXCUSED, MOST_ADDRESSES};
use crate::analyzer::session_event::{Event, SessionEvent};
use crate::net::Stamp;
use crate::record::ShareOutcome;
use crate::stratum::{
    ConfigureRequest, Envelope, JobId, Login, Submit, elements, first_name, first_text, shortened,
};
use crate::tap::{Role, TapBytes};

/// For so long after lost copies a share may be for a job that was among them: pools take shares of a job for
/// ten minutes.
const AFTER_GAP: Duration = Duration::from_secs(600);

/// For so long after the first job since lost copies a share may still be for a job that was among them. As long as
/// shares for a job are under way after a clean one.
const AFTER_FOLLOWING_JOB: Duration = Duration::from_secs(120);

/// Copies that are lost again and again excuse shares for unknown jobs for so long, unless a share proves that the
/// miner works on a job that was read. A pool could lose them on purpose, by sending more than this machine can read.
const GAPS_EXCUSE: Duration = Duration::from_secs(1800);

/// In a session younger than this a miner may finish work of its last one: ckpool keeps a session's jobs for
/// ten minutes.
const RESUMED: Duration = Duration::from_secs(600);

impl AnalyzedSession {
    pub(super) fn miner_said(
        &mut self,
        message: &Envelope<'_>,
        chunk: &TapBytes,
        each: &mut impl FnMut(SessionEvent),
    ) {
        let asked = match message.method().as_deref() {
            None => return,
            Some(_) if message.is_answer() => return,
            Some("mining.subscribe") => {
                self.user_agent = shortened(&first_text(message.params).unwrap_or_default());
                self.subscribe_id = Some(shortened(message.id()).into());
                RequestKind::Subscribe
            }
            Some("mining.authorize") => {
                self.conversation.authorized.store(true, Ordering::Relaxed);
                let worker = shortened(&first_name(message.params));
                self.expect(&worker);
                let login = Login::from_params(message.params);
                login.iter().cloned().for_each(|login| self.conversation.offer_login(login));
                RequestKind::Authorize { worker, login }
            }
            Some("mining.extranonce.subscribe") => {
                self.takes_extranonce = true;
                RequestKind::Other
            }
            Some("mining.configure") => {
                let asks_for_extranonce = |params: &RawValue| params.get().contains("subscribe-extranonce");
                self.takes_extranonce |= message.params.is_some_and(asks_for_extranonce);
                RequestKind::Configure { mask: ConfigureRequest::from_params(message.params).version_rolling }
            }
            Some("mining.submit") => {
                each(SessionEvent::Submitted);
                let share = self.share(message, chunk.readable_at, each);
                if let Some(block) = BlockSeen::of(&share, &self.facts()) {
                    each(SessionEvent::Block(Box::new(block)));
                }
                RequestKind::Submit(Box::new(share))
            }
            Some(_) => RequestKind::Other,
        };
        if let Some(lost) = self.requests.make_way(message.id()) {
            self.give_up(lost, ShareOutcome::Unknown, each);
        }
        match self.requests.ask(message.id(), asked, chunk.readable_at, chunk.sent_at) {
            Ok(()) => {}
            Err((asked, Some(answer))) => self.answered_by(asked, &answer, chunk.sent_at, each),
            Err((asked, None)) => self.give_up(asked, ShareOutcome::Unknown, each),
        }
    }

    fn share(
        &mut self,
        message: &Envelope<'_>,
        at: Stamp,
        each: &mut impl FnMut(SessionEvent),
    ) -> PendingShare {
        let read = match self.conversation.role {
            // As it is read here; a pool may well refuse what it is sent in such a form.
            Role::Miner => Submit::from_miner(message.params),
            Role::Direct | Role::Pool => Submit::from_params(message.params),
        };
        let submit = match read {
            Ok(submit) => submit,
            Err(error) => {
                let worker = shortened(&first_text(message.params).unwrap_or_default());
                let share = PendingShare::unreadable(worker, message.id(), at, error.to_string());
                return PendingShare { unseen_job: self.unseen_job(job_id(message).as_ref(), at), ..share };
            }
        };
        let job = self.jobs.get(&submit.job_id);
        let range = self.difficulties.range(&submit.job_id);
        let hashed = job.and_then(|job| self.hashed_shares.find(&job.prepared, &submit));
        let agreed = (range, self.version_mask);
        let mut share = PendingShare::new(submit, message.id(), at, job, agreed, hashed.as_deref());
        share.unseen_job = self.unseen_job(share.submit.as_ref().map(|submit| &submit.job_id), at);
        share.is_repeated = share.rebuilt.as_ref().is_some_and(|rebuilt| !self.hashes.is_new(rebuilt.hash));
        let is_owed = self.work.awaits_proof();
        let is_proof = job.is_some_and(|job| self.work_proof.is_given_by(&share, job, is_owed));
        let job_came = job.map(|job| job.received_at);
        if job_came.is_some_and(|job_came| is_proof && self.work.worked_on(job_came)) {
            let (session, upstream) = (self.conversation.id, self.conversation.upstream());
            each(SessionEvent::Event(Event::DoubtEnded { session, upstream }, at));
        }
        if let Some(gap) = self.gap.as_mut().filter(|gap| is_proof && job_came > Some(gap.newest)) {
            gap.first = None;
        }
        if let Some(job_came) =
            job_came.filter(|_| self.work_proof.has_work(&share) && self.is_excuse_over(at))
        {
            let (workers, expectations) = (self.expected.as_deref(), &self.expectations);
            if let Some(bad) = self.work.end_excuse_of(job_came, (at, EXCUSED), workers, expectations) {
                each(SessionEvent::Rejudged(Box::new(bad), at));
            }
        }
        if let Some(proven) = share.proven() {
            self.meter.add(proven, at);
        }
        self.tally.best = self.tally.best.max(share.difficulty().filter(|d| d.is_finite()).unwrap_or(0.0));
        self.tally.last_share = Some(at);
        share
    }

    /// Why the job of a share is none that was read. `None` also for one that was, and is not kept any more.
    fn unseen_job(&self, id: Option<&JobId>, now: Stamp) -> Option<UnseenJob> {
        let is_within = |since: Stamp, limit| now.since(since).is_none_or(|age| age <= limit);
        let may_be_missed = self.gap.is_some_and(|gap| {
            is_within(gap.newest, AFTER_GAP)
                && gap.first.is_none_or(|first| is_within(first, GAPS_EXCUSE))
                && gap.followed_at.is_none_or(|at| is_within(at, AFTER_FOLLOWING_JOB))
        });
        let unseen = if may_be_missed { UnseenJob::PerhapsMissed } else { UnseenJob::Unread };
        if self.extranonce1.is_none() {
            // Without a search space no job was read. Its answer may be among lost copies.
            return Some(unseen);
        }
        let is_known = |id: &JobId| self.jobs.get(id).is_some() || self.seen_jobs.contains(id, now);
        if id.is_some_and(is_known) {
            return None;
        }
        let is_young = now.since(self.opened).is_none_or(|age| age < RESUMED);
        let upstream = self.conversation.upstream();
        if is_young && id.is_some_and(|id| self.known_jobs.contains(upstream, id)) {
            return None;
        }
        Some(unseen)
    }

    /// The miner says who it is; pools answer with a job that pays that name.
    pub(super) fn expect(&mut self, worker: &str) {
        let expected = self.expected.get_or_insert_with(Vec::new);
        if let Some(new) = Expected::of_worker(worker) {
            if expected.len() < MOST_ADDRESSES && !expected.contains(&new) {
                expected.push(new);
            }
        }
        self.work.name_given(self.expected.as_deref(), &self.expectations);
    }
}

/// The job of a share that can't be read.
fn job_id(message: &Envelope<'_>) -> Option<JobId> {
    let params = elements("params", message.params?).ok()?;
    JobId::from_json(params.get(1)?).ok()
}
