//! The log: on stderr and, for `run`, the same lines in `sluice.log` in the data directory.
//!
//! A thread of its own writes the lines, from a bounded queue: a paused terminal or a stalled SD card delays no session
//! and no accept loop. Lines that find the queue full are dropped and counted.
//!
//! The format is `2026-11-21T02:13:40.123Z INFO  message`; `RUST_LOG` sets the level, `info` by default. On a terminal
//! long lines are wrapped and addresses shortened; in the file and in a pipe each message is one line, for programs. The
//! journal of systemd gets a priority in place of the time, which it writes itself: `<6>INFO  message`.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use env_logger::{Builder, Env, Target};
use jiff::Timestamp;
use log::Level;

use super::files::{cut_trailing_nuls, is_at_path, with_suffix};
use super::journal;
use super::supervise::{self, service};
use crate::util::escape::Printable;
use crate::util::format::count_of;
use crate::util::os_error::describe;
use crate::util::wrap::{CONSOLE_COLUMNS, shortened, wrapped};

/// The file's name in the data directory.
pub const FILE_NAME: &str = "sluice.log";

/// At this size the file is renamed to `sluice.log.1`, which replaces the previous one.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Bounds the memory of lines that wait for a slow terminal or disk.
const MAX_QUEUED_LINES: usize = 1024;

/// The end of the program waits no longer for the log.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause after a write error, so that a failing disk is not asked for every line.
const RETRY_PAUSE: Duration = Duration::from_secs(60);

/// The characters before the message: the time, a space, the level, a space.
const HEAD_CHARS: usize = 31;

/// The characters of the time and the space behind it.
const TIME_CHARS: usize = 25;

/// The interval of checks that the file still exists: somebody may delete the whole directory.
const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Starts the log, on stderr and, with `data_dir`, in [`FILE_NAME`] there. If the file can't be written, stderr says so
/// once and the program goes on. `RUST_LOG` overrides `level`. A second call has no effect.
pub fn start(data_dir: Option<&Path>, level: &str) {
    let file = data_dir.map(|dir| LogFile::new(dir.join(FILE_NAME), MAX_FILE_BYTES));
    let queue = LogQueue::start(LogOutput { file, reader: StderrReader::find() });
    let started = Builder::from_env(Env::default().default_filter_or(level))
        .format(|out, record| {
            // The HTTP client logs the URLs it requests, which may be secrets.
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

/// Waits until the lines so far are written, for a bounded time. Called at the end of the program.
pub fn flush() {
    if let Some(sender) = TO_WRITER.get() {
        let (done, written) = bounded(1);
        if sender.send_timeout(LogEntry::Flush(done), FLUSH_TIMEOUT).is_ok() {
            let _ = written.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// The queue of the log's thread, once it runs.
static TO_WRITER: OnceLock<Sender<LogEntry>> = OnceLock::new();

enum LogEntry {
    Line(Vec<u8>),
    /// Closes the channel when every line before this entry is written.
    Flush(Sender<()>),
}

/// The logger's output. It gets each line as one write and queues it without blocking.
enum LogQueue {
    Thread {
        sender: Sender<LogEntry>,
        lost: u64,
    },
    /// No thread could be started: lines are written to stderr directly.
    Direct(LogOutput),
}

impl LogQueue {
    fn start(mut output: LogOutput) -> LogQueue {
        let (sender, entries) = bounded(MAX_QUEUED_LINES);
        let thread = service("log").start(move || {
            for entry in &entries {
                match entry {
                    LogEntry::Line(line) => output.write_line(&line),
                    LogEntry::Flush(done) => drop(done),
                }
                supervise::beat();
            }
        });
        match thread {
            Ok(_) => {
                // The logger rejects a second start, whose thread then ends with its sender.
                let _ = TO_WRITER.set(sender.clone());
                LogQueue::Thread { sender, lost: 0 }
            }
            Err(_) => LogQueue::Direct(LogOutput { file: None, reader: StderrReader::find() }),
        }
    }
}

impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            LogQueue::Direct(output) => output.write_line(line),
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
    let lines = count_of(lost, "line of this log was", "lines of this log were");
    let now = Timestamp::now();
    format!("{now:.3} WARN  {lines} lost: it could not be written fast enough\n").into_bytes()
}

/// Writes to stderr and the file.
struct LogOutput {
    file: Option<LogFile>,
    reader: StderrReader,
}

/// The reader of stderr, who decides the form of a line.
enum StderrReader {
    /// A person.
    Terminal,
    Journal,
    /// A program, or a file.
    Pipe,
}

impl StderrReader {
    fn find() -> StderrReader {
        match io::stderr().is_terminal() {
            true => StderrReader::Terminal,
            false if journal::reads_stderr() => StderrReader::Journal,
            false => StderrReader::Pipe,
        }
    }

    fn form(&self, line: &str) -> String {
        match self {
            StderrReader::Terminal => for_terminal(line),
            StderrReader::Journal => for_journal(line),
            StderrReader::Pipe => line.to_owned(),
        }
    }
}

impl LogOutput {
    fn write_line(&mut self, line: &[u8]) {
        // stderr may be closed; the file still gets the line.
        let _ = match std::str::from_utf8(line) {
            Ok(text) => io::stderr().write_all(self.reader.form(text).as_bytes()),
            Err(_) => io::stderr().write_all(line),
        };
        if let Some(file) = &mut self.file {
            file.append(line);
        }
    }
}

/// The line, with addresses shortened, in as many lines as it needs.
fn for_terminal(line: &str) -> String {
    let Some((head, message)) = line.trim_end_matches('\n').split_at_checked(HEAD_CHARS) else {
        return line.to_owned();
    };
    let message = shortened(message);
    if HEAD_CHARS + message.chars().count() <= CONSOLE_COLUMNS {
        return format!("{head}{message}\n");
    }
    wrapped(head, &message, HEAD_CHARS, CONSOLE_COLUMNS).join("\n") + "\n"
}

/// The line with its priority and without the time.
fn for_journal(line: &str) -> String {
    let Some((_, message)) = line.split_at_checked(TIME_CHARS) else { return line.to_owned() };
    let level = message.split(' ').next().and_then(|level| level.parse().ok());
    level.map_or_else(|| line.to_owned(), |level| format!("{}{message}", journal::priority(level)))
}

struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    open: Option<(File, u64)>,
    /// When the file was last found at its path.
    checked_at: Option<Instant>,
    failed_at: Option<Instant>,
}

impl LogFile {
    fn new(path: PathBuf, max_bytes: u64) -> LogFile {
        LogFile { path, max_bytes, open: None, checked_at: None, failed_at: None }
    }

    fn append(&mut self, line: &[u8]) {
        if self.failed_at.is_some_and(|failed_at| failed_at.elapsed() < RETRY_PAUSE) {
            return;
        }
        match self.try_append(line) {
            Ok(()) => self.failed_at = None,
            Err(reason) => {
                if self.failed_at.is_none() {
                    let (path, reason) = (self.path.display(), describe(&reason));
                    let text = format!("{path}: {reason}; from now on the log is on stderr only\n");
                    let _ = io::stderr().write_all(journal::marked(Level::Warn, &text).as_bytes());
                }
                self.open = None;
                self.failed_at = Some(Instant::now());
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
            std::fs::rename(&self.path, with_suffix(&self.path, ".1"))?;
            (file, size) = self.open_file()?;
        }
        file.write_all(line)?;
        self.open = Some((file, size + line.len() as u64));
        Ok(())
    }

    /// True if the path still leads to this file. Checked every [`FILE_CHECK_INTERVAL`].
    fn is_in_place(&mut self, file: &File) -> bool {
        if self.checked_at.is_some_and(|checked_at| checked_at.elapsed() < FILE_CHECK_INTERVAL) {
            return true;
        }
        self.checked_at = Some(Instant::now());
        is_at_path(file, &self.path)
    }

    fn open_file(&mut self) -> io::Result<(File, u64)> {
        if let (Some(_), Some(dir)) = (self.checked_at, self.path.parent()) {
            // The file existed, so somebody has deleted it, perhaps with its directory.
            std::fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&self.path)?;
        let mut size = if file.metadata()?.is_file() { cut_trailing_nuls(&mut file)? } else { 0 };
        if size > 0 && !ends_line(&mut file)? {
            // A crash left a partial line; the next line must not be appended to it.
            file.write_all(b"\n")?;
            size += 1;
        }
        self.checked_at = Some(Instant::now());
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
    fn a_stuck_writer_blocks_nobody_and_the_loss_is_logged() {
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
    fn a_terminal_gets_wrapped_lines_and_short_addresses() {
        let head = "2026-11-21T02:13:40.123Z WARN  ";
        let short = format!("{head}MINERS       3 connected\n");
        assert_eq!(for_terminal(&short), short);
        let address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
        let long =
            format!("{head}payout.mismatch: a block would pay {} to {address}\n", "nothing ".repeat(9));
        let lines = for_terminal(&long);
        assert!(lines.lines().all(|line| line.chars().count() <= CONSOLE_COLUMNS), "{lines}");
        assert_eq!(lines.lines().count(), 2);
        assert!(lines.ends_with(" bc1qw508…f3t4\n"), "{lines}");
        assert_eq!(for_terminal("short\n"), "short\n");
    }

    #[test]
    fn the_journal_gets_a_priority_in_place_of_the_time() {
        for (level, priority) in [("ERROR", 3), ("WARN ", 4), ("INFO ", 6), ("DEBUG", 7), ("TRACE", 7)] {
            let line = format!("2026-11-21T02:13:40.123Z {level} the pool is silent: 5 s\n");
            assert_eq!(for_journal(&line), format!("<{priority}>{level} the pool is silent: 5 s\n"));
        }
        let lost = String::from_utf8(lost_lines(2)).unwrap();
        assert!(for_journal(&lost).starts_with("<4>WARN  2 lines"), "{lost}");
        assert_eq!(for_journal("short\n"), "short\n");
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
    fn a_file_that_is_deleted_with_its_directory_is_created_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data").join(FILE_NAME);
        fs::create_dir(dir.path().join("data")).unwrap();
        let mut file = LogFile::new(path.clone(), 1024);
        file.append(b"first\n");
        fs::remove_dir_all(dir.path().join("data")).unwrap();
        file.checked_at = Instant::now().checked_sub(FILE_CHECK_INTERVAL);
        file.append(b"second\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "second\n");
    }

    #[test]
    fn a_torn_end_after_a_power_cut_is_not_joined_to_the_next_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        for (left, then) in [("whole\n", "whole\nnext\n"), ("torn", "torn\nnext\n"), ("", "next\n")] {
            fs::write(&path, format!("{left}{}", "\0".repeat(200_000))).unwrap();
            LogFile::new(path.clone(), 1 << 20).append(b"next\n");
            assert_eq!(fs::read_to_string(&path).unwrap(), then);
        }
    }

    #[test]
    fn a_failing_disk_is_not_retried_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = LogFile::new(dir.path().join("missing").join(FILE_NAME), 16);
        file.append(b"lost\n");
        assert!(file.failed_at.is_some());
        fs::create_dir(dir.path().join("missing")).unwrap();
        file.append(b"still within the pause\n");
        assert!(!dir.path().join("missing").join(FILE_NAME).exists());
    }
}
