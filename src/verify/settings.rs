//! The settings of a check: the address, the expectations and the duration.

use std::time::Duration;

use crate::analyzer::Expectations;
use crate::analyzer::PayoutAddress;
use crate::clock::Clock;
use crate::config::{Network, PayoutKind, PayoutPolicy};

/// The worker name after the address. It is a common one, so that the pool can't recognise the check by it.
const WORKER: &str = "rig1";
/// The user agent of the program that most firmware derives from, so that a pool can't recognise the check
/// and behave better than usual.
pub(super) const USER_AGENT: &str = "cgminer/4.11.1";

#[derive(Debug, Clone)]
pub struct VerifySettings {
    /// The address that a block must pay.
    pub expected: PayoutAddress,
    pub network: Network,
    /// Solo pools pay the miner in the block itself; others share the reward out later.
    pub kind: PayoutKind,
    /// The smallest part of a block that the address must get, 0 to 100.
    pub min_percent: f64,
    /// The duration of a watch from the connection on.
    pub limit: Duration,
    /// The watch ends with the second job rather than at `limit`.
    pub is_brief: bool,
    /// The clock with which a job's time is compared.
    pub clock: Clock,
}

impl VerifySettings {
    /// The default settings: a minute at most, 95 %, the system's clock. `None` if `address` is not a
    /// Bitcoin address.
    pub fn new(address: &str, network: Network) -> Option<VerifySettings> {
        Some(VerifySettings {
            expected: PayoutAddress::of_address(address)?,
            network,
            kind: PayoutKind::Solo,
            min_percent: PayoutPolicy::default().min_percent,
            limit: Duration::from_secs(60),
            is_brief: true,
            clock: Clock::system(),
        })
    }

    /// The user name for authorize.
    pub fn worker(&self) -> String {
        format!("{}.{WORKER}", self.expected.address)
    }

    /// The expectations of the proxy's rules for this address.
    pub(super) fn expectations(&self) -> Expectations {
        let payout = PayoutPolicy {
            address: self.expected.address.parse().ok(),
            kind: self.kind,
            min_percent: self.min_percent,
            ..PayoutPolicy::default()
        };
        Expectations::new(&payout, self.network)
    }
}
