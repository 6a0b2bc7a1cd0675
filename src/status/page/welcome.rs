//! Instructions to connect the first miner.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use maud::{Markup, html};

use super::activity::Activity;
use super::headline;
use crate::status::snapshot::StatusSnapshot;

pub(super) fn section(status: &StatusSnapshot, host: Option<&str>) -> Markup {
    let hosts = hosts(status, host);
    let port = status.program.listening.first().map_or(3334, SocketAddr::port);
    let example = hosts.first().map_or("this-machine", String::as_str);
    html! {
        // Known before the first miner comes.
        @if Activity::of(status) == Activity::NoPool { (headline::section(status)) }
        section.welcome #welcome data-live {
            h1 { "Point a miner here" }
            p { "Sluice is running and waiting for its first miner. On the miner's own page, set:" }
            dl {
                dt { "Pool or stratum host" } dd { @for (place, host) in hosts.iter().enumerate() { @if place > 0 { span.or { " or " } } code { (host) } } }
                dt { "Port" } dd { code { (port) } }
                dt { "User" } dd { code { "your Bitcoin address" } span.or { " or " } code { "address.name" } }
                dt { "Password" } dd { code { "x" } }
            }
            p.quiet { "As a URL: " code { "stratum+tcp://" (example) ":" (port) } }
            @if status.program.listening.iter().all(|address| address.ip().is_loopback()) {
                p.quiet { "Sluice listens on this machine only. Set listen.stratum in the configuration to let other machines connect." }
            }
            p.quiet {
                "Shares go on to " @for (rank, (_, pool)) in status.runtime.listed().into_iter().enumerate() { @if rank > 0 { ", then " } (pool.name) }
                ". This page shows your miners as soon as one connects."
            }
        }
    }
}

/// The names and addresses by which a miner can reach this machine: the name that the visitor used,
/// then the machine's own addresses. A listener on one address is reachable by that address only.
fn hosts(status: &StatusSnapshot, host: Option<&str>) -> Vec<String> {
    let listening = || status.program.listening.iter().map(SocketAddr::ip);
    let is_open =
        |own: &IpAddr| listening().any(|one| one.is_unspecified() && one.is_ipv4() == own.is_ipv4());
    let mut hosts = Vec::new();
    if listening().any(|one| one.is_unspecified()) {
        hosts.extend(host.map(without_port).filter(|host| !is_loopback(host)).map(str::to_owned));
        hosts.extend(status.runtime.own_addresses.iter().filter(|own| is_open(own)).map(ToString::to_string));
    }
    hosts.extend(listening().filter(|one| !one.is_unspecified()).map(|one| one.to_string()));
    let mut known = BTreeSet::new();
    hosts.retain(|host| known.insert(host.clone()));
    hosts
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // An IPv6 address stands in brackets.
        _ if host.starts_with('[') => host.trim_start_matches('[').split(']').next().unwrap_or(host),
        Some((name, _)) => name,
        None => host,
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_shown_without_its_port() {
        for (host, name) in [
            ("raspberrypi.local:8080", "raspberrypi.local"),
            ("192.168.1.5:8080", "192.168.1.5"),
            ("[fe80::1]:8080", "fe80::1"),
            ("pi", "pi"),
        ] {
            assert_eq!(without_port(host), name);
        }
        assert!(is_loopback("127.0.0.1") && is_loopback("::1") && is_loopback("localhost"));
        assert!(!is_loopback("pi.local"));
    }
}
