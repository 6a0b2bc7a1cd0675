//! The report in a terminal, at most 100 columns wide.

use std::fmt;
use std::time::Duration;

use super::document::Report;
use super::figures::{ReportedPool, ReportedWorker};
use super::findings::ReportFinding;
use super::layout::{
    NAME, POOL_NAME, age, fitted, line, minute, moment, ms, rate_range, reject_text, rest, seconds,
    shown_worker, wrapped,
};
use super::selection::plain_pool;
use crate::config::Severity;
use crate::util::escape::{line_text, printable};
use crate::util::format::{count, grouped, odds, percent, rate, short, span, time_to_block};

/// Caps the workers, pools, reasons and notes that are listed. The JSON has all.
const MAX_ROWS: usize = 30;
const MAX_REASON_ROWS: usize = 10;
const MAX_NOTE_ROWS: usize = 20;

/// Prints a report.
pub struct ReportPrinter<'a> {
    pub report: &'a Report,
    /// With colours and bold headings, for a terminal.
    pub has_colours: bool,
}

impl fmt::Display for ReportPrinter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report;
        self.head(f)?;
        if report.from.is_some() {
            self.findings(f)?;
        }
        if report.totals.submitted > 0 {
            self.totals(f)?;
            self.workers(f)?;
            self.pools(f)?;
            self.reasons(f)?;
            self.luck(f)?;
            self.comparisons(f)?;
        }
        self.absences(f)?;
        self.alerts(f)?;
        self.damaged(f)
    }
}

impl ReportPrinter<'_> {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report;
        let files = count(report.files.read, "file");
        match (&report.from, &report.to) {
            (Some(from), Some(to)) => writeln!(
                f,
                "{} {} to {} UTC ({}), {} in {files}",
                self.bold("Sluice report:"),
                moment(from, report.seconds),
                moment(to, report.seconds),
                span(Duration::from_secs_f64(report.seconds)),
                count(report.totals.submitted, "share")
            )?,
            _ => writeln!(f, "{} no share in {files}", self.bold("Sluice report:"))?,
        }
        let selection = &report.selection;
        let limits = [
            ("since", &selection.since),
            ("until", &selection.until),
            ("worker", &selection.worker),
            ("pool", &selection.upstream),
        ];
        for (name, value) in limits {
            if let Some(value) = value {
                writeln!(f, "  only {name} {}", printable(value))?;
            }
        }
        for file in &report.files.unreadable {
            writeln!(f, "  not read: {}: {}", printable(&file.path), printable(&file.reason))?;
        }
        Ok(())
    }

    fn findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.heading(f, "What to do")?;
        if self.report.findings.is_empty() {
            return writeln!(f, "  Nothing: the records show no fault.");
        }
        for (place, finding) in self.report.findings.iter().enumerate() {
            self.finding(f, place + 1, finding)?;
        }
        Ok(())
    }

    fn finding(&self, f: &mut fmt::Formatter<'_>, place: usize, finding: &ReportFinding) -> fmt::Result {
        let text = format!("{place}. {} {}", self.severity(finding.severity), printable(&finding.text));
        wrapped(f, &text, 2, 5)?;
        wrapped(f, &format!("→ {}", printable(&finding.action)), 5, 7)
    }

    fn totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &self.report.totals;
        self.heading(f, "In all")?;
        let shares = format!(
            "{} sent: {} accepted, {} rejected ({}), {} unanswered, {} unknown",
            grouped(totals.submitted),
            grouped(totals.accepted),
            grouped(totals.rejected),
            reject_text(totals),
            grouped(totals.unanswered),
            grouped(totals.unknown)
        );
        line(f, "Shares", &shares)?;
        let hash_rate = totals.hashrate.map_or_else(
            || "–".to_owned(),
            |average| {
                format!(
                    "{} on average ({}), from {}",
                    rate(average),
                    rate_range(totals),
                    count(totals.proven_shares, "proven share")
                )
            },
        );
        line(f, "Hash rate", &hash_rate)?;
        let work = format!(
            "{} proven by hashes, {} accepted by pools ({:.1} %)",
            short(totals.proven_difficulty),
            short(totals.accepted_difficulty),
            totals.accepted_difficulty * 100.0 / totals.proven_difficulty.max(f64::MIN_POSITIVE)
        );
        if totals.proven_difficulty > 0.0 {
            line(f, "Work", &format!("{work}, as difficulty"))?;
        } else {
            line(
                f,
                "Work",
                &format!(
                    "{} accepted by pools, as difficulty; none proven",
                    short(totals.accepted_difficulty)
                ),
            )?;
        }
        if let (Some(best), Some(at)) = (totals.best_difficulty, &totals.best_at) {
            line(f, "Best share", &format!("{} on {} UTC", short(best), moment(at, self.report.seconds)))?;
        }
        if let Some(best) = self.report.best_ever.first() {
            let text = format!(
                "{} by {}, {} UTC",
                short(best.difficulty),
                shown_worker(&best.worker),
                minute(&best.at)
            );
            line(f, "Best ever", &text)?;
        }
        if let Some(blocks) = totals.blocks_per_day {
            line(
                f,
                "Odds of a block",
                &format!("{} a day; one in {} on average", odds(blocks), time_to_block(blocks)),
            )?;
        }
        if let (Some(p50), Some(p99)) = (totals.response_ms_p50, totals.response_ms_p99) {
            let times =
                format!("median {}, p99 {}, of {}", ms(p50), ms(p99), count(totals.answers_timed, "answer"));
            line(f, "Answers", &times)?;
        }
        if let (Some(p50), Some(p99)) = (totals.job_age_seconds_p50, totals.job_age_seconds_p99) {
            let ages = format!(
                "shares come {} (median) and {} (p99) after their job; {} stale",
                age(p50),
                age(p99),
                grouped(totals.stale)
            );
            line(f, "Job age", &ages)?;
        }
        if totals.duplicates + totals.below_difficulty > 0 {
            let text = format!(
                "{} sent twice, {} below the difficulty",
                grouped(totals.duplicates),
                grouped(totals.below_difficulty)
            );
            line(f, "Without proof", &text)?;
        }
        Ok(())
    }

    fn workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.heading(f, "Miners")?;
        writeln!(
            f,
            "  {:<NAME$} {:>12} {:>20} {:>8} {:>8} {:>8} {:>11}",
            "", "hash rate", "95 % range", "shares", "rejected", "up", "best share"
        )?;
        for worker in self.report.workers.iter().take(MAX_ROWS) {
            writeln!(f, "{}", worker_row(worker))?;
        }
        rest(f, self.report.workers.len(), MAX_ROWS, "miner")
    }

    fn pools(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.heading(f, "Pools")?;
        writeln!(
            f,
            "  {:<POOL_NAME$} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>8} {:>6}",
            "", "proven", "accepted", "shares", "rejected", "p50", "p99", "away", "lag"
        )?;
        for pool in self.report.pools.iter().take(MAX_ROWS) {
            writeln!(f, "{}", pool_row(pool))?;
        }
        rest(f, self.report.pools.len(), MAX_ROWS, "pool")?;
        writeln!(
            f,
            "  p50, p99: time to the pool's answer. lag: new block to first job, behind the first pool (median)."
        )
    }

    fn reasons(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = &self.report.reasons;
        if reasons.is_empty() {
            return Ok(());
        }
        self.heading(f, "Rejected")?;
        for reason in reasons.iter().take(MAX_REASON_ROWS) {
            let code = reason.code.map_or_else(|| "–".to_owned(), |code| code.to_string());
            let text = if reason.reason.is_empty() {
                "no reason given".to_owned()
            } else {
                line_text(&reason.reason, 70)
            };
            writeln!(f, "  {:>9}  {code:>4}  {text}", grouped(reason.shares))?;
        }
        rest(f, reasons.len(), MAX_REASON_ROWS, "reason")
    }

    fn luck(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.heading(f, "Luck")?;
        self.report.luck.text.iter().try_for_each(|text| wrapped(f, text, 2, 2))
    }

    fn comparisons(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.report.comparisons.is_empty() {
            return Ok(());
        }
        self.heading(f, "Is one better than another?")?;
        self.report.comparisons.iter().try_for_each(|one| wrapped(f, &printable(&one.text), 2, 4))
    }

    fn absences(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = |time: &str| moment(time, self.report.seconds);
        let outages = self.report.outages.sluice.iter().chain(&self.report.outages.pools);
        let mut rows: Vec<(String, String)> = outages
            .map(|outage| {
                let what = if outage.subject == "sluice" {
                    "Sluice did not run".to_owned()
                } else {
                    format!("pool {} was away", outage.subject)
                };
                let to = outage.to.as_deref().map_or_else(|| "the end".to_owned(), &moment);
                (
                    outage.from.clone(),
                    format!("{} to {to}  {what} ({})", moment(&outage.from), seconds(outage.seconds)),
                )
            })
            .collect();
        for worker in &self.report.workers {
            rows.extend(worker.absences.iter().map(|absence| {
                let text = format!(
                    "{} to {}  {} sent nothing ({}): {}",
                    moment(&absence.from),
                    moment(&absence.to),
                    shown_worker(&worker.shown()),
                    seconds(absence.seconds),
                    absence.reason.text()
                );
                (absence.from.clone(), text)
            }));
        }
        if rows.is_empty() {
            return Ok(());
        }
        rows.sort();
        self.heading(f, "Gaps")?;
        let shown = rows.iter().take(MAX_ROWS);
        shown.into_iter().try_for_each(|(_, text)| wrapped(f, &printable(text), 2, 6))?;
        rest(f, rows.len(), MAX_ROWS, "gap")
    }

    fn alerts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (alerts, notes) = (&self.report.alerts, &self.report.time_line);
        if !alerts.is_empty() {
            self.heading(f, "Alerts")?;
            for alert in alerts.iter().take(MAX_ROWS) {
                writeln!(
                    f,
                    "  {:>9}  {:<7} {}",
                    grouped(alert.alerts),
                    alert.severity,
                    line_text(&alert.id, 60)
                )?;
            }
        }
        if !notes.is_empty() {
            self.heading(f, "Time line")?;
            let skipped = notes.len().saturating_sub(MAX_NOTE_ROWS);
            if skipped > 0 {
                writeln!(f, "  the newest {MAX_NOTE_ROWS} of {}; --json and --html have more", notes.len())?;
            }
            for note in notes.iter().skip(skipped) {
                let at = moment(&note.at, self.report.seconds);
                wrapped(f, &format!("{at}  {}", printable(&note.text)), 2, 4 + at.len())?;
            }
        }
        Ok(())
    }

    fn damaged(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let damaged = &self.report.damaged;
        if damaged.rows == 0 {
            return Ok(());
        }
        self.heading(f, "Damaged rows")?;
        let verb = if damaged.rows == 1 { "was" } else { "were" };
        writeln!(f, "  {} {verb} skipped:", count(damaged.rows, "row"))?;
        for place in &damaged.places {
            wrapped(f, &format!("{}:{}: {}", place.file, place.line, place.reason), 4, 6)?;
        }
        rest(f, usize::try_from(damaged.rows).unwrap_or(usize::MAX), damaged.places.len(), "row")
    }

    fn heading(&self, f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
        writeln!(f, "\n{}", self.bold(text))
    }

    fn bold(&self, text: &str) -> String {
        if self.has_colours { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn severity(&self, severity: Severity) -> String {
        let word = format!("[{}]", severity.as_str());
        let colour = match severity {
            Severity::High => 31,
            Severity::Medium => 33,
            Severity::Low | Severity::Info => 36,
        };
        if self.has_colours { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word }
    }
}

fn worker_row(worker: &ReportedWorker) -> String {
    let shares = &worker.shares;
    format!(
        "  {:<NAME$} {:>12} {:>20} {:>8} {:>8} {:>8} {:>11}",
        shown_worker(&worker.shown()),
        shares.hashrate.map_or_else(|| "–".to_owned(), rate),
        rate_range(shares),
        grouped(shares.submitted),
        percent(shares.rejected, shares.answered()),
        worker.uptime.map_or_else(|| "–".to_owned(), |up| format!("{:.1} %", up * 100.0)),
        shares.best_difficulty.map_or_else(|| "–".to_owned(), short),
    )
}

fn pool_row(pool: &ReportedPool) -> String {
    let shares = &pool.shares;
    let time = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), ms);
    format!(
        "  {:<POOL_NAME$} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>8} {:>6}",
        fitted(plain_pool(&pool.upstream), POOL_NAME),
        short(shares.proven_difficulty),
        short(shares.accepted_difficulty),
        grouped(shares.submitted),
        percent(shares.rejected, shares.answered()),
        time(shares.response_ms_p50),
        time(shares.response_ms_p99),
        if pool.outages > 0 { seconds(pool.outage_seconds) } else { "–".to_owned() },
        time(pool.new_block_lag_ms_p50),
    )
}
