//! The part of the summary about connections, from miners and to pools.

use std::fmt;

use crate::config::{Config, ListenConfig, Mode, ProxyProtocol, UpstreamConfig, format_duration};
use crate::limits::RateLimitConfig;
use crate::util::format::count;

pub(super) fn write_listen(f: &mut fmt::Formatter<'_>, listen: &ListenConfig) -> fmt::Result {
    writeln!(f, "Miners connect to:")?;
    for address in &listen.stratum {
        writeln!(f, "  stratum+tcp://{address}")?;
    }
    if let Some(tls) = &listen.tls {
        for address in &tls.listen {
            writeln!(f, "  stratum+ssl://{address} with the certificate {}", tls.cert.display())?;
        }
    }
    writeln!(f, "  from {}; at most {} at the same time", listen.allow, listen.max_miners)?;
    let idle = match listen.idle_timeout {
        Some(limit) => format!("a silent miner after {}", format_duration(limit)),
        None => String::from("a silent miner never"),
    };
    let handshake = format_duration(listen.handshake_timeout);
    writeln!(f, "  a miner that has not authorized within {handshake} is disconnected, {idle}")?;
    let senders = match &listen.proxy_protocol {
        ProxyProtocol::Off => return Ok(()),
        ProxyProtocol::Everyone => String::from("every connection"),
        ProxyProtocol::From(blocks) => format!("connections from {}", list(blocks)),
    };
    writeln!(f, "  {senders} must begin with a PROXY protocol header")
}

pub(super) fn write_limits(f: &mut fmt::Formatter<'_>, limits: &RateLimitConfig) -> fmt::Result {
    let number = |limit: usize, noun: &str| match limit {
        0 => format!("any number of {noun}s"),
        limit => count(limit as u64, noun),
    };
    let open = number(limits.max_connections_per_ip, "connection");
    let new = number(limits.max_connections_per_minute, "new connection");
    let consequence = match limits.ban.is_zero() {
        true => String::from("rejected"),
        false => format!("banned for {}, longer each time", format_duration(limits.ban)),
    };
    writeln!(f, "Limits per address: {open}, {new} a minute; beyond that {consequence}")?;
    match limits.exempt.as_slice() {
        [] => Ok(()),
        exempt => writeln!(f, "  except for {}", list(exempt)),
    }
}

pub(super) fn write_upstreams(f: &mut fmt::Formatter<'_>, config: &Config) -> fmt::Result {
    writeln!(f, "Pools, in order of preference:")?;
    for (i, upstream) in config.upstreams.iter().enumerate() {
        write_upstream(f, i + 1, upstream, config.mode)?;
    }
    let failover = &config.failover;
    writeln!(
        f,
        "  connecting may take {} in all; if a pool does not answer within {}, the next one is tried",
        format_duration(failover.connect_deadline),
        format_duration(failover.answer_timeout)
    )?;
    writeln!(
        f,
        "  miners leave a silent pool after {}, a pool that sends no job after {}; they return to a better pool once it has \
         worked for {}; a failed pool is retried every {} to {}",
        format_duration(failover.silence_timeout),
        format_duration(failover.first_job_timeout),
        format_duration(failover.failback_after),
        format_duration(failover.backoff_min),
        format_duration(failover.backoff_max)
    )
}

/// The items with commas between them.
pub(super) fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn write_upstream(
    f: &mut fmt::Formatter<'_>,
    number: usize,
    upstream: &UpstreamConfig,
    mode: Mode,
) -> fmt::Result {
    write!(f, "  {number}. {upstream}")?;
    if mode == Mode::Aggregate {
        write!(f, " as {}", upstream.user)?;
    }
    if let Some(tls) = &upstream.tls {
        f.write_str(", certificate ")?;
        match &tls.ca_file {
            _ if tls.pin_sha256.is_some() => f.write_str("trusted by its fingerprint")?,
            _ if tls.insecure_skip_verify => f.write_str("NOT VERIFIED")?,
            Some(file) => write!(f, "verified by {}", file.display())?,
            None => f.write_str("verified by the system's roots")?,
        }
    }
    if let Some(socks5) = &upstream.socks5 {
        write!(f, ", through {socks5}{}", if socks5.user.is_some() { " with a user name" } else { "" })?;
    }
    if upstream.warm > 0 {
        write!(f, ", {} kept ready", count(upstream.warm as u64, "connection"))?;
    }
    writeln!(f)
}
