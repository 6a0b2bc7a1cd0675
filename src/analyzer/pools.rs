//! Each upstream as its jobs and answers show it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::current_work::CurrentVerdicts;
use super::job_verdict::OutputView;
use super::names::UpstreamNames;
use super::recent::JobView;
use super::session::AnalyzedSession;
use super::share::JudgedShare;
use super::summary::Latency;
use super::verdicts::{ChainState, ChainVerdict, PayoutState, PayoutVerdict, WorkDoubt};
use crate::net::Stamp;
use crate::record::ShareOutcome;

/// As many show how fast it answers lately.
const MAX_NEWEST_ANSWERS: usize = 20;

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
    /// The worst verdicts on what a connected miner works on, and that job's outputs. After the last miner
    /// has left: those of the last one, for as long as a job is good for.
    pub payout: Option<PayoutVerdict>,
    pub outputs: Arc<[OutputView]>,
    pub chain: Option<ChainVerdict>,
}

/// What is counted of each upstream. There are as many as were ever listed.
#[derive(Debug, Default)]
pub(super) struct Pools {
    pools: BTreeMap<usize, PoolView>,
    /// Until when the verdicts of each are good, unless it sends more.
    good_until: BTreeMap<usize, Stamp>,
    names: UpstreamNames,
}

impl Pools {
    pub(super) fn new(names: UpstreamNames) -> Pools {
        Pools { pools: BTreeMap::new(), good_until: BTreeMap::new(), names }
    }

    pub(super) fn set_job(&mut self, place: Option<usize>, job: Arc<JobView>) {
        if let Some(pool) = self.pool_mut(place) {
            pool.job = Some(job);
        }
    }

    pub(super) fn count_share(&mut self, judged: &JudgedShare) {
        let Some(pool) = self.pool_mut(judged.upstream) else { return };
        match judged.outcome {
            ShareOutcome::Accepted => pool.accepted += 1,
            ShareOutcome::Rejected { .. } => pool.rejected += 1,
            ShareOutcome::Unanswered => pool.unanswered += 1,
            ShareOutcome::Unknown => pool.unknown += 1,
        }
        if let Some(time) = judged.answered_after {
            pool.answers.record(time);
            if pool.newest_answers.len() >= MAX_NEWEST_ANSWERS {
                pool.newest_answers.pop_front();
            }
            pool.newest_answers.push_back(time);
        }
    }

    /// What there is to see, with the verdicts of these sessions. The one place that decides which verdicts
    /// are shown, and until when.
    pub(super) fn view<'a>(
        &mut self,
        sessions: impl Iterator<Item = &'a AnalyzedSession>,
        now: Stamp,
        stale_job: Duration,
    ) -> Vec<PoolView> {
        // Also those that nothing has come from yet.
        for place in 0..self.names.all().len() {
            self.pool_mut(Some(place));
        }
        let mut found: BTreeMap<usize, PoolWork<'_>> = BTreeMap::new();
        for session in sessions {
            let Some(place) = session.conversation.upstream() else { continue };
            let found = found.entry(place).or_default();
            let role = session.conversation.role;
            found.miners += usize::from(role.is_with_miner());
            let badness = session.badness(now, stale_job).filter(|_| role.is_with_pool());
            if badness.is_some() && badness > found.badness {
                (found.badness, found.worst) = (badness, Some(session));
            }
        }
        for (place, pool) in &mut self.pools {
            let PoolWork { miners, worst, .. } = found.get(place).copied().unwrap_or_default();
            pool.miners = miners;
            if let Some(verdicts) = worst.and_then(|session| session.verdicts(now, stale_job)) {
                pool.set_verdicts(verdicts);
                if let Some(until) = worst.and_then(|session| session.verdicts_until(stale_job)) {
                    self.good_until.insert(*place, until);
                }
            } else if self.good_until.get(place).is_some_and(|until| *until < now) {
                // The last miner left long ago.
                self.good_until.remove(place);
                pool.doubt_old_verdicts();
            }
        }
        self.pools.values().cloned().collect()
    }

    fn pool_mut(&mut self, place: Option<usize>) -> Option<&mut PoolView> {
        let place = place?;
        let new = || PoolView::new(place, self.names.name(Some(place)));
        Some(self.pools.entry(place).or_insert_with(new))
    }
}

/// What the sessions with a pool show.
#[derive(Clone, Copy, Default)]
struct PoolWork<'a> {
    miners: usize,
    badness: Option<(PayoutState, ChainState)>,
    worst: Option<&'a AnalyzedSession>,
}

impl PoolView {
    fn set_verdicts(&mut self, verdicts: CurrentVerdicts) {
        let CurrentVerdicts { payout, chain, outputs } = verdicts;
        (self.payout, self.chain, self.outputs) = (Some(payout), Some(chain), outputs.into());
    }

    fn doubt_old_verdicts(&mut self) {
        let (Some(payout), Some(chain)) = (self.payout.take(), self.chain.take()) else { return };
        let mut verdicts = CurrentVerdicts { payout, chain, outputs: self.outputs.to_vec() };
        verdicts.doubt(WorkDoubt::Old);
        self.set_verdicts(verdicts);
    }

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
