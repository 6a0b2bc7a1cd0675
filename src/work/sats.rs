//! Amounts of bitcoin, and the subsidy of a block.

use std::fmt;

use super::height::Height;
use super::payout::AddressChain;

/// An amount in satoshi, of which a bitcoin has 100 000 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sats(pub u64);

impl Sats {
    /// One bitcoin.
    pub const BITCOIN: Sats = Sats(100_000_000);

    /// The subsidy of the block at `height`: 50 bitcoins, halved every 210 000 blocks, on regtest every
    /// 150 (Bitcoin Core, `GetBlockSubsidy`).
    pub fn subsidy(height: Height, chain: AddressChain) -> Sats {
        let halvings = height.0 / halving_interval(chain);
        Sats((50 * Sats::BITCOIN.0).checked_shr(halvings).unwrap_or(0))
    }
}

/// In bitcoins, to the last satoshi.
impl fmt::Display for Sats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:08} BTC", self.0 / Sats::BITCOIN.0, self.0 % Sats::BITCOIN.0)
    }
}

/// In blocks.
fn halving_interval(chain: AddressChain) -> u32 {
    match chain {
        AddressChain::Mainnet | AddressChain::Testnet | AddressChain::Signet => 210_000,
        AddressChain::Regtest => 150,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subsidy_halves_until_nothing_is_left() {
        for (height, sats) in [
            (0, 5_000_000_000),
            (209_999, 5_000_000_000),
            (210_000, 2_500_000_000),
            (840_000, 312_500_000),
            (967_016, 312_500_000),
            (1_050_000, 156_250_000),
            (33 * 210_000, 0),
            (u32::MAX, 0),
        ] {
            for chain in [AddressChain::Mainnet, AddressChain::Testnet, AddressChain::Signet] {
                assert_eq!(Sats::subsidy(Height(height), chain), Sats(sats), "{height}");
            }
        }
        assert_eq!(Sats::subsidy(Height(149), AddressChain::Regtest), Sats(5_000_000_000));
        assert_eq!(Sats::subsidy(Height(150), AddressChain::Regtest), Sats(2_500_000_000));
        assert_eq!(Sats::subsidy(Height(u32::MAX), AddressChain::Regtest), Sats(0));
    }

    #[test]
    fn amounts_are_shown_in_bitcoins() {
        assert_eq!(Sats(314_046_789).to_string(), "3.14046789 BTC");
        assert_eq!(Sats(546).to_string(), "0.00000546 BTC");
    }
}
