//! The minimum subsidy of a job's block. A job that claims less throws the rest away.

use super::chain_of;
use crate::config::Network;
use crate::stratum::Ntime;
use crate::work::{AddressChain, Height, Sats};

/// The time of mainnet's first block, in seconds since 1970.
const GENESIS: u32 = 1_231_006_505;
/// The intended time between blocks.
const BLOCK_SECONDS: u64 = 600;
/// Caps mainnet's height, in percent of the blocks that its age should have. It has never been above 106.4 % (July
/// 2016), and comes closer to 100 % with the years.
const MAX_PACE_PERCENT: u64 = 107;

/// The subsidy of the block at `height`, or `None` if it is unknown. `chains` are the chains that the paid address
/// belongs to. If there are several, the smallest subsidy counts.
///
/// The height is the pool's claim. On mainnet it is capped at the height that a chain of this age can have. A job
/// without a height, which makes no valid block, counts as one at that height.
pub(super) fn minimum(
    network: Network,
    chains: &[AddressChain],
    height: Option<Height>,
    ntime: Ntime,
) -> Option<Sats> {
    let configured = chain_of(network);
    let chains = configured.as_ref().map_or(chains, std::slice::from_ref);
    let subsidy = |chain: &AddressChain| {
        let height = match chain {
            AddressChain::Mainnet => Some(height.unwrap_or(Height(u32::MAX)).min(max_height(ntime))),
            AddressChain::Testnet | AddressChain::Signet | AddressChain::Regtest => height,
        };
        height.map(|height| Sats::subsidy(height, *chain))
    };
    chains.iter().map(subsidy).min().flatten()
}

/// The greatest height that mainnet can have at this time.
fn max_height(ntime: Ntime) -> Height {
    let age = u64::from(ntime.0.saturating_sub(GENESIS));
    Height(u32::try_from(age * MAX_PACE_PERCENT / 100 / BLOCK_SECONDS).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// September 2026.
    const NOW: Ntime = Ntime(1_790_000_000);

    fn sats(network: Network, chains: &[AddressChain], height: Option<u32>) -> Option<u64> {
        minimum(network, chains, height.map(Height), NOW).map(|sats| sats.0)
    }

    #[test]
    fn the_subsidy_is_that_of_the_height_and_chain() {
        assert_eq!(sats(Network::Auto, &[AddressChain::Mainnet], Some(967_017)), Some(312_500_000));
        assert_eq!(sats(Network::Mainnet, &[AddressChain::Regtest], Some(967_017)), Some(312_500_000));
        assert_eq!(sats(Network::Regtest, &[AddressChain::Mainnet], Some(150)), Some(2_500_000_000));
        // Old forms of addresses are the same on all test networks.
        let test = [AddressChain::Testnet, AddressChain::Signet, AddressChain::Regtest];
        assert_eq!(sats(Network::Auto, &test, Some(150)), Some(2_500_000_000));
        assert_eq!(sats(Network::Auto, &test, Some(149)), Some(5_000_000_000));
        assert_eq!(sats(Network::Testnet4, &test, Some(150)), Some(5_000_000_000));
        assert_eq!(sats(Network::Auto, &test, None), None);
        assert_eq!(sats(Network::Auto, &[], Some(967_017)), None);
    }

    #[test]
    fn a_height_that_mainnet_cannot_have_yet_makes_no_subsidy_smaller() {
        for height in [Some(1_050_000), Some(6_930_000), Some(u32::MAX), None] {
            assert_eq!(
                sats(Network::Auto, &[AddressChain::Mainnet], height),
                Some(312_500_000),
                "{height:?}"
            );
        }
    }

    #[test]
    fn mainnets_own_heights_are_believed() {
        for (height, time) in [
            (210_000, 1_354_060_800),
            (420_000, 1_468_082_773),
            (630_000, 1_589_225_023),
            (840_000, 1_713_571_767),
        ] {
            assert!(max_height(Ntime(time)) >= Height(height), "{height}");
        }
    }
}
