//! What the pool says: jobs, difficulties, answers.

use serde_json::value::RawValue;

use super::super::answer_form::AnswerForm;
use super::super::current_work::Oddness;
use super::super::jobs::Added;
use super::super::requests::{Match, RequestKind};
use super::super::same_id::{KeptAnswer, Settled};
use super::super::share::outcome_of;
use super::super::verdicts::{PayoutState, WorkDoubt};
use super::early::EarlyJob;
use super::{AnalyzedSession, LostCopies, OPENING};
use crate::analyzer::job_verdict::JudgedJob;
use crate::analyzer::local_refusals::is_unjudged;
use crate::analyzer::session_event::{Event, JobSeen, SessionEvent};
use crate::net::Stamp;
use crate::record::ShareOutcome;
use crate::stratum::{
    ConfigureAnswer, Difficulty, Envelope, Extranonce2Size, JobReading, PoolMethod, ReadingAgreement,
    Readings, Reconnect, ResponseVerdict, SubscribeAnswer, VersionMask,
};
use crate::tap::{Role, TapBytes};

/// As much of a line that could not be read is evidence, in bytes.
const EXCERPT: usize = 200;

impl AnalyzedSession {
    /// Follows one line of the pool's, in every way in which miners may read it.
    pub(super) fn pool_line(&mut self, line: &[u8], chunk: &TapBytes, each: &mut impl FnMut(SessionEvent)) {
        let at = self.line_came(chunk.readable_at);
        let readings = Readings::of(line);
        let may_hide_job = readings.may_hide_job();
        if let Some(message) = readings.plain().filter(|message| message.method().is_none() && !may_hide_job)
        {
            return self.pool_answered(&[*message], line, true, at, each);
        }
        if may_hide_job {
            self.unread("it is no message that a miner is known to read", line, at, each);
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
                // Some pools repeat the method in the answer. Nobody asks for a job.
                method if message.is_answer() && method != Some(PoolMethod::Notify) => answers.push(message),
                Some(PoolMethod::Notify) => {
                    has_job = true;
                    has_exact_name &= name == PoolMethod::Notify.name();
                }
                Some(method) => {
                    let is_ordinary = readings.shape().is_none() && name == method.name();
                    self.pool_said(method, &message, is_ordinary, line, at, each);
                }
                None => {}
            }
        }
        if is_empty {
            each(SessionEvent::Unreadable);
        }
        if has_job || readings.may_hide_job() {
            // Whether or not it can be read: miners may work on it.
            self.conversation.clock.job_came();
            self.job_came = Some(at);
        }
        if has_job {
            self.job_line(&readings, has_exact_name, line, at, each);
        }
        self.pool_answered(&answers, line, readings.shape().is_none(), at, each);
    }

    /// An answer, in one reading or several. It goes to the first request that one of them is about.
    fn pool_answered(
        &mut self,
        answers: &[Envelope<'_>],
        line: &[u8],
        is_ordinary: bool,
        at: Stamp,
        each: &mut impl FnMut(SessionEvent),
    ) {
        let Some(first) = answers.first() else { return };
        let matched = answers.iter().find_map(|message| {
            match self.requests.answer(message.id(), AnswerForm::of(message), at, line) {
                Match::Nobody => None,
                found => Some((message, found)),
            }
        });
        match matched {
            Some((message, Match::Request(asked, asked_at))) => {
                if matches!(asked, RequestKind::Subscribe) {
                    self.doubt_subscribe_answer(message, answers, line, is_ordinary, at, each);
                }
                self.answered(asked, message, asked_at, at, each);
            }
            Some(_) => {}
            // ESP-Miner takes the values of an object for a list.
            None if AnswerForm::of(first) == AnswerForm::Object
                && !self.is_subscribe_answered
                && self.subscribe_id.as_deref() == Some(first.id()) =>
            {
                self.answered(RequestKind::Subscribe, first, at, at, each);
            }
            None => {
                self.unasked(answers, line, at, each);
                self.requests.keep(first.id(), AnswerForm::of(first), at, line);
            }
        }
        self.take_settled(each);
    }

    /// Takes the answers that have found their requests only now.
    pub(super) fn take_settled(&mut self, each: &mut impl FnMut(SessionEvent)) {
        for Settled { asked, asked_at, answer } in self.requests.settled() {
            self.answered_by(asked, &answer, asked_at, each);
        }
    }

    /// Doubts the search space when the readings of the answer to a subscribe differ, or when miners may take
    /// what a `mining.set_extranonce` before it said. Only an ordinary answer ends an earlier doubt: part of
    /// the miners may not read an odd one.
    fn doubt_subscribe_answer(
        &mut self,
        message: &Envelope<'_>,
        answers: &[Envelope<'_>],
        line: &[u8],
        is_ordinary: bool,
        at: Stamp,
        each: &mut impl FnMut(SessionEvent),
    ) {
        let is_same =
            |other: &Envelope<'_>| other.result.map(RawValue::get) == message.result.map(RawValue::get);
        let extranonce1 = message.result.and_then(|result| SubscribeAnswer::from_result(result).ok());
        let extranonce1 = extranonce1.map(|answer| answer.extranonce1);
        let is_changed =
            self.next_extranonce.as_ref().is_some_and(|(next, _)| Some(next) != extranonce1.as_ref());
        if !answers.iter().all(is_same) {
            self.doubt_space("miners may read its answer to mining.subscribe differently", line, at, each);
        } else if is_changed {
            let why = "miners may take the answer to mining.subscribe or the mining.set_extranonce before it";
            self.doubt_space(why, line, at, each);
        } else if is_ordinary {
            self.space_doubt = None;
        }
    }

    fn pool_said(
        &mut self,
        method: PoolMethod,
        message: &Envelope<'_>,
        is_ordinary: bool,
        line: &[u8],
        at: Stamp,
        each: &mut impl FnMut(SessionEvent),
    ) {
        let (session, upstream) = (self.conversation.id, self.conversation.upstream());
        match method {
            PoolMethod::SetDifficulty => {
                if let Ok(difficulty) = Difficulty::from_params(message.params) {
                    self.difficulties.set_difficulty(difficulty);
                    self.jobs.set_difficulty(difficulty, is_ordinary);
                    self.difficulty_set = Some(at);
                    each(SessionEvent::Event(Event::DifficultySet { session, upstream, difficulty }, at));
                }
            }
            PoolMethod::Reconnect => {
                let Reconnect { host, .. } = Reconnect::from_params(message.params);
                each(SessionEvent::Event(Event::Redirected { session, upstream, host }, at));
            }
            PoolMethod::SetExtranonce => match SubscribeAnswer::of_set_extranonce(message.params, None) {
                Ok((answer, agreement)) => {
                    self.next_extranonce = Some((answer.extranonce1, answer.extranonce2_size));
                    if self.conversation.role == Role::Direct && self.job_came.is_some() {
                        // ESP-Miner takes it at once, also for the present job (wire reference, section 2.6).
                        self.work.unread(WorkDoubt::Ambiguous, at);
                    }
                    if !self.takes_extranonce && self.conversation.role == Role::Direct {
                        let why = "a miner that did not ask for mining.set_extranonce may ignore it";
                        self.doubt_space(why, line, at, each);
                    } else if is_ordinary && agreement == ReadingAgreement::All {
                        self.space_doubt = None;
                    } else {
                        let why = "miners may read its mining.set_extranonce differently";
                        self.doubt_space(why, line, at, each);
                    }
                }
                Err(why) => self.doubt_space(&why.to_string(), line, at, each),
            },
            PoolMethod::SetVersionMask => {
                self.version_mask = VersionMask::from_params(message.params).or(self.version_mask);
            }
            PoolMethod::Notify | PoolMethod::ShowMessage | PoolMethod::GetVersion | PoolMethod::Ping => {}
        }
    }

    /// A line that is a job, in one reading at least.
    fn job_line(
        &mut self,
        readings: &Readings<'_>,
        has_exact_name: bool,
        line: &[u8],
        at: Stamp,
        each: &mut impl FnMut(SessionEvent),
    ) {
        let mut read = Vec::new();
        for job in readings.jobs() {
            match job {
                Ok(job) => read.push(job),
                Err(why) => self.unread(&why.to_string(), line, at, each),
            }
        }
        if read.is_empty() {
            each(SessionEvent::Unreadable);
            return;
        }
        for JobReading { job, .. } in &read {
            self.seen_jobs.add(&job.job_id, at);
            self.known_jobs.add(self.conversation.upstream(), &job.job_id);
            self.difficulties.notify(job.job_id.clone());
        }
        let is_doubtful = read.iter().any(|reading| reading.agreement == ReadingAgreement::Doubtful);
        let oddness = Oddness { shape: readings.shape(), has_exact_name };
        let (assigned, unread_count) = (self.difficulties.current(), self.work.unread_count());
        let job = EarlyJob { readings: read, oddness, at, assigned, unread_count };
        if self.extranonce1.is_some() {
            let is_decoded = self.judge(job, each);
            if is_doubtful {
                self.unread_event("miners may read its values differently", line, at, each);
            } else if !is_decoded {
                self.unread_event("its coinbase can't be decoded", line, at, each);
            }
        } else if self.is_subscribe_answered {
            self.unread("the pool's extranonce1 could not be read", line, at, each);
        } else if !self.early_jobs.keep(job) {
            self.unread(
                "it came before the search space was known, and is too long to be kept",
                line,
                at,
                each,
            );
        }
    }

    /// A job whose search space is known. Returns whether its coinbase could be decoded.
    fn judge(&mut self, job: EarlyJob, each: &mut impl FnMut(SessionEvent)) -> bool {
        let EarlyJob { readings, oddness, at, assigned, unread_count: _ } = job;
        if let Some((extranonce1, size)) = self.next_extranonce.take() {
            // From this job on (NiceHash; wire reference, section 2.6).
            self.jobs.kill_all(at);
            (self.extranonce1, self.extranonce2_size) = (Some(extranonce1), Some(size));
        }
        let (Some(extranonce1), Some(size)) = (&self.extranonce1, self.extranonce2_size) else {
            return false;
        };
        let gap = self.jobs.newest().and_then(|job| at.since(job.received_at));
        let workers = self.expected.as_deref();
        // A pool that has not yet answered who the miner is may not know it: its job can pay anybody.
        let is_new = at.since(self.opened).is_some_and(|age| age < OPENING);
        let early = self.workers.is_empty() && (is_new || self.expected.is_none());
        let least = readings.iter().map(|reading| reading.agreement).max().unwrap_or(ReadingAgreement::All);
        let mut is_decoded = true;
        let mut found = Vec::with_capacity(readings.len());
        for JobReading { job: notify, agreement } in readings {
            let times = (notify.nbits, notify.ntime);
            let Added { job, coinbase, clean } = self.jobs.add(notify, extranonce1, size, assigned, at);
            is_decoded &= coinbase.is_some();
            let mut judged = JudgedJob::new(times, clean, coinbase, workers, &self.expectations);
            if early {
                let seen = JobSeen::new(&self.conversation, job, gap, &judged);
                judged.excuse(JobSeen { early, agreement, ..seen });
            }
            let is_doubtful = agreement == ReadingAgreement::Doubtful;
            if let Some(why) = self.space_doubt.or(is_doubtful.then_some(WorkDoubt::Ambiguous)) {
                judged.doubt(why);
            }
            let seen = JobSeen::new(&self.conversation, job, gap, &judged);
            found.push((judged, JobSeen { early, agreement, ..seen }));
        }
        // The worst comes last: what rules say of it lasts.
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
            for bad in self.work.superseded_bad() {
                if bad.payout.state >= PayoutState::Short && bad.payout.state > seen.payout.state {
                    (seen.payout, seen.outputs) = (bad.payout.clone(), bad.outputs());
                }
                if bad.chain.state > seen.chain.state {
                    seen.chain = bad.chain.clone();
                }
            }
            let worker = self.worker().to_owned();
            let seen = JobSeen { worker, block_age, was_late, superseded_doubt, ..seen };
            each(SessionEvent::Job(Box::new(seen)));
        }
        is_decoded
    }

    /// The search space is known: the jobs that waited for it are judged.
    fn judge_early(&mut self, each: &mut impl FnMut(SessionEvent)) {
        for job in self.early_jobs.take() {
            let (at, has_unread) = (job.at, self.work.unread_count() > job.unread_count);
            let unread = self.work.unread_since().filter(|_| has_unread);
            if self.extranonce1.is_none() {
                self.unread("the pool's extranonce1 could not be read", b"", at, each);
            } else if !self.judge(job, each) {
                self.unread_event("its coinbase can't be decoded", b"", at, each);
            }
            self.work.stays_unread(unread);
        }
    }

    /// The pool sent what may be a job, and it could not be read: all verdicts are in doubt.
    pub(super) fn unread(&mut self, why: &str, line: &[u8], at: Stamp, each: &mut impl FnMut(SessionEvent)) {
        self.work.unread(WorkDoubt::Unread, at);
        self.unread_event(why, line, at, each);
    }

    fn unread_event(&self, why: &str, line: &[u8], at: Stamp, each: &mut impl FnMut(SessionEvent)) {
        let (session, upstream) = (self.conversation.id, self.conversation.upstream());
        let line = line[..line.len().min(EXCERPT)].escape_ascii().to_string();
        each(SessionEvent::Event(Event::JobUnread { session, upstream, why: why.to_owned(), line }, at));
    }

    /// Miners may work in another search space than was read. An extranonce1 can hold outputs, too.
    fn doubt_space(&mut self, why: &str, line: &[u8], at: Stamp, each: &mut impl FnMut(SessionEvent)) {
        self.space_doubt = Some(WorkDoubt::Ambiguous);
        // Jobs that follow are judged in doubt while that lasts.
        if self.job_came.is_some() {
            self.work.unread(WorkDoubt::Ambiguous, at);
        }
        self.unread_event(why, line, at, each);
    }

    /// Copies of what the pool sent were lost: a job may have been among them.
    pub(super) fn missed(&mut self, at: Stamp) {
        let first = self.gap.and_then(|gap| gap.first).or(Some(at));
        self.gap = Some(LostCopies { first, newest: at, followed_at: None });
        self.work.unread(WorkDoubt::Missed, at);
    }

    /// An answer that nobody waits for. The copy of its request may still come; an extranonce1 for
    /// which none comes was changed without being asked for. One that is the first of its session is taken:
    /// the copy of the request is lost.
    fn unasked(
        &mut self,
        answers: &[Envelope<'_>],
        line: &[u8],
        at: Stamp,
        each: &mut impl FnMut(SessionEvent),
    ) {
        let read = |message: &Envelope<'_>| SubscribeAnswer::from_result(message.result?).ok();
        let mut spaces: Vec<SubscribeAnswer> = answers.iter().filter_map(read).collect();
        spaces.dedup();
        if spaces.len() > 1 {
            let why = "miners may read an answer to mining.subscribe that nobody asked for differently";
            self.doubt_space(why, line, at, each);
        }
        match &self.extranonce1 {
            None => {
                if let Some(answer) = spaces.into_iter().next() {
                    self.foreign_extranonce1 = Some(answer.extranonce1.clone());
                    self.subscribed(answer, at, each);
                }
            }
            Some(known) => {
                let is_other = |answer: &SubscribeAnswer| answer.extranonce1 != *known;
                if let Some(other) = spaces.into_iter().find(is_other) {
                    self.unasked_extranonce1 = Some((other.extranonce1, at));
                }
            }
        }
    }

    fn subscribed(&mut self, answer: SubscribeAnswer, at: Stamp, each: &mut impl FnMut(SessionEvent)) {
        if self.extranonce1.as_ref().is_some_and(|known| *known != answer.extranonce1) {
            self.jobs.kill_all(at);
        }
        self.unasked_extranonce1 = None;
        self.extranonce1 = Some(answer.extranonce1);
        self.extranonce2_size = Some(answer.extranonce2_size);
        self.judge_early(each);
    }

    fn answered(
        &mut self,
        asked: RequestKind,
        message: &Envelope<'_>,
        asked_at: Stamp,
        answered_at: Stamp,
        each: &mut impl FnMut(SessionEvent),
    ) {
        match asked {
            RequestKind::Subscribe => {
                self.is_subscribe_answered = true;
                // Anything else than a list is a refusal.
                let is_list = |result: &&RawValue| result.get().starts_with(['[', '{']);
                match message.result.filter(is_list).map(SubscribeAnswer::as_miners_read) {
                    Some(Ok((answer, agreement))) => {
                        let foreign = self.foreign_extranonce1.take();
                        if agreement != ReadingAgreement::All {
                            let why = "miners may read its extranonce1 differently";
                            self.doubt_space(why, b"", answered_at, each);
                        } else if foreign.is_some_and(|foreign| foreign != answer.extranonce1) {
                            let why = "it answered mining.subscribe twice, and miners may take either answer";
                            self.doubt_space(why, b"", answered_at, each);
                        } else if answer.extranonce2_size.bytes() > Extranonce2Size::MAX_OF_MINERS
                            && self.conversation.role == Role::Direct
                        {
                            let why = "its extranonce2 is longer than 8 bytes, of which miners send fewer";
                            self.doubt_space(why, b"", answered_at, each);
                        }
                        self.subscribed(answer, answered_at, each);
                        let upstream = self.conversation.upstream();
                        each(SessionEvent::Event(Event::Subscribed { upstream }, answered_at));
                    }
                    Some(Err(why)) => {
                        // What was known holds no more.
                        (self.extranonce1, self.extranonce2_size) = (None, None);
                        self.unread(&why.to_string(), b"", answered_at, each);
                        self.judge_early(each);
                    }
                    None => {
                        self.conversation.clock.miner_refused();
                        let (session, upstream) = (self.conversation.id, self.conversation.upstream());
                        let reason = match ResponseVerdict::of(message) {
                            ResponseVerdict::Refused { reason, .. } => reason,
                            ResponseVerdict::Accepted => None,
                        };
                        let event = Event::SubscribeRefused { session, upstream, reason };
                        each(SessionEvent::Event(event, answered_at));
                        self.judge_early(each);
                    }
                }
            }
            RequestKind::Configure { mask } => {
                let granted = ConfigureAnswer::from_result(message.good_result()).version_rolling;
                // BIP310: the answer is a subset of what was asked for; ckpool's is not always.
                let granted = granted.zip(mask).map(|(granted, asked)| granted.intersection(asked));
                // What a mining.set_version_mask before it allows is not taken back by a refusal.
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
                    self.is_accepted = true;
                    self.mining_since.get_or_insert(answered_at);
                }
                let (session, upstream) = (self.conversation.id, self.conversation.upstream());
                let event = match outcome_of(verdict) {
                    ShareOutcome::Rejected { reason, .. } => {
                        Event::AuthorizeRefused { session, upstream, worker: worker.clone(), reason }
                    }
                    _ => Event::Authorized { upstream, worker: worker.clone() },
                };
                each(SessionEvent::Event(event, answered_at));
                self.note_worker(&worker, refused);
            }
            RequestKind::Submit(share) => {
                // A near pool answers before the sending thread has looked at the clock.
                let after =
                    answered_at.since(asked_at).or_else(|| answered_at.since(share.at)).unwrap_or_default();
                let outcome = outcome_of(ResponseVerdict::of(message));
                if self.conversation.role == Role::Miner && is_unjudged(&outcome) {
                    return self.judged(*share, ShareOutcome::Unanswered, None, each);
                }
                self.judged(*share, outcome, Some(after), each);
            }
            RequestKind::Other => {}
        }
    }

    pub(super) fn answered_by(
        &mut self,
        asked: RequestKind,
        answer: &KeptAnswer,
        asked_at: Stamp,
        each: &mut impl FnMut(SessionEvent),
    ) {
        let readings = Readings::of(&answer.line);
        let answers: Vec<_> = readings.messages().filter(Envelope::is_answer).collect();
        let Some(message) = answers.first() else { return };
        if matches!(asked, RequestKind::Subscribe) {
            let is_ordinary = readings.shape().is_none();
            self.doubt_subscribe_answer(message, &answers, &answer.line, is_ordinary, answer.at, each);
        }
        self.answered(asked, message, asked_at, answer.at, each);
    }
}
