//! A session's newest job with its verdicts, kept to be shown.

use super::session_event::JobSeen;
use super::verdicts::{
    ChainState, ChainVerdict, Expectations, Expected, PayoutState, PayoutVerdict, Unverifiable, WorkDoubt,
};
use crate::net::Stamp;
use crate::stratum::{Nbits, Ntime, encode_hex};
use crate::work::{AddressChain, Coinbase, Sats};

/// A larger coinbase, in bytes, is not kept: the largest in use has 16,000. A session has a few.
const MAX_KEPT_COINBASE: usize = 32 * 1024;

/// Of more outputs than this the smallest are left out; OCEAN has about twenty.
const MOST_OUTPUTS: usize = 64;

/// A solo pool takes its fee to one address or two.
const MOST_PAYEES: usize = 6;

/// A job with its verdicts.
#[derive(Debug)]
pub struct JudgedJob {
    /// `None` when it can't be decoded.
    pub coinbase: Option<Coinbase>,
    pub payout: PayoutVerdict,
    pub chain: ChainVerdict,
    pub clean: bool,
    nbits: Nbits,
    ntime: Ntime,
    /// The job as it was seen, while it is excused: the pool could not know yet whom to pay.
    early: Option<Box<JobSeen>>,
    /// The bad verdict that the excuse hides.
    hidden: Option<PayoutVerdict>,
    /// Miners may not work on this job as it was read.
    doubt: Option<WorkDoubt>,
    /// Of a coinbase that is not kept.
    kept_outputs: Vec<OutputView>,
    /// The form addresses are shown in.
    form: AddressChain,
}

/// An output of the coinbase, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputView {
    /// `None` for scripts that have none.
    pub address: Option<String>,
    /// Such as `p2wpkh` or `op_return`.
    pub kind: &'static str,
    pub value: Sats,
    /// Of everything that the block pays, or of the subsidy if that is more.
    pub percent: f64,
    /// It pays the expected address.
    pub is_expected: bool,
}

impl JudgedJob {
    /// `workers` are the addresses that may be paid, `None` before the miner gave any; those of the
    /// expectations stand above them.
    pub fn new(
        (nbits, ntime): (Nbits, Ntime),
        clean: bool,
        coinbase: Option<Coinbase>,
        workers: Option<&[Expected]>,
        expectations: &Expectations,
    ) -> JudgedJob {
        JudgedJob {
            payout: expectations.payout(coinbase.as_ref(), ntime, workers),
            chain: expectations.chain(nbits, workers),
            form: expectations.form(workers),
            coinbase,
            clean,
            nbits,
            ntime,
            early: None,
            hidden: None,
            doubt: None,
            kept_outputs: Vec::new(),
        }
    }

    /// Miners may not work on this job as it was read.
    pub(super) fn doubt(&mut self, why: WorkDoubt) {
        self.doubt = Some(why);
        self.payout.doubt(why);
        self.chain.doubt(why);
    }

    /// Whether it pays somebody else, or is of another chain.
    pub(super) fn is_bad(&self) -> bool {
        self.payout.state >= PayoutState::Short || self.chain.state == ChainState::Wrong
    }

    /// How bad it is: money first, then the chain.
    pub(super) fn badness(&self) -> impl Ord + Copy + use<> {
        (self.payout.state, self.chain.state)
    }

    /// Lets a coinbase go that is too large to be kept. Its verdicts and what is shown of its outputs stay.
    pub(super) fn without_large_coinbase(mut self) -> JudgedJob {
        if self.coinbase.as_ref().is_some_and(|coinbase| coinbase.as_bytes().len() > MAX_KEPT_COINBASE) {
            self.kept_outputs = self.outputs();
            self.coinbase = None;
        }
        self
    }

    /// Why nobody can tell whom it pays, if its pool is to blame.
    pub(super) fn unjudged(&self) -> Option<WorkDoubt> {
        match self.payout.state {
            PayoutState::Unverifiable(Unverifiable::Doubt(why)) => Some(why),
            PayoutState::Unverifiable(Unverifiable::Unreadable) => Some(WorkDoubt::Unread),
            _ => self.hidden.is_some().then_some(WorkDoubt::Excused),
        }
    }

    /// Excuses a job, seen like this, that came when the pool could not know whom to pay.
    pub(super) fn excuse(&mut self, seen: JobSeen) {
        self.hidden = self.payout.excuse();
        self.early = Some(Box::new(seen));
    }

    /// Whether it is excused.
    pub(super) fn is_early(&self) -> bool {
        self.early.is_some()
    }

    /// When it came, if its bad payout is excused.
    pub(super) fn excused_since(&self) -> Option<Stamp> {
        self.early.as_ref().filter(|_| self.hidden.is_some()).map(|seen| seen.at)
    }

    /// Judges an excused job without the excuse, and gives it as it was seen with its new verdict. It stays
    /// excused while nobody knows whom it should pay.
    pub(super) fn end_excuse(
        &mut self,
        workers: Option<&[Expected]>,
        expectations: &Expectations,
    ) -> Option<JobSeen> {
        let seen = self.early.take()?;
        self.again(workers, expectations);
        if self.payout.state == PayoutState::Unverifiable(Unverifiable::NoWorker) {
            self.early = Some(seen);
            return None;
        }
        let payout = self.payout.clone();
        Some(JobSeen { payout, outputs: self.outputs(), payees: self.payees(), early: false, ..*seen })
    }

    /// The same job under other expectations.
    pub(super) fn again(&mut self, workers: Option<&[Expected]>, expectations: &Expectations) {
        let (coinbase, early, doubt) = (self.coinbase.take(), self.early.take(), self.doubt);
        // Without the coinbase the verdict can only stay.
        let kept_outputs = std::mem::take(&mut self.kept_outputs);
        let kept_payout = self.hidden.take().unwrap_or_else(|| self.payout.clone());
        *self = JudgedJob::new((self.nbits, self.ntime), self.clean, coinbase, workers, expectations);
        if !kept_outputs.is_empty() {
            (self.payout, self.kept_outputs) = (kept_payout, kept_outputs);
        }
        if let Some(seen) = early {
            self.excuse(*seen);
        }
        if let Some(why) = doubt {
            self.doubt(why);
        }
    }

    /// Whom it pays besides the expected address: scripts in hexadecimal, sorted. `None` for so many
    /// that they are no habit of a pool's but its members.
    pub(super) fn payees(&self) -> Option<String> {
        let coinbase = self.coinbase.as_ref()?;
        let expected = self.payout.expected.as_ref();
        let is_expected = |script: &[u8]| expected.is_some_and(|expected| expected.is_paid_by(script));
        let paying = || coinbase.outputs().filter(|output| output.value.0 > 0);
        let mut others: Vec<String> = paying()
            .filter(|output| !is_expected(output.script))
            .map(|output| encode_hex(output.script))
            .collect();
        if others.len() > MOST_PAYEES {
            return None;
        }
        others.sort();
        others.dedup();
        if paying().any(|output| is_expected(output.script)) {
            others.insert(0, String::from("you"));
        }
        Some(others.join(" "))
    }

    /// Everything that the block would pay, the largest first. Outputs without value are left out:
    /// they carry data.
    pub fn outputs(&self) -> Vec<OutputView> {
        let is_doubtful = matches!(self.payout.state, PayoutState::Unverifiable(Unverifiable::Doubt(_)));
        if is_doubtful {
            return Vec::new();
        }
        let Some(coinbase) = &self.coinbase else { return self.kept_outputs.clone() };
        let total = coinbase.total().max(self.payout.reward).0.max(1) as f64;
        let view = |output: crate::work::CoinbaseOutput<'_>| OutputView {
            address: output.address(self.form),
            kind: output.kind().as_str(),
            value: output.value,
            percent: output.value.0 as f64 / total * 100.0,
            is_expected: self.payout.expected.as_ref().is_some_and(|one| one.is_paid_by(output.script)),
        };
        let mut paying: Vec<_> = coinbase.outputs().filter(|output| output.value.0 > 0).collect();
        paying.sort_by_key(|output| std::cmp::Reverse(output.value));
        paying.into_iter().take(MOST_OUTPUTS).map(view).collect()
    }
}
