//! Hosts, ports and URLs.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::secret::Secret;

/// The scheme of a pool's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PoolScheme {
    Tcp,
    Ssl,
}

/// `socks5 = "socks5://user:pass@host:port"`.
#[derive(Debug, Clone, PartialEq)]
pub struct Socks5 {
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

impl fmt::Display for Socks5 {
    /// The URL without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socks5://{}:{}", Bracketed(&self.host), self.port)
    }
}

/// A host as a URL writes it.
pub(super) struct Bracketed<'a>(pub &'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

/// Parses `stratum+tcp://host:port` or `stratum+ssl://host:port`. An IPv6 host is written in brackets
/// and returned without them. The error describes a correct value.
pub(super) fn pool_url(text: &str) -> Result<(PoolScheme, String, u16), String> {
    let example = "such as \"stratum+tcp://solo.ckpool.org:3333\"";
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(format!("a URL {example}: put stratum+tcp:// (or stratum+ssl://) in front of the host"));
    };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "stratum+tcp" => PoolScheme::Tcp,
        "stratum+ssl" => PoolScheme::Ssl,
        "stratum2" | "stratum2+tcp" | "stratum2+ssl" | "sv2" => {
            return Err(String::from(
                "the pool's Stratum V1 address, stratum+tcp:// or stratum+ssl://; Sluice does not speak Stratum V2",
            ));
        }
        "stratum+tls" | "ssl" | "tls" => {
            return Err("a URL with the scheme stratum+ssl:// for TLS".to_owned());
        }
        _ => return Err("a URL with the scheme stratum+tcp:// or stratum+ssl://".to_owned()),
    };
    if rest.contains('@') {
        return Err(String::from(
            "a URL without user and password: the miner sends its own (for a SOCKS5 proxy's, use the \
             key socks5)",
        ));
    }
    if rest.contains(['/', '?', '#']) {
        return Err(format!("a URL that ends with the port, {example}"));
    }
    let (host, port) = host_port(rest)?;
    Ok((scheme, host, port))
}

/// Parses `socks5://user:password@host:port`; user and password may be percent-encoded.
/// `socks5h://` means the same: the proxy always resolves names.
pub(super) fn socks5_url(text: &str) -> Result<Socks5, String> {
    let wanted = "a URL such as \"socks5://127.0.0.1:9050\" or \"socks5://user:password@host:1080\"";
    let Some(rest) = text.strip_prefix("socks5://").or_else(|| text.strip_prefix("socks5h://")) else {
        return Err(wanted.to_owned());
    };
    let (user_info, address) =
        rest.rsplit_once('@').map_or((None, rest), |(user_info, address)| (Some(user_info), address));
    if address.contains(['/', '?', '#']) {
        return Err(format!("{wanted}, which ends with the port"));
    }
    let (host, port) = host_port(address)?;
    let (user, password) = user_info.map(credentials).transpose()?.unwrap_or_default();
    // RFC 1929 has one byte for each length.
    let too_long = |text: &str| text.len() > 255;
    if user.as_deref().is_some_and(too_long) || password.as_ref().is_some_and(|p| too_long(p.expose())) {
        return Err(String::from("a URL whose user and password have at most 255 bytes each"));
    }
    Ok(Socks5 { host, port, user, password })
}

/// Parses `host:port`, `1.2.3.4:port` or `[::1]:port`.
pub(super) fn host_port(text: &str) -> Result<(String, u16), String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let wanted = "an IPv6 address in brackets with a port behind it, such as \"[2001:db8::1]:3333\"";
        let (host, after) = rest.split_once(']').ok_or(wanted)?;
        let host = host.parse::<Ipv6Addr>().map_err(|_| wanted)?;
        (host.to_canonical().to_string(), after.strip_prefix(':').ok_or(wanted)?)
    } else {
        let (host, port) =
            text.rsplit_once(':').ok_or("a host with its port, such as \"pool.example:3333\"")?;
        if host.contains(':') {
            return Err(String::from("written with brackets around an IPv6 address: \"[2001:db8::1]:3333\""));
        }
        (host_name(host)?.to_owned(), port)
    };
    // `parse` alone would accept "+3333".
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if number > 0 && is_number => Ok((host, number)),
        _ => Err(String::from("a host with a port from 1 to 65535 behind it")),
    }
}

/// Accepts an IPv4 address or a valid DNS name.
pub(super) fn host_name(host: &str) -> Result<&str, String> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(String::from("a host name of letters, digits, dots and hyphens, or an address"));
    }
    // "300.1.2.3" is a mistyped address, not a name.
    let last = name.rsplit('.').next().unwrap_or_default();
    let looks_like_an_address = last.bytes().all(|byte| byte.is_ascii_digit());
    if looks_like_an_address && name.parse::<Ipv4Addr>().is_err() {
        return Err(String::from("a host name, or an IPv4 address of four numbers from 0 to 255"));
    }
    Ok(host)
}

/// Checks scheme, host and port of an `http://` or `https://` URL.
pub(super) fn http_url(text: &str) -> Result<String, String> {
    let wanted = "a URL such as \"https://host/path\"";
    let (scheme, _, address) = url_parts(text);
    let is_clean = ["http", "https"].contains(&scheme) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let has_port = address.rsplit(']').next().is_some_and(|after| after.contains(':'));
    let is_address = if has_port { host_port(address) } else { host_port(&format!("{address}:80")) }.is_ok();
    if is_clean && is_address { Ok(text.to_owned()) } else { Err(wanted.to_owned()) }
}

/// Like [`http_url`], for a URL that is shown to everybody: without user, password and query.
pub(super) fn page_url(text: &str) -> Result<String, String> {
    let url = http_url(text)?;
    if user_info(&url).is_some() || url.contains(['?', '#', '<', '>']) || url.len() > 300 {
        return Err(String::from("a URL such as \"https://miner.example.org/\", without password and query"));
    }
    Ok(url)
}

/// Like [`http_url`], for a URL that may contain a user and a password.
pub(super) fn node_url(text: &str) -> Result<String, String> {
    let url = http_url(text)?;
    if let Some(info) = user_info(&url) {
        credentials(info)?;
    }
    Ok(url)
}

/// Scheme, host and port of an HTTP URL, without anything that may be a secret.
pub(crate) fn shown_host(url: &str) -> String {
    let (scheme, _, host) = url_parts(url);
    format!("{scheme}://{host}")
}

/// `user:password` of an HTTP URL.
pub(super) fn user_info(url: &str) -> Option<&str> {
    url_parts(url).1
}

/// The scheme, `user:password`, and the host with its port.
fn url_parts(url: &str) -> (&str, Option<&str>, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user_info, host)) => (scheme, Some(user_info), host),
        None => (scheme, None, authority),
    }
}

/// Splits `user:password` and percent-decodes both.
pub(crate) fn credentials(info: &str) -> Result<(Option<String>, Option<Secret>), String> {
    let (user, password) = match info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (info, None),
    };
    let wanted =
        "a URL whose user and password are text, with special characters percent-encoded (%40 for @)";
    let user = percent_decoded(user).ok_or(wanted)?;
    if user.is_empty() {
        return Err(String::from("a URL with a user before the '@', or without '@'"));
    }
    let password = match password {
        Some(password) => Some(Secret::new(percent_decoded(password).ok_or(wanted)?)),
        None => None,
    };
    Ok((Some(user), password))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        // Two hexadecimal digits are at most 255.
        bytes.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pool_urls() {
        assert_eq!(
            pool_url("stratum+tcp://solo.ckpool.org:3333"),
            Ok((PoolScheme::Tcp, "solo.ckpool.org".into(), 3333))
        );
        assert_eq!(
            pool_url("stratum+ssl://[2001:DB8::1]:443"),
            Ok((PoolScheme::Ssl, "2001:db8::1".into(), 443))
        );
        assert_eq!(pool_url("STRATUM+TCP://10.0.0.1:1"), Ok((PoolScheme::Tcp, "10.0.0.1".into(), 1)));
    }

    #[test]
    fn a_wrong_pool_url_says_how_to_fix_it() {
        for (wrong, remedy) in [
            ("solo.ckpool.org:3333", "put stratum+tcp://"),
            ("http://pool:3333", "stratum+tcp:// or stratum+ssl://"),
            ("stratum+tls://pool:3333", "stratum+ssl:// for TLS"),
            ("stratum+tcp://pool", "with its port"),
            ("stratum+tcp://pool:0", "1 to 65535"),
            ("stratum+tcp://pool:65536", "1 to 65535"),
            ("stratum+tcp://pool:+1", "1 to 65535"),
            ("stratum+tcp://::1:3333", "brackets"),
            ("stratum+tcp://[::1]", "with a port behind it"),
            ("stratum+tcp://me:pw@pool:3333", "without user and password"),
            ("stratum+tcp://pool:3333/", "ends with the port"),
            ("stratum+tcp://po ol:3333", "host name"),
            ("stratum+tcp://:3333", "host name"),
            ("stratum+tcp://1.2.3.400:3333", "four numbers"),
        ] {
            let message = pool_url(wrong).unwrap_err();
            assert!(message.contains(remedy), "{wrong}: {message}");
        }
    }

    #[test]
    fn socks5_urls() {
        let socks = socks5_url("socks5://us%40er:p%3Aa:s@[::1]:9050").unwrap();
        assert_eq!((socks.host.as_str(), socks.port), ("::1", 9050));
        assert_eq!(socks.user.as_deref(), Some("us@er"));
        assert_eq!(socks.password, Some(Secret::new("p:a:s")));
        let plain = socks5_url("socks5h://tor:9050").unwrap();
        assert_eq!((plain.host.as_str(), plain.user), ("tor", None));
        for wrong in ["socks4://h:1", "socks5://h", "%zz@h:1", "%@h:1", "%ff@h:1", "@h:1", &"u".repeat(256)] {
            let url = if wrong.contains("://") { wrong.to_owned() } else { format!("socks5://{wrong}") };
            assert!(socks5_url(&url).is_err(), "{url}");
        }
    }

    #[test]
    fn http_urls() {
        for right in ["http://127.0.0.1:8332", "https://ntfy.sh/topic?x=y", "http://u:p@[::1]/", "https://h"]
        {
            assert!(http_url(right).is_ok(), "{right}");
        }
        for wrong in ["ftp://h", "https://", "https://a b/", "http://h:99999/", "h"] {
            assert!(http_url(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "(socks5://|stratum\\+tcp://|http://)?\\PC{0,30}") {
            let _ = (pool_url(&text), socks5_url(&text), http_url(&text));
        }
    }
}
