//! One job as the pool sent it, judged by the rules of the proxy.

use super::observations::Timestamp;
use crate::analyzer::{
    ChainState, ChainVerdict, Expectations, JudgedJob, OutputView, PayoutAddress, PayoutState, PayoutVerdict,
    Unverifiable,
};
use crate::stratum::{JobId, Nbits, Notify, Ntime, SubscribeAnswer};
use crate::work::{BlockHash, Coinbase, Height, PoolTag, Sats, Target, parent_hash};

/// The blocks between two difficulty adjustments.
const RETARGET_INTERVAL: u32 = 2016;

/// A job as `sluice verify` reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedJob {
    /// The number of the job; the first is 1.
    pub number: u64,
    pub at: Timestamp,
    pub job_id: JobId,
    pub clean: bool,
    /// The job came after authorize, so the pool could make it for the address.
    pub is_named: bool,
    pub height: Option<Height>,
    /// The block that the job builds on.
    pub parent: BlockHash,
    /// The parent block's hash meets its target. `None` if the parent's target differs from the job's: after a retarget,
    /// and on networks with easy blocks.
    pub parent_meets_target: Option<bool>,
    pub nbits: Nbits,
    pub ntime: Ntime,
    pub tag: Option<PoolTag>,
    /// The number of merkle branches; zero without transactions.
    pub branches: usize,
    /// The size of the coinbase: both halves and both extranonces.
    pub coinbase_bytes: usize,
    pub payout: PayoutVerdict,
    /// The amount that the address gets.
    pub paid: Sats,
    pub chain: ChainVerdict,
    /// The outputs with a value, largest first.
    pub outputs: Vec<OutputView>,
}

/// The address that must be paid, and the expectations of the rules.
#[derive(Debug, Clone)]
pub(super) struct JobPolicy {
    pub expected: PayoutAddress,
    pub expectations: Expectations,
}

impl ObservedJob {
    pub(super) fn new(
        number: u64,
        at: Timestamp,
        job: Notify,
        clean: bool,
        is_named: bool,
        extranonces: &SubscribeAnswer,
        policy: &JobPolicy,
    ) -> ObservedJob {
        let SubscribeAnswer { extranonce1, extranonce2_size } = extranonces;
        let extranonce_bytes = extranonce1.as_bytes().len() + extranonce2_size.bytes();
        let coinbase = Coinbase::of_job(&job, extranonce1, *extranonce2_size).ok();
        let judged = JudgedJob::new((job.nbits, job.ntime), clean, coinbase, &policy.expectations);
        let outputs = judged.outputs();
        let coinbase = judged.coinbase.as_ref();
        let height = coinbase.and_then(|coinbase| coinbase.height().ok());
        let parent = parent_hash(&job.prevhash);
        ObservedJob {
            number,
            at,
            is_named,
            height,
            parent,
            parent_meets_target: parent_meets_target(&parent, job.nbits, height, judged.chain.network),
            tag: coinbase.and_then(Coinbase::tag),
            branches: job.branches.len(),
            coinbase_bytes: job.coinb1.len() + extranonce_bytes + job.coinb2.len(),
            paid: coinbase.map_or(Sats(0), |coinbase| paid(coinbase, &policy.expected)),
            nbits: job.nbits,
            ntime: job.ntime,
            job_id: job.job_id,
            payout: judged.payout,
            chain: judged.chain,
            clean,
            outputs,
        }
    }

    /// The job's time minus the clock's, in seconds. Positive for a job from the future.
    pub fn drift(&self) -> i64 {
        i64::from(self.ntime.0) - self.at.clock.unix_seconds()
    }

    /// Tells whether the job's payout decides: it came after authorize, or it already pays the address.
    pub fn is_telling(&self) -> bool {
        self.is_named || self.payout.state == PayoutState::Verified
    }

    /// Tells whether the coinbase could be decoded.
    pub(super) fn has_coinbase(&self) -> bool {
        self.payout.state != PayoutState::Unverifiable(Unverifiable::Unreadable)
    }

    /// Ranks the readings of one line by how bad they are.
    pub(super) fn badness(&self, max_drift: i64) -> impl Ord + use<> {
        let has_bad_parent = self.parent_meets_target == Some(false);
        (
            self.rules_out_good(max_drift),
            self.payout.state,
            self.chain.state,
            has_bad_parent,
            self.drift().abs(),
        )
    }

    /// Tells whether this job alone makes the outcome bad.
    pub(super) fn rules_out_good(&self, max_drift: i64) -> bool {
        let payout = matches!(self.payout.state, PayoutState::Short | PayoutState::Mismatch);
        (payout && self.is_named)
            || self.chain.state == ChainState::Wrong
            || self.parent_meets_target == Some(false)
            || self.drift().abs() > max_drift
    }
}

/// Compares the parent's hash with the job's target, which is the parent's as well except after a
/// retarget. A retarget at most quadruples the difficulty, but a parent that met the old target
/// proves little.
fn parent_meets_target(
    parent: &BlockHash,
    nbits: Nbits,
    height: Option<Height>,
    network: &str,
) -> Option<bool> {
    if Target::from_nbits(nbits).ok()?.is_met_by(parent) {
        return Some(true);
    }
    let is_after_retarget = height.is_some_and(|height| height.0 % RETARGET_INTERVAL == 0);
    // Test networks have blocks of difficulty 1 between the others.
    (network == "mainnet" && !is_after_retarget).then_some(false)
}

fn paid(coinbase: &Coinbase, expected: &PayoutAddress) -> Sats {
    let paying = coinbase.outputs().filter(|output| expected.is_paid_by(output.script));
    Sats(paying.fold(0_u64, |sum, output| sum.saturating_add(output.value.0)))
}
