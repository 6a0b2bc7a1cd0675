//! Each upstream as its jobs and answers show it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::judged_job::OutputView;
use super::names::UpstreamNames;
use super::recent::JobView;
use super::session::Session;
use super::share::JudgedShare;
use super::summary::Latency;
use super::verdicts::{ChainVerdict, PayoutVerdict};
use crate::record::Outcome;

/// As many show how fast it answers lately.
const NEWEST_ANSWERS: usize = 20;

/// An upstream, to be shown.
#[derive(Debug, Clone)]
pub struct PoolView {
    /// The upstream's number, from 0.
    pub place: usize,
    /// Its URL, as configured.
    pub name: String,
    /// Miners whose sessions are with it.
    pub miners: usize,
    pub accepted: u64,
    pub rejected: u64,
    pub unanswered: u64,
    pub unknown: u64,
    /// From a submit to its answer.
    pub answers: Latency,
    /// The newest of them, the newest last.
    pub newest_answers: VecDeque<Duration>,
    /// The newest job.
    pub job: Option<Arc<JobView>>,
    /// The worst verdicts that a connected miner's newest job has, and that job's outputs. After the
    /// last miner has left: those of the last one.
    pub payout: Option<PayoutVerdict>,
    pub outputs: Arc<[OutputView]>,
    pub chain: Option<ChainVerdict>,
}

/// What is counted of each upstream. There are as many as were ever listed.
#[derive(Debug, Default)]
pub(super) struct Pools {
    pools: BTreeMap<usize, PoolView>,
    names: UpstreamNames,
}

impl Pools {
    pub(super) fn new(names: UpstreamNames) -> Pools {
        Pools { pools: BTreeMap::new(), names }
    }

    pub(super) fn job(&mut self, place: Option<usize>, job: Arc<JobView>) {
        if let Some(pool) = self.of(place) {
            pool.job = Some(job);
        }
    }

    pub(super) fn judged(&mut self, judged: &JudgedShare) {
        let Some(pool) = self.of(judged.upstream) else { return };
        match judged.outcome {
            Outcome::Accepted => pool.accepted += 1,
            Outcome::Rejected { .. } => pool.rejected += 1,
            Outcome::Unanswered => pool.unanswered += 1,
            Outcome::Unknown => pool.unknown += 1,
        }
        if let Some(time) = judged.answered_after {
            pool.answers.record(time);
            if pool.newest_answers.len() >= NEWEST_ANSWERS {
                pool.newest_answers.pop_front();
            }
            pool.newest_answers.push_back(time);
        }
    }

    /// What there is to see, with the verdicts of these sessions.
    pub(super) fn view<'a>(&mut self, sessions: impl Iterator<Item = &'a Session>) -> Vec<PoolView> {
        // Also those that nothing has come from yet.
        for place in 0..self.names.all().len() {
            self.of(Some(place));
        }
        let mut found: BTreeMap<usize, (usize, Option<&Session>)> = BTreeMap::new();
        for session in sessions {
            let Some(place) = session.conversation.upstream() else { continue };
            let (count, worst) = found.entry(place).or_default();
            let role = session.conversation.role;
            *count += usize::from(role.is_with_miner());
            if role.is_with_pool() && worst.is_none_or(|known| badness(session) > badness(known)) {
                *worst = Some(session);
            }
        }
        for (place, pool) in &mut self.pools {
            let (count, worst) = found.get(place).copied().unwrap_or_default();
            pool.miners = count;
            if let Some(job) = worst.and_then(|session| session.newest_job.as_ref()) {
                pool.payout = Some(job.payout.clone());
                pool.chain = Some(job.chain.clone());
                pool.outputs = job.outputs().into();
            }
        }
        self.pools.values().cloned().collect()
    }

    fn of(&mut self, place: Option<usize>) -> Option<&mut PoolView> {
        let place = place?;
        let new = || PoolView::new(place, self.names.of(Some(place)));
        Some(self.pools.entry(place).or_insert_with(new))
    }
}

impl PoolView {
    fn new(place: usize, name: String) -> PoolView {
        PoolView {
            place,
            name,
            miners: 0,
            accepted: 0,
            rejected: 0,
            unanswered: 0,
            unknown: 0,
            answers: Latency::default(),
            newest_answers: VecDeque::new(),
            job: None,
            payout: None,
            outputs: Arc::default(),
            chain: None,
        }
    }
}

/// Money first, then the chain; a session without a job says nothing.
fn badness(session: &Session) -> Option<impl Ord + use<>> {
    session.newest_job.as_ref().map(|job| (job.payout.state, job.chain.state))
}
