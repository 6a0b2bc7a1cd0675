//! Pools named on the command line of `sluice verify`.

use std::path::PathBuf;

use clap::Args;

use super::diagnostics::Diagnostics;
use super::error::{ConfigError, ConfigFault, Origin};
use super::network::Network;
use super::redaction::Redaction;
use super::{UpstreamConfig, UpstreamTls, endpoint, upstream};

/// Flags as they were typed. Not `Debug`, because a URL may contain a password.
#[derive(Args, Default)]
pub struct TargetFlags {
    /// Pools, such as stratum+tcp://HOST:PORT or stratum+ssl://HOST:PORT
    #[arg(value_name = "URL", required = true, num_args = 1..=64)]
    pub urls: Vec<String>,
    /// The Bitcoin address that a block must pay
    #[arg(long, value_name = "ADDR")]
    pub address: String,
    /// auto, mainnet, testnet3, testnet4, signet or regtest [default: by the address]
    #[arg(long, value_name = "NET")]
    pub network: Option<String>,
    /// Connect through this proxy, such as socks5://127.0.0.1:9050
    #[arg(long, value_name = "URL")]
    pub socks5: Option<String>,
    /// Trust the TLS certificate with this SHA-256 fingerprint, whoever signed it
    #[arg(long, value_name = "HEX", conflicts_with_all = ["ca_file", "insecure"])]
    pub pin_sha256: Option<String>,
    /// Trust the authorities in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca_file: Option<PathBuf>,
    /// Trust any TLS certificate
    #[arg(long)]
    pub insecure: bool,
}

/// The parsed flags.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// Never empty.
    pub pools: Vec<UpstreamConfig>,
    /// An address with a valid checksum, of `network` if that is known.
    pub address: String,
    pub network: Network,
}

impl TargetFlags {
    /// Parses the flags.
    ///
    /// # Errors
    /// All faults, not only the first.
    pub fn parse(&self) -> Result<Targets, ConfigError> {
        let diagnostics = Diagnostics::new("");
        let value = Redaction::Value;
        let network = diagnostics.flag("--network", value, self.network.as_deref(), Network::parse);
        let network = network.unwrap_or_default();
        diagnostics.flag("--address", value, Some(&self.address), |text| network.address(text));
        let socks5 = self.socks5.as_deref();
        let socks5 = diagnostics.flag("--socks5", Redaction::Credentials, socks5, endpoint::socks5_url);
        let pin_sha256 =
            diagnostics.flag("--pin-sha256", value, self.pin_sha256.as_deref(), upstream::fingerprint);
        let tls =
            UpstreamTls { ca_file: self.ca_file.clone(), pin_sha256, insecure_skip_verify: self.insecure };
        let pools = diagnostics.each_flag("URL", Redaction::Url, &self.urls, UpstreamConfig::from_url);
        let with_flags = |pool: UpstreamConfig| {
            let tls = pool.tls.is_some().then(|| tls.clone());
            UpstreamConfig { tls, socks5: socks5.clone(), ..pool }
        };
        let pools: Vec<_> = pools.into_iter().flatten().map(with_flags).collect();
        let has_tls_flag = self.insecure || self.ca_file.is_some() || self.pin_sha256.is_some();
        if diagnostics.is_empty() && has_tls_flag && pools.iter().all(|pool| pool.tls.is_none()) {
            let reason = "is for TLS, but no URL begins with stratum+ssl://".to_owned();
            let flags = "--insecure, --ca-file or --pin-sha256";
            diagnostics.add(Origin::Flag, flags, ConfigFault::Conflict { reason });
        }
        if self.urls.is_empty() {
            let wanted = "such as stratum+tcp://solo.ckpool.org:3333".to_owned();
            diagnostics.add(Origin::Flag, "URL", ConfigFault::Missing { wanted });
        }
        let problems = diagnostics.into_problems();
        if !problems.is_empty() {
            return Err(ConfigError::Invalid { file: None, problems });
        }
        Ok(Targets { pools, address: self.address.trim().to_owned(), network })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

    fn flags(urls: &[&str]) -> TargetFlags {
        let urls = urls.iter().map(|url| (*url).to_owned()).collect();
        TargetFlags { urls, address: ADDRESS.to_owned(), ..TargetFlags::default() }
    }

    #[test]
    fn tls_flags_apply_to_tls_pools_only() {
        let given = TargetFlags {
            socks5: Some("socks5://tor:9050".to_owned()),
            insecure: true,
            network: Some("mainnet".to_owned()),
            ..flags(&["stratum+tcp://a:1", "stratum+ssl://b:2"])
        };
        let targets = given.parse().unwrap();
        assert_eq!(targets.network, Network::Mainnet);
        assert_eq!(targets.pools[0].tls, None);
        assert!(targets.pools[1].tls.as_ref().is_some_and(|tls| tls.insecure_skip_verify));
        assert!(targets.pools.iter().all(|pool| pool.socks5.is_some()));
    }

    #[test]
    fn all_faults_are_reported_at_once_without_passwords() {
        let given = TargetFlags {
            address: "my_account".to_owned(),
            network: Some("bitcoin".to_owned()),
            socks5: Some("socks5://me:secret@".to_owned()),
            pin_sha256: Some("ab".to_owned()),
            ..flags(&["pool:3333"])
        };
        let message = given.parse().unwrap_err().to_string();
        for part in
            ["--address = \"my_account\" must be a Bitcoin address", "--network", "regtest", "--socks5"]
        {
            assert!(message.contains(part), "{message}");
        }
        assert!(message.contains("--pin-sha256") && message.contains("put stratum+tcp://"), "{message}");
        assert!(!message.contains("secret"), "{message}");
        let plain = TargetFlags { insecure: true, ..flags(&["stratum+tcp://a:1"]) };
        assert!(plain.parse().unwrap_err().to_string().contains("stratum+ssl://"));
    }
}
