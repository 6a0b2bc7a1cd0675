//! The validated configuration. Reading it from a file is [`read`]'s work; whoever holds a
//! [`Config`] can rely on every value being in range. Keys, defaults and reasons:
//! `config.toml.example`.

mod secret;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use secret::Secret;

use crate::limits::{AddressBlock, AllowList};

/// Everything that Sluice is told at its start.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub data_dir: PathBuf,
    pub listen: Listen,
    /// In order of preference; never empty after validation.
    pub upstreams: Vec<Upstream>,
    pub failover: Failover,
    pub forward: Forward,
    pub analysis: Analysis,
    pub ratelimit: RateLimit,
    pub report: Report,
}

/// `[listen]`: where miners connect.
#[derive(Debug, Clone, PartialEq)]
pub struct Listen {
    pub stratum: Vec<SocketAddr>,
    pub allow: AllowList,
    pub max_miners: usize,
    /// From the accept to the first `mining.authorize`.
    pub handshake_timeout: Duration,
    /// A miner that sends nothing for so long is closed. `None`: never.
    pub idle_timeout: Option<Duration>,
    pub proxy_protocol: ProxyProtocol,
    pub tls: Option<ListenTls>,
}

/// `listen.proxy_protocol`: whose PROXY header (v1 or v2) is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// `false`: nobody's; a header is refused.
    Off,
    /// `true`: every peer that `listen.allow` lets in must send one.
    Everyone,
    /// A list of addresses: those must send one, the others must not.
    From(Vec<AddressBlock>),
}

/// `listen.tls`: listeners that speak TLS to miners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenTls {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub listen: Vec<SocketAddr>,
}

/// One `[[upstream]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    pub host: String,
    pub port: u16,
    /// `Some` for `stratum+ssl://`.
    pub tls: Option<UpstreamTls>,
    pub socks5: Option<Socks5>,
    /// How many connections are kept ready (0 to 64).
    pub warm: usize,
}

/// How an upstream's certificate is judged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpstreamTls {
    /// Instead of the system's roots.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the server certificate's DER; in addition to nothing else: a pinned
    /// certificate is trusted whoever signed it.
    pub pin_sha256: Option<[u8; 32]>,
    /// Warned about at every start.
    pub insecure_skip_verify: bool,
}

/// `socks5 = "socks5://user:pass@host:port"`.
#[derive(Debug, Clone, PartialEq)]
pub struct Socks5 {
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

/// `[failover]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Failover {
    /// A miner for whom no upstream could be reached within this time is closed.
    pub connect_deadline: Duration,
    /// A pool that was spoken to and gives no first answer within this time is left for the next one.
    pub answer_timeout: Duration,
    pub silence_timeout: Duration,
    pub failback_after: Duration,
    pub backoff_min: Duration,
    pub backoff_max: Duration,
}

/// `[forward]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    pub path: ForwardPath,
    /// Bytes of each thread's own buffer.
    pub buffer: usize,
}

/// Which way the bytes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardPath {
    /// `read`, `write`, then the copy for the analyzer.
    Copy,
    /// `splice` through a pipe, with `tee` for the analyzer's copy.
    Splice,
}

/// `[analysis]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    pub enabled: bool,
    /// How many copies may wait for the analyzer.
    pub queue: usize,
}

/// `[ratelimit]`.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    pub max_connections_per_ip: usize,
    pub max_connections_per_minute: usize,
    /// The first ban's length; it grows with repetition, up to a day.
    pub ban: Duration,
    pub exempt: Vec<AddressBlock>,
}

/// `[report]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub console: ConsoleReport,
}

/// `report.console`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleReport {
    /// Every 30 s on a terminal, else every 5 minutes.
    Auto,
    Every(Duration),
    Off,
}
