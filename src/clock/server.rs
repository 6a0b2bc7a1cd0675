//! One configured server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::host::HostClocks;
use super::query::{self, NtpQueryError, NtpSample};
use super::resolve::Lookup;

/// Caps the addresses tried of a name: the first may be IPv6 on a machine without it.
const MAX_ADDRESSES: usize = 3;

/// Pause for an address after RATE: RFC 5905 asks for an "immediate" reduction, and the largest usual
/// poll interval is 2^10 s.
const BACKOFF_AFTER_RATE: Duration = Duration::from_secs(1024);
/// Pause after DENY and RSTR. RFC 5905 forbids further packets, but addresses change their owner.
const BACKOFF_AFTER_DENIAL: Duration = Duration::from_secs(24 * 3600);

/// A server and its answers in the present round.
pub(super) struct NtpServer {
    pub name: String,
    lookup: Lookup,
    backing_off: HashMap<SocketAddr, Instant>,
    /// The address used for the rest of the round, once one has answered.
    address: Option<SocketAddr>,
    /// The sample with the lowest round trip, which is the most precise because it waited least in queues.
    pub best: Option<NtpSample>,
    /// Why the last query of the round gave no sample.
    pub failure: Option<NtpFailure>,
}

/// The reason why a server gave no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NtpFailure {
    NoAddress,
    /// The server asked for a pause, in this round or an earlier one.
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

    /// Clears the results of the last round.
    pub fn begin_round(&mut self) {
        let now = Instant::now();
        self.backing_off.retain(|_, until| *until > now);
        (self.address, self.best, self.failure) = (None, None, None);
    }

    /// Queries once, at the address that answered before or at the first that answers.
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
            NtpFailure::BackingOff => f.write_str("asked for a pause"),
            NtpFailure::Query(error) => error.fmt(f),
        }
    }
}
