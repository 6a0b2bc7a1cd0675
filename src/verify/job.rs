//! One job as the pool sent it, judged by the proxy's own rules.

use super::timestamp::Timestamp;
use crate::analyzer::{
    ChainState, ChainVerdict, Expectations, JudgedJob, OutputView, PayoutAddress, PayoutState, PayoutVerdict,
    Unverifiable,
};
use crate::stratum::{JobId, Nbits, Notify, Ntime, SubscribeAnswer};
use crate::work::{BlockHash, Coinbase, Height, PoolTag, Sats, Target, parent_hash};

/// Between two retargets of the difficulty, in blocks.
const RETARGET: u32 = 2016;

/// What a job says.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenJob {
    /// The first is 1.
    pub number: u64,
    pub at: Timestamp,
    pub job_id: JobId,
    pub clean: bool,
    /// The pool could know by then for whom it is.
    pub is_named: bool,
    pub height: Option<Height>,
    /// The block it builds on.
    pub parent: BlockHash,
    pub parent_work: ParentWork,
    pub nbits: Nbits,
    pub ntime: Ntime,
    pub tag: Option<PoolTag>,
    /// None in a block without transactions.
    pub branches: usize,
    /// Both halves and both extranonces.
    pub coinbase_bytes: usize,
    pub payout: PayoutVerdict,
    /// What the address gets.
    pub paid: Sats,
    pub chain: ChainVerdict,
    /// Largest first, without those of no value.
    pub outputs: Vec<OutputView>,
}

/// Whether the block that a job builds on was hard enough to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentWork {
    Met,
    Missed,
    /// Its own target was another one: after a retarget, and on networks that allow easy blocks.
    Unknown,
}

/// Whom to judge for, and by what.
#[derive(Debug, Clone)]
pub(super) struct Judging {
    pub expected: PayoutAddress,
    pub expectations: Expectations,
}

impl SeenJob {
    pub(super) fn new(
        number: u64,
        at: Timestamp,
        job: Notify,
        clean: bool,
        is_named: bool,
        extranonces: &SubscribeAnswer,
        judging: &Judging,
    ) -> SeenJob {
        let SubscribeAnswer { extranonce1, extranonce2_size } = extranonces;
        let extranonce_bytes = extranonce1.as_bytes().len() + extranonce2_size.bytes();
        let coinbase = Coinbase::of_job(&job, extranonce1, *extranonce2_size).ok();
        let judged = JudgedJob::new((job.nbits, job.ntime), clean, coinbase, None, &judging.expectations);
        let outputs = judged.outputs();
        let coinbase = judged.coinbase.as_ref();
        let height = coinbase.and_then(|coinbase| coinbase.height().ok());
        let parent = parent_hash(&job.prevhash);
        SeenJob {
            number,
            at,
            is_named,
            height,
            parent,
            parent_work: parent_work(&parent, job.nbits, height, judged.chain.network),
            tag: coinbase.and_then(Coinbase::tag),
            branches: job.branches.len(),
            coinbase_bytes: job.coinb1.len() + extranonce_bytes + job.coinb2.len(),
            paid: coinbase.map_or(Sats(0), |coinbase| paid(coinbase, &judging.expected)),
            nbits: job.nbits,
            ntime: job.ntime,
            job_id: job.job_id,
            payout: judged.payout,
            chain: judged.chain,
            clean,
            outputs,
        }
    }

    /// The job's time less the clock's, in seconds: positive for a job from the future.
    pub fn drift(&self) -> i64 {
        i64::from(self.ntime.0) - self.at.clock.unix_seconds()
    }

    /// Whether its payout says something: every job that the pool could make for the address, and
    /// one before that if it pays already.
    pub fn is_telling(&self) -> bool {
        self.is_named || self.payout.state == PayoutState::Verified
    }

    /// Whether its coinbase could be decoded.
    pub(super) fn has_coinbase(&self) -> bool {
        self.payout.state != PayoutState::Unverifiable(Unverifiable::Unreadable)
    }

    /// How bad it is, to compare readings of the same line.
    pub(super) fn badness(&self, most_drift: i64) -> impl Ord + use<> {
        let is_baseless = self.parent_work == ParentWork::Missed;
        (self.is_damning(most_drift), self.payout.state, self.chain.state, is_baseless, self.drift().abs())
    }

    /// Whether nothing that comes later can make this pool a good one.
    pub(super) fn is_damning(&self, most_drift: i64) -> bool {
        let payout = matches!(self.payout.state, PayoutState::Short | PayoutState::Mismatch);
        (payout && self.is_named)
            || self.chain.state == ChainState::Wrong
            || self.parent_work == ParentWork::Missed
            || self.drift().abs() > most_drift
    }
}

impl ParentWork {
    /// A stable word for machines; `None` when nothing is known.
    pub fn is_met(self) -> Option<bool> {
        match self {
            ParentWork::Met => Some(true),
            ParentWork::Missed => Some(false),
            ParentWork::Unknown => None,
        }
    }
}

/// Compared with the job's own target, which is the parent's as well except after a retarget. A
/// retarget at most quadruples the difficulty, but a parent that met the old target proves little.
fn parent_work(parent: &BlockHash, nbits: Nbits, height: Option<Height>, network: &str) -> ParentWork {
    let Ok(target) = Target::from_nbits(nbits) else { return ParentWork::Unknown };
    if target.is_met_by(parent) {
        return ParentWork::Met;
    }
    let is_after_retarget = height.is_some_and(|height| height.0 % RETARGET == 0);
    // testnet has blocks of difficulty 1 between the others.
    if network == "mainnet" && !is_after_retarget { ParentWork::Missed } else { ParentWork::Unknown }
}

fn paid(coinbase: &Coinbase, expected: &PayoutAddress) -> Sats {
    let paying = coinbase.outputs().filter(|output| expected.is_paid_by(output.script));
    Sats(paying.fold(0_u64, |sum, output| sum.saturating_add(output.value.0)))
}
