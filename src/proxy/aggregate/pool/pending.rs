//! The requests that the pool has not answered.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::{Duration, Instant};

use crate::config::Secret;
use crate::net::Stamp;
use crate::proxy::aggregate::{ConnectedMiner, PoolName, ReplySlot};
use crate::stratum::{StratumError, accept_line, refuse_line};

/// Caps the requests that wait: 5,000 miners with a share each, and three times as many.
const MAX_REQUESTS: usize = 16_384;

/// A miner's request that the pool is to answer.
#[derive(Debug)]
pub(crate) struct Requester {
    pub(crate) miner: Weak<ConnectedMiner>,
    pub(crate) slot: ReplySlot,
    /// The request's id, as the miner wrote it.
    pub(crate) id: Box<str>,
    /// Whether this is a share that the pool gets only because the network's target is so easy to meet. It is
    /// good enough for the miner, whatever the pool says about its difficulty.
    pub(crate) is_good_here: bool,
}

impl Requester {
    /// Passes the pool's acceptance on, if the miner is still connected.
    pub(crate) fn accept(&self, since: Stamp) {
        self.complete(accept_line(&self.id), since);
    }

    /// Passes a refusal on, if the miner is still connected.
    pub(crate) fn refuse(&self, refusal: &StratumError, since: Stamp) {
        self.complete(refuse_line(&self.id, refusal, Default::default()), since);
    }

    fn complete(&self, line: String, since: Stamp) {
        if let Some(miner) = self.miner.upgrade() {
            miner.complete(self.slot, line, since);
        }
    }
}

/// A request to the pool.
#[derive(Debug)]
pub(crate) enum PendingRequest {
    Configure,
    Subscribe,
    Authorize { name: PoolName, password: Option<Secret>, requester: Option<Requester> },
    Submit { requester: Requester },
}

/// The open requests of one connection, by the id they were sent with.
#[derive(Debug, Default)]
pub(crate) struct PendingRequests {
    open: HashMap<u64, (PendingRequest, Instant)>,
    last: u64,
}

impl PendingRequests {
    /// Notes a request and numbers it. It has to be noted before it is sent: some pools answer faster than it
    /// could be done afterwards.
    ///
    /// # Errors
    /// Gives it back when too many wait.
    pub(crate) fn ask(&mut self, request: PendingRequest, now: Instant) -> Result<u64, PendingRequest> {
        if self.is_full() {
            return Err(request);
        }
        self.last += 1;
        self.open.insert(self.last, (request, now));
        Ok(self.last)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= MAX_REQUESTS
    }

    /// Takes the request of this id, which was answered.
    pub(crate) fn answered(&mut self, id: u64) -> Option<(PendingRequest, Instant)> {
        self.open.remove(&id)
    }

    /// Takes the shares that have waited for longer than `share`, and the authorizes that have for longer
    /// than `verdict`. Answers to configure and subscribe are used whenever they come.
    pub(crate) fn expired(
        &mut self,
        share: Duration,
        verdict: Duration,
        now: Instant,
    ) -> Vec<PendingRequest> {
        let is_late = |request: &PendingRequest, at: &Instant| {
            let passed = now.saturating_duration_since(*at);
            match request {
                PendingRequest::Configure | PendingRequest::Subscribe => false,
                // A verdict that no miner waits for is used whenever it comes.
                PendingRequest::Authorize { requester, .. } => requester.is_some() && passed > verdict,
                PendingRequest::Submit { .. } => passed > share,
            }
        };
        let late = self.open.iter().filter(|(_, (request, at))| is_late(request, at));
        let late: Vec<u64> = late.map(|(id, _)| *id).collect();
        late.iter().filter_map(|id| self.open.remove(id)).map(|(request, _)| request).collect()
    }

    /// Whether the pool has left an authorize unanswered for this long.
    pub(crate) fn owes_verdict(&self, verdict: Duration, now: Instant) -> bool {
        self.open.values().any(|(request, at)| {
            matches!(request, PendingRequest::Authorize { .. })
                && now.saturating_duration_since(*at) > verdict
        })
    }

    /// Takes all of them: the pool answers no more.
    pub(crate) fn take_all(&mut self) -> Vec<PendingRequest> {
        self.open.drain().map(|(_, (request, _))| request).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::aggregate::miner::replies::OrderedReplies;

    #[test]
    fn late_requests_expire_but_for_configure_and_subscribe() {
        let (mut pending, now) = (PendingRequests::default(), Instant::now());
        let (share, verdict) = (Duration::from_secs(60), Duration::from_secs(5));
        let configure = pending.ask(PendingRequest::Configure, now).unwrap();
        let subscribe = pending.ask(PendingRequest::Subscribe, now).unwrap();
        let name = PoolName("a".to_owned());
        let requester = || Requester {
            miner: Weak::new(),
            slot: OrderedReplies::default().reserve("1").unwrap(),
            id: "1".into(),
            is_good_here: false,
        };
        let own = PendingRequest::Authorize { name: name.clone(), password: None, requester: None };
        let own = pending.ask(own, now).unwrap();
        let request = PendingRequest::Authorize { name, password: None, requester: Some(requester()) };
        pending.ask(request, now).unwrap();
        pending.ask(PendingRequest::Submit { requester: requester() }, now).unwrap();
        assert!(pending.expired(share, verdict, now + verdict).is_empty());
        assert!(pending.owes_verdict(verdict, now + verdict * 2));
        let late = pending.expired(share, verdict, now + verdict * 2);
        assert!(matches!(late[..], [PendingRequest::Authorize { requester: Some(_), .. }]), "{late:?}");
        let late = pending.expired(share, verdict, now + share * 2);
        assert!(matches!(late[..], [PendingRequest::Submit { .. }]), "{late:?}");
        assert!(matches!(
            pending.answered(own),
            Some((PendingRequest::Authorize { requester: None, .. }, _))
        ));
        assert!(matches!(pending.answered(configure), Some((PendingRequest::Configure, _))));
        assert!(matches!(pending.answered(subscribe), Some((PendingRequest::Subscribe, _))));
    }
}
