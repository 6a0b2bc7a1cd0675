//! A name to addresses, with a deadline.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::util::stop::Stopped;
use crate::util::thread::{SERVICE_STACK, spawn};

/// NTP's own port.
const PORT: u16 = 123;

/// A host and port whose addresses are asked for anew in each round: `pool.ntp.org` is others each
/// time. (A pool's [`Resolver`](crate::net::resolve::Resolver) would ask every minute for what is
/// needed every hour.)
pub(super) struct Lookup {
    host: String,
    port: u16,
    /// A question that outlived its deadline; no second is begun beside it.
    pending: Option<Receiver<Vec<SocketAddr>>>,
    /// The last good answer outlives a name server that fails.
    known: Vec<SocketAddr>,
}

impl Lookup {
    /// Takes `host`, `host:port`, an IPv4 or IPv6 address, or `[IPv6]:port`.
    pub fn new(text: &str) -> Lookup {
        let (host, port) = host_and_port(text);
        Lookup { host, port, pending: None, known: Vec::new() }
    }

    /// The addresses; the old ones, or none, where there is no new answer within `timeout`.
    pub fn addresses(&mut self, timeout: Duration) -> &[SocketAddr] {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            self.known = vec![SocketAddr::new(address, self.port)];
            return &self.known;
        }
        if let Some(answer) = self.pending.take().or_else(|| self.ask()) {
            match answer.recv_timeout(timeout) {
                Ok(addresses) if !addresses.is_empty() => self.known = addresses,
                Err(RecvTimeoutError::Timeout) => self.pending = Some(answer),
                Ok(_) | Err(RecvTimeoutError::Disconnected) => {}
            }
        }
        &self.known
    }

    /// `getaddrinfo` can block for as long as it likes, so it has a thread of its own.
    fn ask(&self) -> Option<Receiver<Vec<SocketAddr>>> {
        let (sender, answer) = bounded(1);
        let (host, port) = (self.host.clone(), self.port);
        let thread = spawn("ntp-dns", SERVICE_STACK, move || {
            let addresses = (host.as_str(), port).to_socket_addrs();
            // Whoever asked may be gone.
            let _ = sender.send(addresses.map(Iterator::collect).unwrap_or_default());
            Ok::<(), Stopped>(())
        });
        thread.ok().map(|_| answer)
    }
}

fn host_and_port(text: &str) -> (String, u16) {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return (address.ip().to_string(), address.port());
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host.to_owned(), port.parse().unwrap_or(PORT)),
        _ => (text.to_owned(), PORT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_server() {
        for (text, host, port) in [
            ("pool.ntp.org", "pool.ntp.org", 123),
            ("ntp.example:1123", "ntp.example", 1123),
            ("192.0.2.1", "192.0.2.1", 123),
            ("192.0.2.1:1123", "192.0.2.1", 1123),
            ("2001:db8::1", "2001:db8::1", 123),
            ("[2001:db8::1]:1123", "2001:db8::1", 1123),
        ] {
            assert_eq!(host_and_port(text), (host.to_owned(), port), "{text}");
        }
    }

    #[test]
    fn a_name_without_addresses_is_no_wait_beyond_the_deadline() {
        let mut lookup = Lookup::new("localhost:1123");
        assert!(lookup.addresses(Duration::from_secs(5)).iter().all(|address| address.port() == 1123));
        let mut lookup = Lookup::new("nowhere.invalid");
        assert!(lookup.addresses(Duration::from_millis(10)).is_empty());
    }

    #[test]
    fn an_old_answer_outlives_a_failing_name_server() {
        let mut lookup = Lookup::new("nowhere.invalid");
        let old: SocketAddr = "192.0.2.1:123".parse().unwrap();
        lookup.known = vec![old];
        let (sender, pending) = bounded(1);
        lookup.pending = Some(pending);
        sender.send(Vec::new()).unwrap();
        assert_eq!(lookup.addresses(Duration::from_secs(5)), [old]);
    }
}
