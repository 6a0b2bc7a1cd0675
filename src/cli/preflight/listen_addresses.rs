//! Checks of the addresses that Sluice listens on: each can be opened, and no upstream leads back to them.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use crate::config::{Config, UpstreamConfig};
use crate::net::inherited::InheritedSockets;
use crate::net::listen;
use crate::net::port_owner::port_owner;
use crate::util::os_error::describe;

/// All addresses that Sluice listens on with this configuration.
pub(super) fn configured(config: &Config) -> Vec<SocketAddr> {
    let tls = config.listen.tls.iter().flat_map(|tls| &tls.listen);
    config.listen.stratum.iter().chain(tls).copied().chain(config.http.listen).collect()
}

/// Opens every port for a moment, all at the same time, without accepting a connection. Those of inherited sockets are
/// open already.
pub(super) fn check_ports(config: &Config, inherited: &InheritedSockets) -> Vec<String> {
    let plain = config.listen.stratum.iter();
    let plain = plain.map(|address| ("listen.stratum", "listen.stratum or --listen", *address));
    let tls = config.listen.tls.iter().flat_map(|tls| &tls.listen);
    let tls = tls.map(|address| ("listen.tls.listen", "listen.tls.listen", *address));
    let page = config.http.listen.map(|address| ("http.listen", "http.listen or --http", address));
    let mut open: Vec<TcpListener> = Vec::new();
    let mut errors = Vec::new();
    let to_open = plain.chain(tls).chain(page).filter(|(.., address)| !inherited.has(*address));
    for (key, setting, address) in to_open {
        match listen::bind_bare(address) {
            Ok(socket) => open.push(socket),
            Err(reason) => {
                // The owner must not be one of the sockets opened here.
                let is_ours = open.iter().any(|socket| is_port_of(socket, address));
                let why = match reason.kind() {
                    ErrorKind::AddrInUse if is_ours => in_use(address, None),
                    ErrorKind::AddrInUse => in_use(address, port_owner(address)),
                    _ => describe(&reason),
                };
                let advice = match reason.kind() {
                    ErrorKind::AddrInUse => "stop that program, or choose another port",
                    ErrorKind::AddrNotAvailable => "choose one of its addresses, or 0.0.0.0 for all,",
                    ErrorKind::PermissionDenied => {
                        "ports below 1024 need root or CAP_NET_BIND_SERVICE: choose a higher port"
                    }
                    _ => "choose another",
                };
                errors.push(format!("{key}: can't listen on {address}: {why}; {advice} with {setting}"));
            }
        }
    }
    errors
}

/// Finds upstreams that are this Sluice itself: each connection would cause the next one. Only addresses that need no
/// DNS are checked; other names are noticed when Sluice connects to them.
pub(in crate::cli) fn check_upstreams(config: &Config) -> Vec<String> {
    let tls = || config.listen.tls.iter().flat_map(|tls| &tls.listen);
    let own = || config.listen.stratum.iter().chain(tls());
    let is_own = |to: &SocketAddr| own().any(|listening| reaches(*to, *listening));
    let mut errors = Vec::new();
    for (i, upstream) in config.upstreams.iter().enumerate() {
        if let Some(address) = addresses(upstream).into_iter().find(is_own) {
            errors.push(format!(
                "upstream[{}].url: this is an address that Sluice itself listens on ({address}), so each connection would \
                 cause another one; set the pool's address, or another listen.stratum",
                i + 1
            ));
        }
    }
    errors
}

fn in_use(address: SocketAddr, owner: Option<(String, u32)>) -> String {
    match owner {
        Some((name, pid)) if name == "sluice" => {
            format!("another Sluice (process {pid}) uses this port already")
        }
        Some((name, pid)) => format!("{name:?} (process {pid}) uses this port already"),
        None => format!(
            "another program uses this port already (as root, ss -ltnp 'sport = :{}' shows which)",
            address.port()
        ),
    }
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
