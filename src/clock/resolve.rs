//! Resolution of an NTP server's name, with a deadline.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::util::thread::{SERVICE_STACK, spawn};

/// The default port of NTP.
const PORT: u16 = 123;

/// A host and port that is resolved anew in each round, because `pool.ntp.org` has other addresses each
/// time. (A pool's [`Resolver`](crate::net::resolve::Resolver) would resolve every minute what is
/// needed every hour.)
pub(super) struct Lookup {
    host: String,
    port: u16,
    /// A lookup that outlived its deadline; no second one is started beside it.
    pending: Option<Receiver<Vec<SocketAddr>>>,
    /// The last good answer, used if the name server fails.
    known: Vec<SocketAddr>,
}

impl Lookup {
    /// Parses `host`, `host:port`, an IPv4 or IPv6 address, or `[IPv6]:port`.
    pub fn new(text: &str) -> Lookup {
        let (host, port) = host_and_port(text);
        Lookup { host, port, pending: None, known: Vec::new() }
    }

    /// The addresses; the old ones, or none, if there is no new answer within `timeout`.
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

    /// Starts a lookup in a thread of its own, because `getaddrinfo` can block for any time.
    fn ask(&self) -> Option<Receiver<Vec<SocketAddr>>> {
        let (sender, answer) = bounded(1);
        let (host, port) = (self.host.clone(), self.port);
        let thread = spawn("ntp-dns", SERVICE_STACK, move || {
            let addresses = (host.as_str(), port).to_socket_addrs();
            // The receiver may be gone.
            let _ = sender.send(addresses.map(Iterator::collect).unwrap_or_default());
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
    fn every_form_of_a_server_is_parsed() {
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
    fn resolving_ends_at_the_deadline() {
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
