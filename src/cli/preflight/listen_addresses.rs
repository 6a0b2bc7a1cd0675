//! Checks of the addresses that Sluice listens on: each can be opened, and no upstream leads back to them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use super::EnvironmentError;
use crate::config::{Config, UpstreamConfig};
use crate::net::listen;
use crate::net::port_owner::port_owner;

/// Opens every port for a moment, all at the same time, without accepting a connection.
pub(super) fn check_ports(config: &Config) -> Vec<EnvironmentError> {
    let plain = config.listen.stratum.iter().map(|address| ("listen.stratum", Some("--listen"), *address));
    let tls = config.listen.tls.iter().flat_map(|tls| &tls.listen);
    let tls = tls.map(|address| ("listen.tls.listen", None, *address));
    let page = config.http.listen.map(|address| ("http.listen", Some("--http"), address));
    let mut open: Vec<TcpListener> = Vec::new();
    let mut errors = Vec::new();
    for (key, flag, address) in plain.chain(tls).chain(page) {
        match listen::bind_bare(address) {
            Ok(socket) => open.push(socket),
            Err(reason) => {
                // The owner must not be one of the sockets opened here.
                let in_use = reason.kind() == io::ErrorKind::AddrInUse;
                let is_ours = |socket: &TcpListener| is_port_of(socket, address);
                let owner = if in_use && !open.iter().any(is_ours) { port_owner(address) } else { None };
                errors.push(EnvironmentError::Port { key, flag, address, owner, reason });
            }
        }
    }
    errors
}

/// Finds upstreams that are this Sluice itself: each connection would cause the next one. Only addresses that need no
/// DNS are checked; other names are noticed when Sluice connects to them.
pub(super) fn check_upstreams(config: &Config) -> Vec<EnvironmentError> {
    let own: Vec<SocketAddr> = {
        let tls = config.listen.tls.iter().flat_map(|tls| &tls.listen);
        config.listen.stratum.iter().chain(tls).copied().collect()
    };
    let mut errors = Vec::new();
    for (i, upstream) in config.upstreams.iter().enumerate() {
        let is_own = |to: &SocketAddr| own.iter().any(|listening| reaches(*to, *listening));
        if let Some(to) = addresses(upstream).into_iter().find(is_own) {
            errors.push(EnvironmentError::UpstreamIsSluice { number: i + 1, address: to });
        }
    }
    errors
}

fn is_port_of(socket: &TcpListener, address: SocketAddr) -> bool {
    socket.local_addr().is_ok_and(|own| own.port() == address.port())
}

/// The addresses that the host stands for on every machine; none behind a SOCKS5 proxy, which resolves the host itself.
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

/// True if the address is one of this machine's: only then a socket can bind to it.
fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}
