//! One configured server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::host::HostClocks;
use super::query::{self, NtpFailure, NtpSample};
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
                    if self.best.is_none_or(|best| sample.round_trip < best.round_trip) {
                        self.best = Some(sample);
                    }
                    return;
                }
                Err(failure) => {
                    self.failure = Some(failure);
                    let rest = match failure {
                        NtpFailure::Rate => BACKOFF_AFTER_RATE,
                        NtpFailure::Denied | NtpFailure::Kiss => BACKOFF_AFTER_DENIAL,
                        _ => continue,
                    };
                    self.backing_off.insert(address, Instant::now() + rest);
                }
            }
        }
    }
}
