//! `sluice report`: what the records say, as text, JSON, a page or a typed export.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;

use super::CommandFailure;
use crate::report::{
    Report, ReportPrinter, ReportSelection, TypedExport, is_record, parse_report_time, report_page,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice report data/
      What happened, and what to do, from all records of this data directory.
  sluice report data/ --since 7d --html week.html
      The last seven days, and a page with plots.
  sluice report data/ --worker garage --since 2026-11-20 --until 2026-11-21
      One miner on one day (UTC).
  sluice report site-a/data site-b/data --json
      Two Sluices together, as one JSON document.
  sluice report old/shares-2026-11-21.1.csv.gz --csv typed.csv
      One file, exported so that pandas, DuckDB and spreadsheets take no id for a number.

Exit codes: 0 a report; 1 nothing could be read, or a file could not be written; 2 the command
line is wrong.";

/// How often the progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// The width of the progress bar.
const BAR: usize = 40;

/// The flags of `report`.
#[derive(Args)]
pub struct ReportOptions {
    /// Data directories of Sluice, or files of them, plain or .gz
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Only from this time on: 2026-11-21T09:00:00Z, 2026-11-21 or 7d (12h, 30m) before now
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<i64>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<i64>,
    /// Only this worker, by its whole name or the part behind the address
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
    /// Only this pool, by host or host:port
    #[arg(long, value_name = "POOL")]
    upstream: Option<String>,
    /// Write a page with plots to this file: one file, no script, to read, keep or print
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
    /// Write the shares to this file, typed: hex digits and ids begin with a letter
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// Reads the records and prints the report.
///
/// # Errors
/// Nothing can be read, or a file can't be written.
pub fn run(options: &ReportOptions) -> Result<ExitCode, CommandFailure> {
    let selection = ReportSelection {
        since: options.since,
        until: options.until,
        worker: options.worker.clone(),
        upstream: options.upstream.clone(),
    };
    for output in [&options.csv, &options.html].into_iter().flatten() {
        if is_record(&options.paths, output) {
            let error = io::Error::other("it is one of the records; give another name");
            return Err(named(Some(output), &error));
        }
    }
    let mut export = options
        .csv
        .as_deref()
        .map(TypedExport::create)
        .transpose()
        .map_err(|error| named(options.csv.as_ref(), &error))?;
    let mut progress = ProgressBar::new();
    let report =
        Report::of(&options.paths, &selection, &mut export, &mut |read, whole| progress.show(read, whole));
    progress.clear();
    let report = report.map_err(|error| io::Error::other(error.to_string()))?;
    if let Some(export) = export {
        export.finish().map_err(|error| named(options.csv.as_ref(), &error))?;
    }
    if let Some(path) = &options.html {
        fs::write(path, report_page(&report)).map_err(|error| named(Some(path), &error))?;
    }
    // stdout may be a closed pipe, as of `head`.
    let _ = print(&report, options.json);
    Ok(ExitCode::SUCCESS)
}

fn print(report: &Report, is_json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if is_json {
        out.write_all(report.to_json()?.as_bytes())?;
        return out.flush();
    }
    let has_colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    write!(out, "{}", ReportPrinter { report, has_colours })?;
    out.flush()
}

fn named(path: Option<&PathBuf>, error: &io::Error) -> CommandFailure {
    let path = path.map_or_else(String::new, |path| path.display().to_string());
    CommandFailure::from(io::Error::other(format!("{path}: {error}")))
}

fn parse_time(text: &str) -> Result<i64, &'static str> {
    parse_report_time(text, Timestamp::now())
}

/// The progress, on stderr if that is a terminal.
struct ProgressBar {
    began: Instant,
    shown: Option<Instant>,
    is_terminal: bool,
}

impl ProgressBar {
    fn new() -> ProgressBar {
        ProgressBar { began: Instant::now(), shown: None, is_terminal: io::stderr().is_terminal() }
    }

    fn show(&mut self, read: u64, whole: u64) {
        if !self.is_terminal || self.shown.unwrap_or(self.began).elapsed() < PROGRESS_INTERVAL {
            return;
        }
        self.shown = Some(Instant::now());
        let part = (read as f64 / whole.max(1) as f64).min(1.0);
        let done = (part * BAR as f64) as usize;
        let mib = |bytes: u64| bytes >> 20;
        let speed = read as f64 / self.began.elapsed().as_secs_f64() / f64::from(1 << 20);
        // A closed stderr only hides the progress.
        let _ = write!(
            io::stderr(),
            "\r[{}{}] {:.0} %  {} of {} MiB, {speed:.0} MiB/s ",
            "#".repeat(done),
            "-".repeat(BAR - done),
            part * 100.0,
            mib(read),
            mib(whole)
        );
    }

    fn clear(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}
