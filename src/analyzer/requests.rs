//! The miner's requests that wait for their answers. Ids are the miner's own business: cpuminer
//! sends 4 for every share, others repeat them or send `null` (wire reference, section 1.3), so
//! they are kept as text, and what has the same id is answered first in, first out.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::share::PendingShare;
use crate::net::Stamp;
use crate::stratum::{Verdict, VersionMask};

/// The most requests of one session that are followed; a NerdMiner itself keeps 32.
const MOST_OPEN: usize = 512;
/// The most answers that wait for their requests.
const MOST_EARLY: usize = 32;
/// How long an answer waits for its request.
const EARLY: Duration = Duration::from_secs(1);

/// What was asked.
#[derive(Debug)]
pub(super) enum Asked {
    Subscribe,
    Authorize {
        worker: String,
    },
    Configure {
        mask: Option<VersionMask>,
    },
    Submit(Box<PendingShare>),
    /// Anything else; its answer changes nothing here.
    Other,
}

/// An answer as far as it is kept for a request that has not come yet. Only shares' answers can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EarlyAnswer {
    id: Box<str>,
    pub(super) at: Stamp,
    pub(super) verdict: Verdict,
}

/// The open requests of one session.
#[derive(Debug, Default)]
pub(super) struct Requests {
    open: HashMap<Box<str>, VecDeque<Request>>,
    count: usize,
    shares: u32,
    early: VecDeque<EarlyAnswer>,
}

#[derive(Debug)]
struct Request {
    asked: Asked,
    at: Stamp,
}

impl Requests {
    /// A request. `Err` gives it back with its answer, when that had come before it.
    pub(super) fn ask(&mut self, id: &str, asked: Asked, at: Stamp) -> Result<(), (Asked, EarlyAnswer)> {
        let is_answered = |early: &EarlyAnswer| *early.id == *id && early.at >= at;
        if let (Asked::Submit(_), Some(place)) = (&asked, self.early.iter().position(is_answered)) {
            if let Some(answer) = self.early.remove(place) {
                return Err((asked, answer));
            }
        }
        if self.count >= MOST_OPEN {
            // Nobody answers this miner; its oldest requests are forgotten with the next expiry.
            return Ok(());
        }
        self.count += 1;
        self.shares += u32::from(matches!(asked, Asked::Submit(_)));
        self.open.entry(id.into()).or_default().push_back(Request { asked, at });
        Ok(())
    }

    /// An answer to the oldest request with this id.
    pub(super) fn answer(&mut self, id: &str) -> Option<(Asked, Stamp)> {
        let queue = self.open.get_mut(id)?;
        let request = queue.pop_front();
        if queue.is_empty() {
            self.open.remove(id);
        }
        let Request { asked, at } = request?;
        self.count -= 1;
        self.shares -= u32::from(matches!(asked, Asked::Submit(_)));
        Some((asked, at))
    }

    /// Keeps an answer that nobody has asked for yet.
    pub(super) fn keep(&mut self, id: &str, at: Stamp, verdict: Verdict) {
        if self.early.len() >= MOST_EARLY {
            self.early.pop_front();
        }
        self.early.push_back(EarlyAnswer { id: id.into(), at, verdict });
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
        self.count -= expired.len();
        self.shares -= expired.iter().map(|asked| u32::from(matches!(asked, Asked::Submit(_)))).sum::<u32>();
        expired
    }

    /// Takes out everything: the session is over.
    pub(super) fn take_all(&mut self) -> Vec<Asked> {
        (self.count, self.shares) = (0, 0);
        self.open.drain().flat_map(|(_, queue)| queue).map(|request| request.asked).collect()
    }

    /// How many shares wait for their answers.
    pub(super) fn shares(&self) -> u32 {
        self.shares
    }
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
        let mut requests = Requests::default();
        for worker in ["a", "b", "c"] {
            requests.ask("4", share(worker), at(1)).unwrap();
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
        let mut requests = Requests::default();
        for (id, worker) in [("1", "number"), ("\"1\"", "text"), ("null", "null"), ("1.0", "float")] {
            requests.ask(id, share(worker), at(1)).unwrap();
        }
        assert_eq!(worker_of(requests.answer("\"1\"")), "text");
        assert_eq!(worker_of(requests.answer("null")), "null");
        assert_eq!(worker_of(requests.answer("1")), "number");
    }

    #[test]
    fn an_answer_that_came_first_finds_its_share_but_not_a_later_one() {
        let mut requests = Requests::default();
        requests.keep("7", at(10), Verdict::Accepted);
        assert!(requests.ask("7", share("later"), at(11)).is_ok());
        let (_, answer) = requests.ask("7", share("before"), at(9)).unwrap_err();
        assert_eq!(answer.verdict, Verdict::Accepted);
    }

    #[test]
    fn what_is_never_answered_expires_and_a_flood_is_bounded() {
        let mut requests = Requests::default();
        for id in 0..10_000 {
            requests.ask(&id.to_string(), share("flood"), at(1)).unwrap();
        }
        assert_eq!(requests.shares(), MOST_OPEN as u32);
        assert!(requests.expire(MINUTE, at(60)).is_empty());
        assert_eq!(requests.expire(MINUTE, at(61)).len(), MOST_OPEN);
        assert_eq!((requests.shares(), requests.open.len()), (0, 0));
    }
}
