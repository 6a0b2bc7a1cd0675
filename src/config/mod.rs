//! The validated configuration. Whoever holds a [`Config`] can rely on every value being in range.
//! Keys, defaults and reasons: `config.toml.example`.
//!
//! One file a section, each with the section's type, its defaults and its reading; `reader` walks
//! the document, `notes` remembers what it met, `format_duration` says how much of a value may be printed,
//! `error` what is wrong; `load` finds the file.

mod aggregate;
mod analysis;
mod changes;
mod diagnostics;
mod did_you_mean;
mod duration;
mod endpoint;
mod error;
mod external_sources;
mod failover;
mod forward;
mod listen;
mod load;
mod mode;
mod network;
mod outputs;
mod overrides;
mod policy;
mod ratelimit;
mod reader;
mod redaction;
mod report;
mod secret;
mod targets;
mod upstream;

use std::path::PathBuf;

pub use aggregate::{AggregateConfig, VardiffConfig};
pub use analysis::AnalysisConfig;
pub use duration::format_duration as show_duration;
pub(crate) use endpoint::{credentials as url_credentials, shown_host as url_host};
pub use error::{ConfigError, ConfigFault, Origin, Problem};
pub use external_sources::{NtpConfig, PoolStatsConfig, PoolStatsKind, ReferenceConfig};
pub use failover::FailoverConfig;
pub use forward::{ForwardConfig, ForwardPath};
pub use listen::{ListenConfig, ListenTls, ProxyProtocol};
pub use load::{find_file, known_keys};
pub use mode::Mode;
pub use network::Network;
pub use outputs::{HttpConfig, NotifyConfig, NotifyRecipient, RecordConfig, Severity};
pub use overrides::Overrides;
pub use policy::{ChainPolicy, OnViolation, PayoutKind, PayoutPolicy, RuleId, RulesConfig};
pub use ratelimit::RateLimitConfig;
pub use report::{ConsoleReport, ReportConfig};
pub use secret::Secret;
pub use targets::{TargetFlags, Targets};
pub use upstream::{Socks5, UpstreamConfig, UpstreamTls};

/// Everything that Sluice is told at its start.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub mode: Mode,
    /// Where everything is written; default `data`, below the working directory.
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
    pub notify: Vec<NotifyConfig>,
    pub report: ReportConfig,
    /// What the file sets explicitly although it is of no use in this mode: `[vardiff]`,
    /// `upstream[1].user`.
    pub ignored_keys: Vec<String>,
}

impl Config {
    /// The defaults, with these pools.
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
            notify: Vec::new(),
            report: ReportConfig::default(),
            ignored_keys: Vec::new(),
        }
    }

    /// What is allowed but unwise; one sentence each, to be said at every start.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (i, upstream) in self.upstreams.iter().enumerate() {
            if upstream.tls.as_ref().is_some_and(|tls| tls.insecure_skip_verify) {
                warnings.push(format!(
                    "upstream[{}].insecure_skip_verify: anybody on the way to {upstream} can read and change \
                     what is mined; use pin_sha256 or ca_file instead",
                    i + 1
                ));
            }
        }
        if self.listen.allow.is_open_to_the_world() {
            warnings.push(String::from(
                "listen.allow lets in any address: everybody who reaches this port can mine through it; name \
                 the networks of your miners instead",
            ));
        }
        if let (Network::Auto, Some(address)) = (self.network, &self.payout.address) {
            if !address.is_valid_for_network(bitcoin::Network::Bitcoin) {
                warnings.push(String::from(
                    "payout.address belongs to a test network, whose coins are worth nothing; set network to \
                     that one's name if this is meant",
                ));
            }
        }
        if !self.notify.is_empty() && !self.analysis.enabled {
            warnings.push(String::from(
                "analysis.enabled = false: there are no alerts, so no [[notify]] is ever told of anything",
            ));
        }
        if self.pool_stats.is_some() && !self.analysis.enabled {
            warnings.push(String::from(
                "analysis.enabled = false: nothing is proven that the pool's figures could be compared with, so \
                 [pool_stats] is not asked",
            ));
        }
        if !self.references.is_empty() && !self.analysis.enabled {
            warnings.push(String::from(
                "analysis.enabled = false: nothing is compared, so no [[reference]] is ever asked",
            ));
        }
        warnings
    }

    /// One sentence for each entry of [`Config::not_served`].
    pub fn ignored_key_warnings(&self) -> Vec<String> {
        let say = |name: &String| format!("{name} has no effect in mode = \"{}\"", self.mode);
        self.ignored_keys.iter().map(say).collect()
    }
}
