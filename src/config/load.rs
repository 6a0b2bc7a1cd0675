//! Builds a [`Config`] from a file, the environment and flags, in this order: what comes later takes precedence.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::diagnostics::Diagnostics;
use super::environment::Environment;
use super::error::{ConfigFault, Origin, Problem};
use super::reader::Section;
use super::redaction::Redaction;
use super::specification::KeySpec;
use super::{
    Config, ConfigError, Mode, Network, Overrides, aggregate, devices, external_sources, failover, listen,
    network, notify, outputs, policy, report, traffic, upstream,
};

/// Paths that are tried if no file is named.
const USUAL_FILES: [&str; 2] = ["config.toml", "/etc/sluice/config.toml"];

/// Caps what is read, in case a device file or a disk image is named by mistake.
const MAX_BYTES: u64 = 1 << 20;

/// Sections that are checked in every mode and have no effect in this one.
fn ignored_in(mode: Mode) -> &'static [&'static str] {
    match mode {
        Mode::Passthrough => &["vardiff", "aggregate"],
        Mode::Aggregate => &["forward"],
    }
}

impl Config {
    /// Reads the file that [`find_file`] finds. The environment takes precedence over it, and flags over both.
    ///
    /// # Errors
    /// All faults, not only the first.
    pub fn load(
        path: Option<&Path>,
        environment: &Environment,
        overrides: &Overrides,
    ) -> Result<Config, ConfigError> {
        let file = find_file(path, environment, overrides)?;
        let text = match &file {
            Some(file) => {
                read_text(file).map_err(|reason| ConfigError::Unreadable { file: file.clone(), reason })?
            }
            None => String::new(),
        };
        read(&text, environment, overrides).map_err(|problems| ConfigError::Invalid { file, problems })
    }

    /// Parses `text` as the content of a file, without an environment.
    ///
    /// # Errors
    /// All faults, not only the first.
    pub fn parse(text: &str, overrides: &Overrides) -> Result<Config, ConfigError> {
        Config::parse_with(text, &Environment::default(), overrides)
    }

    /// Parses `text` as the content of a file, with these variables.
    ///
    /// # Errors
    /// All faults, not only the first.
    pub fn parse_with(
        text: &str,
        environment: &Environment,
        overrides: &Overrides,
    ) -> Result<Config, ConfigError> {
        read(text, environment, overrides).map_err(|problems| ConfigError::Invalid { file: None, problems })
    }
}

/// The file to read: `path` if given; else `config.toml` here or in `/etc/sluice`, unless `--pool`
/// makes a file unnecessary. Without any file the environment may name the pools.
///
/// # Errors
/// [`ConfigError::NoFile`] if there is neither a file nor a pool.
pub fn find_file(
    path: Option<&Path>,
    environment: &Environment,
    overrides: &Overrides,
) -> Result<Option<PathBuf>, ConfigError> {
    if let Some(path) = path {
        return Ok(Some(path.to_owned()));
    }
    if !overrides.pools.is_empty() {
        return Ok(None);
    }
    let usual = USUAL_FILES.map(PathBuf::from);
    // A file that exists but can't be read must be reported, not skipped.
    match usual.iter().find(|file| file.symlink_metadata().is_ok()) {
        Some(file) => Ok(Some(file.clone())),
        None if environment.names_pool() => Ok(None),
        None => Err(ConfigError::NoFile { searched: usual.to_vec() }),
    }
}

/// Every key, in the order in which they are read: a section comes before its keys. The readers of the sections write
/// it, so there is no second list to keep in step.
pub fn specification() -> Vec<KeySpec> {
    let diagnostics = Diagnostics::recorder();
    read_document(&DeTable::new(), &diagnostics, &Overrides::default());
    let mut keys: Vec<KeySpec> = Vec::new();
    for spec in diagnostics.specification.take() {
        // A key of several types is read as each of them.
        if !keys.iter().any(|known| known.key == spec.key) {
            keys.push(spec);
        }
    }
    keys
}

fn read_text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(file)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::other("this is a directory; name the file in it"));
    }
    if file.take(MAX_BYTES + 1).read_to_string(&mut text)? as u64 > MAX_BYTES {
        return Err(io::Error::other("this file is larger than 1 MiB, so it is no configuration"));
    }
    Ok(text)
}

fn read(text: &str, environment: &Environment, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    let diagnostics = Diagnostics::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        note_syntax(error, &diagnostics, text);
    }
    // A partially parsed document would only add false errors.
    if !errors.is_empty() {
        return Err(diagnostics.into_problems());
    }
    let mut document = document.into_inner();
    if !environment.is_empty() {
        environment.merge_into(&mut document, &specification(), &diagnostics);
    }
    match read_document(&document, &diagnostics, overrides) {
        Some(config) if diagnostics.is_empty() => Ok(config),
        _ => Err(diagnostics.into_problems()),
    }
}

/// Reports a syntax error with the parser's message, but without its excerpt of the line, which may
/// hold a secret.
fn note_syntax(error: &toml::de::Error, diagnostics: &Diagnostics, text: &str) {
    let origin = error.span().map_or(Origin::File, |span| diagnostics.line(span.start));
    let key = error.span().and_then(|span| text.get(span)).unwrap_or_default();
    if error.message().starts_with("duplicate key") {
        diagnostics.add(origin, Redaction::Value.of(key), ConfigFault::Duplicate);
    } else {
        let reason = error.message().replace('\n', "; ");
        diagnostics.add(origin, String::new(), ConfigFault::Syntax { reason });
    }
}

/// Reads the whole document; `None` if no usable pool is configured.
fn read_document(document: &DeTable, diagnostics: &Diagnostics, overrides: &Overrides) -> Option<Config> {
    let mut top = Section::top(diagnostics, document);
    let mode = read_mode(&mut top);
    let network = network::read(&mut top);
    let flags = overrides.parse(network, diagnostics);
    let data_dir = top.text("data_dir").map(PathBuf::from);
    let upstream_sections = top.sections("upstream");
    let is_without_pool = overrides.pools.is_empty() && upstream_sections.is_empty();
    if is_without_pool && !top.is_set("upstream") {
        top.missing(
            "upstream",
            "name a pool in the file: [[upstream]] with url = \"stratum+tcp://…\", or use --pool",
        );
    } else if is_without_pool {
        top.conflict(
            "upstream",
            "is empty; name a pool with [[upstream]] and url = \"stratum+tcp://…\", or use --pool",
        );
    }
    let in_file: Vec<_> =
        upstream_sections.into_iter().filter_map(|section| upstream::read(section, mode)).collect();
    let upstreams = flags.upstreams.unwrap_or(in_file);
    let mainnet_pool = network::known_mainnet_pool(&upstreams);
    if let (Some(pool), true) = (mainnet_pool, network != Network::Auto && network != Network::Mainnet) {
        top.conflict("network", format!("is {network}, but {pool} mines mainnet; name a pool of {network}"));
    } else if let Some(reason) =
        flags.address.as_ref().and_then(|address| network::wrong_network(address, mainnet_pool))
    {
        diagnostics.add(Origin::Flag, "--address", ConfigFault::Conflict { reason });
    }
    let payout = policy::read_payout(top.section("payout"), network, flags.address, mainnet_pool);
    let config = Config {
        mode,
        data_dir: flags.data_dir.or(data_dir).unwrap_or_else(|| PathBuf::from("data")),
        network,
        listen: listen::read(top.section("listen"), flags.listen),
        upstreams,
        failover: failover::read(top.section("failover")),
        forward: traffic::read_forward(top.section("forward")),
        analysis: traffic::read_analysis(top.section("analysis")),
        chain: policy::read_chain(top.section("chain")),
        rules: policy::read_rules(top.section("rules")),
        references: top
            .sections("reference")
            .into_iter()
            .filter_map(external_sources::read_reference)
            .collect(),
        ntp: external_sources::read_ntp(top.section("ntp")),
        record: outputs::read_record(top.section("record")),
        http: outputs::read_http(top.section("http"), flags.http),
        ratelimit: listen::read_limits(top.section("ratelimit")),
        aggregate: aggregate::read(top.section("aggregate")),
        vardiff: aggregate::read_vardiff(top.section("vardiff")),
        pool_stats: external_sources::read_pool_stats(top.section("pool_stats"), network, &payout),
        devices: devices::read(top.section("devices")),
        payout,
        notify: top.sections("notify").into_iter().filter_map(notify::read_notify).collect(),
        report: report::read(top.section("report")),
        ignored_keys: Vec::new(),
    };
    if let Some(reason) =
        config.http.listen.and_then(|page| listen::conflict_with_miners(&config.listen, page))
    {
        match (&overrides.http, &overrides.listen[..]) {
            (None, []) => top.conflict("http.listen", reason),
            _ => diagnostics.add(Origin::Flag, "--http", ConfigFault::Conflict { reason }),
        }
    }
    top.note_ignored(ignored_in(mode));
    let ignored_keys = diagnostics.ignored.take();
    (!config.upstreams.is_empty()).then_some(Config { ignored_keys, ..config })
}

fn read_mode(top: &mut Section) -> Mode {
    let modes = [("passthrough", Mode::Passthrough), ("aggregate", Mode::Aggregate)];
    top.choice("mode", &modes).unwrap_or_default()
}
