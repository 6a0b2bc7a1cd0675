//! The gatekeeper, which decides about each new connection.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::minute_counter::MinuteCounter;
use super::{AddressBlock, AddressKey, AllowList};
use crate::util::format::{count, seconds};

/// Caps the remembered addresses, unless `listen.max_miners` needs more. An entry has about 150 bytes,
/// so the table stays near 1 MB.
pub const MAX_SOURCES: usize = 8192;

/// Time after a pool failure, when all miners reconnect at once, in which connections do not count
/// towards the rate.
pub const POOL_FAILURE_GRACE: Duration = Duration::from_secs(60);

/// Reports of abuse per minute that cause a ban. A single one, from a browser at the wrong port or a
/// health check, is no attack.
const MAX_ABUSE_PER_MINUTE: u32 = 10;

/// The longest ban, and the time without abuse after which ban lengths start over.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `[ratelimit]`: limits on the connections of one address (IPv6: one /64).
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

/// Admits connections.
#[derive(Debug)]
pub struct Gatekeeper {
    allow: AllowList,
    max_miners: usize,
    limits: RateLimitConfig,
    max_sources: usize,
    state: Mutex<GatekeeperState>,
}

#[derive(Debug, Default)]
struct GatekeeperState {
    connections: usize,
    sources: HashMap<AddressKey, AddressRecord>,
    /// Addresses for which the table has no room, counted together. This entry is never banned, because
    /// that would shut out every new address.
    others: Option<AddressRecord>,
    pool_failed: Option<Instant>,
}

#[derive(Debug)]
struct AddressRecord {
    connections: usize,
    rate: MinuteCounter,
    abuse: MinuteCounter,
    seen: Instant,
    /// Number and last time of connections closed by a pool, whose miners will reconnect.
    pardons: u32,
    pardoned_at: Instant,
    banned_until: Option<Instant>,
    /// Bans in a row. A day without abuse resets the number.
    bans: u32,
}

/// An admitted connection; dropping it frees its place.
#[derive(Debug)]
pub struct Admission {
    gatekeeper: Arc<Gatekeeper>,
    slot: Slot,
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    Exempt,
    Of(AddressKey),
    Others,
}

/// Behaviour that no miner shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abuse {
    /// A TLS ClientHello on a listener that speaks plain Stratum.
    TlsOnPlainPort,
    Http,
    /// Data that is neither JSON nor any known protocol.
    Garbage,
    /// A flood of malformed shares or unknown requests.
    BadShares,
}

/// The reason why a connection is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionError {
    /// Outside `listen.allow`.
    NotAllowed,
    Banned {
        remaining: Duration,
    },
    TooManyFromAddress {
        limit: usize,
    },
    /// Too many new connections, with the ban that this causes, if bans are enabled.
    TooManyPerMinute {
        limit: usize,
        ban: Option<Duration>,
    },
    Full {
        limit: usize,
    },
}

/// The gatekeeper's counts, for the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionCounts {
    pub sources: usize,
    pub connections: usize,
    pub banned: usize,
}

impl Gatekeeper {
    pub fn new(allow: &AllowList, max_miners: usize, limits: &RateLimitConfig) -> Arc<Gatekeeper> {
        Arc::new(Gatekeeper {
            allow: allow.clone(),
            max_miners,
            limits: limits.clone(),
            // Twice, so that connected miners alone can never fill it.
            max_sources: MAX_SOURCES.max(max_miners.saturating_mul(2)),
            state: Mutex::default(),
        })
    }

    /// True if `ip` is on the allow list, without counting it. For a peer that sends PROXY headers on
    /// behalf of others.
    pub fn allows(&self, ip: IpAddr) -> bool {
        self.allow.contains(ip)
    }

    /// Decides about a new connection from `ip`. Only admitted ones count towards the rate, so a farm with
    /// more miners than `max_connections_per_ip` is not banned for reconnecting.
    ///
    /// # Errors
    /// The reason to close it.
    pub fn admit(self: &Arc<Gatekeeper>, ip: IpAddr, now: Instant) -> Result<Admission, AdmissionError> {
        if !self.allow.contains(ip) {
            return Err(AdmissionError::NotAllowed);
        }
        let mut state = self.state.lock();
        let slot = if self.is_exempt(ip) { Slot::Exempt } else { state.slot(ip, self.max_sources, now) };
        let counts_rate = state
            .pool_failed
            .is_none_or(|failed| now.saturating_duration_since(failed) >= POOL_FAILURE_GRACE);
        let full = state.connections >= self.max_miners;
        if let Some(entry) = state.entry(slot) {
            entry.seen = now;
            if let Some(remaining) = entry.ban_left(now) {
                return Err(AdmissionError::Banned { remaining });
            }
            let limit = self.limits.max_connections_per_ip;
            if limit > 0 && entry.connections >= limit {
                return Err(AdmissionError::TooManyFromAddress { limit });
            }
        }
        if full {
            return Err(AdmissionError::Full { limit: self.max_miners });
        }
        if let Some(entry) = state.entry(slot) {
            if counts_rate {
                self.count(entry, slot, now)?;
            }
            entry.connections += 1;
        }
        state.connections += 1;
        Ok(Admission { gatekeeper: self.clone(), slot })
    }

    /// Reports a pool failure, so that the reconnecting miners are not taken for an attack: for
    /// [`POOL_FAILURE_GRACE`], connections do not count towards the rate.
    pub fn pool_failed(&self, now: Instant) {
        self.state.lock().pool_failed = Some(now);
    }

    /// Reports that a pool has closed the session of a miner at `ip`: its next connection does not count
    /// towards the rate, if it comes within [`POOL_FAILURE_GRACE`].
    pub fn pardon(&self, ip: IpAddr, now: Instant) {
        let mut state = self.state.lock();
        let slot = state.slot(ip, self.max_sources, now);
        if let Some(entry) = state.entry(slot) {
            entry.pardons = entry.pardons.saturating_add(1);
            entry.pardoned_at = now;
        }
    }

    /// Counts abuse. Returns the length of the ban if it causes one. Exempt addresses are not counted.
    pub fn report_abuse(&self, ip: IpAddr, now: Instant) -> Option<Duration> {
        if self.is_exempt(ip) {
            return None;
        }
        let mut state = self.state.lock();
        let slot = state.slot(ip, self.max_sources, now);
        let entry = state.entry(slot)?;
        entry.seen = now;
        entry.abuse.add(now);
        if entry.ban_left(now).is_some() || entry.abuse.count(now) < MAX_ABUSE_PER_MINUTE {
            return None;
        }
        self.ban(entry, slot, now)
    }

    /// The counts as they are now.
    pub fn counts(&self, now: Instant) -> ConnectionCounts {
        let state = self.state.lock();
        ConnectionCounts {
            sources: state.sources.len(),
            connections: state.connections,
            banned: state.sources.values().filter(|entry| entry.ban_left(now).is_some()).count(),
        }
    }

    fn is_exempt(&self, ip: IpAddr) -> bool {
        self.limits.exempt.iter().any(|block| block.contains(ip))
    }

    fn count(&self, entry: &mut AddressRecord, slot: Slot, now: Instant) -> Result<(), AdmissionError> {
        if entry.take_pardon(now) {
            return Ok(());
        }
        let limit = self.limits.max_connections_per_minute;
        if limit > 0 && entry.rate.count(now) as usize >= limit {
            return Err(AdmissionError::TooManyPerMinute { limit, ban: self.ban(entry, slot, now) });
        }
        entry.rate.add(now);
        Ok(())
    }

    fn ban(&self, entry: &mut AddressRecord, slot: Slot, now: Instant) -> Option<Duration> {
        if self.limits.ban.is_zero() || matches!(slot, Slot::Others) {
            return None;
        }
        if entry.banned_until.is_some_and(|until| now.saturating_duration_since(until) >= DAY) {
            entry.bans = 0;
        }
        let doubled = 2u32.saturating_pow(entry.bans.min(31));
        let length = self.limits.ban.saturating_mul(doubled).min(DAY);
        entry.bans = entry.bans.saturating_add(1);
        entry.banned_until = Some(now + length);
        // Abuse that caused this ban must not count towards the next.
        entry.rate = MinuteCounter::new(now);
        entry.abuse = MinuteCounter::new(now);
        Some(length)
    }
}

impl GatekeeperState {
    /// The slot in which `ip` is counted, created if there is room.
    fn slot(&mut self, ip: IpAddr, max_sources: usize, now: Instant) -> Slot {
        let source = AddressKey::from(ip);
        if !self.sources.contains_key(&source) {
            if self.sources.len() >= max_sources {
                self.evict_idle(max_sources, now);
            }
            if self.sources.len() >= max_sources {
                self.others.get_or_insert_with(|| AddressRecord::new(now));
                return Slot::Others;
            }
            self.sources.insert(source, AddressRecord::new(now));
        }
        Slot::Of(source)
    }

    fn entry(&mut self, slot: Slot) -> Option<&mut AddressRecord> {
        match slot {
            Slot::Exempt => None,
            Slot::Of(source) => self.sources.get_mut(&source),
            Slot::Others => self.others.as_mut(),
        }
    }

    /// Evicts an eighth of the table, the longest unused entries first, but none that is connected or
    /// banned. In a flood of addresses, this search happens once in a thousand connections.
    fn evict_idle(&mut self, max_sources: usize, now: Instant) {
        let mut idle: Vec<(Instant, AddressKey)> = self
            .sources
            .iter()
            .filter(|(_, entry)| entry.connections == 0 && entry.ban_left(now).is_none())
            .map(|(source, entry)| (entry.seen, *source))
            .collect();
        idle.sort_unstable_by_key(|(seen, _)| *seen);
        for (_, source) in idle.into_iter().take((max_sources / 8).max(1)) {
            self.sources.remove(&source);
        }
    }
}

impl AddressRecord {
    fn new(now: Instant) -> AddressRecord {
        AddressRecord {
            connections: 0,
            rate: MinuteCounter::new(now),
            abuse: MinuteCounter::new(now),
            seen: now,
            pardons: 0,
            pardoned_at: now,
            banned_until: None,
            bans: 0,
        }
    }

    fn take_pardon(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.pardoned_at) >= POOL_FAILURE_GRACE {
            self.pardons = 0;
        }
        let is_pardoned = self.pardons > 0;
        self.pardons = self.pardons.saturating_sub(1);
        is_pardoned
    }

    fn ban_left(&self, now: Instant) -> Option<Duration> {
        self.banned_until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut state = self.gatekeeper.state.lock();
        state.connections = state.connections.saturating_sub(1);
        if let Some(entry) = state.entry(self.slot) {
            entry.connections = entry.connections.saturating_sub(1);
        }
    }
}

impl fmt::Display for Abuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Abuse::TlsOnPlainPort => "TLS on the plain port",
            Abuse::Http => "an HTTP request",
            Abuse::Garbage => "something that is not Stratum",
            Abuse::BadShares => "a flood of bad shares or of nonsense",
        })
    }
}

impl fmt::Display for AdmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdmissionError::NotAllowed => f.write_str("its address is not in listen.allow"),
            AdmissionError::Banned { remaining } => {
                write!(f, "banned for another {}", seconds((*remaining).max(Duration::from_secs(1))))
            }
            AdmissionError::TooManyFromAddress { limit } => {
                let connections = count(*limit as u64, "connection");
                write!(f, "already {connections} from its address (ratelimit.max_connections_per_ip)")
            }
            AdmissionError::TooManyPerMinute { limit, ban } => {
                let connections = count(*limit as u64, "connection");
                write!(
                    f,
                    "more than {connections} a minute from its address (ratelimit.max_connections_per_minute)"
                )?;
                match ban {
                    Some(ban) => write!(f, "; banned for {}", seconds(*ban)),
                    None => Ok(()),
                }
            }
            AdmissionError::Full { limit } => {
                write!(f, "already {} connected (listen.max_miners)", count(*limit as u64, "miner"))
            }
        }
    }
}

impl std::error::Error for AdmissionError {}

#[cfg(test)]
mod tests;
