//! Disk errors: logged once, retried with growing pauses, and reported to the status.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::clock::NtpTime;
use crate::util::os_error::describe;

/// The first pause after a failure; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: a disk that works again is noticed within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A file that can't be written at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteError {
    pub file: PathBuf,
    /// The system's message.
    pub error: String,
    pub since: NtpTime,
}

/// One moment on both clocks: pauses are measured by the monotonic clock, days by the other.
#[derive(Debug, Clone, Copy)]
pub struct TimePair {
    pub monotonic: Instant,
    pub time: NtpTime,
}

/// The state of writing a file: it works, or a retry is due at some time.
#[derive(Debug, Default)]
pub(super) struct WriteRetry {
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    trouble: WriteError,
    pause: Duration,
    again: Instant,
}

impl WriteRetry {
    /// True if writing works or a retry is due.
    pub fn may_try(&self, moment: TimePair) -> bool {
        self.failing.as_ref().is_none_or(|failing| moment.monotonic >= failing.again)
    }

    /// Records a failure. The first one in a row is logged with `then`, the consequence for the data.
    pub fn failed(&mut self, moment: TimePair, file: &Path, error: &io::Error, then: &str) {
        let (since, pause) = match &self.failing {
            Some(before) => (before.trouble.since, (before.pause * 2).min(LONGEST_PAUSE)),
            None => {
                warn!("{}: {}; {then}", file.display(), describe(error));
                (moment.time, FIRST_PAUSE)
            }
        };
        let trouble = WriteError { file: file.to_owned(), error: error.to_string(), since };
        self.failing = Some(Failing { trouble, pause, again: moment.monotonic + pause });
    }

    /// Records a success, and logs it after a failure.
    pub fn succeeded(&mut self) {
        if let Some(failing) = self.failing.take() {
            info!("{}: can be written again", failing.trouble.file.display());
        }
    }

    pub fn error(&self) -> Option<&WriteError> {
        self.failing.as_ref().map(|failing| &failing.trouble)
    }
}
