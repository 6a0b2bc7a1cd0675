//! Addresses and the scripts that pay them (wire reference, section 4.6).

use std::fmt;
use std::str::FromStr;

use bitcoin::Address;
use bitcoin::address::{NetworkUnchecked, ParseError};
use bitcoin::network::Network;

use crate::stratum::{debug_as_display, display_as_hex};

/// An output script. Addresses are compared by it, because a script may have several texts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PayoutScript(Vec<u8>);

impl PayoutScript {
    /// Takes the bytes of an output's script.
    pub fn from_bytes(bytes: Vec<u8>) -> PayoutScript {
        PayoutScript(bytes)
    }

    /// The bytes of the output's script.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

display_as_hex!(PayoutScript);
debug_as_display!(PayoutScript);

/// The chains an address can belong to, as far as its text tells: the test networks share most of
/// their forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressChain {
    Mainnet,
    /// testnet3 and testnet4.
    Testnet,
    Signet,
    Regtest,
}

impl AddressChain {
    const ALL: [AddressChain; 4] =
        [AddressChain::Mainnet, AddressChain::Testnet, AddressChain::Signet, AddressChain::Regtest];

    /// The same in the terms of the `bitcoin` crate.
    pub(super) fn network(self) -> Network {
        match self {
            AddressChain::Mainnet => Network::Bitcoin,
            AddressChain::Testnet => Network::Testnet,
            AddressChain::Signet => Network::Signet,
            AddressChain::Regtest => Network::Regtest,
        }
    }
}

/// The script that pays `address`, its checksum verified, and the chains it is an address of.
/// Surrounding spaces do not matter.
///
/// # Errors
/// When it is no address of any chain.
pub fn payout_script(address: &str) -> Result<(PayoutScript, Vec<AddressChain>), PayoutError> {
    let address = address.trim();
    let parsed = Address::<NetworkUnchecked>::from_str(address)
        .map_err(|reason| PayoutError { address: address.to_owned(), reason })?;
    let chains = AddressChain::ALL.into_iter().filter(|chain| parsed.is_valid_for_network(chain.network()));
    let chains = chains.collect();
    let script = parsed.assume_checked().script_pubkey();
    Ok((PayoutScript(script.into_bytes()), chains))
}

/// The part of a worker's name before the worker: `address.worker`, `address_worker`, `address`
/// or the same with an account. The name is cut at the first `.`; when what remains is no address
/// but would be one if cut at the first `_`, as ckpool does, it is cut there.
pub fn account_of_worker(worker: &str) -> &str {
    let account = worker.split('.').next().unwrap_or(worker).trim();
    if payout_script(account).is_ok() {
        return account;
    }
    match account.split('_').next() {
        Some(start) if payout_script(start).is_ok() => start.trim(),
        _ => account,
    }
}

/// The name of a worker within its account: the part after an address, or the whole name if there is no
/// address or nothing after it.
pub fn name_of_worker(worker: &str) -> &str {
    let account = account_of_worker(worker);
    if payout_script(account).is_err() {
        return worker;
    }
    let rest = worker.trim_start().strip_prefix(account).unwrap_or("");
    let rest = rest.trim_start_matches([' ', '.', '_']);
    if rest.is_empty() { worker } else { rest }
}

/// A text that is no address. Carries the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutError {
    address: String,
    reason: ParseError,
}

impl fmt::Display for PayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no Bitcoin address ({}): check it for a typing error", self.address, self.reason)
    }
}

impl std::error::Error for PayoutError {}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

    #[test]
    fn the_account_is_cut_where_the_address_ends() {
        for worker in [
            ADDRESS.to_owned(),
            format!("{ADDRESS}.garage"),
            format!("{ADDRESS}_garage"),
            format!(" {ADDRESS} .a.b"),
            format!("{ADDRESS}_a.b"),
        ] {
            assert_eq!(account_of_worker(&worker), ADDRESS, "{worker}");
        }
        assert_eq!(account_of_worker("my_farm.rig_1"), "my_farm");
        assert_eq!(account_of_worker(""), "");
    }

    #[test]
    fn workers_of_one_account_are_told_apart_by_the_rest() {
        for (worker, name) in [
            (format!("{ADDRESS}.garage"), "garage"),
            (format!("{ADDRESS}_garage.2"), "garage.2"),
            (ADDRESS.to_owned(), ADDRESS),
            (format!("{ADDRESS}."), &format!("{ADDRESS}.")),
            ("my_farm.rig_1".to_owned(), "my_farm.rig_1"),
            (String::new(), ""),
        ] {
            assert_eq!(name_of_worker(&worker), name);
        }
    }

    #[test]
    fn mixed_case_is_no_bech32() {
        let mixed = ADDRESS.replacen("bc1q", "bc1Q", 1);
        let error = payout_script(&mixed).unwrap_err();
        assert!(error.to_string().contains(&mixed), "{error}");
    }

    #[test]
    fn a_workers_name_is_shown_as_the_miner_said_it() {
        for name in ["rig\t", " rig ", "line\nfeed\ttab\t", "account.rig ", " "] {
            assert_eq!(name_of_worker(name), name);
        }
        for (worker, name) in [(".rig\t", "rig\t"), ("_rig", "rig"), (" .rig", "rig"), ("", "")] {
            let worker = format!("{ADDRESS}{worker}");
            let expected = if name.is_empty() { &worker } else { name };
            assert_eq!(name_of_worker(&worker), expected);
        }
    }
}
