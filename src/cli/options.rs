//! The flags that `run` and `check` share.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, ConfigError, Overrides, find_file};

/// Flags override the configuration file.
#[derive(Args)]
pub struct Options {
    /// The configuration [default: config.toml, else /etc/sluice/config.toml; none with --pool]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A pool, such as stratum+tcp://HOST:PORT; repeat it for fallbacks. Replaces the file's pools
    #[arg(long, value_name = "URL")]
    pool: Vec<String>,
    /// The address for miners [default: 0.0.0.0:3334]; may be repeated. Replaces the file's
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// The address of the page; "" for off
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// The Bitcoin address that a block must pay
    #[arg(long, value_name = "ADDR")]
    address: Option<String>,
    /// The directory for all records and state [default: data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Options {
    /// Loads the configuration from the file and the flags.
    ///
    /// # Errors
    /// All faults of the configuration.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref(), &self.overrides())
    }

    /// The file that [`Options::load`] reads, if any.
    ///
    /// # Errors
    /// There is neither a file nor a pool.
    pub fn file(&self) -> Result<Option<PathBuf>, ConfigError> {
        find_file(self.config.as_deref(), &self.overrides())
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            pools: self.pool.clone(),
            listen: self.listen.clone(),
            http: self.http.clone(),
            address: self.address.clone(),
            data_dir: self.data_dir.clone(),
        }
    }
}
