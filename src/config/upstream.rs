//! `[[upstream]]`: the pools, in order of preference.

use std::fmt;
use std::path::PathBuf;

use super::aggregate::user_template;
use super::endpoint::{self, Bracketed, PoolScheme, Socks5};
use super::reader::Section;
use super::redaction::Redaction;
use super::{Mode, Secret};

/// One `[[upstream]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamConfig {
    /// A host name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
    /// `Some` for `stratum+ssl://`.
    pub tls: Option<UpstreamTls>,
    pub socks5: Option<Socks5>,
    /// Number of spare connections kept ready; 0 to 64, default 0.
    pub warm: usize,
    /// Aggregate mode: template of the user name at this pool, with `{user}` and `{worker}`; default
    /// `{user}`.
    pub user: String,
    /// Aggregate mode: the password at this pool; default `x`.
    pub password: Secret,
}

/// The verification of an upstream's certificate.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpstreamTls {
    /// Certificate authorities in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the server certificate's DER form. A pinned certificate is trusted whoever signed it,
    /// and no other check applies.
    pub pin_sha256: Option<[u8; 32]>,
    /// Warned about at every start.
    pub insecure_skip_verify: bool,
}

impl UpstreamConfig {
    /// An upstream with default settings. An IPv6 address is written without brackets.
    pub fn new(host: impl Into<String>, port: u16) -> UpstreamConfig {
        let (user, password) = (String::from("{user}"), Secret::new("x"));
        UpstreamConfig { host: host.into(), port, tls: None, socks5: None, warm: 0, user, password }
    }

    /// Host and port.
    pub fn name(&self) -> String {
        format!("{}:{}", Bracketed(&self.host), self.port)
    }

    /// Parses a URL, as `--pool` gives it; the other settings have their defaults.
    ///
    /// # Errors
    /// A description of a correct value.
    pub(super) fn from_url(url: &str) -> Result<UpstreamConfig, String> {
        let (scheme, host, port) = endpoint::pool_url(url)?;
        let tls = (scheme == PoolScheme::Ssl).then(UpstreamTls::default);
        Ok(UpstreamConfig { tls, ..UpstreamConfig::new(host, port) })
    }
}

impl fmt::Display for UpstreamConfig {
    /// The URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "stratum+ssl" } else { "stratum+tcp" };
        write!(f, "{scheme}://{}", self.name())
    }
}

/// Reads one upstream; `None` if the URL is missing or wrong, which is recorded.
pub(super) fn read(mut section: Section, mode: Mode) -> Option<UpstreamConfig> {
    let upstream = section.parsed("url", Redaction::Url, UpstreamConfig::from_url);
    if !section.is_set("url") {
        section.missing("url", "such as \"stratum+tcp://solo.ckpool.org:3333\"");
    }
    let user = section.parsed("user", Redaction::Value, user_template);
    let password = section.secret("pass");
    if mode == Mode::Passthrough {
        // In this mode the miner authorizes with its own user and password.
        section.note_ignored(&["user", "pass"]);
    }
    let socks5 = section.parsed("socks5", Redaction::Credentials, endpoint::socks5_url);
    let mut tls = UpstreamTls {
        ca_file: section.text("ca_file").map(PathBuf::from),
        pin_sha256: section.parsed("pin_sha256", Redaction::Value, fingerprint),
        insecure_skip_verify: false,
    };
    section.bool("insecure_skip_verify", &mut tls.insecure_skip_verify);
    let mut warm = 0;
    section.size("warm", &mut warm, 0..=64);
    match &upstream {
        Some(UpstreamConfig { tls: None, .. }) => reject_tls_keys(&section, &tls),
        _ => reject_contradictions(&section, &tls),
    }
    let upstream = upstream?;
    Some(UpstreamConfig {
        tls: upstream.tls.is_some().then_some(tls),
        socks5,
        warm,
        user: user.unwrap_or(upstream.user),
        password: password.unwrap_or(upstream.password),
        ..upstream
    })
}

fn reject_tls_keys(section: &Section, tls: &UpstreamTls) {
    for (key, is_given) in [
        ("ca_file", section.is_set("ca_file")),
        ("pin_sha256", section.is_set("pin_sha256")),
        ("insecure_skip_verify", tls.insecure_skip_verify),
    ] {
        if is_given {
            section.conflict(
                key,
                "is for TLS, but the url says stratum+tcp://; write stratum+ssl:// there, or remove this key",
            );
        }
    }
}

fn reject_contradictions(section: &Section, tls: &UpstreamTls) {
    if tls.pin_sha256.is_some() && tls.insecure_skip_verify {
        section.conflict("insecure_skip_verify", "contradicts pin_sha256; remove one");
    }
    if tls.pin_sha256.is_some() && tls.ca_file.is_some() {
        section.conflict(
            "ca_file",
            "has no effect beside pin_sha256, which trusts one certificate whoever signed it; remove one",
        );
    }
}

/// Parses 64 hexadecimal digits, with or without colons between the bytes as `openssl` prints them.
pub(super) fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let wanted = "the SHA-256 fingerprint of the certificate: 64 hexadecimal digits, colons allowed";
    let digits: String = if text.contains(':') {
        let pairs: Vec<&str> = text.split(':').collect();
        if pairs.iter().any(|pair| pair.len() != 2) {
            return Err(wanted.to_owned());
        }
        pairs.concat()
    } else {
        text.to_owned()
    };
    let mut bytes = [0; 32];
    faster_hex::hex_decode(digits.as_bytes(), &mut bytes).map_err(|_| wanted)?;
    if digits.len() == 64 { Ok(bytes) } else { Err(wanted.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints() {
        let plain = "00ff".repeat(16);
        let colons = vec!["00:FF"; 16].join(":");
        assert_eq!(fingerprint(&plain), fingerprint(&colons));
        assert_eq!(fingerprint(&plain).unwrap()[..2], [0x00, 0xff]);
        for wrong in
            ["", "00", &plain[1..], &format!("{plain}00"), &plain.replace('f', "g"), &format!("{colons}:")]
        {
            assert!(fingerprint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_url_is_printed_as_it_is_read() {
        for url in ["stratum+tcp://pool.example:3333", "stratum+ssl://[2001:db8::1]:443"] {
            assert_eq!(UpstreamConfig::from_url(url).unwrap().to_string(), url);
        }
    }
}
