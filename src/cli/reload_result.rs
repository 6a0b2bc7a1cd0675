//! The result of a reload, in a file of the service's runtime directory, and `sluice reload`, which waits for it. So
//! `systemctl reload` fails if the new configuration is not taken, and the journal says why.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use log::Level;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::CommandFailure;
use crate::net::service_manager::monotonic_micros;
use crate::util::escape::printable;
use crate::util::files::{directory_of_variable, replace};
use crate::util::os_error::describe;

/// The variable by which systemd names the runtime directory.
const DIRECTORY: &str = "RUNTIME_DIRECTORY";

/// The file's name in the runtime directory.
const FILE_NAME: &str = "reload.json";

/// Caps the recorded text: a configuration can have a fault in every line. The log has all of it.
const MAX_TEXT: usize = 16 << 10;

/// The longest wait for a result. The slowest part of a reload, the analyzer's, has 5 s, twice.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The pause between two looks at the file.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The result of a reload: what became of the new configuration, and the lines for the log.
#[derive(Debug)]
pub(super) struct ReloadResult {
    pub(super) outcome: ReloadOutcome,
    pub(super) lines: Vec<(Level, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ReloadOutcome {
    /// In effect, or in effect from the next start on.
    Taken,
    /// Wrong. The old one stays in effect.
    Refused,
    /// Not applied, for another reason.
    Failed,
}

impl ReloadResult {
    pub(super) fn refused(error: &impl ToString) -> ReloadResult {
        let text = format!("the old configuration stays in effect: {}", error.to_string());
        ReloadResult { outcome: ReloadOutcome::Refused, lines: vec![(Level::Error, text)] }
    }

    pub(super) fn failed(text: String) -> ReloadResult {
        ReloadResult { outcome: ReloadOutcome::Failed, lines: vec![(Level::Error, text)] }
    }

    pub(super) fn taken(lines: Vec<(Level, String)>) -> ReloadResult {
        ReloadResult { outcome: ReloadOutcome::Taken, lines }
    }
}

/// The file with the newest result of this process.
#[derive(Debug)]
pub(super) struct ReloadFile(Option<PathBuf>);

#[derive(Debug, Serialize, Deserialize)]
struct ReloadRecord {
    pid: u32,
    /// When the reload began, on the clock that all processes of the machine share. `None` before the first one.
    began_usec: Option<u64>,
    outcome: ReloadOutcome,
    text: String,
}

impl ReloadFile {
    /// Shows in the file that this process handles SIGHUP. Without a runtime directory there is no file.
    pub(super) fn create() -> ReloadFile {
        let file = ReloadFile(directory_of_variable(DIRECTORY).map(|dir| dir.join(FILE_NAME)));
        file.write(None, ReloadOutcome::Taken, String::new());
        file
    }

    /// Records the result of a reload that began at this time ([`monotonic_micros`]).
    pub(super) fn record(&self, began: u64, result: &ReloadResult) {
        let lines: Vec<&str> = result.lines.iter().map(|(_, line)| line.as_str()).collect();
        let mut text = lines.join("\n");
        if text.len() > MAX_TEXT {
            let end = (0..=MAX_TEXT).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
            text.push_str("\n(more in the log)");
        }
        self.write(Some(began), result.outcome, text);
    }

    fn write(&self, began_usec: Option<u64>, outcome: ReloadOutcome, text: String) {
        let Some(path) = &self.0 else { return };
        let record = ReloadRecord { pid: std::process::id(), began_usec, outcome, text };
        let written =
            serde_json::to_vec(&record).map_err(io::Error::from).and_then(|json| replace(path, &json));
        if let Err(why) = written {
            let why = describe(&why);
            log::warn!("{}: {why}; `sluice reload` can't tell how a reload ends", path.display());
        }
    }
}

/// The flags of `sluice reload`.
#[derive(Args)]
pub struct ReloadOptions {
    /// The process that is to read its configuration again
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pid: i32,
}

/// Has the process read its configuration again, and waits until it has. Prints what has changed.
///
/// # Errors
/// The new configuration is wrong or could not be applied, or the process does not say so in time.
pub fn run(options: &ReloadOptions) -> Result<(), CommandFailure> {
    let directory = directory_of_variable(DIRECTORY).ok_or_else(|| {
        failure(format!(
            "{DIRECTORY} is not set, so Sluice can't say how a reload ends: the unit file of systemd sets it with \
             RuntimeDirectory=; without systemd send SIGHUP, and read the log"
        ))
    })?;
    let record = request(options.pid, &directory.join(FILE_NAME), MAX_WAIT).map_err(failure)?;
    let lines = record.text.lines().map(|line| printable(line).into_owned());
    match record.outcome {
        ReloadOutcome::Taken => {
            // stdout may be closed; the exit code shows the result.
            let _ = io::stdout().write_all(lines.map(|line| line + "\n").collect::<String>().as_bytes());
            Ok(())
        }
        ReloadOutcome::Refused => Err(CommandFailure::ConfigFaults(lines.collect())),
        ReloadOutcome::Failed => Err(lines.collect::<Vec<_>>().into()),
    }
}

fn failure(text: String) -> CommandFailure {
    CommandFailure::Environment(text.into())
}

/// Sends SIGHUP to the process and waits for the result of a reload that has begun since. One that had begun before may
/// have read the file as it was.
fn request(pid: i32, file: &Path, limit: Duration) -> Result<ReloadRecord, String> {
    let is_of_process = |record: &ReloadRecord| i64::from(record.pid) == i64::from(pid);
    if !read(file).as_ref().is_some_and(is_of_process) {
        return Err(format!(
            "process {pid} is no Sluice that tells in {} how its reloads end; nothing was sent to it",
            file.display()
        ));
    }
    let process = Pid::from_raw(pid);
    let sent = monotonic_micros();
    kill(process, Signal::SIGHUP).map_err(|why| format!("can't send SIGHUP to process {pid}: {why}"))?;
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        let is_result = |record: &ReloadRecord| {
            is_of_process(record) && record.began_usec.is_some_and(|began| began >= sent)
        };
        if let Some(record) = read(file).filter(is_result) {
            return Ok(record);
        }
        if kill(process, None) == Err(Errno::ESRCH) {
            return Err(format!("process {pid} has ended"));
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    Err(format!(
        "process {pid} has not read its configuration within {} s; its log may say why",
        limit.as_secs()
    ))
}

fn read(file: &Path) -> Option<ReloadRecord> {
    let mut json = Vec::new();
    // Escaping makes a text at most six times as long.
    let limit = 8 * MAX_TEXT as u64;
    fs::File::open(file).ok()?.take(limit).read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file of this test's process, in a directory of its own.
    fn file() -> (tempfile::TempDir, ReloadFile) {
        let directory = tempfile::tempdir().unwrap();
        let file = ReloadFile(Some(directory.path().join(FILE_NAME)));
        (directory, file)
    }

    #[test]
    fn the_text_of_a_result_is_bounded() {
        let (directory, file) = file();
        let lines = (0..3000).map(|number| (Level::Error, format!("line {number}: unknown key \u{1}ü")));
        file.record(7, &ReloadResult::taken(lines.collect()));
        let record = read(&directory.path().join(FILE_NAME)).unwrap();
        assert_eq!((record.pid, record.began_usec), (std::process::id(), Some(7)));
        assert!(record.text.len() <= MAX_TEXT + 20 && record.text.ends_with("\n(more in the log)"));
    }

    #[test]
    fn nothing_is_sent_to_a_process_that_does_not_handle_it() {
        let (directory, file) = file();
        let path = directory.path().join(FILE_NAME);
        let own = i32::try_from(std::process::id()).unwrap();
        // The signal would end this process.
        assert!(request(own, &path, MAX_WAIT).unwrap_err().contains("nothing was sent"));
        fs::write(&path, "{}").unwrap();
        assert!(request(own, &path, MAX_WAIT).is_err());
        file.record(1, &ReloadResult::taken(Vec::new()));
        assert!(request(own - 1, &path, MAX_WAIT).unwrap_err().contains("nothing was sent"));
    }
}
