//! One configured server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::host::HostClocks;
use super::query::{self, NtpQueryError, NtpSample};
use super::resolve::Lookup;

/// How many of a name's addresses are tried: the first may be IPv6 on a machine without it.
const MAX_ADDRESSES: usize = 3;

/// After RATE, an address is left alone for so long: RFC 5905 asks for an "immediate" reduction,
/// and the largest usual poll interval is 2^10 s.
const BACKOFF_AFTER_RATE: Duration = Duration::from_secs(1024);
/// After DENY and RSTR. RFC 5905 wants no further packets; addresses change their owner.
const BACKOFF_AFTER_DENIAL: Duration = Duration::from_secs(24 * 3600);

/// A server's name and what it has said in this round.
pub(super) struct NtpServer {
    pub name: String,
    lookup: Lookup,
    backing_off: HashMap<SocketAddr, Instant>,
    /// The one address that is asked throughout a round, once one has answered.
    address: Option<SocketAddr>,
    /// The sample with the lowest round trip: it waited least in queues, so it is the most right.
    pub best: Option<NtpSample>,
    /// Why the last question of the round gave none.
    pub failure: Option<NtpFailure>,
}

/// Why a server gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NtpFailure {
    NoAddress,
    /// Asked to leave it alone, in this round or an earlier one.
    BackingOff,
    Query(NtpQueryError),
}

impl NtpServer {
    pub fn new(name: &str) -> NtpServer {
        NtpServer {
            name: name.to_owned(),
            lookup: Lookup::new(name),
            backing_off: HashMap::new(),
            address: None,
            best: None,
            failure: None,
        }
    }

    /// Forgets the last round.
    pub fn begin_round(&mut self) {
        let now = Instant::now();
        self.backing_off.retain(|_, until| *until > now);
        (self.address, self.best, self.failure) = (None, None, None);
    }

    /// Asks once, at the address that answered before or at the first that answers.
    pub fn ask(&mut self, timeout: Duration, host: &HostClocks) {
        let known = match self.address {
            Some(address) => vec![address],
            None => self.lookup.addresses(timeout).iter().copied().take(MAX_ADDRESSES).collect(),
        };
        if known.is_empty() {
            self.failure = Some(NtpFailure::NoAddress);
        }
        for address in known {
            if self.backing_off.contains_key(&address) {
                self.failure = Some(NtpFailure::BackingOff);
                continue;
            }
            match query::ask(address, timeout, host) {
                Ok(sample) => {
                    self.address = Some(address);
                    let is_better = |best: NtpSample| sample.round_trip < best.round_trip;
                    if self.best.is_none_or(is_better) {
                        self.best = Some(sample);
                    }
                    return;
                }
                Err(error) => {
                    self.failure = Some(NtpFailure::Query(error));
                    let rest = match error {
                        NtpQueryError::Rate => BACKOFF_AFTER_RATE,
                        NtpQueryError::Denied | NtpQueryError::Kiss => BACKOFF_AFTER_DENIAL,
                        _ => continue,
                    };
                    self.backing_off.insert(address, Instant::now() + rest);
                }
            }
        }
    }
}

impl std::fmt::Display for NtpFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NtpFailure::NoAddress => f.write_str("has no address; is the name right, does DNS work?"),
            NtpFailure::BackingOff => f.write_str("asked to be left alone"),
            NtpFailure::Query(error) => error.fmt(f),
        }
    }
}
