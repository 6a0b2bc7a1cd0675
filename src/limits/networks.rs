//! Address blocks and the list of those that may connect.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A CIDR block, such as `192.168.0.0/16` or `fd00::/8`; a single address is a block of its full
/// length. IPv4-mapped IPv6 (`::ffff:10.0.0.1`, what a dual-stack listener reports) is the IPv4
/// address, both in a block and as the address that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressBlock {
    network: IpAddr,
    prefix: u8,
}

impl AddressBlock {
    /// True if `ip` lies in the block.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.network.is_ipv4() && masked(ip, self.prefix) == self.network
    }

    const fn v4(network: [u8; 4], prefix: u8) -> AddressBlock {
        let [a, b, c, d] = network;
        AddressBlock { network: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    const fn v6(first: u16, prefix: u8) -> AddressBlock {
        AddressBlock { network: IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)), prefix }
    }
}

impl FromStr for AddressBlock {
    type Err = BlockError;

    fn from_str(text: &str) -> Result<AddressBlock, BlockError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = IpAddr::from_str(address).map_err(|_| BlockError::NotAnAddress)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            // `parse` alone would accept "+8".
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|n| *n <= width).ok_or(BlockError::Prefix { width })?
            }
            Some(_) => return Err(BlockError::Prefix { width }),
        };
        let (address, prefix) = match address.to_canonical() {
            IpAddr::V4(v4) if address.is_ipv6() && prefix >= 96 => (IpAddr::V4(v4), prefix - 96),
            _ => (address, prefix),
        };
        let network = masked(address, prefix);
        let block = AddressBlock { network, prefix };
        if network == address { Ok(block) } else { Err(BlockError::HostBits { meant: block }) }
    }
}

impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// Why a text is not an [`AddressBlock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockError {
    /// The part before the slash is neither an IPv4 nor an IPv6 address.
    NotAnAddress,
    /// The part after the slash is not a number from 0 to `width`.
    Prefix { width: u8 },
    /// Bits beyond the prefix are set: either the address or the prefix is a slip.
    HostBits { meant: AddressBlock },
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlockError::NotAnAddress => {
                f.write_str("an address or a CIDR block such as \"192.168.1.0/24\" or \"fd00::/8\"")
            }
            BlockError::Prefix { width } => write!(f, "a prefix length from 0 to {width} after the slash"),
            BlockError::HostBits { meant } => {
                write!(f, "the start of a block; for the whole block write \"{meant}\"")
            }
        }
    }
}

impl std::error::Error for BlockError {}

/// `listen.allow`: the addresses that may connect at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowList {
    blocks: Vec<AddressBlock>,
}

impl AllowList {
    /// The blocks of `"private"`: loopback, RFC 1918, IPv4 and IPv6 link-local, IPv6 unique
    /// local addresses.
    pub const PRIVATE: [AddressBlock; 8] = [
        AddressBlock::v4([127, 0, 0, 0], 8),
        AddressBlock::v4([10, 0, 0, 0], 8),
        AddressBlock::v4([172, 16, 0, 0], 12),
        AddressBlock::v4([192, 168, 0, 0], 16),
        AddressBlock::v4([169, 254, 0, 0], 16),
        AddressBlock { network: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 },
        AddressBlock::v6(0xfe80, 10),
        AddressBlock::v6(0xfc00, 7),
    ];

    /// The blocks of `"any"`.
    pub const ANY: [AddressBlock; 2] = [AddressBlock::v4([0; 4], 0), AddressBlock::v6(0, 0)];

    pub fn private() -> AllowList {
        AllowList { blocks: AllowList::PRIVATE.to_vec() }
    }

    pub fn any() -> AllowList {
        AllowList { blocks: AllowList::ANY.to_vec() }
    }

    /// True if `ip` may connect.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.blocks.iter().any(|block| block.contains(ip))
    }

    /// True if the whole of IPv4 or of IPv6 may connect, which is worth a warning.
    pub fn is_open_to_the_world(&self) -> bool {
        self.blocks.iter().any(|block| block.prefix == 0)
    }

    /// The blocks one entry of `listen.allow` stands for: `"private"`, `"any"` or a CIDR block.
    ///
    /// # Errors
    /// The entry is none of them.
    pub fn blocks_of(entry: &str) -> Result<Vec<AddressBlock>, BlockError> {
        match entry {
            "private" => Ok(AllowList::PRIVATE.to_vec()),
            "any" => Ok(AllowList::ANY.to_vec()),
            block => Ok(vec![block.parse()?]),
        }
    }
}

impl FromIterator<AddressBlock> for AllowList {
    fn from_iter<I: IntoIterator<Item = AddressBlock>>(blocks: I) -> AllowList {
        AllowList { blocks: blocks.into_iter().collect() }
    }
}

impl fmt::Display for AllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.blocks == AllowList::PRIVATE {
            return f.write_str("private networks");
        }
        if self.blocks == AllowList::ANY {
            return f.write_str("any address");
        }
        let blocks: Vec<String> = self.blocks.iter().map(ToString::to_string).collect();
        f.write_str(&blocks.join(", "))
    }
}

/// The address with all bits after the prefix cleared.
fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    // A shift by the full width is what `checked_shl` refuses: the mask of a /0.
    let shifted = |width: u32| u128::MAX.checked_shl(width - u32::from(prefix)).unwrap_or(0);
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & shifted(32) as u32).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & shifted(128)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(text: &str) -> AddressBlock {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn edges_of_blocks() {
        for (text, inside, outside) in [
            ("192.168.1.0/24", "192.168.1.255", "192.168.2.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("fd00::/8", "fdff::1", "fe00::"),
        ] {
            assert!(block(text).contains(ip(inside)) && !block(text).contains(ip(outside)), "{text}");
        }
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert!(block("10.0.0.0/8").contains(ip("::ffff:10.9.8.7")));
        assert_eq!(block("::ffff:10.0.0.0/104"), block("10.0.0.0/8"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!("nas.local".parse::<AddressBlock>(), Err(BlockError::NotAnAddress));
        assert_eq!("10.0.0.0/33".parse::<AddressBlock>(), Err(BlockError::Prefix { width: 32 }));
        assert_eq!("10.0.0.0/+8".parse::<AddressBlock>(), Err(BlockError::Prefix { width: 32 }));
        assert_eq!("10.0.0.0/".parse::<AddressBlock>(), Err(BlockError::Prefix { width: 32 }));
        let slip = "192.168.1.5/24".parse::<AddressBlock>().unwrap_err();
        assert!(slip.to_string().contains("\"192.168.1.0/24\""), "{slip}");
    }

    #[test]
    fn private_is_what_it_says() {
        let private = AllowList::private();
        let v4 = ["127.0.0.1", "10.0.0.1", "172.31.255.255", "192.168.0.9", "169.254.1.1"];
        for inside in v4.into_iter().chain(["::1", "fe80::1", "fd12::1"]) {
            assert!(private.contains(ip(inside)), "{inside}");
        }
        for outside in ["8.8.8.8", "172.32.0.1", "100.64.0.1", "2001:db8::1", "::2"] {
            assert!(!private.contains(ip(outside)), "{outside}");
        }
        assert!(!private.is_open_to_the_world());
        assert!(AllowList::any().is_open_to_the_world());
        assert!(AllowList::any().contains(ip("2001:db8::1")));
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_no_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<AddressBlock>();
        }

        #[test]
        fn every_block_holds_its_own_start_and_prints_as_it_parses(bits: u32, prefix in 0u8..=32) {
            let start = masked(Ipv4Addr::from_bits(bits).into(), prefix);
            let block: AddressBlock = format!("{start}/{prefix}").parse().unwrap();
            prop_assert!(block.contains(start));
            prop_assert!(block.contains(IpAddr::V4(Ipv4Addr::from_bits(bits))));
            prop_assert_eq!(block.to_string().parse::<AddressBlock>().unwrap(), block);
        }

        #[test]
        fn an_address_differing_inside_the_prefix_is_outside(bits: u128, prefix in 1u8..=128, flip in 0u8..128) {
            let flip = flip % prefix;
            let start = masked(Ipv6Addr::from_bits(bits).into(), prefix);
            let other = IpAddr::V6(Ipv6Addr::from_bits(bits ^ (1u128 << (127 - flip))));
            // Mapped addresses leave IPv6 altogether; they have a test of their own.
            prop_assume!(start.to_canonical().is_ipv6() && other.to_canonical().is_ipv6());
            let block: AddressBlock = format!("{start}/{prefix}").parse().unwrap();
            prop_assert!(!block.contains(other));
        }
    }
}
