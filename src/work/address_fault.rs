//! Texts that look like a Bitcoin address and are none, or one of another network: mistyped addresses, addresses of
//! other coins. Pools take many of them for the name of an account, and then nobody is paid.

use std::fmt;

use bitcoin::base58;
use bitcoin::bech32;

use super::payout::{AddressChain, account_of_worker, payout_script};

/// The fault of an address in a worker's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressFault {
    /// The part of the worker's name that looks like an address.
    pub address: String,
    pub kind: AddressFaultKind,
}

/// The kind of fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressFaultKind {
    /// The shape of a Bitcoin address, and a wrong checksum.
    Mistyped(TypingError),
    /// A valid address of this coin.
    OtherCoin(&'static str),
    /// A valid address of another Bitcoin network than the expected one.
    OtherNetwork { is: AddressChain, expected: AddressChain },
}

/// The most likely typing error, as far as the text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypingError {
    /// Another number of characters than such an address has.
    Length { has: usize, needs: usize },
    /// A character that no such address has.
    Character(char),
    /// Capital and small letters are mixed.
    MixedCase,
    /// The checksum does not match the other characters.
    Checksum,
}

/// The shortest text behind `bc1` that is taken for a mistyped address. An account may be called `bc1miner`.
const MIN_BECH32: usize = 20;
/// The lengths of texts that are taken for mistyped addresses in base58, which have 26 to 35 characters.
const BASE58_LENGTHS: std::ops::RangeInclusive<usize> = 25..=36;
/// The characters of bech32 after its `1`.
const BECH32_CHARACTERS: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// The prefixes of other coins' addresses in bech32.
const OTHER_BECH32: [(&str, &str); 6] = [
    ("ltc", "Litecoin"),
    ("tltc", "Litecoin's test network"),
    ("dgb", "DigiByte"),
    ("vtc", "Vertcoin"),
    ("grs", "Groestlcoin"),
    ("fc", "Fractal"),
];

/// The version bytes of other coins' addresses in base58.
const OTHER_BASE58: [(u8, &str); 8] = [
    (0x30, "Litecoin"),
    (0x32, "Litecoin"),
    (0x1e, "Dogecoin or DigiByte"),
    (0x16, "Dogecoin"),
    (0x3f, "DigiByte"),
    (0x4c, "Dash"),
    (0x47, "Vertcoin"),
    (0x37, "Peercoin"),
];

/// The coins whose addresses have a prefix with a colon, as in `bitcoincash:q…`.
const OTHER_CASH: [(&str, &str); 3] =
    [("bitcoincash", "Bitcoin Cash"), ("bchtest", "Bitcoin Cash's test network"), ("ecash", "eCash")];

/// Returns the fault of the address in a worker's name. `None` if the name holds a good address, or nothing that looks
/// like one. `expected` are the chains that an address may belong to; empty if any is right.
pub fn address_fault(worker: &str, expected: &[AddressChain]) -> Option<AddressFault> {
    let account = account_of_worker(worker);
    if let Ok((_, chains)) = payout_script(account) {
        let is = *chains.first()?;
        let expected = *expected.first().filter(|_| !chains.iter().any(|chain| expected.contains(chain)))?;
        let kind = AddressFaultKind::OtherNetwork { is, expected };
        return Some(AddressFault { address: account.to_owned(), kind });
    }
    // A pool may cut the name at an underscore, too.
    let start = account.split('_').next().unwrap_or(account).trim();
    let fault = |text: &str| {
        let kind = other_coin(text).map(AddressFaultKind::OtherCoin);
        let kind = kind.or_else(|| typing_error(text).map(AddressFaultKind::Mistyped))?;
        Some(AddressFault { address: text.to_owned(), kind })
    };
    fault(account).or_else(|| fault(start))
}

/// The coin of which this is a valid address.
fn other_coin(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    for (prefix, coin) in OTHER_CASH {
        let has_prefix = lower.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(':'));
        if has_prefix || is_cash_address(prefix, &lower) {
            return Some(coin);
        }
    }
    if let Some((_, coin)) = OTHER_BECH32
        .iter()
        .find(|(prefix, _)| lower.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('1')))
    {
        return bech32::segwit::decode(text).is_ok().then_some(*coin);
    }
    if let Some(digits) = lower.strip_prefix("0x") {
        return (digits.len() == 40 && digits.chars().all(|c| c.is_ascii_hexdigit())).then_some("Ethereum");
    }
    // A longer text is no address. Decoding takes time with the square of the length.
    if !BASE58_LENGTHS.contains(&text.len()) {
        return None;
    }
    let bytes = base58::decode_check(text).ok()?;
    match bytes.as_slice() {
        [0x1c, 0xb8 | 0xbd, ..] if bytes.len() == 22 => Some("Zcash"),
        [version, ..] if bytes.len() == 21 => {
            OTHER_BASE58.iter().find(|(known, _)| known == version).map(|(_, coin)| *coin)
        }
        _ => None,
    }
}

/// Whether this is the part of a cash address behind its prefix: 42 characters, the last eight of which are a checksum
/// of 40 bits.
fn is_cash_address(prefix: &str, text: &str) -> bool {
    if text.len() != 42 {
        return false;
    }
    let Some(values) = text.chars().map(bech32_value).collect::<Option<Vec<u64>>>() else { return false };
    let prefix = prefix.bytes().map(|byte| u64::from(byte & 0x1f));
    let mut checksum = 1_u64;
    for value in prefix.chain([0]).chain(values) {
        let top = checksum >> 35;
        checksum = ((checksum & 0x07_ffff_ffff) << 5) ^ value;
        let generators = [0x98_f2bc_8e61, 0x79_b76d_99e2, 0xf3_3e5f_b3c4, 0xae_2eab_e2a8, 0x1e_4f43_e470_u64];
        for (bit, generator) in generators.into_iter().enumerate() {
            if top >> bit & 1 == 1 {
                checksum ^= generator;
            }
        }
    }
    checksum == 1
}

fn bech32_value(c: char) -> Option<u64> {
    BECH32_CHARACTERS.chars().position(|known| known == c).map(|value| value as u64)
}

/// The typing error in a text with the shape of a Bitcoin address. The caller knows that it is none.
fn typing_error(text: &str) -> Option<TypingError> {
    if !text.chars().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let prefix = ["bc1", "tb1", "bcrt1"].into_iter().find(|prefix| lower.starts_with(prefix));
    if let Some(prefix) = prefix {
        return (text.len() >= MIN_BECH32).then(|| bech32_error(text, &lower, prefix));
    }
    base58_error(text)
}

fn bech32_error(text: &str, lower: &str, prefix: &str) -> TypingError {
    let data = lower.get(prefix.len()..).unwrap_or_default();
    if let Some(wrong) = data.chars().find(|c| bech32_value(*c).is_none()) {
        return TypingError::Character(wrong);
    }
    if lower != text && text.to_ascii_uppercase() != text {
        return TypingError::MixedCase;
    }
    // Version 0 has 39 or 59 characters behind the prefix, version 1 has 59.
    let needs = if data.starts_with('q') && data.len() <= 49 { 39 } else { 59 };
    if data.len() != needs {
        return TypingError::Length { has: text.len(), needs: prefix.len() + needs };
    }
    TypingError::Checksum
}

/// An address in base58 mixes capital letters, small ones and digits, which names of accounts of this length do not.
fn base58_error(text: &str) -> Option<TypingError> {
    let count = |is_such: fn(&char) -> bool| text.chars().filter(is_such).count();
    let is_mixed = count(char::is_ascii_uppercase) >= 3
        && count(char::is_ascii_lowercase) >= 3
        && count(char::is_ascii_digit) >= 2;
    if !text.starts_with(['1', '3']) || !BASE58_LENGTHS.contains(&text.len()) || !is_mixed {
        return None;
    }
    let wrong = text.chars().find(|c| ['0', 'O', 'I', 'l'].contains(c));
    Some(wrong.map_or(TypingError::Checksum, TypingError::Character))
}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            AddressFaultKind::Mistyped(error) => write!(f, "is no valid Bitcoin address: {error}"),
            AddressFaultKind::OtherCoin(coin) => {
                write!(f, "is an address of another coin ({coin}), to which no Bitcoin block can pay")
            }
            AddressFaultKind::OtherNetwork { is, expected } => {
                write!(f, "is an address of {}, and not of {}", network_name(*is), network_name(*expected))
            }
        }
    }
}

impl fmt::Display for TypingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypingError::Length { has, needs } => write!(f, "it has {has} characters instead of {needs}"),
            TypingError::Character(c) => write!(f, "it contains {c:?}, which such an address never does"),
            TypingError::MixedCase => f.write_str("it mixes capital and small letters"),
            TypingError::Checksum => f.write_str("its checksum is wrong, so at least one character is"),
        }
    }
}

fn network_name(chain: AddressChain) -> &'static str {
    match chain {
        AddressChain::Mainnet => "Bitcoin's mainnet",
        AddressChain::Testnet => "a Bitcoin test network",
        AddressChain::Signet => "signet",
        AddressChain::Regtest => "regtest",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(worker: &str) -> Option<String> {
        address_fault(worker, &[]).map(|fault| fault.to_string())
    }

    #[test]
    fn good_addresses_and_names_of_accounts_have_no_fault() {
        for worker in [
            "",
            "noaddress",
            "account.one",
            "my_farm.rig_1",
            "bc1miner",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4_garage.2",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4.garage",
            "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx.desk",
            "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2.large",
            "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
            "1234567890123456789012345678",
            "1miningfarminthenorthofsweden2",
            "3MusketeersOfTheMiningFarm",
            "0xdeadbeef",
            "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq",
            "ltc1notanaddress",
        ] {
            assert_eq!(fault(worker), None, "{worker}");
        }
    }

    #[test]
    fn mistyped_addresses_are_found_with_the_error() {
        for (worker, what) in [
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "checksum"),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t.garage", "41 characters instead of 42"),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t44", "43 characters instead of 42"),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3to", "'o'"),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5_garage", "checksum"),
            ("Bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "capital and small"),
            ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3.large", "checksum"),
            ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNL0", "'0'"),
        ] {
            let fault = fault(worker).unwrap_or_default();
            assert!(fault.contains(what) && fault.contains("no valid Bitcoin address"), "{worker}: {fault}");
        }
    }

    #[test]
    fn addresses_of_other_coins_are_named() {
        for (worker, coin) in [
            ("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a.rig", "Bitcoin Cash"),
            ("qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "Bitcoin Cash"),
            ("0x52908400098527886E0F7030069857D2E4169EE7.rig", "Ethereum"),
        ] {
            let fault = fault(worker).unwrap_or_default();
            assert!(fault.contains(coin), "{worker}: {fault}");
        }
        // Valid addresses of other coins are made here, so that no list of them is needed.
        for (version, coin) in OTHER_BASE58 {
            let mut bytes = vec![version];
            bytes.extend([7; 20]);
            assert!(fault(&base58::encode_check(&bytes)).unwrap_or_default().contains(coin), "{coin}");
        }
        for (prefix, coin) in OTHER_BECH32 {
            let hrp = bech32::Hrp::parse(prefix).unwrap();
            let address = bech32::segwit::encode_v0(hrp, &[7; 20]).unwrap();
            assert!(fault(&address).unwrap_or_default().contains(coin), "{coin}");
        }
    }

    #[test]
    fn an_address_of_another_network_is_a_fault_only_if_the_network_is_known() {
        let testnet = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx.desk";
        assert_eq!(fault(testnet), None);
        let found = address_fault(testnet, &[AddressChain::Mainnet]).unwrap();
        assert_eq!(
            found.to_string(),
            "is an address of a Bitcoin test network, and not of Bitcoin's mainnet"
        );
        assert_eq!(address_fault(testnet, &[AddressChain::Testnet]), None);
        // The test networks share their forms.
        assert_eq!(address_fault(testnet, &[AddressChain::Signet]), None);
    }
}
