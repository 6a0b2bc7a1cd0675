//! Verdicts on a single job: whom it pays, and which chain it is on. Pure; the rules raise alerts from them.

mod chain;
mod payout;
mod subsidy;

pub use chain::{ChainState, ChainVerdict, MAINNET_FLOOR};
pub use payout::{PayoutAddress, PayoutState, PayoutVerdict, Unverifiable};

use std::fmt;
use std::sync::Arc;

use crate::config::{Network, PayoutPolicy};
use crate::stratum::{Nbits, Ntime};
use crate::work::{AddressChain, Coinbase};

/// The configured expectations of every job.
#[derive(Debug, Clone)]
pub struct Expectations {
    inner: Arc<ExpectationsInner>,
}

#[derive(Debug)]
struct ExpectationsInner {
    payout: PayoutPolicy,
    /// `payout.address`.
    address: Option<PayoutAddress>,
    network: Network,
}

impl Expectations {
    /// The expectations of this configuration.
    pub fn new(payout: &PayoutPolicy, network: Network) -> Expectations {
        let address = payout
            .address
            .clone()
            // Its checksum was verified with the configuration.
            .and_then(|address| PayoutAddress::of_address(&address.assume_checked().to_string()));
        Expectations { inner: Arc::new(ExpectationsInner { payout: payout.clone(), address, network }) }
    }

    /// Judges whom the job pays. `workers` are the addresses in the names that the miner has given so far, `None`
    /// before it gave any.
    pub(super) fn payout(
        &self,
        coinbase: Option<&Coinbase>,
        ntime: Ntime,
        workers: Option<&[PayoutAddress]>,
    ) -> PayoutVerdict {
        let configured = self.inner.address.as_ref().map(std::slice::from_ref);
        let ExpectationsInner { payout, network, .. } = &*self.inner;
        payout::judge(payout, *network, (coinbase, ntime), configured.or(workers))
    }

    /// Judges which chain the job is on.
    pub(super) fn chain(&self, nbits: Nbits, workers: Option<&[PayoutAddress]>) -> ChainVerdict {
        let expected = self.inner.address.as_ref().or_else(|| workers.and_then(<[_]>::first));
        chain::judge(self.inner.network, nbits, expected)
    }

    /// The network whose format addresses are shown in.
    pub(super) fn form(&self, workers: Option<&[PayoutAddress]>) -> AddressChain {
        let expected = self.inner.address.as_ref().or_else(|| workers.and_then(<[_]>::first));
        chain::form_of(self.inner.network, expected)
    }
}

/// The reason why a verdict on the newest job that was read may not hold for the miners' current work. The order is
/// that of importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkDoubt {
    /// No job has come for longer than the pool's job interval allows.
    Old,
    /// Copies of the pool's messages were lost, and no job was read since.
    Missed,
    /// An earlier job was made before the pool knew the miner, and pays others.
    Excused,
    /// Miners may read the job differently.
    Ambiguous,
    /// A newer line, which is or may be a job, could not be read.
    Unread,
}

impl WorkDoubt {
    /// Whether the pool has sent something that could not be read for certain.
    pub(in crate::analyzer) fn is_about_reading(self) -> bool {
        matches!(self, WorkDoubt::Ambiguous | WorkDoubt::Unread)
    }
}

impl Default for Expectations {
    fn default() -> Expectations {
        Expectations::new(&PayoutPolicy::default(), Network::Auto)
    }
}

impl fmt::Display for WorkDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WorkDoubt::Old => "the pool has sent no job for longer than usual",
            WorkDoubt::Missed => "Sluice missed some of the pool's messages, and a newer job may be among them",
            WorkDoubt::Excused => {
                "a job from before the pool knew the miner pays others, and no share has proven yet that the miner \
                 works on a later one"
            }
            WorkDoubt::Ambiguous => "miners may read the pool's newest job differently from Sluice",
            WorkDoubt::Unread => "the pool sent a job that miners may read and Sluice cannot",
        })
    }
}
