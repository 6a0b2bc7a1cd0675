//! The miner's open requests, and the matching of answers to them.
//!
//! Ids need not be unique: cpuminer sends 4 for every share, others repeat ids or send `null` (wire reference,
//! section 1.3). Pools answer requests with the same id first in, first out. There are two exceptions: an answer
//! whose form does not fit the first request, and a request that the pool never answers (`mining.suggest_difficulty`
//! at most pools; section 2.8). While it is not clear whether such a request was answered, answers are kept until
//! their number tells or [`MAX_UNCLEAR_AGE`] has passed.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::answer_form::AnswerForm;
use super::request_id::{canonical, truncated};
use super::same_id::{KeptAnswer, OpenRequest, SameId, SettledRequest};
use super::share::PendingShare;
use crate::net::Stamp;
use crate::stratum::{Login, VersionMask};
use crate::tap::Role;

/// The most open shares of a miner. A NerdMiner itself keeps 32.
const MAX_OPEN_SHARES: usize = 512;
/// The most open shares of a miner in aggregate mode: those that wait for the pool, and those of the next read.
const MAX_OPEN_SHARES_OF_MINER: usize = 2048;
/// The most open shares on a connection to a pool: all miners may wait for 16,384 answers, and some are on their way.
const MAX_OPEN_SHARES_AT_POOL: usize = 20_480;
/// The most other open requests: a farm proxy authorizes 1,000 workers at once. They are counted apart from shares,
/// so that unanswered requests do not take the place of shares.
const MAX_OPEN_OTHERS: usize = 1024;
/// The most other open requests on a connection to a pool, which authorizes the names of all miners.
const MAX_OPEN_OTHERS_AT_POOL: usize = 10_240;
/// The most answers that wait for their requests.
const MAX_EARLY_ANSWERS: usize = 32;
/// The time that an answer waits for its request.
const MAX_EARLY_AGE: Duration = Duration::from_secs(1);
/// The longest answer that is kept, in bytes. A verdict on a share is much shorter.
const MAX_KEPT_LINE: usize = 1024;
/// The most answers that are kept because they can belong to more than one request.
const MAX_UNCLEAR_ANSWERS: usize = 64;
/// The time after which a kept answer counts as the share's. Pools answer in order, so requests that were sent
/// together are answered together, however slow the connection is.
const MAX_UNCLEAR_AGE: Duration = Duration::from_secs(1);
/// A request without an answer for this long will get none once a share with its id is sent.
const UNANSWERED_AFTER: Duration = Duration::from_secs(10);

/// A request of the miner, with the parts that matter for its answer.
#[derive(Debug)]
pub(super) enum RequestKind {
    Subscribe,
    Authorize {
        worker: String,
        login: Option<Login>,
    },
    Configure {
        mask: Option<VersionMask>,
    },
    Submit(Box<PendingShare>),
    /// Any other request. Its answer changes nothing here.
    Other,
}

/// The request that an answer belongs to.
#[derive(Debug)]
pub(super) enum Match {
    /// The answer belongs to this request, sent at this time.
    Request(RequestKind, Stamp),
    /// The answer fits several requests. [`OpenRequests::take_settled`] returns it once that is settled.
    Ambiguous,
    NoRequest,
}

/// The open requests of one session.
#[derive(Debug)]
pub(super) struct OpenRequests {
    max_shares: usize,
    max_others: usize,
    /// The other end is this program, which answers every request.
    answers_all: bool,
    open: HashMap<Box<str>, SameId>,
    count: usize,
    shares: u32,
    early: VecDeque<KeptAnswer>,
    unclear: usize,
    settled: Vec<SettledRequest>,
}

impl OpenRequests {
    pub(super) fn new(role: Role) -> OpenRequests {
        let (max_shares, max_others) = match role {
            Role::Direct => (MAX_OPEN_SHARES, MAX_OPEN_OTHERS),
            Role::Miner => (MAX_OPEN_SHARES_OF_MINER, MAX_OPEN_OTHERS),
            Role::Pool => (MAX_OPEN_SHARES_AT_POOL, MAX_OPEN_OTHERS_AT_POOL),
        };
        OpenRequests {
            max_shares,
            max_others,
            answers_all: role == Role::Miner,
            open: HashMap::new(),
            count: 0,
            shares: 0,
            early: VecDeque::new(),
            unclear: 0,
            settled: Vec::new(),
        }
    }

    /// Adds a request. Only an answer that came after the request was `readable` can be its own. The time to the
    /// answer counts from when the request was `sent`, which is stamped later.
    ///
    /// # Errors
    /// Returns the request with its answer if that came first, or without one if too many requests are open.
    pub(super) fn add(
        &mut self,
        id: &str,
        kind: RequestKind,
        readable: Stamp,
        sent: Stamp,
    ) -> Result<(), (RequestKind, Option<KeptAnswer>)> {
        let id = truncated(id);
        let key = canonical(id);
        let is_answered = |early: &KeptAnswer| {
            canonical(&early.id) == key && early.at >= readable && early.form.fits(&kind)
        };
        if let Some(index) = self.early.iter().position(is_answered) {
            return Err((kind, self.early.remove(index)));
        }
        let is_share = matches!(kind, RequestKind::Submit(_));
        let shares = self.shares as usize;
        let is_full =
            if is_share { shares >= self.max_shares } else { self.count - shares >= self.max_others };
        if is_full {
            return Err((kind, None));
        }
        self.count += 1;
        self.shares += u32::from(is_share);
        let request = OpenRequest { id: id.into(), kind, at: sent, doubtful: false };
        let same = match self.open.get_mut(&*key) {
            Some(same) => same,
            None => self.open.entry(key.into()).or_default(),
        };
        if is_share && !self.answers_all && same.unclear.is_empty() {
            self.count -= same
                .pass_over(|request| readable.since(request.at).is_some_and(|age| age >= UNANSWERED_AFTER));
        }
        if same.requests.is_empty() {
            // Nearly every id is used once.
            same.requests.reserve_exact(1);
        }
        same.requests.push_back(request);
        Ok(())
    }

    /// Handles the loss of some of the pool's answers. Requests that share an id are given up and returned: the next
    /// answer may belong to any of them.
    pub(super) fn answers_lost(&mut self) -> Vec<RequestKind> {
        let (mut lost, mut unclear) = (Vec::new(), 0);
        self.open.retain(|_, same| {
            if same.requests.len() > 1 {
                lost.extend(same.requests.drain(..).map(|request| request.kind));
                unclear += same.unclear.drain(..).count();
            }
            same.requests.iter_mut().for_each(|request| request.doubtful = true);
            !same.requests.is_empty()
        });
        self.unclear -= unclear;
        self.forget(&lost);
        lost
    }

    /// Drops a request whose answer may be lost, because the miner uses its id again. Otherwise it would take the
    /// answer of the next request.
    pub(super) fn drop_doubtful(&mut self, id: &str) -> Option<RequestKind> {
        let key = canonical(truncated(id));
        let same = self.open.get_mut(&*key)?;
        if !same.requests.front()?.doubtful {
            return None;
        }
        let OpenRequest { kind, .. } = same.requests.pop_front()?;
        self.drop_if_empty(&key);
        self.forget(std::slice::from_ref(&kind));
        Some(kind)
    }

    fn forget(&mut self, gone: &[RequestKind]) {
        self.count -= gone.len();
        self.shares -= gone.iter().map(|kind| u32::from(matches!(kind, RequestKind::Submit(_)))).sum::<u32>();
    }

    fn drop_if_empty(&mut self, key: &str) {
        if self.open.get(key).is_some_and(|same| same.requests.is_empty()) {
            let unclear = self.open.remove(key).map_or(0, |same| same.unclear.len());
            self.unclear -= unclear;
        }
    }

    /// Matches an answer to the oldest request with this id that it fits.
    pub(super) fn answer(&mut self, id: &str, form: AnswerForm, at: Stamp, line: &[u8]) -> Match {
        let id = truncated(id);
        let key = canonical(id);
        let Some(same) = self.open.get_mut(&*key) else { return Match::NoRequest };
        let Some(index) = same.first_fit(id, form) else { return Match::NoRequest };
        // Only a verdict can belong to the wrong request: the other forms tell what they answer.
        let is_verdict = matches!(form, AnswerForm::Yes | AnswerForm::Refusal);
        let is_behind = !same.unclear.is_empty() && is_verdict;
        if !is_behind && (self.answers_all || !same.is_unclear(id, form, index)) {
            let Some(OpenRequest { kind, at, .. }) = same.requests.remove(index) else {
                return Match::NoRequest;
            };
            self.forget(std::slice::from_ref(&kind));
            self.settle(&key, false);
            self.drop_if_empty(&key);
            return Match::Request(kind, at);
        }
        if line.len() > MAX_KEPT_LINE {
            return Match::NoRequest;
        }
        same.unclear.push_back(KeptAnswer { id: id.into(), form, at, line: line.into() });
        self.unclear += 1;
        self.settle(&key, self.unclear > MAX_UNCLEAR_ANSWERS);
        self.drop_if_empty(&key);
        Match::Ambiguous
    }

    /// Matches kept answers to their requests as far as that is clear now. `is_due`: the pool has had its time to
    /// answer the requests before a share.
    fn settle(&mut self, key: &str, is_due: bool) {
        let Some(same) = self.open.get_mut(key) else { return };
        let before = (same.requests.len(), same.unclear.len(), self.settled.len());
        same.settle(is_due, &mut self.settled);
        self.count -= before.0 - same.requests.len();
        self.unclear -= before.1 - same.unclear.len();
        let shares = self.settled[before.2..].iter().filter(|one| matches!(one.kind, RequestKind::Submit(_)));
        self.shares -= shares.count() as u32;
    }

    /// Takes out the requests that were matched with kept answers.
    pub(super) fn take_settled(&mut self) -> Vec<SettledRequest> {
        std::mem::take(&mut self.settled)
    }

    /// Keeps an answer whose request has not come yet.
    pub(super) fn keep_early_answer(&mut self, id: &str, form: AnswerForm, at: Stamp, line: &[u8]) {
        if line.len() > MAX_KEPT_LINE {
            return;
        }
        if self.early.len() >= MAX_EARLY_ANSWERS {
            self.early.pop_front();
        }
        self.early.push_back(KeptAnswer { id: truncated(id).into(), form, at, line: line.into() });
    }

    /// Settles answers that were unclear for too long, and takes out requests older than `timeout`.
    pub(super) fn expire(&mut self, timeout: Duration, now: Stamp) -> Vec<RequestKind> {
        let is_over = |at: Stamp, limit: Duration| now.since(at).is_some_and(|age| age >= limit);
        self.early.retain(|early| !is_over(early.at, MAX_EARLY_AGE));
        if self.unclear > 0 {
            let limit = MAX_UNCLEAR_AGE.min(timeout / 2);
            let is_due = |same: &SameId| same.unclear.front().is_some_and(|answer| is_over(answer.at, limit));
            let due: Vec<Box<str>> =
                self.open.iter().filter(|(_, same)| is_due(same)).map(|(key, _)| key.clone()).collect();
            for key in due {
                self.settle(&key, true);
                self.drop_if_empty(&key);
            }
        }
        let (mut expired, mut unclear) = (Vec::new(), 0);
        self.open.retain(|_, same| {
            while same.requests.front().is_some_and(|request| is_over(request.at, timeout)) {
                expired.extend(same.requests.pop_front().map(|request| request.kind));
            }
            if same.requests.is_empty() {
                unclear += same.unclear.len();
            }
            !same.requests.is_empty()
        });
        self.unclear -= unclear;
        self.forget(&expired);
        if self.open.is_empty() {
            // An idle miner needs no table.
            self.open.shrink_to_fit();
        }
        expired
    }

    /// Settles everything that can be settled, and takes out all other requests.
    pub(super) fn take_all(&mut self) -> Vec<RequestKind> {
        if self.unclear > 0 {
            let keys: Vec<Box<str>> = self.open.keys().cloned().collect();
            keys.iter().for_each(|key| self.settle(key, true));
        }
        (self.count, self.shares, self.unclear) = (0, 0, 0);
        self.open.drain().flat_map(|(_, same)| same.requests).map(|request| request.kind).collect()
    }

    /// The time when the oldest open share was sent.
    pub(super) fn oldest_share(&self) -> Option<Stamp> {
        if self.shares == 0 {
            return None;
        }
        let requests = self.open.values().flat_map(|same| &same.requests);
        let shares = requests.filter(|request| matches!(request.kind, RequestKind::Submit(_)));
        shares.map(|request| request.at).min()
    }

    pub(super) fn open_shares(&self) -> u32 {
        self.shares
    }
}

#[cfg(test)]
mod tests;
