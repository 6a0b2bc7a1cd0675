//! The origin of a form. A page elsewhere can make a visitor's browser send a form here, but not with our origin.

use std::net::IpAddr;

/// The headers that proxies add. A visitor behind one is not on this machine, although its connection is.
pub(super) const PROXY_HEADERS: [&str; 7] = [
    "CF-Connecting-IP",
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
];

/// The page that a request comes from, as far as the visitor's browser tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RequestSender {
    pub(super) origin: Option<String>,
    /// The browser says that the page is not of this origin. Most browsers say it only to `localhost` and over TLS.
    pub(super) is_other_site: bool,
    /// Whether it comes through a proxy: one that says so, or that speaks as proxies do by default and no browser does.
    pub(super) is_forwarded: bool,
}

impl RequestSender {
    /// Whether the request comes from a page of the server that the visitor calls `host`. All browsers send the origin
    /// with a form.
    pub(super) fn is_from(&self, host: Option<&str>) -> bool {
        let origin = self.origin.as_deref().and_then(|origin| origin.split_once("://"));
        let is_same = |(scheme, authority): (&str, &str)| {
            let default_port = match scheme {
                "http" => ":80",
                "https" => ":443",
                _ => return false,
            };
            let bare = |authority: &str| {
                let lower = authority.to_ascii_lowercase();
                lower.strip_suffix(default_port).map(str::to_owned).unwrap_or(lower)
            };
            host.is_some_and(|host| bare(host) == bare(authority))
        };
        !self.is_other_site && origin.is_some_and(is_same)
    }

    /// Whether the visitor sits at this machine: the connection comes from it, under a name that only it has, and
    /// through no proxy.
    pub(super) fn is_at_this_machine(&self, peer: IpAddr, host: Option<&str>) -> bool {
        peer.is_loopback() && !self.is_forwarded && host.is_some_and(is_loopback_name)
    }
}

/// Whether this is `localhost`, `127.0.0.1` or `[::1]`, with or without a port.
fn is_loopback_name(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().is_some_and(|address| address == "::1");
    }
    let name = host.split(':').next().unwrap_or_default();
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(origin: &str) -> RequestSender {
        RequestSender { origin: Some(origin.to_owned()), ..RequestSender::default() }
    }

    #[test]
    fn only_our_own_origin_may_send_a_form() {
        for (origin, host) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://Pi.local:8080", "pi.local:8080"),
            ("http://pi.local", "pi.local:80"),
            ("https://miner.example.org", "miner.example.org"),
            ("http://[fd00::5]:8080", "[fd00::5]:8080"),
        ] {
            assert!(of(origin).is_from(Some(host)), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "pi.local"),
            ("", "pi.local"),
            ("http://evil.example", "pi.local"),
            ("http://pi.local:8081", "pi.local:8080"),
            ("http://pi.local.evil.example", "pi.local"),
            ("http://pi.local@evil.example", "pi.local"),
            ("file://pi.local", "pi.local"),
        ] {
            assert!(!of(origin).is_from(Some(host)), "{origin} {host}");
        }
        assert!(!RequestSender::default().is_from(Some("pi.local")) && !of("http://pi.local").is_from(None));
        assert!(!RequestSender { is_other_site: true, ..of("http://pi.local") }.is_from(Some("pi.local")));
    }

    #[test]
    fn a_visitor_behind_a_proxy_is_not_at_this_machine() {
        let (here, there) = ("127.0.0.1".parse().unwrap(), "192.168.1.7".parse().unwrap());
        let sender = RequestSender::default();
        for host in ["localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"] {
            assert!(sender.is_at_this_machine(here, Some(host)), "{host}");
        }
        for host in ["pi.local", "192.168.1.5:8080", "localhost.evil.example", "[::2]"] {
            assert!(!sender.is_at_this_machine(here, Some(host)), "{host}");
        }
        assert!(!sender.is_at_this_machine(there, Some("localhost")));
        assert!(!sender.is_at_this_machine(here, None));
        let forwarded = RequestSender { is_forwarded: true, ..sender };
        assert!(!forwarded.is_at_this_machine(here, Some("localhost")));
    }
}
