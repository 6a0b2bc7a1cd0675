//! The summary of a configuration in words, a few lines a section, without secrets.

use std::fmt;

use super::connections::{list, write_limits, write_listen, write_upstreams};
use crate::config::{
    AggregateConfig, AnalysisConfig, Config, ConsoleReport, DevicesConfig, DevicesRead, ForwardPath,
    HttpConfig, Mode, Network, NotifyConfig, NotifyRecipient, NtpConfig, OnViolation, PayoutKind,
    PayoutPolicy, RecordConfig, ReferenceConfig, RulesConfig, VardiffConfig, format_duration, url_host,
};
use crate::util::format::{count, short};

/// The summary of all sections.
pub(super) struct ConfigSummary<'a>(pub(super) &'a Config);

impl fmt::Display for ConfigSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        write_listen(f, &config.listen)?;
        write_limits(f, &config.ratelimit)?;
        write_upstreams(f, config)?;
        match config.mode {
            Mode::Passthrough => write_forward(f, config)?,
            Mode::Aggregate => write_aggregate(f, &config.aggregate, &config.vardiff)?,
        }
        write_analysis(f, &config.analysis)?;
        write_payout(f, &config.payout, config.network)?;
        write_rules(f, &config.rules, config.chain.on_wrong)?;
        write_references(f, &config.references)?;
        write_pool_stats(f, config)?;
        write_devices(f, &config.devices)?;
        write_notify(f, &config.notify)?;
        write_ntp(f, &config.ntp)?;
        write_http(f, &config.http)?;
        write_report(f, config.report.console)?;
        write_record(f, &config.record)?;
        writeln!(f, "Data directory: {}", config.data_dir.display())
    }
}

fn write_forward(f: &mut fmt::Formatter<'_>, config: &Config) -> fmt::Result {
    let path = match config.forward.path {
        ForwardPath::Copy => "copy",
        ForwardPath::Splice => "splice",
    };
    writeln!(f, "Mode: passthrough, a connection to the pool for each miner")?;
    writeln!(f, "  forwarding by {path}, with buffers of {} bytes", config.forward.buffer)
}

fn write_aggregate(
    f: &mut fmt::Formatter<'_>,
    aggregate: &AggregateConfig,
    vardiff: &VardiffConfig,
) -> fmt::Result {
    writeln!(f, "Mode: aggregate, many miners share a connection to the pool")?;
    let (user, grace) = (&aggregate.user, format_duration(aggregate.grace));
    writeln!(f, "  a worker's name at the pool: {user}; the connection outlives the last miner by {grace}")?;
    let authorize =
        if aggregate.local_authorize { "Sluice itself" } else { "the pool, with their own names" };
    let unknown = if aggregate.strict_broadcast { "not passed on" } else { "passed on" };
    writeln!(f, "  miners are authorized by {authorize}; the pool's unknown messages are {unknown}")?;
    if !vardiff.enabled {
        return writeln!(f, "  difficulty: the pool's, for every miner");
    }
    let (target, min, max) = (format_duration(vardiff.target), short(vardiff.min), short(vardiff.max));
    writeln!(f, "  difficulty for each miner: a share every {target}, from {min} to {max}")
}

fn write_analysis(f: &mut fmt::Formatter<'_>, analysis: &AnalysisConfig) -> fmt::Result {
    if !analysis.enabled {
        return writeln!(f, "Analysis: off; no share is checked and there are no alerts");
    }
    let (timeout, percent) = (format_duration(analysis.share_timeout), analysis.near_miss * 100.0);
    write!(f, "Analysis: on; a share counts as unanswered after {timeout}, ")?;
    writeln!(f, "as a near miss from {percent} % of a block's difficulty")
}

fn write_payout(f: &mut fmt::Formatter<'_>, payout: &PayoutPolicy, network: Network) -> fmt::Result {
    match network {
        Network::Auto => writeln!(f, "Network: detected from the pool's jobs")?,
        known => writeln!(f, "Network: {known}")?,
    }
    if payout.kind == PayoutKind::Pooled {
        return writeln!(f, "Payout: shared out by the pool, so no block is checked for an address");
    }
    match &payout.address {
        Some(address) => write!(f, "Payout: a block must pay {}", address.clone().assume_checked())?,
        None => write!(f, "Payout: a block must pay the address in the worker's name")?,
    }
    writeln!(f, " at least {} %; otherwise {}", payout.min_percent, violation_text(payout.on_mismatch))
}

fn write_rules(f: &mut fmt::Formatter<'_>, rules: &RulesConfig, on_wrong: OnViolation) -> fmt::Result {
    writeln!(f, "Work of another coin or network: {}", violation_text(on_wrong))?;
    let (drift, stale) = (format_duration(rules.max_drift), format_duration(rules.stale_job));
    write!(f, "Rules: job time off by {drift} or more, jobs older than {stale}")?;
    if let Some(gap) = rules.rapid_share {
        write!(f, ", shares within {}", format_duration(gap))?;
    }
    if let Some(size) = rules.min_extranonce2_size {
        write!(f, ", an extranonce2 below {}", count(size as u64, "byte"))?;
    }
    if let Some(time) = rules.miner_gone_after {
        write!(f, ", miners gone for {}", format_duration(time))?;
    }
    match rules.off.as_slice() {
        [] => writeln!(f, "; all rules are on"),
        off => writeln!(f, "\n  off: {}", list(off)),
    }
}

fn violation_text(on_violation: OnViolation) -> &'static str {
    match on_violation {
        OnViolation::Alert => "an alert",
        OnViolation::Block => "an alert, and miners leave the pool",
    }
}

fn write_references(f: &mut fmt::Formatter<'_>, references: &[ReferenceConfig]) -> fmt::Result {
    if references.is_empty() {
        return writeln!(f, "References: none; pools are compared with each other only");
    }
    writeln!(f, "References (watched, never mined on):")?;
    for (index, reference) in references.iter().enumerate() {
        write!(f, "  {}. ", index + 1)?;
        match reference {
            ReferenceConfig::Pool { upstream, user: Some(user) } => {
                writeln!(f, "the pool {upstream} as {user}")?;
            }
            ReferenceConfig::Pool { upstream, user: None } => writeln!(f, "the pool {upstream}")?,
            ReferenceConfig::Node { url, cookie } => {
                let login = match cookie {
                    Some(cookie) => format!("with its cookie {}", cookie.display()),
                    None if url.expose().contains('@') => String::from("with a user and password"),
                    None => String::from("without a login"),
                };
                writeln!(f, "the node at {}, {login}", url_host(url.expose()))?;
            }
        }
    }
    Ok(())
}

fn write_pool_stats(f: &mut fmt::Formatter<'_>, config: &Config) -> fmt::Result {
    let Some(stats) = &config.pool_stats else {
        return writeln!(f, "The pool's own statistics: not requested");
    };
    let (interval, kind) = (format_duration(stats.interval), stats.kind.as_str());
    write!(f, "The pool's own statistics: requested every {interval} in the format of {kind}")?;
    if let Some(url) = &stats.url {
        write!(f, ", from {}", url_host(url))?;
    }
    if let Some(account) = stats.account(&config.payout) {
        write!(f, ", about {account}")?;
    }
    writeln!(f, "{}", if stats.token.is_some() { ", with a token" } else { "" })
}

fn write_devices(f: &mut fmt::Formatter<'_>, devices: &DevicesConfig) -> fmt::Result {
    match devices.read {
        DevicesRead::Off => writeln!(f, "The devices themselves: not read"),
        DevicesRead::Connected => {
            let family = if devices.cgminer { ", the cgminer family on port 4028 too" } else { "" };
            let interval = format_duration(devices.interval);
            let restarts = if devices.restart_stalled { "; those that stall are restarted" } else { "" };
            writeln!(
                f,
                "The devices themselves: those that are connected are read every {interval}{family}{restarts}"
            )
        }
    }
}

fn write_notify(f: &mut fmt::Formatter<'_>, recipients: &[NotifyConfig]) -> fmt::Result {
    if recipients.is_empty() {
        return writeln!(f, "Notifications: none; alerts are on the page and in alerts.log");
    }
    writeln!(f, "Notifications:")?;
    for (index, notify) in recipients.iter().enumerate() {
        let outages = if notify.outages { ", outages" } else { "" };
        let good_news = if notify.good_news { ", good news" } else { "" };
        let (kind, severity) = (notify.to.kind(), notify.min_severity.as_str());
        write!(f, "  {}. by {kind}", index + 1)?;
        if let NotifyRecipient::Email { server, to, .. } = &notify.to {
            write!(f, " through {server} to {}", to.join(", "))?;
        }
        write!(f, ": alerts from {severity} up{outages}{good_news}")?;
        if let Some(time) = notify.summary {
            write!(f, ", a summary at {}", time.strftime("%H:%M"))?;
        }
        if let Some(quiet) = notify.quiet {
            write!(f, "; quiet from {quiet}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

fn write_ntp(f: &mut fmt::Formatter<'_>, ntp: &NtpConfig) -> fmt::Result {
    if ntp.servers.is_empty() {
        return writeln!(f, "Time: this machine's clock; no NTP server is asked");
    }
    writeln!(f, "Time: by NTP from {}, every {}", ntp.servers.join(", "), format_duration(ntp.interval))
}

fn write_http(f: &mut fmt::Formatter<'_>, http: &HttpConfig) -> fmt::Result {
    let Some(address) = http.listen else { return writeln!(f, "The page: off") };
    let who = match (&http.token, address.ip().is_loopback()) {
        (Some(_), _) => "for everybody with the token",
        (None, true) => "on this machine only, without a token",
        (None, false) => "for everybody who can reach this machine, without a token",
    };
    write!(f, "The page: http://{address}/, {who}")?;
    if let Some(url) = &http.public_url {
        write!(f, ", linked in messages as {url}")?;
    }
    match http.hosts.as_slice() {
        [] => writeln!(f),
        hosts => writeln!(f, ", also as {}", hosts.join(", ")),
    }
}

fn write_report(f: &mut fmt::Formatter<'_>, console: ConsoleReport) -> fmt::Result {
    let interval = match console {
        ConsoleReport::Auto => String::from("every 30s on a terminal, else every 5m"),
        ConsoleReport::Every(interval) => format!("every {}", format_duration(interval)),
        ConsoleReport::Off => String::from("off"),
    };
    writeln!(f, "Report on the console: {interval}")
}

fn write_record(f: &mut fmt::Formatter<'_>, record: &RecordConfig) -> fmt::Result {
    let files = [("shares.csv", record.shares), ("timing.csv", record.timing), ("geek.log", record.geek)];
    let written: Vec<_> = files.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    let written =
        if written.is_empty() { String::from("alerts and blocks only") } else { written.join(", ") };
    let kept = match record.keep_days {
        0 => String::from("forever"),
        days => format!("for {}", count(days, "day")),
    };
    let (flush, rotate, most) = (format_duration(record.flush), record.rotate_mb, record.max_total_mb);
    writeln!(
        f,
        "Records: {written}; written every {flush}, rotated at {rotate} MiB, kept {kept} and up to {most} MiB"
    )
}
