//! The miner's requests that wait for their answers. Ids are the miner's own business: cpuminer
//! sends 4 for every share, others repeat them or send `null` (wire reference, section 1.3), so
//! they are kept as text, and what has the same id is answered first in, first out.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::Role;
use super::share::PendingShare;
use crate::net::Stamp;
use crate::stratum::{Login, VersionMask};

/// The most requests of a miner that are followed; a NerdMiner itself keeps 32.
const MOST_OPEN: usize = 512;
/// In aggregate mode as many wait for the pool, those of one read behind them, and their answers.
const MOST_OPEN_HERE: usize = 2048;
/// For all miners together a pool may owe 16,384 answers, and some are on their way.
const MOST_OPEN_THERE: usize = 20_480;
/// The most answers that wait for their requests.
const MOST_EARLY: usize = 32;
/// How long an answer waits for its request.
const EARLY: Duration = Duration::from_secs(1);
/// The longest line that waits for its request, in bytes: a mere answer is much shorter.
const MOST_EARLY_LINE: usize = 1024;
/// As much of an id tells it from others, in bytes; an honest one has 20.
const MOST_ID: usize = 128;

/// What was asked.
#[derive(Debug)]
pub(super) enum Asked {
    Subscribe,
    Authorize {
        worker: String,
        login: Option<Login>,
    },
    Configure {
        mask: Option<VersionMask>,
    },
    Submit(Box<PendingShare>),
    /// Anything else; its answer changes nothing here.
    Other,
}

/// An answer to a request that has not come yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EarlyAnswer {
    id: Box<str>,
    pub(super) at: Stamp,
    pub(super) line: Box<[u8]>,
}

/// The open requests of one session.
#[derive(Debug)]
pub(super) struct Requests {
    most: usize,
    open: HashMap<Box<str>, VecDeque<Request>>,
    count: usize,
    shares: u32,
    early: VecDeque<EarlyAnswer>,
}

#[derive(Debug)]
struct Request {
    asked: Asked,
    at: Stamp,
    /// Copies were lost since; its answer may have been among them.
    doubtful: bool,
}

impl Requests {
    pub(super) fn new(role: Role) -> Requests {
        let most = match role {
            Role::Direct => MOST_OPEN,
            Role::Miner => MOST_OPEN_HERE,
            Role::Pool => MOST_OPEN_THERE,
        };
        Requests { most, open: HashMap::new(), count: 0, shares: 0, early: VecDeque::new() }
    }

    /// A request. An answer can only be its own when it came after the request was `readable`; the
    /// time to the answer is counted from when the request was `sent`, which is stamped later.
    ///
    /// # Errors
    /// Gives the request back with its answer, when that had come before it; without one when there
    /// is no room, because nobody answers this miner.
    pub(super) fn ask(
        &mut self,
        id: &str,
        asked: Asked,
        readable: Stamp,
        sent: Stamp,
    ) -> Result<(), (Asked, Option<EarlyAnswer>)> {
        let id = key(id);
        let is_answered = |early: &EarlyAnswer| *early.id == *id && early.at >= readable;
        if let Some(place) = self.early.iter().position(is_answered) {
            return Err((asked, self.early.remove(place)));
        }
        if self.count >= self.most {
            return Err((asked, None));
        }
        self.count += 1;
        self.shares += u32::from(matches!(asked, Asked::Submit(_)));
        self.open.entry(id.into()).or_default().push_back(Request { asked, at: sent, doubtful: false });
        Ok(())
    }

    /// Some of what the pool said is lost. Where several requests have one id, nobody can know any
    /// more which of them the next answer belongs to: they are given up.
    pub(super) fn lost_answers(&mut self) -> Vec<Asked> {
        let mut lost = Vec::new();
        self.open.retain(|_, queue| {
            if queue.len() > 1 {
                lost.extend(queue.drain(..).map(|request| request.asked));
            }
            queue.iter_mut().for_each(|request| request.doubtful = true);
            !queue.is_empty()
        });
        self.forget(&lost);
        lost
    }

    /// The id is about to be used again: a request of this id whose answer may be lost must not take
    /// the next one's.
    pub(super) fn make_way(&mut self, id: &str) -> Option<Asked> {
        let is_doubtful = |queue: &VecDeque<Request>| queue.front().is_some_and(|request| request.doubtful);
        self.open.get(key(id)).is_some_and(is_doubtful).then(|| self.answer(id))?.map(|(asked, _)| asked)
    }

    fn forget(&mut self, gone: &[Asked]) {
        self.count -= gone.len();
        self.shares -= gone.iter().map(|asked| u32::from(matches!(asked, Asked::Submit(_)))).sum::<u32>();
    }

    /// An answer to the oldest request with this id.
    pub(super) fn answer(&mut self, id: &str) -> Option<(Asked, Stamp)> {
        let queue = self.open.get_mut(key(id))?;
        let request = queue.pop_front();
        if queue.is_empty() {
            self.open.remove(key(id));
        }
        let Request { asked, at, .. } = request?;
        self.count -= 1;
        self.shares -= u32::from(matches!(asked, Asked::Submit(_)));
        Some((asked, at))
    }

    /// Keeps an answer that nobody has asked for yet.
    pub(super) fn keep(&mut self, id: &str, at: Stamp, line: &[u8]) {
        if line.len() > MOST_EARLY_LINE {
            return;
        }
        if self.early.len() >= MOST_EARLY {
            self.early.pop_front();
        }
        self.early.push_back(EarlyAnswer { id: key(id).into(), at, line: line.into() });
    }

    /// Takes out what has waited for longer than `timeout`.
    pub(super) fn expire(&mut self, timeout: Duration, now: Stamp) -> Vec<Asked> {
        let is_over = |at: Stamp, limit: Duration| now.since(at).is_some_and(|age| age >= limit);
        self.early.retain(|early| !is_over(early.at, EARLY));
        let mut expired = Vec::new();
        self.open.retain(|_, queue| {
            while queue.front().is_some_and(|request| is_over(request.at, timeout)) {
                expired.extend(queue.pop_front().map(|request| request.asked));
            }
            !queue.is_empty()
        });
        self.forget(&expired);
        expired
    }

    /// Takes out everything: the session is over.
    pub(super) fn take_all(&mut self) -> Vec<Asked> {
        (self.count, self.shares) = (0, 0);
        self.open.drain().flat_map(|(_, queue)| queue).map(|request| request.asked).collect()
    }

    /// When the oldest share was sent that waits for its answer.
    pub(super) fn oldest_share(&self) -> Option<Stamp> {
        if self.shares == 0 {
            return None;
        }
        let shares = self.open.values().flatten().filter(|request| matches!(request.asked, Asked::Submit(_)));
        shares.map(|request| request.at).min()
    }

    /// How many shares wait for their answers.
    pub(super) fn shares(&self) -> u32 {
        self.shares
    }
}

/// The beginning of an id, so that requests are small whatever a miner makes of its ids.
fn key(id: &str) -> &str {
    let end = (0..=MOST_ID.min(id.len())).rev().find(|end| id.is_char_boundary(*end));
    &id[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Stamp {
        Stamp::from_nanos(seconds * 1_000_000_000)
    }

    fn share(worker: &str) -> Asked {
        Asked::Submit(Box::new(PendingShare::for_tests(worker)))
    }

    fn worker_of(answered: Option<(Asked, Stamp)>) -> String {
        match answered {
            Some((Asked::Submit(share), _)) => share.worker.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_id_for_every_share_is_answered_first_in_first_out() {
        let mut requests = Requests::new(Role::Direct);
        for worker in ["a", "b", "c"] {
            requests.ask("4", share(worker), at(1), at(1)).unwrap();
        }
        assert_eq!(requests.shares(), 3);
        for worker in ["a", "b", "c"] {
            assert_eq!(worker_of(requests.answer("4")), worker);
        }
        assert!(requests.answer("4").is_none());
        assert_eq!(requests.shares(), 0);
    }

    #[test]
    fn ids_that_differ_as_text_are_different() {
        let mut requests = Requests::new(Role::Direct);
        for (id, worker) in [("1", "number"), ("\"1\"", "text"), ("null", "null"), ("1.0", "float")] {
            requests.ask(id, share(worker), at(1), at(1)).unwrap();
        }
        assert_eq!(worker_of(requests.answer("\"1\"")), "text");
        assert_eq!(worker_of(requests.answer("null")), "null");
        assert_eq!(worker_of(requests.answer("1")), "number");
    }

    #[test]
    fn an_answer_that_came_first_finds_its_share_but_not_a_later_one() {
        let mut requests = Requests::new(Role::Direct);
        requests.keep("7", at(10), b"the answer");
        assert!(requests.ask("7", share("later"), at(11), at(12)).is_ok());
        // Its sending was stamped late, as by a thread that was held up.
        let (_, answer) = requests.ask("7", share("before"), at(9), at(11)).unwrap_err();
        assert_eq!(*answer.unwrap().line, *b"the answer");
    }

    #[test]
    fn after_lost_answers_an_id_that_is_used_again_begins_anew() {
        let mut requests = Requests::new(Role::Direct);
        for (id, worker) in [("4", "a"), ("4", "b"), ("5", "c"), ("6", "d")] {
            requests.ask(id, share(worker), at(1), at(1)).unwrap();
        }
        assert_eq!((requests.lost_answers().len(), requests.shares()), (2, 2));
        assert!(requests.make_way("4").is_none());
        assert!(matches!(requests.make_way("5"), Some(Asked::Submit(share)) if share.worker == "c"));
        assert_eq!(worker_of(requests.answer("6")), "d");
        assert_eq!(requests.shares(), 0);
    }

    #[test]
    fn long_ids_cost_no_memory() {
        let mut requests = Requests::new(Role::Direct);
        let id = "é".repeat(30_000);
        requests.ask(&id, share("a"), at(1), at(1)).unwrap();
        assert_eq!(requests.open.keys().map(|id| id.len()).max(), Some(MOST_ID));
        assert_eq!(worker_of(requests.answer(&id)), "a");
    }

    #[test]
    fn what_is_never_answered_expires_and_a_flood_is_bounded() {
        let mut requests = Requests::new(Role::Direct);
        let refused = (0..10_000)
            .filter(|id| requests.ask(&id.to_string(), share("flood"), at(1), at(1)).is_err())
            .count();
        assert_eq!(refused, 10_000 - MOST_OPEN);
        assert_eq!(requests.shares(), MOST_OPEN as u32);
        assert!(requests.expire(MINUTE, at(60)).is_empty());
        assert_eq!(requests.expire(MINUTE, at(61)).len(), MOST_OPEN);
        assert_eq!((requests.shares(), requests.open.len()), (0, 0));
    }
}
