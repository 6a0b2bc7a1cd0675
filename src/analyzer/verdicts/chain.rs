//! Verdict on a job's chain: is it really Bitcoin? Jobs for another coin look plausible, but their network difficulty
//! is far lower.

use super::payout::PayoutAddress;
use super::{WorkDoubt, chain_of};
use crate::config::Network;
use crate::stratum::Nbits;
use crate::work::{AddressChain, network_difficulty};

/// Mainnet was at 1.28e14 in September 2026 (jobs in `tests/data/real_notifies.jsonl`). A retarget
/// lowers it to a quarter at most (Bitcoin Core, `CalculateNextWorkRequired`): two of them in a row,
/// four months of a chain at a quarter of its pace and slower, end here. Bitcoin Cash, the most
/// difficult of the other coins with this hash function, was near 1e12 in 2025.
pub const MAINNET_FLOOR: f64 = 8e12;

/// The difficulty that no test network has ever come near.
const TEST_CEILING: f64 = 1e10;

/// The only target of regtest.
const REGTEST: Nbits = Nbits(0x207f_ffff);

/// The verdict on a job's chain, by its target.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainVerdict {
    pub state: ChainState,
    /// The network that the job was judged as: "mainnet", "testnet", "signet", "regtest", or "unknown".
    pub network: &'static str,
    /// The difficulty of its nbits. Zero if they are no valid target.
    pub difficulty: f64,
    /// The reason why the state may not be that of the miners' current work.
    pub doubt: Option<WorkDoubt>,
}

/// The state of a chain verdict, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChainState {
    /// The difficulty is that of the network.
    Plausible,
    /// Test networks have no minimum difficulty to compare with, or the newest job is unknown.
    Unknown,
    /// The difficulty is far below the network's, so it is another coin.
    Wrong,
}

impl ChainState {
    /// The state when it is in doubt whether it still holds.
    pub(in super::super) fn doubted(self) -> ChainState {
        self.max(ChainState::Unknown)
    }

    /// A stable word for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            ChainState::Plausible => "plausible",
            ChainState::Unknown => "unknown",
            ChainState::Wrong => "wrong",
        }
    }
}

pub(super) fn judge(network: Network, nbits: Nbits, expected: Option<&PayoutAddress>) -> ChainVerdict {
    let difficulty = network_difficulty(nbits).unwrap_or(0.0);
    let of_address = expected.map(|expected| form_of(network, Some(expected)));
    let (network, state) = match (network, of_address) {
        (Network::Mainnet, _) | (Network::Auto, Some(AddressChain::Mainnet)) => {
            ("mainnet", mainnet(difficulty))
        }
        (Network::Auto, None) => by_difficulty(nbits, difficulty),
        (Network::Regtest, _) | (Network::Auto, Some(AddressChain::Regtest)) => {
            ("regtest", if nbits == REGTEST { ChainState::Plausible } else { ChainState::Wrong })
        }
        (Network::Signet, _) => ("signet", test(difficulty)),
        (Network::Testnet3 | Network::Testnet4, _) | (Network::Auto, Some(_)) => {
            ("testnet", test(difficulty))
        }
    };
    ChainVerdict { state, network, difficulty, doubt: None }
}

impl ChainVerdict {
    /// Puts the verdict in doubt. A bad verdict stays bad.
    pub(in super::super) fn doubt(&mut self, why: WorkDoubt) {
        if self.state != ChainState::Wrong {
            (self.state, self.doubt) = (self.state.doubted(), Some(why));
        }
    }

    /// The verdict on a job that could not be read.
    pub(in super::super) fn doubtful(why: WorkDoubt) -> ChainVerdict {
        ChainVerdict { state: ChainState::Unknown, network: "unknown", difficulty: 0.0, doubt: Some(why) }
    }
}

/// The network whose address format is used.
pub(super) fn form_of(network: Network, expected: Option<&PayoutAddress>) -> AddressChain {
    let of_address = || expected.and_then(|expected| expected.chains.first()).copied();
    chain_of(network).or_else(of_address).unwrap_or(AddressChain::Mainnet)
}

fn mainnet(difficulty: f64) -> ChainState {
    if difficulty >= MAINNET_FLOOR { ChainState::Plausible } else { ChainState::Wrong }
}

fn test(difficulty: f64) -> ChainState {
    if difficulty < TEST_CEILING { ChainState::Unknown } else { ChainState::Wrong }
}

/// The network and state if neither the configuration nor an address names a network.
fn by_difficulty(nbits: Nbits, difficulty: f64) -> (&'static str, ChainState) {
    if difficulty >= MAINNET_FLOOR {
        ("mainnet", ChainState::Plausible)
    } else if nbits == REGTEST {
        ("regtest", ChainState::Plausible)
    } else if difficulty < TEST_CEILING {
        ("testnet", ChainState::Unknown)
    } else {
        ("unknown", ChainState::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAINNET: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    const TESTNET: &str = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx";
    /// Bitcoin in 2026, 1.4e14; Bitcoin Cash in 2025, 9e11; the minimum difficulty.
    const BITCOIN: Nbits = Nbits(0x1702_0000);
    const CASH: Nbits = Nbits(0x1801_3ce9);
    const ONE: Nbits = Nbits(0x1d00_ffff);

    fn found(network: Network, nbits: Nbits, address: Option<&str>) -> (&'static str, &'static str) {
        let expected = address.and_then(PayoutAddress::of_address);
        let verdict = judge(network, nbits, expected.as_ref());
        (verdict.network, verdict.state.as_str())
    }

    #[test]
    fn another_coin_is_far_too_easy() {
        assert_eq!(found(Network::Auto, BITCOIN, Some(MAINNET)), ("mainnet", "plausible"));
        assert_eq!(found(Network::Auto, BITCOIN, None), ("mainnet", "plausible"));
        assert_eq!(found(Network::Auto, CASH, Some(MAINNET)), ("mainnet", "wrong"));
        assert_eq!(found(Network::Auto, CASH, None), ("unknown", "wrong"));
        assert_eq!(found(Network::Mainnet, ONE, Some(TESTNET)), ("mainnet", "wrong"));
    }

    #[test]
    fn test_networks_are_known_by_address_or_configuration() {
        assert_eq!(found(Network::Auto, ONE, Some(TESTNET)), ("testnet", "unknown"));
        assert_eq!(found(Network::Auto, ONE, None), ("testnet", "unknown"));
        assert_eq!(found(Network::Testnet4, ONE, None), ("testnet", "unknown"));
        assert_eq!(found(Network::Testnet4, BITCOIN, None), ("testnet", "wrong"));
        assert_eq!(found(Network::Auto, REGTEST, None), ("regtest", "plausible"));
        assert_eq!(found(Network::Regtest, ONE, None), ("regtest", "wrong"));
    }

    #[test]
    fn a_target_that_is_none_is_wrong() {
        assert_eq!(found(Network::Auto, Nbits(0), Some(MAINNET)), ("mainnet", "wrong"));
    }
}
