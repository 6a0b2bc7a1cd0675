//! The part of the summary about connections, from miners and to pools.

use std::fmt;

use crate::config::{
    Config, ListenConfig, Mode, ProxyProtocol, RateLimitConfig, UpstreamConfig, format_duration,
};
use crate::util::plural::count;

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
    writeln!(
        f,
        "  a miner that has not authorized within {} is disconnected, {idle}",
        format_duration(listen.handshake_timeout)
    )?;
    match &listen.proxy_protocol {
        ProxyProtocol::Off => Ok(()),
        ProxyProtocol::Everyone => writeln!(f, "  every connection must begin with a PROXY protocol header"),
        ProxyProtocol::From(blocks) => {
            let blocks: Vec<_> = blocks.iter().map(ToString::to_string).collect();
            writeln!(f, "  connections from {} must begin with a PROXY protocol header", blocks.join(", "))
        }
    }
}

pub(super) fn write_limits(f: &mut fmt::Formatter<'_>, limits: &RateLimitConfig) -> fmt::Result {
    let number = |limit: usize, noun: &str| match limit {
        0 => format!("any number of {noun}s"),
        limit => count(limit as u64, noun),
    };
    write!(
        f,
        "Limits per address: {}, {} a minute; beyond that ",
        number(limits.max_connections_per_ip, "connection"),
        number(limits.max_connections_per_minute, "new connection")
    )?;
    if limits.ban.is_zero() {
        writeln!(f, "rejected")?;
    } else {
        writeln!(f, "banned for {}, longer each time", format_duration(limits.ban))?;
    }
    if !limits.exempt.is_empty() {
        let blocks: Vec<_> = limits.exempt.iter().map(ToString::to_string).collect();
        writeln!(f, "  except for {}", blocks.join(", "))?;
    }
    Ok(())
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
        write!(f, ", {} kept ready", count(upstream.warm as u64, "connection"))?;
    }
    writeln!(f)
}
