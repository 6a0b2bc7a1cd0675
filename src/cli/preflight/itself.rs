//! Pools of the configuration that are this Sluice itself: each connection would cause the next one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::EnvironmentError;
use crate::config::{Config, UpstreamConfig};

/// Names no server: only what is certain without asking anybody. Other names are noticed when they are dialled.
pub(super) fn verify(config: &Config) -> Vec<EnvironmentError> {
    let own: Vec<SocketAddr> = {
        let tls = config.listen.tls.iter().flat_map(|tls| &tls.listen);
        config.listen.stratum.iter().chain(tls).copied().collect()
    };
    let mut errors = Vec::new();
    for (i, upstream) in config.upstreams.iter().enumerate() {
        let is_own = |to: &SocketAddr| own.iter().any(|listening| reaches(*to, *listening));
        if let Some(to) = addresses(upstream).into_iter().find(is_own) {
            errors.push(EnvironmentError::Itself { number: i + 1, address: to });
        }
    }
    errors
}

/// The addresses that the name stands for on every machine. Through a proxy they are that one's.
fn addresses(upstream: &UpstreamConfig) -> Vec<SocketAddr> {
    let host = upstream.host.trim_start_matches('[').trim_end_matches(']');
    let ips: Vec<IpAddr> = match host.parse() {
        _ if upstream.socks5.is_some() => Vec::new(),
        Ok(ip) => vec![ip],
        Err(_) if host.eq_ignore_ascii_case("localhost") => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        Err(_) => Vec::new(),
    };
    ips.into_iter().map(|ip| SocketAddr::new(ip, upstream.port)).collect()
}

fn reaches(to: SocketAddr, listening: SocketAddr) -> bool {
    let is_there = listening.ip() == to.ip()
        || (listening.ip().is_unspecified() && listening.is_ipv4() == to.is_ipv4() && is_local(to.ip()))
        || (listening.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && is_local(to.ip()));
    to.port() != 0 && to.port() == listening.port() && is_there
}

/// Whether the address is one of this machine's: only then a socket can have it.
fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}
