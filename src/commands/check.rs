//! `sluice check`: says what a configuration means, and what is in its way.

use std::fmt;
use std::io::{self, Write};

use clap::Args;

use super::{Failure, Options, environment};
use crate::config::{
    Config, ForwardPath, Http, Listen, Mode, ProxyProtocol, RateLimit, Upstream, show_duration,
};
use crate::notify::try_all;

/// What `check` can be told.
#[derive(Args)]
pub struct CheckOptions {
    #[command(flatten)]
    options: Options,
    /// Send every [[notify]] a test message, and say whether it arrived
    #[arg(long)]
    notify: bool,
}

/// Prints the summary on stdout. Changes nothing on the machine; nobody is called but for
/// `--notify`.
///
/// # Errors
/// A wrong configuration, what the machine lacks, or a test message that did not arrive.
pub fn run(CheckOptions { options, notify }: &CheckOptions) -> Result<(), Failure> {
    let config = options.load()?;
    let file = options.file()?;
    let from = file.map_or_else(|| String::from("the command line"), |file| file.display().to_string());
    let missing = environment::verify(&config);
    let mut text = format!("Configuration from {from}\n{}", Summary(&config));
    for warning in config.warnings() {
        text.push_str(&format!("Warning: {warning}\n"));
    }
    for warning in config.not_served_warnings() {
        text.push_str(&format!("Note: {warning}\n"));
    }
    if missing.is_empty() {
        text.push_str("Everything is in order.\n");
    }
    // Nobody may be there to read it (a closed pipe); the exit code still tells.
    let _ = io::stdout().write_all(text.as_bytes());
    if !missing.is_empty() {
        return Err(missing.into());
    }
    if *notify { test_messages(&config) } else { Ok(()) }
}

fn test_messages(config: &Config) -> Result<(), Failure> {
    if config.notify.is_empty() {
        return Err(Failure::Runtime("there is no [[notify]], so nobody is told of anything".into()));
    }
    let trials = try_all(&config.notify);
    let mut text = String::from("Test messages:\n");
    for trial in &trials {
        match &trial.result {
            Ok(()) => text.push_str(&format!("  {}: arrived\n", trial.name)),
            Err(why) => text.push_str(&format!("  {}: did NOT arrive: {why}\n", trial.name)),
        }
    }
    let _ = io::stdout().write_all(text.as_bytes());
    match trials.iter().filter(|trial| trial.result.is_err()).count() {
        0 => Ok(()),
        lost => {
            Err(Failure::Runtime(format!("{lost} of {} test messages did not arrive", trials.len()).into()))
        }
    }
}

/// A configuration in words.
struct Summary<'a>(&'a Config);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        write_listen(f, &config.listen)?;
        writeln!(f, "Pools, in order of preference:")?;
        for (i, upstream) in config.upstreams.iter().enumerate() {
            write_upstream(f, i + 1, upstream)?;
        }
        let failover = &config.failover;
        writeln!(
            f,
            "  a silent pool is left after {}; back to a better one after {}",
            show_duration(failover.silence_timeout),
            show_duration(failover.failback_after)
        )?;
        write_limits(f, &config.ratelimit)?;
        let path = match config.forward.path {
            ForwardPath::Copy => "copy",
            ForwardPath::Splice => "splice",
        };
        let analysis = if config.analysis.enabled { "on" } else { "off" };
        match config.mode {
            Mode::Passthrough => writeln!(f, "Forwarding: {path}, analysis {analysis}")?,
            Mode::Aggregate => writeln!(f, "All miners share a connection to the pool, analysis {analysis}")?,
        }
        write_http(f, &config.http)?;
        writeln!(f, "Everything is written to {}", config.data_dir.display())
    }
}

fn write_listen(f: &mut fmt::Formatter<'_>, listen: &Listen) -> fmt::Result {
    writeln!(f, "Miners connect to:")?;
    for address in &listen.stratum {
        writeln!(f, "  stratum+tcp://{address}")?;
    }
    if let Some(tls) = &listen.tls {
        for address in &tls.listen {
            writeln!(f, "  stratum+ssl://{address} with the certificate {}", tls.cert.display())?;
        }
    }
    writeln!(f, "  from {}; at most {} at once", listen.allow, listen.max_miners)?;
    match &listen.proxy_protocol {
        ProxyProtocol::Off => Ok(()),
        ProxyProtocol::Everyone => writeln!(f, "  each behind a PROXY protocol header"),
        ProxyProtocol::From(blocks) => {
            let blocks: Vec<_> = blocks.iter().map(ToString::to_string).collect();
            writeln!(f, "  with a PROXY protocol header from {}", blocks.join(", "))
        }
    }
}

fn write_http(f: &mut fmt::Formatter<'_>, http: &Http) -> fmt::Result {
    let Some(address) = http.listen else { return writeln!(f, "The page: off") };
    let who = match (&http.token, address.ip().is_loopback()) {
        (Some(_), _) => "for whoever has the token",
        (None, true) => "on this machine only",
        (None, false) => "for whoever reaches this machine",
    };
    writeln!(f, "The page: http://{address}/, {who}")
}

fn write_upstream(f: &mut fmt::Formatter<'_>, number: usize, upstream: &Upstream) -> fmt::Result {
    write!(f, "  {number}. {upstream}")?;
    if let Some(tls) = &upstream.tls {
        let trust = if tls.pin_sha256.is_some() {
            String::from("trusted by its fingerprint")
        } else if tls.insecure_skip_verify {
            String::from("NOT VERIFIED")
        } else if let Some(file) = &tls.ca_file {
            format!("verified by {}", file.display())
        } else {
            String::from("verified by the system's roots")
        };
        write!(f, ", certificate {trust}")?;
    }
    if let Some(socks5) = &upstream.socks5 {
        write!(f, ", through {socks5}")?;
        if socks5.user.is_some() {
            f.write_str(" with a user name")?;
        }
    }
    if upstream.warm > 0 {
        write!(f, ", {} connections kept ready", upstream.warm)?;
    }
    writeln!(f)
}

fn write_limits(f: &mut fmt::Formatter<'_>, limits: &RateLimit) -> fmt::Result {
    let number = |limit: usize| {
        if limit == 0 { String::from("any number of") } else { limit.to_string() }
    };
    write!(
        f,
        "Limits for one address: {} connections, {} new ones a minute; then ",
        number(limits.max_connections_per_ip),
        number(limits.max_connections_per_minute)
    )?;
    if limits.ban.is_zero() {
        writeln!(f, "refused")?;
    } else {
        writeln!(f, "banned for {}, longer each time", show_duration(limits.ban))?;
    }
    if !limits.exempt.is_empty() {
        let blocks: Vec<_> = limits.exempt.iter().map(ToString::to_string).collect();
        writeln!(f, "  except for {}", blocks.join(", "))?;
    }
    Ok(())
}
