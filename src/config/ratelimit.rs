//! `[ratelimit]`: limits on the connections of one address.

use std::time::Duration;

use super::listen::address_block;
use super::reader::Section;
use super::redaction::Redaction;
use crate::limits::AddressBlock;

/// Limits on the connections of one address (IPv6: one /64).
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimitConfig {
    /// Simultaneous connections; 0 for no limit, default 100.
    pub max_connections_per_ip: usize,
    /// New connections per minute; 0 for no limit, default 60.
    pub max_connections_per_minute: usize,
    /// Length of the first ban; it doubles each time, up to a day. Zero: reject connections, never ban.
    /// Default 5 min.
    pub ban: Duration,
    /// Addresses without any of these limits. Default: none, not even loopback.
    pub exempt: Vec<AddressBlock>,
}

impl Default for RateLimitConfig {
    fn default() -> RateLimitConfig {
        RateLimitConfig {
            max_connections_per_ip: 100,
            max_connections_per_minute: 60,
            ban: Duration::from_secs(300),
            exempt: Vec::new(),
        }
    }
}

pub(super) fn read(mut section: Section) -> RateLimitConfig {
    let default = RateLimitConfig::default();
    let day = Duration::from_secs(86_400);
    let limits = RateLimitConfig {
        max_connections_per_ip: section.size(
            "max_connections_per_ip",
            default.max_connections_per_ip,
            0..=65_536,
        ),
        max_connections_per_minute: section.size(
            "max_connections_per_minute",
            default.max_connections_per_minute,
            0..=1_000_000,
        ),
        ban: section.duration("ban", default.ban, Duration::ZERO..=day),
        exempt: section
            .list("exempt", Redaction::Value, "[\"192.168.1.0/24\"]", address_block)
            .unwrap_or(default.exempt),
    };
    section.finish();
    limits
}
