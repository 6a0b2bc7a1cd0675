//! The whole report, as the JSON contract has it.

use std::path::PathBuf;
use std::{fmt, io};

use serde::Serialize;

use super::absences::{Absence, AbsenceCause};
use super::comparisons::{MIN_BLOCKS, ReportedComparison, compare};
use super::export::TypedExport;
use super::fields::{UnixMs, time_text};
use super::figures::{ReportedPool, ReportedWorker, ShareFigures};
use super::findings::{self, FindingContext, ReportFinding};
use super::input::RecordSources;
use super::luck::ReportedLuck;
use super::reading::{OnProgress, read_all};
use super::records::Records;
use super::selection::{ReportSelection, plain_pool};
use super::time_line::Outage;
use crate::util::escape;

/// Version of the JSON format.
const VERSION: u32 = 1;
/// Caps the notes of the time line in the report, the newest.
const MAX_SHOWN_NOTES: usize = 200;
/// Caps the best shares ever, of all directories.
const MAX_BEST_EVER: usize = 10;
/// Caps the outages in the report, the longest.
const MAX_SHOWN_OUTAGES: usize = 100;

/// Everything that a report says.
#[derive(Debug, Serialize)]
pub struct Report {
    pub version: u32,
    pub sluice: &'static str,
    /// The times of the first and the last share; without shares, of the first and the last event or alert; `null` without
    /// any.
    pub from: Option<String>,
    pub to: Option<String>,
    pub seconds: f64,
    pub selection: SelectionJson,
    pub files: FilesJson,
    pub findings: Vec<ReportFinding>,
    pub totals: ShareFigures,
    pub workers: Vec<ReportedWorker>,
    /// Shares of workers that were too many to be told apart.
    pub workers_left_out: u64,
    pub pools: Vec<ReportedPool>,
    pub reasons: Vec<ReportedReason>,
    pub luck: ReportedLuck,
    pub best_ever: Vec<ReportedBest>,
    pub comparisons: Vec<ReportedComparison>,
    pub outages: OutagesJson,
    pub alerts: Vec<ReportedAlerts>,
    pub time_line: Vec<ReportedNote>,
    pub damaged: DamagedJson,
    /// Rows that the selection leaves out.
    pub rows_not_selected: u64,
    #[serde(skip)]
    pub(super) records: Records,
}

/// The options that the report is limited to.
#[derive(Debug, Serialize)]
pub struct SelectionJson {
    pub since: Option<String>,
    pub until: Option<String>,
    pub worker: Option<String>,
    pub upstream: Option<String>,
}

/// The files that were read.
#[derive(Debug, Serialize)]
pub struct FilesJson {
    pub read: u64,
    pub bytes: u64,
    pub unreadable: Vec<UnreadableJson>,
}

/// A file that could not be read.
#[derive(Debug, Serialize)]
pub struct UnreadableJson {
    pub path: String,
    pub reason: String,
}

/// Rejected shares by the pool's code and reason.
#[derive(Debug, Serialize)]
pub struct ReportedReason {
    pub code: Option<i64>,
    pub reason: String,
    pub shares: u64,
}

/// One of the best shares ever, from `state.json`.
#[derive(Debug, Serialize)]
pub struct ReportedBest {
    pub worker: String,
    pub difficulty: f64,
    pub at: String,
    pub hash: String,
}

/// When pools and Sluice itself were away.
#[derive(Debug, Serialize)]
pub struct OutagesJson {
    pub pools: Vec<ReportedOutage>,
    pub sluice: Vec<ReportedOutage>,
}

/// One outage.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedOutage {
    pub subject: String,
    pub from: String,
    /// `null` if it lasted to the end of the records.
    pub to: Option<String>,
    pub seconds: f64,
    pub is_crash: bool,
    pub reason: String,
}

/// The alerts of one rule.
#[derive(Debug, Serialize)]
pub struct ReportedAlerts {
    pub id: String,
    pub severity: &'static str,
    pub alerts: u64,
}

/// One thing on the time line.
#[derive(Debug, Serialize)]
pub struct ReportedNote {
    pub at: String,
    pub severity: &'static str,
    pub kind: String,
    pub text: String,
    #[serde(skip)]
    pub at_ms: UnixMs,
}

/// The rows that could not be read.
#[derive(Debug, Serialize)]
pub struct DamagedJson {
    pub rows: u64,
    /// The first 20.
    pub places: Vec<DamagedRowJson>,
}

/// The place of a row that could not be read.
#[derive(Debug, Serialize)]
pub struct DamagedRowJson {
    pub file: String,
    pub line: u64,
    pub reason: &'static str,
}

/// Why there is no report.
#[derive(Debug)]
pub enum ReportError {
    /// None of the paths has a file that can be read.
    NothingToRead(Vec<String>),
    /// The export can't be written.
    Export(io::Error),
}

impl Report {
    /// Reads the records and draws the conclusions. `export` gets every selected share.
    ///
    /// # Errors
    /// Nothing can be read, or the export can't be written.
    pub fn of(
        paths: &[PathBuf],
        selection: &ReportSelection,
        export: &mut Option<TypedExport>,
        on_progress: OnProgress<'_>,
    ) -> Result<Report, ReportError> {
        let sources = RecordSources::find(paths);
        let records = read_all(sources, selection, export, on_progress).map_err(ReportError::Export)?;
        if records.files == 0 {
            let reasons =
                records.unreadable.iter().map(|file| format!("{}: {}", file.path.display(), file.reason));
            return Err(ReportError::NothingToRead(reasons.collect()));
        }
        Ok(Report::of_records(records, selection))
    }

    fn of_records(mut records: Records, selection: &ReportSelection) -> Report {
        let has_shares = records.all.submitted > 0;
        let of_shares = has_shares.then_some((records.all.first_at, records.all.last_at));
        let period = of_shares.or(records.time_line.period);
        let (from, to) = period.unwrap_or((0, 0));
        let seconds = (to - from) as f64 / 1000.0;
        if has_shares {
            records.workers.iter_mut().for_each(|worker| worker.pauses.end(to));
            records.all_pauses.end(to);
            records.date_crashes();
        } else if to > from && records.shows_everybody() {
            records.all_pauses.absences.push(Absence { from, to, is_open: true });
        }
        let cause = |absence: &Absence| cause_of(&records, absence);
        let mut workers: Vec<ReportedWorker> =
            records.workers.iter().map(|named| ReportedWorker::of(named, seconds, to, cause)).collect();
        for worker in &mut workers {
            let given = records.states.iter().find_map(|state| state.shown_names.get(&worker.worker));
            worker.shown_name = given.map(str::to_owned);
        }
        workers.sort_by(|a, b| by_work(&a.shares, &b.shares).then_with(|| a.worker.cmp(&b.worker)));
        let mut pools = pools(&records, seconds, to);
        pools.sort_by(|a, b| by_work(&a.shares, &b.shares).then_with(|| a.upstream.cmp(&b.upstream)));
        let luck = ReportedLuck::of(&records.all);
        let context = FindingContext { records: &records, workers: &workers, luck: &luck, from, to };
        let findings = findings::find(&context);
        let suspects: Vec<&str> = findings.iter().filter_map(ReportFinding::sick_worker).collect();
        let comparisons = compare(&records, &suspects);
        let time = |at: UnixMs| period.map(|_| time_text(at));
        Report {
            version: VERSION,
            sluice: env!("CARGO_PKG_VERSION"),
            from: time(from),
            to: time(to),
            seconds,
            selection: SelectionJson {
                since: selection.since.map(time_text),
                until: selection.until.map(time_text),
                worker: selection.worker.clone(),
                upstream: selection.upstream.clone(),
            },
            files: files(&records),
            findings,
            totals: ShareFigures::of(&records.all, seconds),
            workers_left_out: records.workers_left_out(),
            workers,
            pools,
            reasons: reasons(&records),
            luck,
            best_ever: best_ever(&records),
            comparisons,
            outages: OutagesJson {
                pools: outages(&records.time_line.pool_outages, to),
                sluice: outages(&records.time_line.sluice_outages, to),
            },
            alerts: alerts(&records),
            time_line: notes(&records),
            damaged: damaged(&records),
            rows_not_selected: records.not_selected,
            records,
        }
    }

    /// One JSON document. Its texts are escaped as everywhere.
    ///
    /// # Errors
    /// The same as [`serde_json::to_string_pretty`].
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(escape::to_json_pretty(self)? + "\n")
    }
}

/// The reason for a worker's absence.
pub(super) fn cause_of(records: &Records, absence: &Absence) -> AbsenceCause {
    let time_line = &records.time_line;
    absence.cause(
        &time_line.sluice_outages,
        &time_line.pool_outages,
        &records.all_pauses.absences,
        records.workers.len(),
    )
}

fn by_work(a: &ShareFigures, b: &ShareFigures) -> std::cmp::Ordering {
    b.proven_difficulty.total_cmp(&a.proven_difficulty)
}

fn pools(records: &Records, seconds: f64, end: UnixMs) -> Vec<ReportedPool> {
    let propagation = records.jobs.propagation();
    let pools = records.pools.iter().map(|named| {
        let seen = records.jobs.pools.iter().zip(&propagation).find(|(jobs, _)| jobs.name == named.name);
        let (jobs, lag) =
            (seen.map(|(jobs, _)| jobs), seen.map(|(_, lag)| lag).filter(|lag| lag.blocks >= MIN_BLOCKS));
        let own = records
            .time_line
            .pool_outages
            .iter()
            .filter(|outage| plain_pool(&outage.subject) == plain_pool(&named.name));
        let lengths: Vec<i64> =
            own.map(|outage| outage.to.unwrap_or(end).max(outage.from) - outage.from).collect();
        ReportedPool {
            upstream: named.name.clone(),
            shares: ShareFigures::of(&named.tally, seconds),
            jobs: jobs.map_or(0, |jobs| jobs.jobs),
            empty_jobs: jobs.map_or(0, |jobs| jobs.empty_jobs),
            blocks_seen: jobs.map_or(0, |jobs| jobs.blocks),
            ntime_ahead_seconds: jobs
                .filter(|jobs| jobs.ahead.1 > 0)
                .map(|jobs| jobs.ahead.0 / jobs.ahead.1 as f64),
            blocks_compared: lag.map_or(0, |lag| lag.blocks),
            blocks_first: lag.map_or(0, |lag| lag.first),
            new_block_lag_ms_p50: lag.and_then(|lag| lag.lag.quantile(0.5)),
            new_block_lag_ms_p99: lag.and_then(|lag| lag.lag.quantile(0.99)),
            outage_seconds: lengths.iter().sum::<i64>() as f64 / 1000.0,
            outages: lengths.len() as u64,
        }
    });
    pools.collect()
}

fn files(records: &Records) -> FilesJson {
    let unreadable = records.unreadable.iter().map(|file| UnreadableJson {
        path: file.path.to_string_lossy().into_owned(),
        reason: file.reason.clone(),
    });
    FilesJson { read: records.files, bytes: records.bytes, unreadable: unreadable.collect() }
}

fn reasons(records: &Records) -> Vec<ReportedReason> {
    let mut reasons: Vec<ReportedReason> = Vec::new();
    for ((code, reason), shares) in &records.reasons {
        reasons.push(ReportedReason { code: code.parse().ok(), reason: reason.clone(), shares: *shares });
    }
    reasons
        .sort_by(|a, b| b.shares.cmp(&a.shares).then_with(|| (a.code, &a.reason).cmp(&(b.code, &b.reason))));
    reasons
}

fn best_ever(records: &Records) -> Vec<ReportedBest> {
    let mut best: Vec<_> = records.states.iter().flat_map(|state| state.best()).collect();
    best.sort_by(|a, b| b.difficulty.value().total_cmp(&a.difficulty.value()));
    best.dedup_by(|a, b| a.hash == b.hash);
    let shown = best.into_iter().take(MAX_BEST_EVER).map(|best| ReportedBest {
        worker: best.worker.clone(),
        difficulty: best.difficulty.value(),
        at: best.at.to_string(),
        hash: format!("x{}", best.hash),
    });
    shown.collect()
}

fn outages(outages: &[Outage], end: UnixMs) -> Vec<ReportedOutage> {
    let mut shown: Vec<ReportedOutage> = Vec::new();
    for outage in outages {
        shown.push(ReportedOutage {
            subject: outage.subject.clone(),
            from: time_text(outage.from),
            to: outage.to.map(time_text),
            seconds: (outage.to.unwrap_or(end).max(outage.from) - outage.from) as f64 / 1000.0,
            is_crash: outage.is_crash,
            reason: outage.reason.clone(),
        });
    }
    shown.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    shown.truncate(MAX_SHOWN_OUTAGES);
    shown.sort_by(|a, b| a.from.cmp(&b.from));
    shown
}

/// By `alerts.log`; if that is missing, by the events.
fn alerts(records: &Records) -> Vec<ReportedAlerts> {
    let time_line = &records.time_line;
    let mut counts = time_line.alert_counts.clone();
    if counts.is_empty() {
        for state in &time_line.alert_states {
            let count = counts.entry(state.rule.clone()).or_insert((state.severity, 0));
            count.1 += 1;
        }
    }
    let mut alerts: Vec<_> = counts.into_iter().collect();
    alerts.sort_by(|(a_id, (a, a_count)), (b_id, (b, b_count))| {
        b.cmp(a).then(b_count.cmp(a_count)).then_with(|| a_id.cmp(b_id))
    });
    let shown = alerts.into_iter().map(|(id, (severity, alerts))| ReportedAlerts {
        id,
        severity: severity.as_str(),
        alerts,
    });
    shown.collect()
}

fn notes(records: &Records) -> Vec<ReportedNote> {
    let mut notes: Vec<_> = records.time_line.notes.iter().collect();
    notes.sort_by_key(|note| note.at);
    let skipped = notes.len().saturating_sub(MAX_SHOWN_NOTES);
    let shown = notes.into_iter().skip(skipped).map(|note| ReportedNote {
        at: time_text(note.at),
        severity: note.severity.as_str(),
        kind: note.kind.clone(),
        text: note.text.clone(),
        at_ms: note.at,
    });
    shown.collect()
}

fn damaged(records: &Records) -> DamagedJson {
    let places = records.damage.places.iter().map(|place| DamagedRowJson {
        file: place.file.clone(),
        line: place.line,
        reason: place.reason,
    });
    DamagedJson { rows: records.damage.rows, places: places.collect() }
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportError::NothingToRead(reasons) if reasons.is_empty() => f.write_str(
                "there is none of Sluice's files (shares.csv, timing.csv, events.jsonl, alerts.log, state.json); \
                 give the data directory or files of it",
            ),
            ReportError::NothingToRead(reasons) => write!(f, "nothing can be read: {}", reasons.join("; ")),
            ReportError::Export(error) => write!(f, "the export can't be written: {error}"),
        }
    }
}

impl std::error::Error for ReportError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_shares_the_events_have_the_period_and_the_findings() {
        let mut records = Records::new();
        let event = |minute: u32, kind: &str, severity: &str, subject: &str| {
            format!(
                "{{\"at\":\"2026-11-21T01:{minute:02}:00.000Z\",\"kind\":\"{kind}\",\"severity\":\"{severity}\",\"subject\":\"{subject}\"}}\n"
            )
        };
        let events = [
            event(10, "pool.failed", "medium", "a:1"),
            event(20, "alert.begun", "high", "payout.mismatch"),
            event(40, "program.reload", "info", "sluice"),
        ];
        let selection = ReportSelection::default();
        records.time_line.read_events(events.concat().as_bytes(), 0, &selection, |_, _| panic!()).unwrap();
        let report = Report::of_records(records, &selection);
        assert_eq!((report.seconds, report.from.as_deref()), (1800.0, Some("2026-11-21T01:10:00.000Z")));
        assert_eq!(report.outages.pools[0].seconds, 1800.0);
        let found: Vec<&str> = report.findings.iter().map(|finding| finding.id.as_str()).collect();
        assert_eq!(found, ["pool.outage", "payout.mismatch"]);
        let text = &report.findings[0].text;
        assert!(report.findings[1].action.starts_with("Check the address in your miners' user names."));
        assert!(text.contains("for 30 min") && text.ends_with("; the records have no share."), "{text}");
        let nothing = Report::of_records(Records::new(), &selection);
        assert_eq!((nothing.from, nothing.seconds, nothing.findings.len()), (None, 0.0, 0));
    }
}
