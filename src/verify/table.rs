//! The comparison of several pools.

use std::fmt;
use std::time::Duration;

use super::phrases::number;
use super::report::PoolReport;
use super::text::ColorMode;
use crate::analyzer::{ChainState, ChainVerdict, PayoutState};
use crate::util::format::delay;

const COLUMNS: [&str; 8] =
    ["pool", "verdict", "pays you", "network", "difficulty", "connect", "first job", "NerdMiner"];

/// Displays reports as one table, a line each.
#[derive(Debug)]
pub struct ReportTable<'a> {
    pub reports: &'a [PoolReport],
    pub color: ColorMode,
}

impl fmt::Display for ReportTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 8]> = self.reports.iter().map(cells).collect();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([COLUMNS[column].len()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
        write_row(f, &COLUMNS.map(str::to_owned), &widths, |_, cell| cell)?;
        for (row, report) in rows.iter().zip(self.reports) {
            write_row(f, row, &widths, |column, cell| match column {
                // The cell is already padded, since colour codes have no width.
                1 => {
                    let word = ColorMode::Plain.outcome(report.outcome);
                    cell.replacen(&word, &self.color.outcome(report.outcome), 1)
                }
                _ => cell,
            })?;
        }
        Ok(())
    }
}

fn write_row(
    f: &mut fmt::Formatter<'_>,
    cells: &[String; 8],
    widths: &[usize],
    color: impl Fn(usize, String) -> String,
) -> fmt::Result {
    let mut line = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        line.push_str(&color(column, format!("{cell:<width$}")));
        line.push_str("  ");
    }
    writeln!(f, "{}", line.trim_end())
}

fn network(chain: &ChainVerdict) -> String {
    if chain.state == ChainState::Wrong { format!("not {}", chain.network) } else { chain.network.to_owned() }
}

fn cells(report: &PoolReport) -> [String; 8] {
    let watched = &report.watched;
    let observations = &watched.observations;
    let dash = || "–".to_owned();
    let pays = match observations.jobs.worst.as_ref().map(|job| &job.payout) {
        Some(payout) if matches!(payout.state, PayoutState::Unverifiable(_)) => "?".to_owned(),
        Some(payout) => format!("{:.2} %", payout.percent),
        None => dash(),
    };
    let connect = watched
        .dial
        .map(|dial| [Some(dial.connect), dial.socks5, dial.tls].into_iter().flatten().sum::<Duration>());
    let nerdminer = report.nerdminer.as_ref().filter(|_| observations.jobs.count > 0);
    [
        report.pool.clone(),
        ColorMode::Plain.outcome(report.outcome),
        pays,
        observations.jobs.worst_chain.as_ref().map_or_else(dash, network),
        observations.difficulty.newest.map_or_else(dash, |difficulty| number(difficulty.value())),
        connect.map_or_else(dash, delay),
        report.first_job().map_or_else(dash, delay),
        nerdminer.map_or_else(dash, |nerdminer| if nerdminer.is_fit() { "fits" } else { "no" }.to_owned()),
    ]
}
