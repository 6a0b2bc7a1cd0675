//! Is it really Bitcoin? Work for another coin has plausible jobs, but its network difficulty is
//! far lower.

use super::doubt::WorkDoubt;
use super::payout::PayoutAddress;
use crate::config::Network;
use crate::stratum::Nbits;
use crate::work::{AddressChain, network_difficulty};

/// Mainnet was at 1.28e14 in September 2026 (jobs in `tests/data/real_notifies.jsonl`). A retarget
/// lowers it to a quarter at most (Bitcoin Core, `CalculateNextWorkRequired`): two of them in a row,
/// four months of a chain at a quarter of its pace and slower, end here. Bitcoin Cash, the most
/// difficult of the other coins with this hash function, was near 1e12 in 2025.
pub const MAINNET_FLOOR: f64 = 8e12;

/// Test networks have never come near this one.
const TEST_CEILING: f64 = 1e10;

/// Regtest's only target.
const REGTEST: Nbits = Nbits(0x207f_ffff);

/// What a job's target says of its chain.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainVerdict {
    pub state: ChainState,
    /// The network it was taken for: "mainnet", "testnet", "signet", "regtest", or "unknown".
    pub network: &'static str,
    /// Of its nbits; zero when those are no target.
    pub difficulty: f64,
    /// Why the state may not be that of what miners work on now.
    pub doubt: Option<WorkDoubt>,
}

/// In the order of how bad they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChainState {
    /// As difficult as the network is.
    Plausible,
    /// Test networks have no least difficulty to go by, or the newest job is not known.
    Unknown,
    /// Far below the network's difficulty: another coin.
    Wrong,
}

impl ChainState {
    /// The state when nobody can tell whether it still holds.
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
    /// Nobody can tell any more. What is bad stays bad.
    pub(in super::super) fn doubt(&mut self, why: WorkDoubt) {
        if self.state != ChainState::Wrong {
            (self.state, self.doubt) = (self.state.doubted(), Some(why));
        }
    }

    /// Of a job that was not read.
    pub(in super::super) fn doubtful(why: WorkDoubt) -> ChainVerdict {
        ChainVerdict { state: ChainState::Unknown, network: "unknown", difficulty: 0.0, doubt: Some(why) }
    }
}

/// The form of the addresses.
pub(super) fn form_of(network: Network, expected: Option<&PayoutAddress>) -> AddressChain {
    match network {
        Network::Mainnet => AddressChain::Mainnet,
        Network::Testnet3 | Network::Testnet4 => AddressChain::Testnet,
        Network::Signet => AddressChain::Signet,
        Network::Regtest => AddressChain::Regtest,
        Network::Auto => {
            expected.and_then(|expected| expected.chains.first()).copied().unwrap_or(AddressChain::Mainnet)
        }
    }
}

fn mainnet(difficulty: f64) -> ChainState {
    if difficulty >= MAINNET_FLOOR { ChainState::Plausible } else { ChainState::Wrong }
}

fn test(difficulty: f64) -> ChainState {
    if difficulty < TEST_CEILING { ChainState::Unknown } else { ChainState::Wrong }
}

/// Nobody said which network it is to be.
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
    /// 2026, 1.4e14; Bitcoin Cash in 2025, 9e11; the lowest difficulty of all.
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
