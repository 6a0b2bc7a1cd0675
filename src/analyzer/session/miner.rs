//! The miner's requests and shares.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::value::RawValue;

use super::AnalyzedSession;
use super::timers::MAX_EXCUSE;
use crate::analyzer::requests::RequestKind;
use crate::analyzer::session_event::{EventKind, SessionEvent};
use crate::analyzer::share::{PendingShare, UnseenJob};
use crate::net::Stamp;
use crate::record::ShareOutcome;
use crate::stratum::{
    Envelope, JobId, Login, Submit, elements, first_text, requested_version_mask, shortened, worker_name,
};
use crate::tap::{Role, TapBytes};

/// The time after a job in which a share may still be for an earlier job that was lost with its copies. Shares for an
/// old job are in flight for this long after a clean one.
const AFTER_FOLLOWING_JOB: Duration = Duration::from_secs(120);
/// Copies that are lost again and again excuse shares for unknown jobs for this long, unless a share proves that the
/// miner works on a job that was read. A pool could cause the loss on purpose, by sending more than Sluice can read.
const MAX_GAPS_EXCUSE: Duration = Duration::from_secs(1800);
/// A share this soon after lost copies may be for a job among them: pools take shares of a job for ten minutes.
const GAP_WINDOW: Duration = Duration::from_secs(600);

/// In a session younger than this a miner may finish work of its last session: ckpool keeps a session's jobs for
/// ten minutes.
const RESUME_WINDOW: Duration = Duration::from_secs(600);

impl AnalyzedSession {
    pub(super) fn miner_message(&mut self, message: &Envelope<'_>, chunk: &TapBytes) {
        let kind = match message.method().as_deref() {
            None => return,
            Some(_) if message.is_answer() => return,
            Some("mining.subscribe") => {
                self.user_agent = shortened(&first_text(message.params).unwrap_or_default()).into();
                self.subscribe_id = Some(shortened(message.id()).into());
                RequestKind::Subscribe
            }
            Some("mining.authorize") => {
                self.conversation.authorized.store(true, Ordering::Relaxed);
                let worker = shortened(&worker_name(message.params));
                self.expect_payee(&worker);
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
                RequestKind::Configure { mask: requested_version_mask(message.params) }
            }
            Some("mining.submit") => {
                self.events.push(SessionEvent::Submitted);
                let share = self.share(message, chunk.readable_at);
                if share.is_block() {
                    let block = self.judged(share.clone(), ShareOutcome::Unknown, None);
                    self.events.push(SessionEvent::Block(Box::new(block)));
                }
                RequestKind::Submit(Box::new(share))
            }
            Some(_) => RequestKind::Other,
        };
        if let Some(lost) = self.requests.drop_doubtful(message.id()) {
            self.give_up(lost, ShareOutcome::Unknown);
        }
        match self.requests.add(message.id(), kind, chunk.readable_at, chunk.sent_at) {
            Ok(()) => {}
            Err((kind, Some(answer))) => self.apply_kept_answer(kind, &answer, chunk.sent_at),
            Err((kind, None)) => self.give_up(kind, ShareOutcome::Unknown),
        }
    }

    fn share(&mut self, message: &Envelope<'_>, at: Stamp) -> PendingShare {
        let read = match self.conversation.role {
            // Aggregate mode reads lenient forms that a pool may refuse.
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
        let hashed = job.and_then(|job| self.shared.known_hashes.find(job.prepared(), &submit));
        let agreed = (range, self.version_mask);
        let mut share = PendingShare::new(submit, message.id(), at, job, agreed, hashed.as_deref());
        share.unseen_job = self.unseen_job(share.submit.as_ref().map(|submit| &submit.job_id), at);
        share.is_repeated = share.rebuilt.as_ref().is_some_and(|rebuilt| !self.hashes.is_new(rebuilt.hash));
        let is_owed = self.work.awaits_proof();
        let is_proof = job.is_some_and(|job| self.work_proof.is_given_by(&share, job, is_owed));
        let job_came = job.map(|job| job.received_at);
        if job_came.is_some_and(|job_came| is_proof && self.work.worked_on(job_came)) {
            self.report(EventKind::DoubtEnded, at);
        }
        if let Some(gap) = self.gap.as_mut().filter(|gap| is_proof && job_came > Some(gap.newest)) {
            gap.first = None;
        }
        if let Some(job_came) =
            job_came.filter(|_| self.work_proof.has_work(&share) && self.is_excuse_over(at))
        {
            let bad = self.work.end_excuse_of(job_came, at, MAX_EXCUSE, &self.expectations);
            if let Some(bad) = bad {
                self.events.push(SessionEvent::Rejudged(Box::new(bad), at));
            }
        }
        if let Some(proven) = share.proven() {
            self.meter.add(proven, at);
        }
        self.counts.best = self.counts.best.max(share.difficulty().filter(|d| d.is_finite()).unwrap_or(0.0));
        self.counts.last_share = Some(at);
        share
    }

    /// The reason why a share's job was not read; `None` if it was, even if it is no longer kept.
    fn unseen_job(&self, id: Option<&JobId>, now: Stamp) -> Option<UnseenJob> {
        let is_within = |since: Stamp, limit| now.since(since).is_none_or(|age| age <= limit);
        let may_be_missed = self.gap.is_some_and(|gap| {
            is_within(gap.newest, GAP_WINDOW)
                && gap.first.is_none_or(|first| is_within(first, MAX_GAPS_EXCUSE))
                && gap.followed_at.is_none_or(|at| is_within(at, AFTER_FOLLOWING_JOB))
        });
        let unseen = if may_be_missed { UnseenJob::MaybeMissed } else { UnseenJob::Unread };
        if self.extranonce1.is_none() {
            // Without a search space no job was read. The answer to the subscribe may be among lost copies.
            return Some(unseen);
        }
        let is_known = |id: &JobId| self.jobs.get(id).is_some() || self.job_ids.contains(id, now);
        if id.is_some_and(is_known) {
            return None;
        }
        let is_young = now.since(self.opened).is_none_or(|age| age < RESUME_WINDOW);
        let upstream = self.conversation.upstream();
        if is_young && id.is_some_and(|id| self.shared.upstream_job_ids.contains(upstream, id)) {
            return None;
        }
        Some(unseen)
    }

    /// Expects jobs to pay the address in this worker name, if it holds one.
    pub(super) fn expect_payee(&mut self, worker: &str) {
        self.expectations.add_worker(worker);
        self.work.rejudge_early(&self.expectations);
    }
}

/// The job id of a share that cannot be read.
fn job_id(message: &Envelope<'_>) -> Option<JobId> {
    let params = elements("params", message.params?).ok()?;
    JobId::from_json(params.get(1)?).ok()
}
