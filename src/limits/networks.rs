//! Address blocks and the list of those that may connect.

use std::net::IpAddr;

/// A CIDR block, such as `192.168.0.0/16` or `fd00::/8`; a single address is a block of its full
/// length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressBlock {
    network: IpAddr,
    prefix: u8,
}

/// `listen.allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowList {
    blocks: Vec<AddressBlock>,
}
