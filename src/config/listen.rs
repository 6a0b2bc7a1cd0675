//! `[listen]`: the addresses miners connect to, and the miners that may. `[ratelimit]`: how often.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::duration::{DAY, HOUR, SECOND};
use super::reader::Section;
use super::redaction::Redaction;
use super::specification::KeyKind;
use crate::limits::{AddressBlock, AllowList, RateLimitConfig};
use crate::util::address::canonical;

/// `[listen]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenConfig {
    /// Plain Stratum listeners. Default: `0.0.0.0:3334`. Empty only if `tls` has a listener.
    pub stratum: Vec<SocketAddr>,
    /// Default: private networks.
    pub allow: AllowList,
    /// 1 to 65536, default 1000.
    pub max_miners: usize,
    /// Time from the accept to the first `mining.authorize`; 1 s to 1 h, default 60 s.
    pub handshake_timeout: Duration,
    /// Time after which a silent miner is disconnected. The default, `None`, is never: a NerdMiner may
    /// be silent for hours.
    pub idle_timeout: Option<Duration>,
    /// Default: off.
    pub proxy_protocol: ProxyProtocol,
    pub tls: Option<ListenTls>,
}

/// `listen.proxy_protocol`: the peers that must send a PROXY header (v1 or v2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// `false`: no peer; a header is rejected.
    Off,
    /// `true`: every peer that `listen.allow` accepts.
    Everyone,
    /// A list of addresses: these peers must send a header, others must not.
    From(Vec<AddressBlock>),
}

/// `listen.tls`: TLS listeners for miners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenTls {
    /// PEM file of the certificate chain, the server's own certificate first.
    pub cert: PathBuf,
    /// PEM file of the private key.
    pub key: PathBuf,
    /// Default: `0.0.0.0:3335`. Never empty.
    pub listen: Vec<SocketAddr>,
}

impl Default for ListenConfig {
    fn default() -> ListenConfig {
        ListenConfig {
            stratum: vec![SocketAddr::from(([0, 0, 0, 0], 3334))],
            allow: AllowList::private(),
            max_miners: 1000,
            handshake_timeout: Duration::from_secs(60),
            idle_timeout: None,
            proxy_protocol: ProxyProtocol::Off,
            tls: None,
        }
    }
}

/// Reads the section. `from_flag` has the addresses of `--listen`, which replace `listen.stratum`.
pub(super) fn read(mut section: Section, from_flag: Option<Vec<SocketAddr>>) -> ListenConfig {
    let mut listen = ListenConfig::default();
    let stratum = section.list("stratum", Redaction::Value, "[\"0.0.0.0:3334\"]", socket_address);
    listen.stratum = from_flag.or(stratum).unwrap_or(listen.stratum);
    listen.allow = read_allow(&mut section).unwrap_or(listen.allow);
    section.size("max_miners", &mut listen.max_miners, 1..=65_536);
    section.duration("handshake_timeout", &mut listen.handshake_timeout, SECOND..=HOUR);
    section.duration_or_never("idle_timeout", &mut listen.idle_timeout, SECOND..=30 * DAY);
    listen.proxy_protocol = read_proxy_protocol(&mut section);
    listen.tls = read_tls(section.section("tls"));
    if listen.stratum.is_empty() && listen.tls.is_none() {
        section.conflict("stratum", "is empty and there is no tls listener either; no miner could connect");
    }
    reject_duplicates(&section, &listen);
    listen
}

/// Reads `[ratelimit]`.
pub(super) fn read_limits(mut section: Section) -> RateLimitConfig {
    let mut limits = RateLimitConfig::default();
    section.size("max_connections_per_ip", &mut limits.max_connections_per_ip, 0..=65_536);
    section.size("max_connections_per_minute", &mut limits.max_connections_per_minute, 0..=1_000_000);
    section.duration("ban", &mut limits.ban, Duration::ZERO..=DAY);
    let exempt = section.list("exempt", Redaction::Value, "[\"192.168.1.0/24\"]", address_block);
    limits.exempt = exempt.unwrap_or(limits.exempt);
    limits
}

/// Parses an address and port to listen on; for port 0 the system chooses one.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map(canonical).map_err(|_| {
        String::from("an address with a port, such as \"0.0.0.0:3334\", \"127.0.0.1:3334\" or \"[::]:3334\"")
    })
}

fn read_allow(section: &mut Section) -> Option<AllowList> {
    let blocks = section.list("allow", Redaction::Value, "[\"private\"]", |entry| {
        AllowList::blocks_of(entry).map_err(|wrong| format!("\"private\", \"any\" or {wrong}"))
    })?;
    if blocks.is_empty() {
        section.conflict(
            "allow",
            "is empty, so no miner could connect; list \"private\" or the blocks of your miners",
        );
    }
    Some(blocks.into_iter().flatten().collect())
}

fn read_proxy_protocol(section: &mut Section) -> ProxyProtocol {
    let key = "proxy_protocol";
    match section.any(key, &[KeyKind::Boolean, KeyKind::List]) {
        None | Some(DeValue::Boolean(false)) => ProxyProtocol::Off,
        Some(DeValue::Boolean(true)) => ProxyProtocol::Everyone,
        Some(DeValue::Array(_)) => {
            let blocks =
                section.list(key, Redaction::Value, "[\"10.0.0.2\"]", address_block).unwrap_or_default();
            if blocks.is_empty() {
                section
                    .conflict(key, "is an empty list; write false, or the addresses of your load balancers");
            }
            ProxyProtocol::From(blocks)
        }
        Some(other) => {
            let wanted = "true, false or a list of addresses such as [\"10.0.0.2\"]";
            section.wrong_type(key, other, Redaction::Value, wanted);
            ProxyProtocol::Off
        }
    }
}

/// Parses one entry of a list of address blocks.
fn address_block(entry: &str) -> Result<AddressBlock, String> {
    entry.parse().map_err(|wrong: crate::limits::BlockError| wrong.to_string())
}

fn read_tls(mut section: Section) -> Option<ListenTls> {
    let cert = section.text("cert").map(PathBuf::from);
    let key = section.text("key").map(PathBuf::from);
    let listen = section
        .list("listen", Redaction::Value, "[\"0.0.0.0:3335\"]", socket_address)
        .unwrap_or_else(|| vec![SocketAddr::from(([0, 0, 0, 0], 3335))]);
    if section.is_present() {
        for name in ["cert", "key"] {
            if !section.is_set(name) {
                section.missing(name, "TLS needs both, cert and key, each the path of a PEM file");
            }
        }
        if section.is_set("listen") && listen.is_empty() {
            section.conflict("listen", "is empty; name an address, or remove the tls section");
        }
    }
    Some(ListenTls { cert: cert?, key: key?, listen })
}

fn reject_duplicates(section: &Section, listen: &ListenConfig) {
    let mut seen: Vec<SocketAddr> = Vec::new();
    for address in all_addresses(listen) {
        match seen.iter().find(|other| is_conflict(**other, address)) {
            Some(other) if *other == address => {
                section.conflict("stratum", format!("(with tls.listen) names {address} twice; remove one"))
            }
            Some(other) => section.conflict(
                "stratum",
                format!("(with tls.listen) names {address}, which is a part of {other}; remove one"),
            ),
            None => {}
        }
        seen.push(address);
    }
}

/// The fault if the page's address uses the same port as a miner listener.
pub(super) fn conflict_with_miners(listen: &ListenConfig, page: SocketAddr) -> Option<String> {
    let other = all_addresses(listen).find(|other| is_conflict(*other, page))?;
    Some(format!("is {page}, but miners connect to {other}; the page needs a port of its own"))
}

fn all_addresses(listen: &ListenConfig) -> impl Iterator<Item = SocketAddr> + '_ {
    listen.stratum.iter().chain(listen.tls.iter().flat_map(|tls| &tls.listen)).copied()
}

/// True if the system could not listen on both. Port 0 is a different port each time.
fn is_conflict(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && same_ip
}
