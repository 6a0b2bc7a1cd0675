//! What every pool is asked, and for how long it is watched.

use std::time::Duration;

use crate::analyzer::Expectations;
use crate::analyzer::PayoutAddress;
use crate::clock::Clock;
use crate::config::{Network, PayoutKind, PayoutPolicy};

/// The worker's name behind the address: a usual one, so that the pool can't tell this check from a miner by it.
const WORKER: &str = "rig1";
/// The user agent, of the program that most miners' firmware is made of. A pool that is honest to those who check it
/// must not know them by their name.
pub(super) const USER_AGENT: &str = "cgminer/4.11.1";

/// What every pool is asked, and for how long it is watched.
#[derive(Debug, Clone)]
pub struct VerifySettings {
    /// Whom a block must pay.
    pub expected: PayoutAddress,
    pub network: Network,
    /// Whether a block pays the miner, or the pool that shares it out.
    pub kind: PayoutKind,
    /// The least part of a block for the address, 0 to 100.
    pub min_percent: f64,
    /// How long a pool is watched from the connection on.
    pub limit: Duration,
    /// Whether the watch ends with the second job rather than at `limit`.
    pub is_brief: bool,
    /// Whose time a job's is compared with.
    pub clock: Clock,
}

impl VerifySettings {
    /// With the defaults: a minute at most, 95 %, the system's clock. `None` when `address` is no
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

    /// The name a pool is told.
    pub fn worker(&self) -> String {
        format!("{}.{WORKER}", self.expected.address)
    }

    /// The proxy's own rules for this address.
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
