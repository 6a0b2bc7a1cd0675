//! This machine's own addresses.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// Caps the addresses: a page has room for so many.
const MAX_ADDRESSES: usize = 4;

/// The addresses of the interfaces that are up, loopback and link-local ones left out, IPv4 first.
/// Empty if the system does not tell.
pub fn addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let mut addresses: Vec<IpAddr> = interfaces
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|interface| {
            let address = interface.address?;
            let four = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            four.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        })
        .filter(is_reachable)
        .collect();
    addresses.sort();
    addresses.dedup();
    addresses.truncate(MAX_ADDRESSES);
    addresses
}

fn is_reachable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => !four.is_loopback() && !four.is_link_local(),
        IpAddr::V6(six) => !six.is_loopback() && !six.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_link_local_are_left_out() {
        assert!(addresses().iter().all(is_reachable));
        assert!(!is_reachable(&"127.0.0.1".parse().unwrap()));
        assert!(!is_reachable(&"fe80::1".parse().unwrap()));
        assert!(is_reachable(&"192.168.1.5".parse().unwrap()));
    }
}
