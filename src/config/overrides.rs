//! The flags that take precedence over the file.

use std::net::SocketAddr;
use std::path::PathBuf;

use bitcoin::Address;
use bitcoin::address::NetworkUnchecked;
use clap::Args;

use super::diagnostics::Diagnostics;
use super::error::{ConfigFault, Origin};
use super::network::Network;
use super::redaction::Redaction;
use super::{UpstreamConfig, listen, outputs};

/// Flags as they were typed. [`super::Config::load`] checks them together with the file, so that all
/// faults are reported at once. Not `Debug`, because a URL may hold a password.
#[derive(Args, Clone, Default)]
pub struct Overrides {
    /// A pool, such as stratum+tcp://HOST:PORT; repeat it for fallbacks. Replaces the file's pools
    #[arg(long = "pool", value_name = "URL")]
    pub pools: Vec<String>,
    /// The address for miners [default: 0.0.0.0:3334]; may be repeated. Replaces the file's
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<String>,
    /// The address of the page; "" for off
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// The Bitcoin address that a block must pay
    #[arg(long, value_name = "ADDR")]
    pub address: Option<String>,
    /// The directory for all records and state [default: data]
    #[arg(long, value_name = "DIR")]
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
        if self.data_dir.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            let (shown, wanted) = (String::from("\"\""), String::from("the path of a directory"));
            diagnostics.add(Origin::Flag, "--data-dir", ConfigFault::Value { shown, wanted });
        }
        let upstreams =
            diagnostics.each_flag("--pool", Redaction::Url, &self.pools, UpstreamConfig::from_url);
        let listen =
            diagnostics.each_flag("--listen", Redaction::Value, &self.listen, listen::socket_address);
        let (http, address) = (self.http.as_deref(), self.address.as_deref());
        ParsedFlags {
            upstreams: upstreams.filter(|pools| !pools.is_empty()),
            listen: listen.filter(|addresses| !addresses.is_empty()),
            http: diagnostics.flag("--http", Redaction::Value, http, outputs::address_or_off),
            address: diagnostics.flag("--address", Redaction::Value, address, |text| network.address(text)),
            data_dir: self.data_dir.clone(),
        }
    }
}
