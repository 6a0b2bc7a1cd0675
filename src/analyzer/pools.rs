//! The pools behind the upstreams: their names, share counts, answer times, newest jobs and verdicts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::block_spread::{BlockSpread, BlockSpreads, NewBlockJob};
use super::current_work::CurrentVerdicts;
use super::job_verdict::OutputView;
use super::latency::Latency;
use super::recent::JobView;
use super::session::AnalyzedSession;
use super::share::JudgedShare;
use super::totals::count_outcome;
use super::verdicts::{ChainState, ChainVerdict, PayoutState, PayoutVerdict, WorkDoubt};
use crate::clock::NtpTime;
use crate::net::Stamp;
use crate::tap::Role;

/// The number of newest answer times that are kept of each pool.
const MAX_NEWEST_ANSWERS: usize = 20;
/// After a longer pause without jobs, a new block may have come long before the job that tells of it. Most pools send a
/// job every 30 to 60 s.
const MAX_SECONDS_BETWEEN_JOBS: i64 = 120;

/// An upstream, to be shown.
#[derive(Debug, Clone, Default)]
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
    /// The newest answer times, the newest last.
    pub newest_answers: VecDeque<Duration>,
    /// When it last answered a share.
    pub last_answer: Option<Stamp>,
    /// The newest job.
    pub job: Option<Arc<JobView>>,
    /// The newest block, as its jobs tell.
    pub newest_block: Option<NewestBlock>,
    /// The newest block that has reached its miners; `None` before the first.
    pub new_block: Option<BlockSpread>,
    /// The worst payout verdict on the work of a connected miner. After the last miner has left, its verdict stays
    /// as long as its job can be valid. The same holds for `outputs` and `chain`.
    pub payout: Option<PayoutVerdict>,
    pub outputs: Arc<[OutputView]>,
    pub chain: Option<ChainVerdict>,
}

/// The newest block that a pool's jobs build on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestBlock {
    /// When the first job came that builds on it.
    pub since: NtpTime,
    /// Whether jobs on an earlier block came before, so that `since` is when the pool had it. Else it is older.
    pub is_first_seen: bool,
}

/// The upstreams' URLs, by their numbers. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct UpstreamNames(Arc<ArcSwap<Vec<String>>>);

impl UpstreamNames {
    /// Replaces the names. An upstream keeps its number.
    pub fn set(&self, names: Vec<String>) {
        self.0.store(Arc::new(names));
    }

    pub(super) fn all(&self) -> Arc<Vec<String>> {
        self.0.load_full()
    }

    /// The name of an upstream; empty for none, or for an unknown number.
    pub(super) fn name(&self, place: Option<usize>) -> String {
        place.and_then(|place| self.0.load().get(place).cloned()).unwrap_or_default()
    }
}

impl<T: ToString> FromIterator<T> for UpstreamNames {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> UpstreamNames {
        let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
        UpstreamNames(Arc::new(ArcSwap::from_pointee(names)))
    }
}

/// The views of all upstreams that were ever listed.
#[derive(Debug, Default)]
pub(super) struct Pools {
    pools: BTreeMap<usize, PoolView>,
    /// The time until which each pool's verdicts are valid if it sends no further job.
    good_until: BTreeMap<usize, Stamp>,
    block_spreads: BlockSpreads,
    names: UpstreamNames,
}

impl Pools {
    pub(super) fn new(names: UpstreamNames) -> Pools {
        Pools { names, ..Pools::default() }
    }

    pub(super) fn set_job(&mut self, place: Option<usize>, job: Arc<JobView>) {
        if let Some(pool) = self.pool_mut(place) {
            pool.note_block(&job);
            pool.job = Some(job);
        }
    }

    pub(super) fn add_new_block(&mut self, job: &NewBlockJob, role: Role) {
        self.block_spreads.add(job, role);
    }

    pub(super) fn count_share(&mut self, judged: &JudgedShare) {
        let Some(pool) = self.pool_mut(judged.upstream) else { return };
        let PoolView { accepted, rejected, unanswered, unknown, .. } = pool;
        count_outcome(&judged.outcome, [accepted, rejected, unanswered, unknown]);
        if let Some(time) = judged.answered_after {
            pool.answers.record(time);
            pool.last_answer = Some(judged.share.at.shifted(i64::try_from(time.as_nanos()).unwrap_or(0)));
            if pool.newest_answers.len() >= MAX_NEWEST_ANSWERS {
                pool.newest_answers.pop_front();
            }
            pool.newest_answers.push_back(time);
        }
    }

    /// The views of all pools, with the verdicts of these sessions. Only this function decides which verdicts are
    /// shown, and until when.
    pub(super) fn view<'a>(
        &mut self,
        sessions: impl Iterator<Item = &'a AnalyzedSession>,
        now: Stamp,
        stale_job: Duration,
    ) -> Vec<PoolView> {
        // Pools that have sent nothing yet are shown too.
        for place in 0..self.names.all().len() {
            self.pool_mut(Some(place));
        }
        let mut found: BTreeMap<usize, PoolWork<'_>> = BTreeMap::new();
        for session in sessions {
            let Some(place) = session.conversation.upstream() else { continue };
            let found = found.entry(place).or_default();
            let role = session.conversation.role;
            found.miners += usize::from(role.is_with_miner());
            let badness = session.work.badness(now, stale_job).filter(|_| role.is_with_pool());
            if badness.is_some() && badness > found.badness {
                (found.badness, found.worst) = (badness, Some(session));
            }
        }
        for (place, pool) in &mut self.pools {
            let PoolWork { miners, worst, .. } = found.get(place).copied().unwrap_or_default();
            pool.miners = miners;
            pool.new_block = self.block_spreads.newest(*place, now);
            if let Some(verdicts) = worst.and_then(|session| session.work.verdicts(now, stale_job)) {
                pool.set_verdicts(verdicts);
                if let Some(until) = worst.and_then(|session| session.work.good_until(stale_job)) {
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
        let new = || PoolView { place, name: self.names.name(Some(place)), ..PoolView::default() };
        Some(self.pools.entry(place).or_insert_with(new))
    }
}

/// The sessions with one pool: their miners and the worst of them.
#[derive(Clone, Copy, Default)]
struct PoolWork<'a> {
    miners: usize,
    badness: Option<(PayoutState, ChainState)>,
    worst: Option<&'a AnalyzedSession>,
}

impl PoolView {
    /// Notes a job on another block than the job before. A miner that connects late may still get an older one.
    fn note_block(&mut self, job: &JobView) {
        let is_new = |known: &Arc<JobView>| known.parent != job.parent && known.height <= job.height;
        if self.job.as_ref().is_none_or(is_new) {
            let since_known = |known: &Arc<JobView>| job.at.timestamp().duration_since(known.at.timestamp());
            let is_first_seen = self
                .job
                .as_ref()
                .is_some_and(|known| since_known(known).as_secs() < MAX_SECONDS_BETWEEN_JOBS);
            self.newest_block = Some(NewestBlock { since: job.at, is_first_seen });
        }
    }

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
}
