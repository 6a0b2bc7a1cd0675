//! The pool's lines: jobs, difficulties, answers.

use super::AnalyzedSession;
use crate::analyzer::answer_form::AnswerForm;
use crate::analyzer::requests::{Match, RequestKind};
use crate::analyzer::same_id::{KeptAnswer, SettledRequest};
use crate::analyzer::session_event::{EventKind, SessionEvent};
use crate::analyzer::share::{is_local_refusal, outcome_of};
use crate::net::Stamp;
use crate::record::ShareOutcome;
use crate::stratum::{
    Difficulty, Envelope, PoolMethod, Readings, Reconnect, ResponseVerdict, VersionMask, granted_version_mask,
};
use crate::tap::{Role, TapBytes};

impl AnalyzedSession {
    /// Follows one line of the pool in every way in which miners may read it.
    pub(super) fn pool_line(&mut self, line: &[u8], chunk: &TapBytes) {
        let at = self.stamp_of_line(chunk.readable_at);
        let readings = Readings::of(line);
        let may_hide_job = readings.may_hide_job();
        if let Some(message) = readings.plain().filter(|message| message.method().is_none() && !may_hide_job)
        {
            return self.pool_answer(&[*message], line, true, at);
        }
        if may_hide_job {
            self.unread("it is no message that a miner is known to read", line, at);
        }
        let (mut has_job, mut is_empty, mut has_exact_name) = (false, true, true);
        let mut answers = Vec::new();
        for message in readings.messages() {
            is_empty = false;
            let Some(name) = message.method() else {
                answers.push(message);
                continue;
            };
            match PoolMethod::of(&name) {
                // Some pools repeat the method in an answer. A job is never an answer.
                method if message.is_answer() && method != Some(PoolMethod::Notify) => answers.push(message),
                Some(PoolMethod::Notify) => {
                    has_job = true;
                    has_exact_name &= name == PoolMethod::Notify.name();
                }
                Some(method) => {
                    let is_ordinary = readings.shape().is_none() && name == method.name();
                    self.pool_message(method, &message, is_ordinary, line, at);
                }
                None => {}
            }
        }
        if is_empty {
            self.events.push(SessionEvent::Unreadable);
        }
        if has_job || readings.may_hide_job() {
            // Miners may work on it even if it cannot be read here.
            self.conversation.clock.job_came();
            self.last_job_at = Some(at);
        }
        if has_job {
            self.job_line(&readings, has_exact_name, line, at);
        }
        self.pool_answer(&answers, line, readings.shape().is_none(), at);
    }

    /// Follows an answer in its readings. It belongs to the first request that one of the readings fits.
    fn pool_answer(&mut self, answers: &[Envelope<'_>], line: &[u8], is_ordinary: bool, at: Stamp) {
        let Some(first) = answers.first() else { return };
        let matched = answers.iter().find_map(|message| {
            match self.requests.answer(message.id(), AnswerForm::of(message), at, line) {
                Match::NoRequest => None,
                found => Some((message, found)),
            }
        });
        match matched {
            Some((message, Match::Request(kind, sent_at))) => {
                if matches!(kind, RequestKind::Subscribe) {
                    self.doubt_subscribe_answer(message, answers, line, is_ordinary, at);
                }
                self.apply_answer(kind, message, sent_at, at);
            }
            Some(_) => {}
            // ESP-Miner reads the values of an object as a list.
            None if AnswerForm::of(first) == AnswerForm::Object
                && !self.is_subscribe_answered
                && self.subscribe_id.as_deref() == Some(first.id()) =>
            {
                self.apply_answer(RequestKind::Subscribe, first, at, at);
            }
            None => {
                self.unasked_answer(answers, line, at);
                self.requests.keep_early_answer(first.id(), AnswerForm::of(first), at, line);
            }
        }
        self.take_settled();
    }

    /// Applies kept answers whose requests are known only now.
    pub(super) fn take_settled(&mut self) {
        for SettledRequest { kind, sent_at, answer } in self.requests.take_settled() {
            self.apply_kept_answer(kind, &answer, sent_at);
        }
    }

    /// Follows a message with a method of the pool.
    fn pool_message(
        &mut self,
        method: PoolMethod,
        message: &Envelope<'_>,
        is_ordinary: bool,
        line: &[u8],
        at: Stamp,
    ) {
        match method {
            PoolMethod::SetDifficulty => {
                if let Ok(difficulty) = Difficulty::from_params(message.params) {
                    self.difficulties.set_difficulty(difficulty);
                    self.jobs.set_difficulty(difficulty, is_ordinary);
                    self.difficulty_set = Some(at);
                    self.report(EventKind::DifficultySet(difficulty), at);
                }
            }
            PoolMethod::Reconnect => {
                let Reconnect { host, .. } = Reconnect::from_params(message.params);
                self.report(EventKind::Redirected { host }, at);
            }
            PoolMethod::SetExtranonce => self.set_extranonce(message, is_ordinary, line, at),
            PoolMethod::SetVersionMask => {
                self.version_mask = VersionMask::from_params(message.params).or(self.version_mask);
            }
            PoolMethod::Notify | PoolMethod::ShowMessage | PoolMethod::GetVersion | PoolMethod::Ping => {}
        }
    }

    /// Applies the answer to a request of the miner.
    fn apply_answer(
        &mut self,
        kind: RequestKind,
        message: &Envelope<'_>,
        sent_at: Stamp,
        answered_at: Stamp,
    ) {
        match kind {
            RequestKind::Subscribe => self.apply_subscribe_answer(message, answered_at),
            RequestKind::Configure { mask } => {
                let granted = granted_version_mask(message.good_result());
                // BIP310: the pool grants a subset of the bits asked for. ckpool does not always keep to it.
                let granted = granted.zip(mask).map(|(granted, asked)| granted.intersection(asked));
                // A refusal does not take back an earlier mining.set_version_mask.
                self.version_mask = granted.or(self.version_mask);
            }
            RequestKind::Authorize { worker, login } => {
                let verdict = ResponseVerdict::of(message);
                let refused = !verdict.is_accepted();
                if refused {
                    self.conversation.clock.miner_refused();
                } else {
                    login.into_iter().for_each(|login| self.conversation.set_login(login));
                    self.conversation.clock.authorize_accepted();
                    self.is_authorized = true;
                    self.mining_since.get_or_insert(answered_at);
                }
                self.set_worker_verdict(&worker, refused);
                let event = match outcome_of(verdict) {
                    ShareOutcome::Rejected { reason, .. } => EventKind::AuthorizeRefused { worker, reason },
                    _ => EventKind::Authorized { worker },
                };
                self.report(event, answered_at);
            }
            RequestKind::Submit(share) => {
                // The answer of a near pool can be stamped before the share was stamped as sent.
                let after =
                    answered_at.since(sent_at).or_else(|| answered_at.since(share.at)).unwrap_or_default();
                let outcome = outcome_of(ResponseVerdict::of(message));
                if self.conversation.role == Role::Miner && is_local_refusal(&outcome) {
                    return self.count_share(*share, ShareOutcome::Unanswered, None);
                }
                self.count_share(*share, outcome, Some(after));
            }
            RequestKind::Other => {}
        }
    }

    /// Applies an answer that was kept until its request was known.
    pub(super) fn apply_kept_answer(&mut self, kind: RequestKind, answer: &KeptAnswer, sent_at: Stamp) {
        let readings = Readings::of(&answer.line);
        let answers: Vec<_> = readings.messages().filter(Envelope::is_answer).collect();
        let Some(message) = answers.first() else { return };
        if matches!(kind, RequestKind::Subscribe) {
            let is_ordinary = readings.shape().is_none();
            self.doubt_subscribe_answer(message, &answers, &answer.line, is_ordinary, answer.at);
        }
        self.apply_answer(kind, message, sent_at, answer.at);
    }
}
