//! `client.reconnect`: the host that the pool sends miners to. Hosts are written in many ways, and most of them are
//! the pool's own.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::value::RawValue;

use super::json_field::{elements, shortened, string_or_number};

/// The params of a `client.reconnect`, all of which may be missing (wire reference, section 2.10).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconnect {
    /// The host as the pool wrote it, shortened; empty for the same host.
    pub host: String,
    /// The port as the pool wrote it in the second param, shortened, or behind the host.
    pub port: Option<String>,
    /// The time to wait before reconnecting.
    pub wait: Duration,
}

impl Reconnect {
    /// Reads the params. A param that cannot be read counts as missing.
    pub fn from_params(params: Option<&RawValue>) -> Reconnect {
        let elements = params.and_then(|params| elements("params", params).ok()).unwrap_or_default();
        let text = |index: usize| {
            let text = string_or_number("params", elements.get(index)?).ok()?;
            Some(shortened(text.trim())).filter(|text| !text.is_empty())
        };
        let host = text(0).unwrap_or_default();
        let behind_host = || split_host(&host).1.map(str::to_owned);
        let port = text(1).or_else(behind_host);
        let wait = text(2).and_then(|text| text.parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
        Reconnect { host, port, wait }
    }

    /// Returns whether it leads to the same host as `own`, which is a host, `host:port` or a URL. Without a host it
    /// does.
    pub fn is_to(&self, own: &str) -> bool {
        let named = host_of(&self.host);
        named.is_empty() || named == host_of(own)
    }

    /// The port as a number; `None` for an invalid one, and for 0, which means the same port.
    pub fn port_number(&self) -> Option<u16> {
        self.port.as_ref()?.parse().ok().filter(|port| *port != 0)
    }
}

/// The bare host of `host`, `host:port` or a URL, to be compared with others: lower case, without brackets
/// and without the dot that ends a full name.
fn host_of(text: &str) -> String {
    let (host, _) = split_host(text);
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => host,
    }
}

/// The host and the port behind its colon.
fn split_host(text: &str) -> (&str, Option<&str>) {
    let text = text.trim();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Anything before an @ is a user name.
    let rest = rest.rsplit('@').next().unwrap_or_default();
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, behind)) => (host, behind.strip_prefix(':')),
        // More than one colon: an IPv6 address without brackets.
        None if rest.matches(':').count() > 1 => (rest, None),
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    (host.trim(), port.map(str::trim).filter(|port| !port.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: &str) -> Reconnect {
        Reconnect::from_params(Some(serde_json::from_str(params).unwrap()))
    }

    #[test]
    fn the_own_host_is_known_however_it_is_written() {
        for host in [
            "",
            " ",
            "solo.ckpool.org",
            "Solo.CKPool.org.",
            " solo.ckpool.org ",
            "solo.ckpool.org:3334",
            "stratum+tcp://solo.ckpool.org:3334",
            "STRATUM+SSL://solo.ckpool.org:4334/",
            "stratum+tcp://user@solo.ckpool.org",
        ] {
            let reconnect = read(&format!("[{host:?}, 3334]"));
            for own in ["solo.ckpool.org", "solo.ckpool.org:3333", "stratum+tcp://solo.ckpool.org:3333"] {
                assert!(reconnect.is_to(own), "{host} {own}");
            }
        }
        for host in ["2001:db8::1", "[2001:db8::1]", "[2001:DB8:0::1]:3333", "stratum+tcp://[2001:db8::1]:1"]
        {
            assert!(read(&format!("[{host:?}]")).is_to("[2001:db8::1]:3333"), "{host}");
            assert!(read(&format!("[{host:?}]")).is_to("2001:db8::1"), "{host}");
        }
    }

    #[test]
    fn another_host_is_known_however_it_is_dressed_up() {
        for host in [
            "evil.example",
            "ckpool.org",
            "solo.ckpool.org.evil.example",
            "solo.ckpool.org@evil.example",
            "stratum+tcp://solo.ckpool.org:3333@evil.example:3333",
            "evil.example/solo.ckpool.org",
            "evil.example://solo.ckpool.org@evil.example",
            "2001:db8::2",
        ] {
            assert!(!read(&format!("[{host:?}]")).is_to("stratum+tcp://solo.ckpool.org:3333"), "{host}");
        }
    }

    #[test]
    fn port_and_wait_are_read_as_numbers_and_texts() {
        let all = |params| {
            let reconnect = read(params);
            (reconnect.port_number(), reconnect.wait.as_secs())
        };
        assert_eq!(all(r#"["", 3334, 5]"#), (Some(3334), 5));
        assert_eq!(all(r#"[null, "3334", "5"]"#), (Some(3334), 5));
        assert_eq!(all(r#"["pool.example:3335"]"#), (Some(3335), 0));
        assert_eq!(all(r#"["", 0, -1]"#), (None, 0));
        assert_eq!(all(r#"["", 65536]"#), (None, 0));
        assert_eq!(all("[]"), (None, 0));
        assert_eq!(Reconnect::from_params(None), Reconnect::default());
    }
}
