//! The search space of a session: its extranonce1 and extranonce2 size, and doubts about them.

use std::time::Duration;

use serde_json::value::RawValue;

use super::AnalyzedSession;
use crate::analyzer::session_event::EventKind;
use crate::analyzer::verdicts::WorkDoubt;
use crate::net::Stamp;
use crate::stratum::{
    Envelope, Extranonce1, Extranonce2Size, ReadingAgreement, ResponseVerdict, SubscribeAnswer,
};
use crate::tap::Role;

/// The copy of a request may come this much later than the copy of its answer.
const MAX_REQUEST_DELAY: Duration = Duration::from_secs(2);

impl AnalyzedSession {
    /// Takes the answer to the miner's `mining.subscribe`.
    pub(super) fn apply_subscribe_answer(&mut self, message: &Envelope<'_>, answered_at: Stamp) {
        self.is_subscribe_answered = true;
        // Anything but a list is a refusal.
        let is_list = |result: &&RawValue| result.get().starts_with(['[', '{']);
        match message.result.filter(is_list).map(SubscribeAnswer::as_miners_read) {
            Some(Ok((answer, agreement))) => {
                let first = self.first_unasked_extranonce1.take();
                if agreement != ReadingAgreement::All {
                    let why = "miners may read its extranonce1 differently";
                    self.doubt_space(why, b"", answered_at);
                } else if first.is_some_and(|first| first != answer.extranonce1) {
                    let why = "it answered mining.subscribe twice, and miners may take either answer";
                    self.doubt_space(why, b"", answered_at);
                } else if answer.extranonce2_size.bytes() > Extranonce2Size::MAX_OF_MINERS
                    && self.conversation.role == Role::Direct
                {
                    let why = "its extranonce2 is longer than 8 bytes, of which miners send fewer";
                    self.doubt_space(why, b"", answered_at);
                }
                self.set_search_space(answer, answered_at);
                self.report(EventKind::Subscribed, answered_at);
            }
            Some(Err(why)) => {
                // The former search space is no longer valid.
                (self.extranonce1, self.extranonce2_size) = (None, None);
                self.unread(&why.to_string(), b"", answered_at);
                self.judge_waiting();
            }
            None => {
                self.conversation.clock.miner_refused();
                let reason = match ResponseVerdict::of(message) {
                    ResponseVerdict::Refused { reason, .. } => reason,
                    ResponseVerdict::Accepted => None,
                };
                self.report(EventKind::SubscribeRefused { reason }, answered_at);
                self.judge_waiting();
            }
        }
    }

    /// Takes a `mining.set_extranonce`: its search space holds from the next job on.
    pub(super) fn set_extranonce(
        &mut self,
        message: &Envelope<'_>,
        is_ordinary: bool,
        line: &[u8],
        at: Stamp,
    ) {
        let (answer, agreement) = match SubscribeAnswer::of_set_extranonce(message.params, None) {
            Ok(read) => read,
            Err(why) => return self.doubt_space(&why.to_string(), line, at),
        };
        self.next_extranonce = Some((answer.extranonce1, answer.extranonce2_size));
        let is_direct = self.conversation.role == Role::Direct;
        if is_direct && self.last_job_at.is_some() {
            // ESP-Miner applies it at once, to the present job too (wire reference, section 2.6).
            self.work.mark_unread(WorkDoubt::Ambiguous, at);
        }
        if is_direct && !self.takes_extranonce {
            let why = "a miner that did not ask for mining.set_extranonce may ignore it";
            self.doubt_space(why, line, at);
        } else if is_ordinary && agreement == ReadingAgreement::All {
            self.space_doubt = None;
        } else {
            let why = "miners may read its mining.set_extranonce differently";
            self.doubt_space(why, line, at);
        }
    }

    /// Doubts the search space if the readings of a subscribe answer differ, or if miners may keep to the
    /// `mining.set_extranonce` before it. Only an ordinary answer ends an earlier doubt: some miners may not read
    /// an odd one.
    pub(super) fn doubt_subscribe_answer(
        &mut self,
        message: &Envelope<'_>,
        answers: &[Envelope<'_>],
        line: &[u8],
        is_ordinary: bool,
        at: Stamp,
    ) {
        let is_same =
            |other: &Envelope<'_>| other.result.map(RawValue::get) == message.result.map(RawValue::get);
        let extranonce1 = message.result.and_then(|result| SubscribeAnswer::from_result(result).ok());
        let extranonce1 = extranonce1.map(|answer| answer.extranonce1);
        let is_changed =
            self.next_extranonce.as_ref().is_some_and(|(next, _)| Some(next) != extranonce1.as_ref());
        if !answers.iter().all(is_same) {
            self.doubt_space("miners may read its answer to mining.subscribe differently", line, at);
        } else if is_changed {
            let why = "miners may take the answer to mining.subscribe or the mining.set_extranonce before it";
            self.doubt_space(why, line, at);
        } else if is_ordinary {
            self.space_doubt = None;
        }
    }

    /// Follows an answer to no known request. The copy of its request may still come. If it does not, the pool has
    /// changed the extranonce1 unasked. The first extranonce1 of a session is used anyway: the copy of the
    /// request is lost.
    pub(super) fn unasked_answer(&mut self, answers: &[Envelope<'_>], line: &[u8], at: Stamp) {
        let read = |message: &Envelope<'_>| SubscribeAnswer::from_result(message.result?).ok();
        let mut spaces: Vec<SubscribeAnswer> = answers.iter().filter_map(read).collect();
        spaces.dedup();
        if spaces.len() > 1 {
            let why = "miners may read an answer to mining.subscribe that nobody asked for differently";
            self.doubt_space(why, line, at);
        }
        match &self.extranonce1 {
            None => {
                if let Some(answer) = spaces.into_iter().next() {
                    self.first_unasked_extranonce1 = Some(answer.extranonce1.clone());
                    self.set_search_space(answer, at);
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

    /// Takes a search space, and judges the jobs that waited for one.
    pub(super) fn set_search_space(&mut self, answer: SubscribeAnswer, at: Stamp) {
        if self.extranonce1.as_ref().is_some_and(|known| *known != answer.extranonce1) {
            self.jobs.mark_all_stale(at);
        }
        self.unasked_extranonce1 = None;
        self.extranonce1 = Some(answer.extranonce1);
        self.extranonce2_size = Some(answer.extranonce2_size);
        self.judge_waiting();
    }

    /// Doubts the search space: miners may work in another one. An extranonce1 can hold outputs, too.
    pub(super) fn doubt_space(&mut self, why: &str, line: &[u8], at: Stamp) {
        self.space_doubt = Some(WorkDoubt::Ambiguous);
        // While the doubt lasts, every further job is judged in doubt.
        if self.last_job_at.is_some() {
            self.work.mark_unread(WorkDoubt::Ambiguous, at);
        }
        self.unread_event(why, line, at);
    }

    /// Reports an extranonce1 that the pool has changed unasked.
    pub(super) fn change_extranonce1(&mut self, now: Stamp) {
        let is_due =
            |(_, at): &(Extranonce1, Stamp)| now.since(*at).is_some_and(|age| age > MAX_REQUEST_DELAY);
        if !self.unasked_extranonce1.as_ref().is_some_and(is_due) {
            return;
        }
        let (Some((to, at)), Some(from)) = (self.unasked_extranonce1.take(), self.extranonce1.clone()) else {
            return;
        };
        // Some miners take the new extranonce1, others ignore it.
        self.space_doubt = Some(WorkDoubt::Ambiguous);
        self.work.mark_unread(WorkDoubt::Ambiguous, at);
        self.report(EventKind::ExtranonceChanged { from, to }, at);
    }
}
