//! The flags that `run` and `check` share.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, ConfigError, Overrides, find_file};

/// Flags stand above the file.
#[derive(Args)]
pub struct Options {
    /// The configuration [default: config.toml, else /etc/sluice/config.toml; none with --pool]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A pool, such as stratum+tcp://HOST:PORT; repeat it for the second choice. Replaces the file's
    #[arg(long, value_name = "URL")]
    pool: Vec<String>,
    /// Where miners connect [default: 0.0.0.0:3334]; may be repeated. Replaces the file's
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Where the page is served; "" for nowhere
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// The Bitcoin address that a block must pay
    #[arg(long, value_name = "ADDR")]
    address: Option<String>,
    /// Where everything is written [default: data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Options {
    /// The configuration that file and flags make together.
    ///
    /// # Errors
    /// With everything that is wrong.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref(), &self.overrides())
    }

    /// The file that [`Options::load`] reads, if any.
    ///
    /// # Errors
    /// When there is neither file nor pool.
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
