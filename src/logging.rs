//! The log: to stderr and, for `run`, the same lines to `sluice.log` in the data directory.
//!
//! `2026-11-21T02:13:40.123Z INFO  message`; the level is `info` unless `RUST_LOG` says otherwise.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use env_logger::{Builder, Env, Target};
use jiff::Timestamp;

/// The file's name in the data directory.
pub const FILE_NAME: &str = "sluice.log";

/// At this size the file becomes `sluice.log.1`, replacing the one before.
const MAX_BYTES: u64 = 16 << 20;

/// After a failure the disk is left alone for so long.
const RETRY: Duration = Duration::from_secs(60);

/// Starts the log: to stderr only, or also to [`FILE_NAME`] in `data_dir`. A file that can't be
/// written never stops the program; stderr says so once. A second call has no effect.
pub fn start(data_dir: Option<&Path>) {
    let file = data_dir.map(|dir| LogFile::new(dir.join(FILE_NAME), MAX_BYTES));
    let started = Builder::from_env(Env::default().default_filter_or("info"))
        .format(|out, record| {
            let now = Timestamp::now();
            writeln!(
                out,
                "{now:.3} {:<5} {}",
                record.level(),
                Printable(&record.args().to_string())
            )
        })
        .target(Target::Pipe(Box::new(Both { file })))
        .try_init();
    if started.is_err() {
        log::debug!("the log was already started");
    }
}

/// A text of unknown origin as it may go to a terminal or a log: control characters, and those
/// that reorder or break lines, are escaped.
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(is_dangerous) {
            match piece.chars().next_back().filter(|last| is_dangerous(*last)) {
                Some(last) => {
                    f.write_str(&piece[..piece.len() - last.len_utf8()])?;
                    write!(f, "{}", last.escape_default())?;
                }
                None => f.write_str(piece)?,
            }
        }
        Ok(())
    }
}

fn is_dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Gets each line as one write.
struct Both {
    file: Option<LogFile>,
}

impl Write for Both {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Nobody may be there to read stderr; that is no reason to lose the file's line.
        let _ = io::stderr().write_all(line);
        if let Some(file) = &mut self.file {
            file.append(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    open: Option<(File, u64)>,
    failed: Option<Instant>,
}

impl LogFile {
    fn new(path: PathBuf, max_bytes: u64) -> LogFile {
        LogFile {
            path,
            max_bytes,
            open: None,
            failed: None,
        }
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
                    let _ = writeln!(io::stderr(), "{path}: {reason}; the log goes on here only");
                }
                self.open = None;
                self.failed = Some(Instant::now());
            }
        }
    }

    fn try_append(&mut self, line: &[u8]) -> io::Result<()> {
        let (mut file, mut size) = match self.open.take() {
            Some(open) => open,
            None => self.open_file()?,
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

    fn open_file(&self) -> io::Result<(File, u64)> {
        let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }
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
    fn appends_and_rotates_by_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::write(&path, "before\n").unwrap();
        let mut file = LogFile::new(path.clone(), 16);
        file.append(b"1234567\n");
        file.append(b"second\n");
        assert_eq!(
            fs::read_to_string(dir.path().join("sluice.log.1")).unwrap(),
            "before\n1234567\n"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "second\n");
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
