//! The open requests of a session that share one id, and the matching of answers to them.

use std::collections::VecDeque;

use super::answer_form::AnswerForm;
use super::requests::RequestKind;
use crate::net::Stamp;

/// The open requests with one id, in all its spellings.
#[derive(Debug, Default)]
pub(super) struct SameId {
    pub(super) requests: VecDeque<OpenRequest>,
    /// Answers that fit more than one of the requests, in the order in which they came.
    pub(super) unclear: VecDeque<KeptAnswer>,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct OpenRequest {
    /// The id as the miner wrote it.
    pub(super) id: Box<str>,
    pub(super) kind: RequestKind,
    pub(super) at: Stamp,
    /// Copies were lost since, maybe its answer among them.
    pub(super) doubtful: bool,
}

/// An answer that could not be matched when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeptAnswer {
    pub(super) id: Box<str>,
    pub(super) form: AnswerForm,
    pub(super) at: Stamp,
    pub(super) line: Box<[u8]>,
}

/// A request with the answer that was kept for it.
#[derive(Debug)]
pub(super) struct SettledRequest {
    pub(super) kind: RequestKind,
    pub(super) sent_at: Stamp,
    pub(super) answer: KeptAnswer,
}

impl SameId {
    /// The oldest request that the answer fits. A request whose id is written like the answer's comes before one
    /// whose id only means the same.
    pub(super) fn first_fit(&self, id: &str, form: AnswerForm) -> Option<usize> {
        let fits = |request: &OpenRequest| form.fits(&request.kind);
        let exact = self.requests.iter().position(|request| *request.id == *id && fits(request));
        exact.or_else(|| self.requests.iter().position(fits))
    }

    /// Returns whether an answer that fits the request at `place` may belong to a later share.
    pub(super) fn is_unclear(&self, id: &str, form: AnswerForm, index: usize) -> bool {
        let is_share = |request: &OpenRequest| matches!(request.kind, RequestKind::Submit(_));
        let first = &self.requests[index];
        let is_exact = *first.id == *id;
        !is_share(first)
            && self.requests.iter().skip(index + 1).any(|request| {
                is_share(request) && form.fits(&request.kind) && (*request.id == *id || !is_exact)
            })
    }

    /// Matches kept answers to their requests as far as that is clear. `is_due`: the pool has had its time to answer
    /// the requests before a share.
    pub(super) fn settle(&mut self, is_due: bool, settled: &mut Vec<SettledRequest>) {
        while let Some(answer) = self.unclear.front() {
            let (id, form) = (&*answer.id, answer.form);
            let Some(index) = self.first_fit(id, form) else {
                self.unclear.pop_front();
                continue;
            };
            let takers = self.requests.iter().filter(|request| form.fits(&request.kind)).count();
            if self.unclear.len() < takers && self.is_unclear(id, form, index) {
                if !is_due {
                    return;
                }
                // The pool does not answer this one.
                self.requests.remove(index);
                continue;
            }
            let (Some(request), Some(answer)) = (self.requests.remove(index), self.unclear.pop_front())
            else {
                return;
            };
            settled.push(SettledRequest { kind: request.kind, sent_at: request.at, answer });
        }
    }

    /// Removes the requests before the first share that `are_over`. Returns their number.
    pub(super) fn pass_over(&mut self, are_over: impl Fn(&OpenRequest) -> bool) -> usize {
        let before = self.requests.len();
        let first_share =
            self.requests.iter().position(|request| matches!(request.kind, RequestKind::Submit(_)));
        let mut left = first_share.unwrap_or(before);
        self.requests.retain(|request| {
            let is_candidate = left > 0;
            left = left.saturating_sub(1);
            !(is_candidate && are_over(request))
        });
        before - self.requests.len()
    }
}
