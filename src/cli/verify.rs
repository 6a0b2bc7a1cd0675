//! `sluice verify`: connects to pools as a miner, and reports whether their work would pay the address.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::CommandFailure;
use super::signals::stop_on_signals;
use crate::clock::{Clock, ClockState};
use crate::config::{NtpConfig, PayoutKind, TargetFlags, Targets};
use crate::util::stop::Stop;
use crate::verify::{
    ColorMode, PoolReport, ReportTable, ReportText, VerifyOutcome, VerifySettings, document, verify_all,
    worst,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice verify stratum+tcp://solo.ckpool.org:3333 --address bc1q…
      Would a block of this pool pay this address? For a minute at most; nothing is submitted.
  sluice verify stratum+tcp://a.example:3333 stratum+ssl://b.example:443 --address bc1q…
      The same for both at once, with a table at the end.
  sluice verify stratum+tcp://a.example:3333 --address bc1q… --seconds 1800 --json
      Half an hour, for a pool that might change its mind; one JSON document.

Exit codes: 0 good, every job would pay the address; 1 bad: it pays somebody else or too little,
mines another coin, refuses the address, or its time is more than 2 h off; 2 it can't be told (no
connection, no job, a pool that pays by its own books), or the command line is wrong. Of several
pools the worst counts: 1, then 2, then 0.";

/// The time that the NTP servers have to answer.
const NTP_TIMEOUT: Duration = Duration::from_secs(10);
const NTP_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// The flags of `verify`. No `Debug`: a URL may hold a password.
#[derive(Args)]
pub struct VerifyOptions {
    #[command(flatten)]
    targets: TargetFlags,
    /// Watch for this many seconds, 1 to 3600 [default: at most a minute, until the second job]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: Option<u64>,
    /// The least share of a block that the address must get, in percent
    #[arg(long, value_name = "P", default_value_t = 95.0, value_parser = parse_percent)]
    min_percent: f64,
    /// The pools share blocks out themselves: a block need not pay the address
    #[arg(long)]
    pooled: bool,
    /// Take the time from NTP servers instead of this machine's clock
    #[arg(long)]
    ntp: bool,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// Watches the pools until the result is certain, the time is over, `stop` or a signal. Returns the exit code.
///
/// # Errors
/// A wrong command line.
pub fn run(options: &VerifyOptions, stop: &Stop) -> Result<ExitCode, CommandFailure> {
    let targets = options.targets.parse()?;
    Ok(verify_pools(options, &targets, stop).unwrap_or_else(|why| {
        // Code 1 would mean that a pool is bad.
        log::error!("{why}");
        ExitCode::from(VerifyOutcome::Unknown.exit_code())
    }))
}

fn verify_pools(options: &VerifyOptions, targets: &Targets, stop: &Stop) -> io::Result<ExitCode> {
    stop_on_signals(stop)?;
    let settings = VerifySettings::new(&targets.address, targets.network);
    let settings = settings.ok_or_else(|| io::Error::other("the address can't be read"))?;
    let settings = VerifySettings {
        kind: if options.pooled { PayoutKind::Pooled } else { PayoutKind::Solo },
        min_percent: options.min_percent,
        limit: options.seconds.map_or(settings.limit, Duration::from_secs),
        is_brief: options.seconds.is_none(),
        clock: if options.ntp { ntp_clock(stop)? } else { settings.clock },
        ..settings
    };
    let reports = verify_all(&targets.pools, &settings, stop)?;
    // stdout may be a closed pipe; the exit code still shows the result.
    let _ = print_reports(&reports, options.json);
    Ok(ExitCode::from(worst(&reports).exit_code()))
}

fn print_reports(reports: &[PoolReport], json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        out.write_all(document(reports).map_err(io::Error::other)?.as_bytes())?;
        return out.flush();
    }
    let has_colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let color = if has_colours { ColorMode::Colour } else { ColorMode::Plain };
    for (index, report) in reports.iter().enumerate() {
        let space = if index > 0 { "\n\n" } else { "" };
        write!(out, "{space}{}", ReportText { report, color })?;
    }
    if reports.len() > 1 {
        write!(out, "\n\n{}", ReportTable { reports, color })?;
    }
    out.flush()
}

/// The clock corrected by NTP. If no server answers in time it is the system's clock, and the report says so.
fn ntp_clock(stop: &Stop) -> io::Result<Clock> {
    let clock = Clock::start(&NtpConfig::default(), stop)?;
    let deadline = Instant::now() + NTP_TIMEOUT;
    while matches!(clock.state(), ClockState::Unsynchronised { .. }) && Instant::now() < deadline {
        if stop.sleep(NTP_CHECK_INTERVAL).is_err() {
            break;
        }
    }
    if let state @ ClockState::Unsynchronised { .. } = clock.state() {
        log::warn!("{state}; this machine's clock is used");
    }
    Ok(clock)
}

fn parse_percent(text: &str) -> Result<f64, &'static str> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|number| (0.0..=100.0).contains(number)).ok_or("it must be a number from 0 to 100")
}
