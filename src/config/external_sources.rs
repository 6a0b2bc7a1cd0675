//! `[[reference]]`, `[ntp]` and `[pool_stats]`: external sources that the pool's data is compared
//! with.

use std::path::PathBuf;
use std::time::Duration;

use bitcoin::Address;
use bitcoin::address::NetworkUnchecked;

use super::duration::{DAY, MINUTE, SECOND};
use super::endpoint;
use super::network::Network;
use super::reader::Section;
use super::redaction::Redaction;
use super::{PayoutPolicy, Secret, UpstreamConfig};

/// One `[[reference]]`: a second source for the state of the chain, never mined on.
#[derive(Debug, Clone, PartialEq)]
pub enum ReferenceConfig {
    /// Another pool; `user` is the name for `mining.authorize`.
    Pool { upstream: Box<UpstreamConfig>, user: Option<String> },
    /// A node's JSON-RPC. The URL may contain a password.
    Node { url: Secret, cookie: Option<PathBuf> },
}

/// `[ntp]`: the time servers.
#[derive(Debug, Clone, PartialEq)]
pub struct NtpConfig {
    /// Default: pool.ntp.org, time.google.com, time.cloudflare.com. Empty: the system's clock is used.
    pub servers: Vec<String>,
    /// 1 min to 1 d, default 1 h.
    pub interval: Duration,
}

/// `[pool_stats]`: the figures that the pool publishes.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolStatsConfig {
    pub kind: PoolStatsKind,
    pub url: Option<String>,
    pub address: Option<Address<NetworkUnchecked>>,
    pub token: Option<Secret>,
    /// 10 s to 1 d, default 60 s.
    pub interval: Duration,
}

impl PoolStatsConfig {
    /// The address whose figures are requested: its own, or else `payout.address`. `None` if the token
    /// identifies the account.
    pub fn account(&self, payout: &PayoutPolicy) -> Option<String> {
        let address = self.address.as_ref().or(payout.address.as_ref()).cloned();
        let is_by_address = self.kind != PoolStatsKind::Braiins;
        address.filter(|_| is_by_address).map(|address| address.assume_checked().to_string())
    }
}

/// `pool_stats.kind`: the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolStatsKind {
    Ckpool,
    PublicPool,
    Ocean,
    Braiins,
}

impl PoolStatsKind {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            PoolStatsKind::Ckpool => "ckpool",
            PoolStatsKind::PublicPool => "public-pool",
            PoolStatsKind::Ocean => "ocean",
            PoolStatsKind::Braiins => "braiins",
        }
    }
}

impl Default for NtpConfig {
    fn default() -> NtpConfig {
        NtpConfig {
            servers: ["pool.ntp.org", "time.google.com", "time.cloudflare.com"].map(String::from).to_vec(),
            interval: Duration::from_secs(3600),
        }
    }
}

/// Reads one reference; `None` if it is wrong, which is recorded.
pub(super) fn read_reference(mut section: Section) -> Option<ReferenceConfig> {
    let upstream = section.parsed("url", Redaction::Url, UpstreamConfig::from_url);
    let user = section.text("user");
    let node = section.parsed("node", Redaction::Credentials, endpoint::node_url).map(Secret::new);
    let cookie = section.text("cookie").map(PathBuf::from);
    match (section.is_set("url"), section.is_set("node")) {
        (true, true) => {
            section.conflict("node", "and url are two references; give each its own [[reference]]")
        }
        (false, false) => section.missing("url", "a reference is a pool (url) or a node (node)"),
        (true, false) if section.is_set("cookie") => {
            section.conflict("cookie", "is for a node, not for a pool")
        }
        (false, true) if section.is_set("user") => {
            section.conflict("user", "is for a pool; a node's user and password go into its URL");
        }
        _ => {}
    }
    if cookie.is_some() && node.as_ref().is_some_and(|node| endpoint::user_info(node.expose()).is_some()) {
        section.conflict("cookie", "and the user in node are two logins; remove one");
    }
    match (upstream, node) {
        (Some(upstream), _) => Some(ReferenceConfig::Pool { upstream: Box::new(upstream), user }),
        (None, Some(url)) => Some(ReferenceConfig::Node { url, cookie }),
        (None, None) => None,
    }
}

pub(super) fn read_ntp(mut section: Section) -> NtpConfig {
    let mut ntp = NtpConfig::default();
    let servers = section.list("servers", Redaction::Value, "[\"pool.ntp.org\"]", ntp_server);
    ntp.servers = servers.unwrap_or(ntp.servers);
    section.duration("interval", &mut ntp.interval, MINUTE..=DAY);
    ntp
}

/// Reads the section; `None` if it is absent or wrong.
pub(super) fn read_pool_stats(
    mut section: Section,
    network: Network,
    payout: &PayoutPolicy,
) -> Option<PoolStatsConfig> {
    use PoolStatsKind::{Braiins, Ckpool, Ocean, PublicPool};
    let kinds = [Ckpool, PublicPool, Ocean, Braiins].map(|kind| (kind.as_str(), kind));
    let kind = section.choice("kind", &kinds);
    let url = section.parsed("url", Redaction::Url, endpoint::http_url);
    let address = section.parsed("address", Redaction::Value, |text| network.address(text));
    let token = section.secret("token");
    let mut interval = MINUTE;
    section.duration("interval", &mut interval, 10 * SECOND..=DAY);
    if section.is_present() && !section.is_set("kind") {
        section.missing("kind", "\"ckpool\", \"public-pool\", \"ocean\" or \"braiins\"");
    }
    let is_by_address = kind.is_some_and(|kind| kind != Braiins);
    if is_by_address && !section.is_set("address") && payout.address.is_none() {
        section.missing("address", "set it, or payout.address, to the address whose figures are wanted");
    }
    Some(PoolStatsConfig { kind: kind?, url, address, token, interval })
}

/// Accepts a host with or without a port; the default port is 123.
fn ntp_server(text: &str) -> Result<String, String> {
    let is_address = text.parse::<std::net::Ipv6Addr>().is_ok();
    if is_address || endpoint::host_name(text).is_ok() || endpoint::host_port(text).is_ok() {
        Ok(text.to_owned())
    } else {
        Err(String::from("the name or address of an NTP server, such as \"pool.ntp.org\""))
    }
}
