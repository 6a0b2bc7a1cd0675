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

/// The most payout addresses among a session's worker names that jobs are searched for.
const MAX_ADDRESSES: usize = 16;

/// The payouts and the chain that jobs should have, by the configuration and by the miner's names.
#[derive(Debug, Clone)]
pub struct Expectations {
    configured: Arc<ConfiguredExpectations>,
    /// The addresses in the worker names that the miner gave so far; `None` before the first name. The payout address
    /// of the configuration takes precedence.
    workers: Option<Vec<Arc<PayoutAddress>>>,
}

#[derive(Debug)]
struct ConfiguredExpectations {
    payout: PayoutPolicy,
    /// `payout.address`.
    address: Option<Arc<PayoutAddress>>,
    network: Network,
}

impl Expectations {
    /// The expectations of this configuration, for a miner that has given no name.
    pub fn new(payout: &PayoutPolicy, network: Network) -> Expectations {
        let address = payout
            .address
            .clone()
            // Its checksum was verified with the configuration.
            .and_then(|address| PayoutAddress::of_address(&address.assume_checked().to_string()))
            .map(Arc::new);
        let configured = ConfiguredExpectations { payout: payout.clone(), address, network };
        Expectations { configured: Arc::new(configured), workers: None }
    }

    /// Takes over the configured part of `other`.
    pub(super) fn reconfigure(&mut self, other: &Expectations) {
        self.configured = other.configured.clone();
    }

    /// Expects jobs to pay the address in this worker name, if it holds one.
    pub(super) fn add_worker(&mut self, worker: &str) {
        let workers = self.workers.get_or_insert_with(Vec::new);
        if let Some(new) = PayoutAddress::of_worker(worker) {
            if workers.len() < MAX_ADDRESSES && !workers.iter().any(|known| **known == new) {
                // Nearly every miner has one.
                workers.reserve_exact(1);
                workers.push(Arc::new(new));
            }
        }
    }

    pub(super) fn has_worker(&self) -> bool {
        self.workers.is_some()
    }

    pub(super) fn payout(&self, coinbase: Option<&Coinbase>, ntime: Ntime) -> PayoutVerdict {
        let ConfiguredExpectations { payout, network, .. } = &*self.configured;
        payout::judge(payout, *network, (coinbase, ntime), self.addresses())
    }

    pub(super) fn chain(&self, nbits: Nbits) -> ChainVerdict {
        chain::judge(self.configured.network, nbits, self.first_address())
    }

    /// The network whose format addresses are shown in.
    pub(super) fn form(&self) -> AddressChain {
        chain::form_of(self.configured.network, self.first_address())
    }

    /// The chains that the addresses of workers should belong to: the configured network, or that of
    /// `payout.address`. Empty if neither is configured.
    pub(super) fn chains(&self) -> Vec<AddressChain> {
        let ConfiguredExpectations { network, address, .. } = &*self.configured;
        match (chain_of(*network), address) {
            (Some(chain), _) => vec![chain],
            (None, Some(address)) => address.chains.clone(),
            (None, None) => Vec::new(),
        }
    }

    fn addresses(&self) -> Option<&[Arc<PayoutAddress>]> {
        self.configured.address.as_ref().map(std::slice::from_ref).or(self.workers.as_deref())
    }

    fn first_address(&self) -> Option<&PayoutAddress> {
        self.addresses()?.first().map(AsRef::as_ref)
    }
}

/// The chain of a configured network; `None` for `auto`.
fn chain_of(network: Network) -> Option<AddressChain> {
    match network {
        Network::Auto => None,
        Network::Mainnet => Some(AddressChain::Mainnet),
        Network::Testnet3 | Network::Testnet4 => Some(AddressChain::Testnet),
        Network::Signet => Some(AddressChain::Signet),
        Network::Regtest => Some(AddressChain::Regtest),
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
