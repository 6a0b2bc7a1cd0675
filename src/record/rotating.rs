//! A file that is appended to in batches, and rotated when its day ends or it is full.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use log::warn;

use super::names::FileName;
use super::time_source::day_of;
use super::torn_row;
use super::write_retry::{TimePair, WriteError, WriteRetry};
use crate::util::files::is_at_path;

/// Buffered bytes that are written without waiting for the flush interval.
const FLUSH_AT: usize = 64 * 1024;

/// Caps the bytes buffered while the disk fails: about a thousand shares. Further rows are lost and
/// counted.
const MAX_BUFFERED: usize = 256 * 1024;

/// A live file. Its methods do not fail: rows that can't be written are buffered, then counted as
/// lost.
///
/// * The file contains whole rows only: half a row is cut off again if the disk takes no more, and a
///   row torn by a crash is moved to `.partial` when the file is next opened.
/// * A file that was deleted or replaced is created again at the next flush.
/// * A file with a different header is rotated first, so that no file has two sets of columns.
#[derive(Debug)]
pub struct RotatingFile {
    dir: PathBuf,
    name: FileName,
    /// The first line of a new file, with its newline; empty for none.
    header: String,
    max_bytes: u64,
    open: Option<OpenFile>,
    /// Whole rows that are not written yet.
    waiting: Vec<u8>,
    /// The end of each row in `waiting`.
    ends: VecDeque<usize>,
    /// The day of the rows in `waiting`.
    day: Date,
    lost: u64,
    writing: WriteRetry,
    rotating: WriteRetry,
    has_rotated: bool,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    /// The day of its rows.
    day: Date,
    length: u64,
}

impl RotatingFile {
    /// Prepares the file without opening it. `header` has no newline, and is empty for none.
    pub fn new(dir: &Path, name: FileName, header: &str, max_bytes: u64) -> RotatingFile {
        let header = if header.is_empty() { String::new() } else { format!("{header}\n") };
        RotatingFile {
            dir: dir.to_owned(),
            name,
            header,
            max_bytes,
            open: None,
            waiting: Vec::new(),
            ends: VecDeque::new(),
            day: Date::ZERO,
            lost: 0,
            writing: WriteRetry::default(),
            rotating: WriteRetry::default(),
            has_rotated: false,
        }
    }

    /// Buffers a row, which ends with its newline, until the next [`RotatingFile::flush`].
    pub fn append(&mut self, row: &[u8], moment: TimePair) {
        let day = moment.time.date();
        if day != self.day || self.waiting.len() + row.len() > MAX_BUFFERED {
            self.flush(moment);
        }
        if self.waiting.is_empty() {
            self.day = day;
        }
        if self.waiting.len() + row.len() > MAX_BUFFERED {
            self.lost += 1;
            return;
        }
        self.waiting.extend_from_slice(row);
        self.ends.push_back(self.waiting.len());
        if self.waiting.len() >= FLUSH_AT {
            self.flush(moment);
        }
    }

    /// Writes the buffered rows; after a failure, only if a retry is due.
    pub fn flush(&mut self, moment: TimePair) {
        if !self.waiting.is_empty() && self.writing.may_try(moment) {
            self.try_flush(moment);
        }
    }

    /// Writes the buffered rows even if no retry is due, syncs and closes the file. Rows that can't be
    /// written are lost.
    pub fn close(&mut self, moment: TimePair) {
        if !self.waiting.is_empty() {
            self.try_flush(moment);
        }
        if let Some(open) = self.open.take() {
            if let Err(error) = open.file.sync_all() {
                self.writing.failed(moment, &self.path(), &error, "its last rows may be lost");
            }
        }
        self.lost += self.ends.len() as u64;
        self.waiting.clear();
        self.ends.clear();
    }

    /// Number of rows lost because the disk failed.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The present failure.
    pub fn error(&self) -> Option<&WriteError> {
        self.writing.error().or(self.rotating.error())
    }

    /// True if a file was rotated since the last call.
    pub fn take_rotated(&mut self) -> bool {
        std::mem::take(&mut self.has_rotated)
    }

    fn path(&self) -> PathBuf {
        self.dir.join(self.name.live())
    }

    fn try_flush(&mut self, moment: TimePair) {
        match self.write_out(moment) {
            Ok(()) => self.writing.succeeded(),
            Err(error) => {
                // The next attempt opens the file again and checks its content.
                self.open = None;
                let then = "rows are buffered in memory, and are lost if this lasts";
                self.writing.failed(moment, &self.path(), &error, then);
            }
        }
    }

    fn write_out(&mut self, moment: TimePair) -> io::Result<()> {
        let open = self.take_open().map_or_else(|| self.open(moment), Ok)?;
        let mut open = self.rotate_if_due(open, moment)?;
        if open.length == 0 && !self.header.is_empty() {
            self.write_header(&mut open)?;
        }
        let (written, result) = match write_all(&open.file, &self.waiting) {
            Ok(()) => (self.waiting.len(), Ok(())),
            Err((written, error)) => (written, Err(error)),
        };
        let whole = self.drop_written(written);
        open.length += whole as u64;
        if written > whole {
            open.file.set_len(open.length)?;
        }
        self.open = Some(open);
        result
    }

    /// The file that the waiting rows belong to: this one, or a new one.
    fn rotate_if_due(&mut self, mut open: OpenFile, moment: TimePair) -> io::Result<OpenFile> {
        if open.length <= self.header.len() as u64 {
            // No rows yet.
            open.day = self.day;
            return Ok(open);
        }
        let is_full = open.length + self.waiting.len() as u64 > self.max_bytes;
        if !(is_full || open.day != self.day) || !self.rotating.may_try(moment) {
            return Ok(open);
        }
        match self.rotate(open.day) {
            Ok(()) => {
                self.rotating.succeeded();
                self.open(moment)
            }
            // A file that grows too large is better than rows that are lost.
            Err(error) => {
                self.rotating.failed(moment, &self.path(), &error, "it can't be rotated and grows on");
                Ok(open)
            }
        }
    }

    fn write_header(&self, open: &mut OpenFile) -> io::Result<()> {
        if let Err((written, error)) = write_all(&open.file, self.header.as_bytes()) {
            if written > 0 {
                open.file.set_len(0)?;
            }
            return Err(error);
        }
        open.length = self.header.len() as u64;
        Ok(())
    }

    /// Removes the rows that end within the first `written` bytes from the buffer, and returns their
    /// length.
    fn drop_written(&mut self, written: usize) -> usize {
        let rows = self.ends.partition_point(|end| *end <= written);
        let whole = self.ends.drain(..rows).next_back().unwrap_or(0);
        self.waiting.drain(..whole);
        self.ends.iter_mut().for_each(|end| *end -= whole);
        whole
    }

    /// Takes the open file, if its path still leads to it.
    fn take_open(&mut self) -> Option<OpenFile> {
        let mut open = self.open.take()?;
        // Another program may have emptied it.
        open.length = open.file.metadata().ok()?.len();
        is_at_path(&open.file, &self.path()).then_some(open)
    }

    fn open(&mut self, moment: TimePair) -> io::Result<OpenFile> {
        fs::create_dir_all(&self.dir)?;
        let open = self.open_once()?;
        if !self.has_foreign_header(&open)? {
            return Ok(open);
        }
        warn!("{}: has other columns; it is rotated, and a new file is started", self.path().display());
        self.rotate(open.day).inspect_err(|error| {
            self.rotating.failed(moment, &self.path(), error, "it has other columns and can't be rotated");
        })?;
        self.open_once()
    }

    fn open_once(&self) -> io::Result<OpenFile> {
        let path = self.path();
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let data = file.metadata()?;
        let length = if data.is_file() && data.len() > 0 { torn_row::repair(&mut file, &path)? } else { 0 };
        let has_rows = length > self.header.len() as u64;
        let day = if has_rows { day_of(data.modified()?).unwrap_or(self.day) } else { self.day };
        Ok(OpenFile { file, day, length })
    }

    fn has_foreign_header(&self, open: &OpenFile) -> io::Result<bool> {
        if open.length == 0 || self.header.is_empty() {
            return Ok(false);
        }
        let mut first = Vec::new();
        let mut reader = BufReader::new(&open.file);
        reader.seek(SeekFrom::Start(0))?;
        io::Read::take(&mut reader, self.header.len() as u64).read_until(b'\n', &mut first)?;
        Ok(first != self.header.as_bytes())
    }

    fn rotate(&mut self, day: Date) -> io::Result<()> {
        let rotated = self.name.next_rotated(&self.dir, day)?;
        fs::rename(self.path(), self.dir.join(rotated.name()))?;
        self.has_rotated = true;
        Ok(())
    }
}

/// Like [`Write::write_all`], but returns how much was written before a failure.
fn write_all(mut file: &File, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}
