//! `network`: the Bitcoin network.

use std::fmt;

use bitcoin::Address;
use bitcoin::address::NetworkUnchecked;

use super::UpstreamConfig;
use super::reader::Section;

/// The Bitcoin network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// Detected from the pool's work.
    #[default]
    Auto,
    Mainnet,
    Testnet3,
    Testnet4,
    Signet,
    Regtest,
}

impl Network {
    const NAMES: [(&'static str, Network); 6] = [
        ("auto", Network::Auto),
        ("mainnet", Network::Mainnet),
        ("testnet3", Network::Testnet3),
        ("testnet4", Network::Testnet4),
        ("signet", Network::Signet),
        ("regtest", Network::Regtest),
    ];

    /// Parses an address, and verifies its checksum and its network, if that is known.
    ///
    /// # Errors
    /// A description of a correct value.
    pub(super) fn address(self, text: &str) -> Result<Address<NetworkUnchecked>, String> {
        let address: Address<NetworkUnchecked> = text
            .parse()
            .map_err(|_| "a Bitcoin address; this one has a typing error (its checksum fails)")?;
        let network = match self {
            Network::Auto => return Ok(address),
            Network::Mainnet => bitcoin::Network::Bitcoin,
            Network::Testnet3 => bitcoin::Network::Testnet,
            Network::Testnet4 => bitcoin::Network::Testnet4,
            Network::Signet => bitcoin::Network::Signet,
            Network::Regtest => bitcoin::Network::Regtest,
        };
        if address.is_valid_for_network(network) {
            Ok(address)
        } else {
            Err(format!("an address of the network that `network` names: {}", self.name()))
        }
    }

    /// Parses the word of the configuration.
    ///
    /// # Errors
    /// A list of the valid words.
    pub(super) fn parse(text: &str) -> Result<Network, String> {
        let found = Network::NAMES.iter().find(|(word, _)| *word == text);
        found.map(|(_, network)| *network).ok_or_else(|| {
            let words: Vec<&str> = Network::NAMES.iter().map(|(word, _)| *word).collect();
            format!("one of {}", words.join(", "))
        })
    }

    fn name(self) -> &'static str {
        Network::NAMES.iter().find(|(_, network)| *network == self).map_or("auto", |(name, _)| name)
    }
}

/// Public pools that only mine mainnet under these names.
const MAINNET_POOLS: [&str; 9] = [
    "solo.ckpool.org",
    "eusolo.ckpool.org",
    "ausolo.ckpool.org",
    "public-pool.io",
    "mine.ocean.xyz",
    "stratum.braiins.com",
    "eu.stratum.braiins.com",
    "us-east.stratum.braiins.com",
    "solo.stratum.braiins.com",
];

/// The first of these pools that is known to mine mainnet.
pub(super) fn known_mainnet_pool(upstreams: &[UpstreamConfig]) -> Option<&str> {
    let is_known = |host: &str| {
        let host = host.strip_suffix('.').unwrap_or(host);
        MAINNET_POOLS.iter().any(|known| host.eq_ignore_ascii_case(known))
    };
    upstreams.iter().map(|upstream| upstream.host.as_str()).find(|host| is_known(host))
}

/// The fault if `address` belongs to a test network although a pool mines mainnet.
pub(super) fn wrong_network(
    address: &Address<NetworkUnchecked>,
    mainnet_pool: Option<&str>,
) -> Option<String> {
    let pool = mainnet_pool.filter(|_| !address.is_valid_for_network(bitcoin::Network::Bitcoin))?;
    Some(format!("is an address of a test network, but {pool} mines mainnet: no block of it could pay there"))
}

impl fmt::Display for Network {
    /// The word in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

pub(super) fn read(top: &mut Section) -> Network {
    top.choice("network", &Network::NAMES).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAINNET: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    const TESTNET: &str = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx";

    #[test]
    fn the_checksum_and_the_network_are_verified() {
        assert!(Network::Auto.address(MAINNET).is_ok());
        assert!(Network::Auto.address(TESTNET).is_ok());
        assert!(Network::Mainnet.address(MAINNET).is_ok());
        assert!(Network::Mainnet.address(TESTNET).unwrap_err().contains("mainnet"));
        assert!(Network::Auto.address(&MAINNET.replace("w508", "w509")).unwrap_err().contains("checksum"));
    }
}
