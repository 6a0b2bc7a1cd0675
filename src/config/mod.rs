//! The validated configuration: every value of a [`Config`] is in range. `config.toml.example` lists the
//! keys with their defaults and reasons.
//!
//! Each section has a file with its type, its defaults and its parsing. `load` finds and reads the
//! configuration file, `environment` adds the variables, `reader` walks the document, `diagnostics` collects
//! the faults, `redaction` decides how much of a value a message may show, and `error` phrases the faults.
//!
//! The readers are the only list of the keys: `specification` is what they read. `schema` makes a JSON Schema and the
//! documents' table of it, with the words and defaults of `config.toml.example` (`example`).

mod aggregate;
mod changes;
mod devices;
mod diagnostics;
mod did_you_mean;
mod duration;
mod endpoint;
mod environment;
mod error;
mod example;
mod external_sources;
mod failover;
mod listen;
mod load;
mod mail;
mod network;
mod notify;
mod outputs;
mod overrides;
mod policy;
mod reader;
mod redaction;
mod report;
mod schema;
mod secret;
mod specification;
mod targets;
mod time_of_day;
mod traffic;
mod upstream;

use std::fmt;
use std::path::PathBuf;

use crate::limits::RateLimitConfig;

pub use aggregate::{AggregateConfig, VardiffConfig};
pub use devices::{DevicesConfig, DevicesRead};
pub use duration::format_duration;
pub use endpoint::Socks5;
pub(crate) use endpoint::{credentials as url_credentials, shown_host as url_host};
pub use environment::Environment;
pub use error::{ConfigError, ConfigFault, Origin, Problem};
pub use example::{EXAMPLE, ExampleKey, example_keys};
pub use external_sources::{NtpConfig, PoolStatsConfig, PoolStatsKind, ReferenceConfig};
pub use failover::FailoverConfig;
pub use listen::{ListenConfig, ListenTls, ProxyProtocol};
pub use load::{find_file, specification};
pub use mail::MailServer;
pub use network::Network;
pub use notify::{NotifyConfig, NotifyRecipient, Severity};
pub use outputs::{HttpConfig, RecordConfig};
pub use overrides::Overrides;
pub use policy::{ChainPolicy, OnViolation, PayoutKind, PayoutPolicy, RuleId, RulesConfig};
pub use report::{ConsoleReport, ReportConfig};
pub use schema::{key_table, schema};
pub use secret::Secret;
pub use specification::{KeyKind, KeySpec, VARIABLE_PREFIX, variable_name};
pub use targets::{TargetFlags, Targets};
pub use time_of_day::QuietHours;
pub use traffic::{AnalysisConfig, ForwardConfig, ForwardPath};
pub use upstream::{UpstreamConfig, UpstreamTls};

/// The settings of one run, from the file, the environment and the flags.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub mode: Mode,
    /// Directory of all files that Sluice writes; default `data`, below the working directory.
    pub data_dir: PathBuf,
    pub network: Network,
    pub listen: ListenConfig,
    /// In order of preference; never empty after validation.
    pub upstreams: Vec<UpstreamConfig>,
    pub failover: FailoverConfig,
    pub forward: ForwardConfig,
    pub analysis: AnalysisConfig,
    pub payout: PayoutPolicy,
    pub chain: ChainPolicy,
    pub rules: RulesConfig,
    pub references: Vec<ReferenceConfig>,
    pub ntp: NtpConfig,
    pub record: RecordConfig,
    pub http: HttpConfig,
    pub ratelimit: RateLimitConfig,
    pub aggregate: AggregateConfig,
    pub vardiff: VardiffConfig,
    pub pool_stats: Option<PoolStatsConfig>,
    pub devices: DevicesConfig,
    pub notify: Vec<NotifyConfig>,
    pub report: ReportConfig,
    /// Keys that the file sets although this mode ignores them: `[vardiff]`, `upstream[1].user`.
    pub ignored_keys: Vec<String>,
}

/// The way miners reach the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Each miner has a pool connection of its own; bytes are forwarded untouched.
    #[default]
    Passthrough,
    /// Many miners share one pool connection; Sluice validates their shares first.
    Aggregate,
}

impl Config {
    /// The defaults with these pools.
    pub fn with_upstreams(upstreams: Vec<UpstreamConfig>) -> Config {
        Config {
            mode: Mode::default(),
            data_dir: PathBuf::from("data"),
            network: Network::default(),
            listen: ListenConfig::default(),
            upstreams,
            failover: FailoverConfig::default(),
            forward: ForwardConfig::default(),
            analysis: AnalysisConfig::default(),
            payout: PayoutPolicy::default(),
            chain: ChainPolicy::default(),
            rules: RulesConfig::default(),
            references: Vec::new(),
            ntp: NtpConfig::default(),
            record: RecordConfig::default(),
            http: HttpConfig::default(),
            ratelimit: RateLimitConfig::default(),
            aggregate: AggregateConfig::default(),
            vardiff: VardiffConfig::default(),
            pool_stats: None,
            devices: DevicesConfig::default(),
            notify: Vec::new(),
            report: ReportConfig::default(),
            ignored_keys: Vec::new(),
        }
    }

    /// One sentence for each setting that is allowed but unwise; they are logged at every start.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (i, upstream) in self.upstreams.iter().enumerate() {
            if upstream.tls.as_ref().is_some_and(|tls| tls.insecure_skip_verify) {
                warnings.push(format!(
                    "upstream[{}].insecure_skip_verify: anyone between here and {upstream} can read and change \
                     what is mined; use pin_sha256 or ca_file instead",
                    i + 1
                ));
            }
        }
        if self.listen.allow.is_open_to_the_world() {
            warnings.push(String::from(
                "listen.allow accepts any address: anyone who reaches this port can mine through it; list \
                 the networks of your miners instead",
            ));
        }
        if let (Network::Auto, Some(address)) = (self.network, &self.payout.address) {
            if !address.is_valid_for_network(bitcoin::Network::Bitcoin) {
                warnings.push(String::from(
                    "payout.address belongs to a test network, whose coins are worth nothing; if this is \
                     intended, set network to that network",
                ));
            }
        }
        let idle = [
            (!self.notify.is_empty(), "there are no alerts, so [[notify]] sends nothing"),
            (
                self.pool_stats.is_some(),
                "there is nothing to compare the pool's figures with, so [pool_stats] is not polled",
            ),
            (!self.references.is_empty(), "nothing is compared, so no [[reference]] is contacted"),
            (
                self.devices.read != DevicesRead::Off,
                "nobody knows which devices are connected, so none is read",
            ),
        ];
        for (_, effect) in idle.iter().filter(|(is_set, _)| *is_set && !self.analysis.enabled) {
            warnings.push(format!("analysis.enabled = false: {effect}"));
        }
        warnings
    }

    /// One sentence for each entry of [`Config::ignored_keys`].
    pub fn ignored_key_warnings(&self) -> Vec<String> {
        let say = |name: &String| format!("{name} has no effect in mode = \"{}\"", self.mode);
        self.ignored_keys.iter().map(say).collect()
    }
}

impl Mode {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Passthrough => "passthrough",
            Mode::Aggregate => "aggregate",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
