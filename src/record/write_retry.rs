//! What fails on the disk: said once, tried again later, and told to whoever asks.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::clock::NtpTime;
use crate::util::os_error::describe;

/// The first pause after a failure; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: how long a disk may be back unnoticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Something that can't be written at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteError {
    pub file: PathBuf,
    /// The system's words.
    pub error: String,
    pub since: NtpTime,
}

/// One moment by both clocks: pauses are measured by the one, days by the other.
#[derive(Debug, Clone, Copy)]
pub struct TimePair {
    pub monotonic: Instant,
    pub time: NtpTime,
}

/// Whether something works, and when to try again if not.
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
    /// Whether it is time to try.
    pub fn may_try(&self, moment: TimePair) -> bool {
        self.failing.as_ref().is_none_or(|failing| moment.monotonic >= failing.again)
    }

    /// Notes a failure; the first of a row is logged, with what becomes of the data.
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

    /// Notes that it works.
    pub fn succeeded(&mut self) {
        if let Some(failing) = self.failing.take() {
            info!("{}: can be written again", failing.trouble.file.display());
        }
    }

    pub fn error(&self) -> Option<&WriteError> {
        self.failing.as_ref().map(|failing| &failing.trouble)
    }
}
