//! The flags that take precedence over the file.

use std::net::SocketAddr;
use std::path::PathBuf;

use bitcoin::Address;
use bitcoin::address::NetworkUnchecked;

use super::diagnostics::Diagnostics;
use super::error::{ConfigFault, Origin};
use super::network::Network;
use super::redaction::Redaction;
use super::{UpstreamConfig, listen, outputs};

/// Flags as they were typed. [`super::Config::load`] checks them together with the file, so that all
/// faults are reported at once. Not `Debug`, because a URL may hold a password.
#[derive(Clone, Default)]
pub struct Overrides {
    /// `--pool URL`, in order of preference; replaces the file's upstreams.
    pub pools: Vec<String>,
    /// `--listen ADDR`; replaces `listen.stratum`.
    pub listen: Vec<String>,
    /// `--http ADDR`; replaces `http.listen`.
    pub http: Option<String>,
    /// `--address ADDR`; replaces `payout.address`.
    pub address: Option<String>,
    /// `--data-dir DIR`; replaces `data_dir`.
    pub data_dir: Option<PathBuf>,
}

/// The parsed flags. `None` if the flag is absent, or wrong, which is recorded.
pub(super) struct ParsedFlags {
    pub upstreams: Option<Vec<UpstreamConfig>>,
    pub listen: Option<Vec<SocketAddr>>,
    pub http: Option<Option<SocketAddr>>,
    pub address: Option<Address<NetworkUnchecked>>,
    pub data_dir: Option<PathBuf>,
}

impl Overrides {
    pub(super) fn parse(&self, network: Network, diagnostics: &Diagnostics) -> ParsedFlags {
        let data_dir = self.data_dir.clone().filter(|path| {
            let is_empty = path.as_os_str().is_empty();
            if is_empty {
                let wanted = String::from("the path of a directory");
                diagnostics.add(
                    Origin::Flag,
                    "--data-dir",
                    ConfigFault::Value { shown: String::from("\"\""), wanted },
                );
            }
            !is_empty
        });
        ParsedFlags {
            upstreams: each(&self.pools, "--pool", Redaction::Url, diagnostics, UpstreamConfig::from_url),
            listen: each(&self.listen, "--listen", Redaction::Value, diagnostics, listen::socket_address),
            http: one(self.http.as_deref(), "--http", diagnostics, outputs::address_or_off),
            address: one(self.address.as_deref(), "--address", diagnostics, |text| network.address(text)),
            data_dir,
        }
    }
}

fn each<T>(
    values: &[String],
    flag: &str,
    redaction: Redaction,
    diagnostics: &Diagnostics,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    if values.is_empty() {
        return None;
    }
    let mut understood = Vec::with_capacity(values.len());
    for text in values {
        match parse(text) {
            Ok(value) => understood.push(value),
            Err(wanted) => {
                let shown = redaction.of(text);
                diagnostics.add(Origin::Flag, flag, ConfigFault::Value { shown, wanted });
            }
        }
    }
    (understood.len() == values.len()).then_some(understood)
}

fn one<T>(
    value: Option<&str>,
    flag: &str,
    diagnostics: &Diagnostics,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let values: Vec<String> = value.map(String::from).into_iter().collect();
    each(&values, flag, Redaction::Value, diagnostics, parse)?.pop()
}
