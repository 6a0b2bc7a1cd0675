//! A job with its verdicts, kept while a miner may work on it.

use super::session_event::JobSeen;
use super::verdicts::{
    ChainState, ChainVerdict, Expectations, PayoutState, PayoutVerdict, Unverifiable, WorkDoubt,
};
use crate::net::Stamp;
use crate::stratum::{Nbits, Ntime, encode_hex};
use crate::work::{AddressChain, Coinbase, Sats};

/// The largest coinbase that is kept, in bytes. A session keeps a few; the largest in use has 16,000 bytes.
const MAX_KEPT_COINBASE: usize = 32 * 1024;

/// The most outputs that are shown, the largest ones. OCEAN has about twenty.
const MAX_OUTPUTS: usize = 64;

/// The most other payees that still tell a pool's fee addresses: a solo pool has one or two.
const MAX_PAYEES: usize = 6;

/// The newest job of a session, judged: its payout and its chain, and what excuses a bad verdict.
#[derive(Debug)]
pub struct JudgedJob {
    /// `None` if it cannot be decoded, or is too large to be kept.
    pub coinbase: Option<Coinbase>,
    pub payout: PayoutVerdict,
    pub chain: ChainVerdict,
    pub clean: bool,
    nbits: Nbits,
    ntime: Ntime,
    /// The job as it was seen, while it is excused because the pool could not know whom to pay.
    early: Option<Box<JobSeen>>,
    /// The bad verdict that the excuse hides.
    hidden: Option<PayoutVerdict>,
    /// The reason why miners may work on something else than this job as it was read.
    doubt: Option<WorkDoubt>,
    /// The outputs of a coinbase that is not kept.
    kept_outputs: Vec<OutputView>,
    /// The chain whose address form is shown.
    form: AddressChain,
}

/// An output of the coinbase as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputView {
    /// `None` for scripts without an address.
    pub address: Option<String>,
    /// Such as `p2wpkh` or `op_return`.
    pub kind: &'static str,
    pub value: Sats,
    /// The share of everything the block pays, or of the subsidy if that is more.
    pub percent: f64,
    /// The output pays the expected address.
    pub is_expected: bool,
}

impl JudgedJob {
    /// Judges a job.
    pub fn new(
        (nbits, ntime): (Nbits, Ntime),
        clean: bool,
        coinbase: Option<Coinbase>,
        expectations: &Expectations,
    ) -> JudgedJob {
        JudgedJob {
            payout: expectations.payout(coinbase.as_ref(), ntime),
            chain: expectations.chain(nbits),
            form: expectations.form(),
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

    /// Marks the verdicts as uncertain: miners may work on something else than this job as it was read.
    pub(super) fn doubt(&mut self, why: WorkDoubt) {
        self.doubt = Some(why);
        self.payout.doubt(why);
        self.chain.doubt(why);
    }

    /// Returns whether the job pays somebody else or belongs to another chain.
    pub(super) fn is_bad(&self) -> bool {
        self.payout.state >= PayoutState::Short || self.chain.state == ChainState::Wrong
    }

    /// The severity of the verdicts, to be compared: payout first, then the chain.
    pub(super) fn badness(&self) -> impl Ord + Copy + use<> {
        (self.payout.state, self.chain.state)
    }

    /// Drops a coinbase that is too large to be kept. The verdicts and the outputs that are shown stay.
    pub(super) fn without_large_coinbase(mut self) -> JudgedJob {
        if self.coinbase.as_ref().is_some_and(|coinbase| coinbase.as_bytes().len() > MAX_KEPT_COINBASE) {
            self.kept_outputs = self.outputs();
            self.coinbase = None;
        }
        self
    }

    /// The reason why the payout cannot be verified, if the pool is to blame.
    pub(super) fn unverifiable_reason(&self) -> Option<WorkDoubt> {
        match self.payout.state {
            PayoutState::Unverifiable(Unverifiable::Doubt(why)) => Some(why),
            PayoutState::Unverifiable(Unverifiable::Unreadable) => Some(WorkDoubt::Unread),
            _ => self.hidden.is_some().then_some(WorkDoubt::Excused),
        }
    }

    /// Excuses a job that came before the pool could know whom to pay.
    pub(super) fn excuse(&mut self, seen: JobSeen) {
        self.hidden = self.payout.excuse();
        self.early = Some(Box::new(seen));
    }

    pub(super) fn is_early(&self) -> bool {
        self.early.is_some()
    }

    /// The time when the job came, if its bad payout is excused.
    pub(super) fn excused_since(&self) -> Option<Stamp> {
        self.early.as_ref().filter(|_| self.hidden.is_some()).map(|seen| seen.at)
    }

    /// Judges an excused job without the excuse, and returns it with its new verdict. It stays excused while the
    /// miner has given no address.
    pub(super) fn end_excuse(&mut self, expectations: &Expectations) -> Option<JobSeen> {
        let seen = self.early.take()?;
        self.rejudge(expectations);
        if self.payout.state == PayoutState::Unverifiable(Unverifiable::NoWorker) {
            self.early = Some(seen);
            return None;
        }
        let payout = self.payout.clone();
        Some(JobSeen { payout, outputs: self.outputs(), payees: self.payees(), early: false, ..*seen })
    }

    /// Judges the same job by other expectations.
    pub(super) fn rejudge(&mut self, expectations: &Expectations) {
        let (coinbase, early, doubt) = (self.coinbase.take(), self.early.take(), self.doubt);
        // Without the coinbase the verdict cannot change.
        let kept_outputs = std::mem::take(&mut self.kept_outputs);
        let kept_payout = self.hidden.take().unwrap_or_else(|| self.payout.clone());
        *self = JudgedJob::new((self.nbits, self.ntime), self.clean, coinbase, expectations);
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

    /// The payees besides the expected address, as sorted scripts in hexadecimal. `None` for more than a pool's fee
    /// addresses: they are its members.
    pub(super) fn payees(&self) -> Option<String> {
        let coinbase = self.coinbase.as_ref()?;
        let expected = self.payout.expected.as_ref();
        let is_expected = |script: &[u8]| expected.is_some_and(|expected| expected.is_paid_by(script));
        let paying = || coinbase.outputs().filter(|output| output.value.0 > 0);
        let mut others: Vec<String> = paying()
            .filter(|output| !is_expected(output.script))
            .map(|output| encode_hex(output.script))
            .collect();
        if others.len() > MAX_PAYEES {
            return None;
        }
        others.sort();
        others.dedup();
        if paying().any(|output| is_expected(output.script)) {
            others.insert(0, String::from("you"));
        }
        Some(others.join(" "))
    }

    /// The outputs that the block would pay, the largest first. Outputs without value carry data and are left out.
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
        paying.into_iter().take(MAX_OUTPUTS).map(view).collect()
    }
}
