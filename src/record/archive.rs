//! The thread that compresses rotated files and removes the oldest. It is separate from the writer,
//! so that no row waits for it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Span;
use jiff::civil::{Date, date};
use log::{info, warn};
use parking_lot::Mutex;

use super::names::{RotatedName, rotated_files};
use super::time_source::{TimeSource, day_of};
use super::write_retry::{TimePair, WriteError, WriteRetry};
use crate::clock::{DateCertainty, MIN_AGREEMENT};
use crate::config::RecordConfig;
use crate::util::files::{sync_directory, with_suffix};
use crate::util::format::count_of;
use crate::util::stop::{Stop, Stopped};
use crate::util::supervise;
use crate::util::supervise::service;

/// Time between two sweeps: files grow old even if nothing is rotated.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);
/// Pause after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// The day of Sluice's first release. A file of an earlier day was written before the clock was set,
/// as happens on a Pi at every start, so its age is unknown.
const FIRST_DAY: Date = date(2026, 1, 1);

/// Bytes compressed at once. After each chunk the thread sleeps for as long as the chunk took, so that
/// it uses at most half of a slow core.
const CHUNK: usize = 64 * 1024;

/// Limits on the rotated files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days a file is kept; `None` for ever.
    pub days: Option<u64>,
    /// Total size of all rotated files.
    pub bytes: u64,
}

impl Retention {
    pub fn of(record: &RecordConfig) -> Retention {
        let days = Some(record.keep_days).filter(|days| *days > 0);
        Retention { days, bytes: record.max_total_mb << 20 }
    }
}

/// Removes the oldest rotated files in `dir` until `retention` holds. Files over the size limit are
/// always removed, old ones only if the date is certain, because a wrong clock makes every file look
/// old. Live files and other programs' files are never touched. Returns how many files are kept only
/// because the date is not certain.
///
/// # Errors
/// Errors of the disk.
pub fn apply_retention(dir: &Path, retention: Retention, time: &dyn TimeSource) -> io::Result<usize> {
    let mut files = Vec::new();
    for (path, rotated) in rotated_files(dir)? {
        let Ok(data) = fs::metadata(&path) else { continue };
        // The date in the name is wrong if the clock was wrong then. A file modified later is not older
        // than that, so the later date counts.
        let touched = data.modified().ok().and_then(day_of).unwrap_or(rotated.date);
        files.push((rotated.date.max(touched), rotated, path, data.len()));
    }
    files.sort_by_key(|(date, rotated, ..)| (*date, rotated.date, rotated.number));
    let oldest = retention.days.and_then(|days| {
        let days = i64::try_from(days).ok()?;
        time.now().date().checked_sub(Span::new().try_days(days).ok()?).ok()
    });
    let is_certain = time.date_certainty() == DateCertainty::Certain;
    let (mut total, mut spared) = (0, 0);
    // From the newest: all files after the sum exceeds the limit are removed.
    for (date, rotated, path, length) in files.iter().rev() {
        total += length;
        let is_old = oldest.is_some_and(|oldest| *date < oldest && rotated.date >= FIRST_DAY);
        if total > retention.bytes || (is_old && is_certain) {
            remove_if_there(path)?;
            info!("{}: removed, because [record] limits age and size of archives", path.display());
        } else if is_old {
            spared += 1;
        }
    }
    Ok(spared)
}

/// Compresses the rotated file at `path` and removes the original. After a crash, the next call
/// completes the work.
///
/// # Errors
/// Errors of the disk; `Interrupted` if stopped.
pub(super) fn compress(path: &Path, rotated: RotatedName, stop: &Stop) -> io::Result<()> {
    let compressed = path.with_file_name(RotatedName { is_compressed: true, ..rotated }.name());
    let part = with_suffix(&compressed, ".part");
    let written = compress_to(path, &part, stop).and_then(|()| fs::rename(&part, &compressed));
    if written.is_err() {
        let _ = fs::remove_file(&part);
        return written;
    }
    if let Some(dir) = path.parent() {
        sync_directory(dir)?;
    }
    remove_if_there(path)
}

/// The handle of the archive thread.
pub(super) struct Archive {
    wake: Sender<()>,
    stop: Stop,
    trouble: Arc<Mutex<Option<WriteError>>>,
}

impl Archive {
    /// Starts the thread, which begins with the files of earlier runs.
    pub fn start(dir: &Path, retention: Retention, time: Arc<dyn TimeSource>) -> io::Result<Archive> {
        let (wake, woken) = bounded(1);
        let trouble = Arc::new(Mutex::new(None));
        let stop = Stop::new();
        let mut keeper = Archiver {
            dir: dir.to_owned(),
            retention,
            time,
            began: Instant::now(),
            has_warned: false,
            stop: stop.clone(),
            condition: WriteRetry::default(),
            trouble: trouble.clone(),
        };
        service("record-archive").start(move || keeper.run(&woken))?;
        Ok(Archive { wake, stop, trouble })
    }

    /// Tells the thread that there is a new rotated file.
    pub fn wake(&self) {
        // If a signal is pending already, the next sweep finds this file too.
        let _ = self.wake.try_send(());
    }

    pub fn error(&self) -> Option<WriteError> {
        self.trouble.lock().clone()
    }
}

impl Drop for Archive {
    /// Stops the thread. A half-compressed file is done again at the next start.
    fn drop(&mut self) {
        self.stop.stop();
    }
}

struct Archiver {
    dir: PathBuf,
    retention: Retention,
    time: Arc<dyn TimeSource>,
    began: Instant,
    /// The log has the warning that old files are kept because the date is uncertain.
    has_warned: bool,
    stop: Stop,
    condition: WriteRetry,
    trouble: Arc<Mutex<Option<WriteError>>>,
}

impl Archiver {
    fn run(&mut self, woken: &Receiver<()>) -> Result<(), Stopped> {
        remove_parts(&self.dir);
        loop {
            supervise::beat();
            let moment = TimePair { monotonic: Instant::now(), time: self.time.now() };
            match self.sweep() {
                Ok(()) => self.condition.succeeded(),
                Err(_) if self.stop.is_stopped() => return Ok(()),
                Err(error) => {
                    let then = "rotated files can't be compressed or removed";
                    self.condition.failed(moment, &self.dir, &error, then);
                }
            }
            let trouble = self.condition.error().cloned();
            let pause = if trouble.is_some() { RETRY_INTERVAL } else { SWEEP_INTERVAL };
            *self.trouble.lock() = trouble;
            if woken.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                return Ok(());
            }
        }
    }

    fn sweep(&mut self) -> io::Result<()> {
        if !self.dir.is_dir() {
            // Nothing was rotated yet. The writer reports a missing directory.
            return Ok(());
        }
        // Remove files first: compression may need the room.
        apply_retention(&self.dir, self.retention, &*self.time)?;
        for (path, rotated) in rotated_files(&self.dir)? {
            if !rotated.is_compressed {
                compress(&path, rotated, &self.stop)?;
            }
        }
        let spared = apply_retention(&self.dir, self.retention, &*self.time)?;
        self.warn_of_spared(spared);
        Ok(())
    }

    /// Warns once why old-looking files are kept. If a time source is only missing, it waits first:
    /// after a start there is no miner yet, and so no job.
    fn warn_of_spared(&mut self, spared: usize) {
        let certainty = self.time.date_certainty();
        self.has_warned &= certainty != DateCertainty::Certain;
        let DateCertainty::Doubtful(doubt) = certainty else { return };
        let is_due = doubt.is_contradiction || self.began.elapsed() > MIN_AGREEMENT;
        if spared == 0 || self.has_warned || !is_due {
            return;
        }
        self.has_warned = true;
        let files = count_of(spared as u64, "archived file looks", "archived files look");
        warn!(
            "{}: {files} older than record.keep_days = {}; nothing is removed for that, because the clock may be wrong: {}. Until \
             this machine's clock, NTP and the pools' jobs have agreed on the day for {} hours, archives are \
             removed by their size alone (record.max_total_mb)",
            self.dir.display(),
            self.retention.days.unwrap_or(0),
            doubt.reason,
            MIN_AGREEMENT.as_secs() / 3600,
        );
    }
}

fn compress_to(path: &Path, part: &Path, stop: &Stop) -> io::Result<()> {
    let mut source = File::open(path)?;
    // Level 1: on a Pi seven times as fast as level 6, for a quarter of the size instead of a fifth.
    let mut encoder = GzEncoder::new(BufWriter::new(File::create(part)?), Compression::fast());
    let mut piece = vec![0; CHUNK];
    loop {
        let begin = Instant::now();
        let length = source.read(&mut piece)?;
        if length == 0 {
            break;
        }
        io::Write::write_all(&mut encoder, &piece[..length])?;
        stop.sleep(begin.elapsed()).map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?;
    }
    let file = encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

/// Removes partial files left by a crash during compression.
fn remove_parts(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let compressed = name.to_str().and_then(|name| RotatedName::parse(name.strip_suffix(".part")?));
        if compressed.is_some_and(|rotated| rotated.is_compressed) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
