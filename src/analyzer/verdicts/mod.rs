//! What a job shows by itself: whom it pays, and whose chain it is on. Pure; the rules make alerts of it.

mod chain;
mod doubt;
mod payout;
mod subsidy;

pub use chain::{ChainState, ChainVerdict, MAINNET_FLOOR};
pub use doubt::WorkDoubt;
pub use payout::{PayoutAddress, PayoutState, PayoutVerdict, Unverifiable};

use std::sync::Arc;

use crate::config::{Network, PayoutPolicy};
use crate::stratum::{Nbits, Ntime};
use crate::work::{AddressChain, Coinbase};

/// What is expected of every job, by the configuration.
#[derive(Debug, Clone)]
pub struct Expectations {
    inner: Arc<VerdictsInner>,
}

#[derive(Debug)]
struct VerdictsInner {
    payout: PayoutPolicy,
    /// `payout.address`.
    address: Option<PayoutAddress>,
    network: Network,
}

impl Expectations {
    /// Of this configuration.
    pub fn new(payout: &PayoutPolicy, network: Network) -> Expectations {
        let address = payout
            .address
            .clone()
            // Its checksum was verified with the configuration.
            .and_then(|address| PayoutAddress::of_address(&address.assume_checked().to_string()));
        Expectations { inner: Arc::new(VerdictsInner { payout: payout.clone(), address, network }) }
    }

    /// Whom the job pays. `workers` are the addresses in the names the miner has given so far,
    /// `None` before it gave any.
    pub(super) fn payout(
        &self,
        coinbase: Option<&Coinbase>,
        ntime: Ntime,
        workers: Option<&[PayoutAddress]>,
    ) -> PayoutVerdict {
        let configured = self.inner.address.as_ref().map(std::slice::from_ref);
        let VerdictsInner { payout, network, .. } = &*self.inner;
        payout::judge(payout, *network, (coinbase, ntime), configured.or(workers))
    }

    /// Whose chain the job is on.
    pub(super) fn chain(&self, nbits: Nbits, workers: Option<&[PayoutAddress]>) -> ChainVerdict {
        let expected = self.inner.address.as_ref().or_else(|| workers.and_then(<[_]>::first));
        chain::judge(self.inner.network, nbits, expected)
    }

    /// The form that addresses are shown in.
    pub(super) fn form(&self, workers: Option<&[PayoutAddress]>) -> AddressChain {
        let expected = self.inner.address.as_ref().or_else(|| workers.and_then(<[_]>::first));
        chain::form_of(self.inner.network, expected)
    }
}

impl Default for Expectations {
    fn default() -> Expectations {
        Expectations::new(&PayoutPolicy::default(), Network::Auto)
    }
}
