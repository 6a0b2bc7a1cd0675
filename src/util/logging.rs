//! The log: to stderr and, for `run`, the same lines to `sluice.log` in the data directory.
//!
//! Lines pass through a bounded queue to a thread of their own: a paused terminal or an SD card that
//! stalls for a second holds up no session and no accept loop. What finds no room is counted.
//!
//! `2026-11-21T02:13:40.123Z INFO  message`; `RUST_LOG` sets the level, `info` by default.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use env_logger::{Builder, Env, Target};
use jiff::Timestamp;

use super::nul_tail;
use super::stop::Stopped;
use super::supervise;
use super::supervise::service;
use crate::util::escape::Printable;
use crate::util::os_error::describe;
use crate::util::plural::count;

/// The file's name in the data directory.
pub const FILE_NAME: &str = "sluice.log";

/// At this size the file becomes `sluice.log.1`, replacing the one before.
const MAX_BYTES: u64 = 16 << 20;

/// How many lines may wait to be written.
const MAX_QUEUED: usize = 1024;

/// The end of the program waits no longer for the log.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// After a failure the disk is left alone for so long.
const RETRY: Duration = Duration::from_secs(60);

/// How often the log looks whether its file is still there: somebody may delete the whole directory.
const LOOK: Duration = Duration::from_secs(1);

/// Starts the log: to stderr only, or also to [`FILE_NAME`] in `data_dir`. A file that can't be
/// written never stops the program; stderr says so once. `level` holds unless `RUST_LOG` says
/// otherwise. A second call has no effect.
pub fn start(data_dir: Option<&Path>, level: &str) {
    let file = data_dir.map(|dir| LogFile::new(dir.join(FILE_NAME), MAX_BYTES));
    let queue = LogQueue::start(Both { file });
    let started = Builder::from_env(Env::default().default_filter_or(level))
        .format(|out, record| {
            // The HTTP client would tell the URLs it calls, which may be secrets.
            if record.target().starts_with("ureq") {
                return Ok(());
            }
            let now = Timestamp::now();
            writeln!(out, "{now:.3} {:<5} {}", record.level(), Printable(&record.args().to_string()))
        })
        .target(Target::Pipe(Box::new(queue)))
        .try_init();
    if started.is_err() {
        log::debug!("the log was already started");
    }
}

/// Waits until the lines so far are written, for a bounded time. For the end of the program.
pub fn flush() {
    if let Some(sender) = TO_WRITER.get() {
        let (done, written) = bounded(1);
        if sender.send_timeout(LogEntry::Flush(done), FLUSH_LIMIT).is_ok() {
            let _ = written.recv_timeout(FLUSH_LIMIT);
        }
    }
}

/// The way to the log's thread, once it runs.
static TO_WRITER: OnceLock<Sender<LogEntry>> = OnceLock::new();

enum LogEntry {
    Line(Vec<u8>),
    /// Everything before this is written when the channel is told.
    Flush(Sender<()>),
}

/// Gets each line as one write and passes it on without waiting.
enum LogQueue {
    Thread {
        sender: Sender<LogEntry>,
        lost: u64,
    },
    /// No thread could be started: lines are written on the spot, to stderr.
    Direct(Both),
}

impl LogQueue {
    fn start(mut both: Both) -> LogQueue {
        let (sender, entries) = bounded(MAX_QUEUED);
        let thread = service("log").start(move || {
            for entry in &entries {
                match entry {
                    LogEntry::Line(line) => both.write_line(&line),
                    LogEntry::Flush(done) => drop(done),
                }
                supervise::beat();
            }
            Ok::<(), Stopped>(())
        });
        match thread {
            Ok(_) => {
                // A second start is refused by the logger; its thread ends with its sender.
                let _ = TO_WRITER.set(sender.clone());
                LogQueue::Thread { sender, lost: 0 }
            }
            Err(_) => LogQueue::Direct(Both { file: None }),
        }
    }
}

impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            LogQueue::Direct(both) => both.write_line(line),
            LogQueue::Thread { sender, lost } => {
                if *lost > 0 && sender.try_send(LogEntry::Line(lost_lines(*lost))).is_ok() {
                    *lost = 0;
                }
                if sender.try_send(LogEntry::Line(line.to_vec())).is_err() {
                    *lost += 1;
                }
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lost_lines(lost: u64) -> Vec<u8> {
    let were = if lost == 1 { "was" } else { "were" };
    format!(
        "{:.3} WARN  {} of this log {were} lost: it could not be written fast enough\n",
        Timestamp::now(),
        count(lost, "line")
    )
    .into_bytes()
}

/// Writes to both places.
struct Both {
    file: Option<LogFile>,
}

impl Both {
    fn write_line(&mut self, line: &[u8]) {
        // Nobody may be there to read stderr; that is no reason to lose the file's line.
        let _ = io::stderr().write_all(line);
        if let Some(file) = &mut self.file {
            file.append(line);
        }
    }
}

struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    open: Option<(File, u64)>,
    /// When the file was last seen in its place.
    seen: Option<Instant>,
    failed: Option<Instant>,
}

impl LogFile {
    fn new(path: PathBuf, max_bytes: u64) -> LogFile {
        LogFile { path, max_bytes, open: None, seen: None, failed: None }
    }

    fn append(&mut self, line: &[u8]) {
        if self.failed.is_some_and(|failed| failed.elapsed() < RETRY) {
            return;
        }
        match self.try_append(line) {
            Ok(()) => self.failed = None,
            Err(reason) => {
                if self.failed.is_none() {
                    let path = self.path.display();
                    let _ =
                        writeln!(io::stderr(), "{path}: {}; the log goes on here only", describe(&reason));
                }
                self.open = None;
                self.failed = Some(Instant::now());
            }
        }
    }

    fn try_append(&mut self, line: &[u8]) -> io::Result<()> {
        let (mut file, mut size) = match self.open.take() {
            Some(open) if self.is_in_place(&open.0) => open,
            _ => self.open_file()?,
        };
        if size > 0 && size + line.len() as u64 > self.max_bytes {
            drop(file);
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&self.path, &old)?;
            (file, size) = self.open_file()?;
        }
        file.write_all(line)?;
        self.open = Some((file, size + line.len() as u64));
        Ok(())
    }

    /// Whether the name still leads to this file; looked at once a second.
    fn is_in_place(&mut self, file: &File) -> bool {
        if self.seen.is_some_and(|seen| seen.elapsed() < LOOK) {
            return true;
        }
        self.seen = Some(Instant::now());
        let (Ok(there), Ok(ours)) = (std::fs::metadata(&self.path), file.metadata()) else { return false };
        (there.dev(), there.ino()) == (ours.dev(), ours.ino())
    }

    fn open_file(&mut self) -> io::Result<(File, u64)> {
        if let (Some(_), Some(dir)) = (self.seen, self.path.parent()) {
            // It was there; somebody has deleted it.
            std::fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&self.path)?;
        let mut size = if file.metadata()?.is_file() { nul_tail::cut(&mut file)? } else { 0 };
        if size > 0 && !ends_line(&mut file)? {
            // A line that a crash tore is not glued to the next.
            file.write_all(b"\n")?;
            size += 1;
        }
        self.seen = Some(Instant::now());
        Ok((file, size))
    }
}

fn ends_line(file: &mut File) -> io::Result<bool> {
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_peers_text_cannot_forge_a_line_or_drive_a_terminal() {
        let hostile = "worker\n2026 INFO all is well\x1b[2J\u{202e}é\r";
        let printed = Printable(hostile).to_string();
        assert_eq!(printed, "worker\\n2026 INFO all is well\\u{1b}[2J\\u{202e}é\\r");
    }

    #[test]
    fn a_stuck_writer_holds_nobody_up_and_the_loss_is_said() {
        let (sender, entries) = bounded(2);
        let mut queue = LogQueue::Thread { sender, lost: 0 };
        for line in [b"1\n", b"2\n", b"3\n", b"4\n"] {
            queue.write_all(line).unwrap();
        }
        let next = || match entries.try_recv() {
            Ok(LogEntry::Line(line)) => String::from_utf8(line).unwrap(),
            _ => panic!("no line"),
        };
        assert_eq!((next(), next()), ("1\n".to_owned(), "2\n".to_owned()));
        queue.write_all(b"5\n").unwrap();
        assert!(next().contains("2 lines of this log were lost"));
        assert_eq!(next(), "5\n");
    }

    #[test]
    fn appends_and_rotates_by_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::write(&path, "before\n").unwrap();
        let mut file = LogFile::new(path.clone(), 16);
        file.append(b"1234567\n");
        file.append(b"second\n");
        assert_eq!(fs::read_to_string(dir.path().join("sluice.log.1")).unwrap(), "before\n1234567\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "second\n");
    }

    #[test]
    fn a_file_that_is_deleted_with_its_directory_is_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data").join(FILE_NAME);
        fs::create_dir(dir.path().join("data")).unwrap();
        let mut file = LogFile::new(path.clone(), 1024);
        file.append(b"first\n");
        fs::remove_dir_all(dir.path().join("data")).unwrap();
        file.seen = Instant::now().checked_sub(LOOK);
        file.append(b"second\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "second\n");
    }

    #[test]
    fn what_a_power_cut_leaves_at_the_end_is_not_glued_to_the_next_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        for (left, then) in [("whole\n", "whole\nnext\n"), ("torn", "torn\nnext\n"), ("", "next\n")] {
            fs::write(&path, format!("{left}{}", "\0".repeat(200_000))).unwrap();
            LogFile::new(path.clone(), 1 << 20).append(b"next\n");
            assert_eq!(fs::read_to_string(&path).unwrap(), then);
        }
    }

    #[test]
    fn a_failing_disk_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = LogFile::new(dir.path().join("missing").join(FILE_NAME), 16);
        file.append(b"lost\n");
        assert!(file.failed.is_some());
        fs::create_dir(dir.path().join("missing")).unwrap();
        file.append(b"still within the pause\n");
        assert!(!dir.path().join("missing").join(FILE_NAME).exists());
    }
}
