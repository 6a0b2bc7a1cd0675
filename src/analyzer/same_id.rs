//! The requests of a session that have one id, and which of them an answer belongs to.

use std::collections::VecDeque;

use super::answer_form::AnswerForm;
use super::requests::RequestKind;
use crate::net::Stamp;

/// The open requests with one id, in all its spellings.
#[derive(Debug, Default)]
pub(super) struct SameId {
    pub(super) requests: VecDeque<OpenRequest>,
    /// Answers that can belong to more than one of them, in the order in which they came.
    pub(super) unclear: VecDeque<KeptAnswer>,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct OpenRequest {
    /// As it was written.
    pub(super) id: Box<str>,
    pub(super) kind: RequestKind,
    pub(super) at: Stamp,
    /// Copies were lost since; its answer may have been among them.
    pub(super) doubtful: bool,
}

/// An answer that could not be given to its request when it came.
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
    /// The oldest request that the answer can belong to: one whose id is written like the answer's before one
    /// whose id only means the same.
    pub(super) fn first_fit(&self, id: &str, form: AnswerForm) -> Option<usize> {
        let fits = |request: &OpenRequest| form.fits(&request.kind);
        let exact = self.requests.iter().position(|request| *request.id == *id && fits(request));
        exact.or_else(|| self.requests.iter().position(fits))
    }

    /// Whether an answer that the request at `place` can take may be a later share's.
    pub(super) fn is_unclear(&self, id: &str, form: AnswerForm, place: usize) -> bool {
        let is_share = |request: &OpenRequest| matches!(request.kind, RequestKind::Submit(_));
        let first = &self.requests[place];
        let is_exact = *first.id == *id;
        !is_share(first)
            && self.requests.iter().skip(place + 1).any(|request| {
                is_share(request) && form.fits(&request.kind) && (*request.id == *id || !is_exact)
            })
    }

    /// Gives the kept answers to their requests as far as it is clear whose they are. `is_due`: the pool has had
    /// its time to answer the requests that stand before a share.
    pub(super) fn settle(&mut self, is_due: bool, settled: &mut Vec<SettledRequest>) {
        while let Some(answer) = self.unclear.front() {
            let (id, form) = (&*answer.id, answer.form);
            let Some(place) = self.first_fit(id, form) else {
                self.unclear.pop_front();
                continue;
            };
            let takers = self.requests.iter().filter(|request| form.fits(&request.kind)).count();
            if self.unclear.len() < takers && self.is_unclear(id, form, place) {
                if !is_due {
                    return;
                }
                // The pool does not answer this one.
                self.requests.remove(place);
                continue;
            }
            let (Some(request), Some(answer)) = (self.requests.remove(place), self.unclear.pop_front())
            else {
                return;
            };
            settled.push(SettledRequest { kind: request.kind, sent_at: request.at, answer });
        }
    }

    /// Takes out the requests before the first share that `are_over`; how many those were.
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
