//! Reads all files, one after the other, in constant memory.

use std::cell::Cell;
use std::io::{self, Read};

use super::export::TypedExport;
use super::fields::TimeParser;
use super::input::{RecordKind, RecordSource, RecordSources};
use super::job_line::JobColumns;
use super::records::Records;
use super::rows::{NextRow, RowReader};
use super::selection::ReportSelection;
use super::share_line::ShareColumns;
use crate::record::SavedState;
use crate::util::escape::line_text;

/// Caps the bytes of `state.json`. A thousand workers have about 1 MiB.
const MAX_STATE: u64 = 16 << 20;
/// Caps the characters of a file's name where a damaged row is named.
const MAX_FILE_NAME: usize = 200;

/// Told how many bytes have been read, of how many.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64, u64);

/// Reads the files. `export` gets every selected share.
///
/// # Errors
/// The export can't be written.
pub(super) fn read_all(
    sources: RecordSources,
    selection: &ReportSelection,
    export: &mut Option<TypedExport>,
    on_progress: OnProgress<'_>,
) -> io::Result<Records> {
    let mut records = Records::new();
    records.selection = selection.clone();
    let whole: u64 = sources.files.iter().map(|file| file.bytes).sum();
    records.unreadable = sources.unreadable;
    let read = Cell::new(0_u64);
    for file in &sources.files {
        let shown = line_text(&file.path.to_string_lossy(), MAX_FILE_NAME);
        let mut job = FileJob { name: &shown, records: &mut records, selection, export };
        let counted = |length: usize| {
            read.set(read.get() + length as u64);
            on_progress(read.get(), whole);
        };
        match file.open(counted) {
            Ok(source) => job.read(source, file)?,
            Err(error) => {
                let reason = error.to_string();
                records.unreadable.push(super::input::UnreadableFile { path: file.path.clone(), reason });
                continue;
            }
        }
        records.files += 1;
        records.bytes += file.bytes;
    }
    Ok(records)
}

/// One file and where its content goes.
struct FileJob<'a> {
    name: &'a str,
    records: &'a mut Records,
    selection: &'a ReportSelection,
    export: &'a mut Option<TypedExport>,
}

impl FileJob<'_> {
    fn read(&mut self, source: Box<dyn Read + '_>, file: &RecordSource) -> io::Result<()> {
        match file.kind {
            RecordKind::Shares => self.shares(source, file.directory),
            RecordKind::Timing => {
                self.jobs(source);
                Ok(())
            }
            RecordKind::Events | RecordKind::Alerts => {
                self.notes(source, file);
                Ok(())
            }
            RecordKind::State => {
                self.state(source);
                Ok(())
            }
        }
    }

    /// Errors of the export end the report; a file that can't be read further is damaged, and the next one is read.
    fn shares(&mut self, source: impl Read, directory: usize) -> io::Result<()> {
        let mut reader = RowReader::new(source);
        let mut columns: Option<ShareColumns> = None;
        let mut times = TimeParser::default();
        loop {
            let line = reader.line() + 1;
            let row = match reader.next() {
                Ok(Some(NextRow::Row(row))) => row,
                Ok(Some(NextRow::Damaged(reason))) => {
                    self.records.add_damage(self.name, line, reason);
                    continue;
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.ended(reader.line() + 1, &error);
                    return Ok(());
                }
            };
            let known = match &columns {
                Some(known) => known,
                None => match ShareColumns::of_header(&row) {
                    Some(header) => {
                        columns = Some(header);
                        continue;
                    }
                    // The first part of the file is gone.
                    None => columns.insert(ShareColumns::usual()),
                },
            };
            let share = match known.share(&row, &mut times) {
                Ok(share) => share,
                Err(_) if known.is_header(&row) => {
                    columns = ShareColumns::of_header(&row);
                    continue;
                }
                Err(reason) => {
                    self.records.add_damage(self.name, line, reason);
                    continue;
                }
            };
            let selection = self.selection;
            if !selection.has_time(share.at)
                || !selection.has_worker(share.worker)
                || !selection.has_upstream(share.upstream)
            {
                self.records.not_selected += 1;
                continue;
            }
            self.records.add_share(&share, directory);
            if let Some(export) = self.export {
                export.add(known, &row)?;
            }
        }
    }

    fn jobs(&mut self, source: impl Read) {
        let mut reader = RowReader::new(source);
        let mut columns: Option<JobColumns> = None;
        let mut times = TimeParser::default();
        loop {
            let line = reader.line() + 1;
            let row = match reader.next() {
                Ok(Some(NextRow::Row(row))) => row,
                Ok(Some(NextRow::Damaged(reason))) => {
                    self.records.add_damage(self.name, line, reason);
                    continue;
                }
                Ok(None) => return,
                Err(error) => return self.ended(reader.line() + 1, &error),
            };
            if columns.is_none() || JobColumns::is_header(&row) {
                columns = JobColumns::of_header(&row);
                if columns.is_none() {
                    self.records.add_damage(self.name, line, "the file has no header");
                    return;
                }
                continue;
            }
            let Some(known) = &columns else { return };
            match known.job(&row, &mut times) {
                Ok(job) => {
                    let selection = self.selection;
                    if selection.has_time(job.at) && selection.has_upstream(job.pool) {
                        self.records.jobs.add(&job);
                    }
                }
                Err(reason) => self.records.add_damage(self.name, line, reason),
            }
        }
    }

    fn notes(&mut self, source: impl Read, file: &RecordSource) {
        let mut time_line = std::mem::take(&mut self.records.time_line);
        let mut last = 0;
        let damaged = |line: u64, reason| {
            last = line;
            self.records.add_damage(self.name, line, reason);
        };
        let read = match file.kind {
            RecordKind::Alerts => time_line.read_alerts(source, self.selection, damaged),
            _ => time_line.read_events(source, file.directory, self.selection, damaged),
        };
        self.records.time_line = time_line;
        if let Err(error) = read {
            self.ended(last + 1, &error);
        }
    }

    fn state(&mut self, source: impl Read) {
        match serde_json::from_reader::<_, SavedState>(io::BufReader::new(source.take(MAX_STATE))) {
            Ok(state) => self.records.states.push(state),
            Err(_) => self.records.add_damage(self.name, 1, "the state can't be read"),
        }
    }

    fn ended(&mut self, line: u64, error: &io::Error) {
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the compressed file is cut off here",
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                "the compressed file is damaged from here on"
            }
            _ => "the disk can't read the file from here on",
        };
        self.records.add_damage(self.name, line, reason);
    }
}
