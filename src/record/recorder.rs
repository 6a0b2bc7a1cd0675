//! The handle that the analyzer holds: it passes things on, and never waits for the disk.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use super::alert::AlertRow;
use super::archive::{Archive, Retention};
use super::block::BlockRecord;
use super::geek::{GeekTopic, geek_line};
use super::job::JobRow;
use super::persisted_json;
use super::persisted_json::SaveSlot;
use super::read_back;
use super::share::ShareRow;
use super::state::{STATE_FILE, SavedState};
use super::time_source::TimeSource;
use super::write_retry::WriteError;
use super::writer::{QueuedRecord, RecordFile, UrgentMessage, Writer};
use crate::analyzer::History;
use crate::clock::NtpTime;
use crate::config::RecordConfig;
use crate::util::plural::count;

/// Rows that may wait while the disk is busy: of honest ones 2 MiB.
const MAX_QUEUED: usize = 4096;

/// Blocks that may wait.
const MAX_URGENT: usize = 16;

/// How long a found block waits for room: it is worth holding the analyzer up, not stopping it.
const BLOCK_DEADLINE: Duration = Duration::from_secs(2);

/// How long the end of the program waits for the disk.
const FINISH_DEADLINE: Duration = Duration::from_secs(10);

/// The way to the files. Clones share it.
#[derive(Debug, Clone)]
pub struct Recorder {
    rows: Sender<QueuedRecord>,
    urgent: Sender<UrgentMessage>,
    /// Wakes the writer for a state with news that must not be lost. Of one place: it never takes that of a block.
    state_news: Sender<()>,
    shared: Arc<RecorderShared>,
    wanted: EnabledFiles,
}

/// How the recording goes; for pages and alerts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordingHealth {
    /// Rows that found the queue full: the disk is too slow.
    pub dropped: u64,
    /// Rows that the disk did not take for too long: it is full, or broken.
    pub lost: u64,
    /// What can't be written at present; empty when all is well.
    pub write_errors: Vec<WriteError>,
}

/// What passes between the handle and the thread beside the channels.
#[derive(Debug, Default)]
pub(super) struct RecorderShared {
    pub dropped: AtomicU64,
    pub lost: AtomicU64,
    pub write_errors: Mutex<Vec<WriteError>>,
    pub state: Arc<SaveSlot<SavedState>>,
    pub history: Arc<SaveSlot<History>>,
    /// The writer has come to its regular end.
    pub has_finished: AtomicBool,
}

/// Which of the optional files are written.
#[derive(Debug, Clone, Copy)]
struct EnabledFiles {
    shares: bool,
    timing: bool,
    geek: bool,
}

impl Recorder {
    /// Reads `state.json` and `history.json` in `data_dir` and starts the two threads, `record` and `record-archive`.
    /// `time` is what days are counted by. A directory that can't be written is no
    /// error: [`Recorder::health`] tells, and it is tried again.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        record: &RecordConfig,
        data_dir: &Path,
        time: impl TimeSource,
    ) -> io::Result<(Recorder, SavedState, History)> {
        let time: Arc<dyn TimeSource> = Arc::new(time);
        let saved = fs::metadata(data_dir.join(STATE_FILE)).and_then(|data| data.modified()).ok();
        let (mut state, history) =
            (persisted_json::load(data_dir, time.now()), persisted_json::load(data_dir, time.now()));
        let has_restored = read_back::restore_best(&mut state, data_dir, saved);
        let (rows, queued) = bounded(MAX_QUEUED);
        let (urgent, hurry) = bounded(MAX_URGENT);
        let (state_news, news) = bounded(1);
        let shared = Arc::new(RecorderShared::default());
        if has_restored {
            shared.state.set_urgent(Arc::new(state.clone()));
        }
        let archive = Archive::start(data_dir, Retention::of(record), time.clone())?;
        Writer::new(record, data_dir, time, archive, shared.clone()).start(queued, hurry, news)?;
        let wanted = EnabledFiles { shares: record.shares, timing: record.timing, geek: record.geek };
        Ok((Recorder { rows, urgent, state_news, shared, wanted }, state, history))
    }

    /// Whether so many rows wait that one session may take the place of others'.
    pub fn is_crowded(&self) -> bool {
        self.rows.len() > MAX_QUEUED / 2
    }

    /// A row was not recorded, to leave room for others'.
    pub fn count_dropped(&self) {
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// A row of `shares.csv`.
    pub fn record_share(&self, row: &ShareRow) {
        if self.wanted.shares {
            self.enqueue(RecordFile::Shares, row.to_csv());
        }
    }

    /// A row of `timing.csv`.
    pub fn record_job(&self, row: &JobRow) {
        if self.wanted.timing {
            self.enqueue(RecordFile::Timing, row.to_csv());
        }
    }

    /// A record of `alerts.log`.
    pub fn record_alert(&self, row: &AlertRow) {
        self.enqueue(RecordFile::Alerts, row.to_text().into_bytes());
    }

    /// A line of `geek.log`; `text` is not asked when that is off.
    pub fn geek(&self, at: NtpTime, topic: GeekTopic, text: impl FnOnce() -> String) {
        if self.wanted.geek {
            self.enqueue(RecordFile::Geek, geek_line(at, topic, &text()).into_bytes());
        }
    }

    /// A file of `blocks/`, written and put on the disk at once, before any row that waits. The
    /// same block again, with its outcome, replaces the file. Waits up to two seconds for room.
    ///
    /// # Errors
    /// `TimedOut` when there was no room; the header is in the log then. A disk that fails is told
    /// by [`Recorder::health`], and the block kept in memory and tried again.
    pub fn record_block(&self, block: BlockRecord) -> io::Result<()> {
        match self.urgent.send_timeout(UrgentMessage::Block(Box::new(block)), BLOCK_DEADLINE) {
            Ok(()) => Ok(()),
            Err(unsent) => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                if let UrgentMessage::Block(block) = unsent.into_inner() {
                    log::error!(
                        "a share that meets the network's target could not be recorded, the disk is too slow: {}",
                        block.to_json()
                    );
                }
                Err(io::Error::new(io::ErrorKind::TimedOut, "the disk is too slow to record a block"))
            }
        }
    }

    /// Has `state.json` replaced soon, at most once a minute, and at the end. Only the newest state
    /// counts.
    pub fn save_state(&self, state: SavedState) {
        self.shared.state.set(Arc::new(state));
    }

    /// Has `state.json` replaced at once, for a new best share or a block: every five seconds at most, and
    /// then as soon as these are over. The rows that were recorded before are in their files by then,
    /// so that kill -9 loses neither.
    pub fn save_state_now(&self, state: SavedState) {
        self.shared.state.set_urgent(Arc::new(state));
        // When there is no room, the writer has yet to be woken by what is there.
        let _ = self.state_news.try_send(());
    }

    /// Has `history.json` replaced soon, at most every five minutes, and at the end. Only the newest
    /// counts.
    pub fn save_history(&self, history: Arc<History>) {
        self.shared.history.set(history);
    }

    /// How it goes.
    pub fn health(&self) -> RecordingHealth {
        RecordingHealth {
            dropped: self.shared.dropped.load(Ordering::Relaxed),
            lost: self.shared.lost.load(Ordering::Relaxed),
            write_errors: self.shared.write_errors().clone(),
        }
    }

    /// Writes everything that was recorded so far, has it put on the disk, and ends the threads.
    /// What is recorded later is dropped and counted.
    ///
    /// # Errors
    /// `TimedOut` when the disk does not end within ten seconds, `Other` when the thread had died.
    /// What could not be written is told by [`Recorder::health`].
    pub fn finish(&self) -> io::Result<()> {
        let late = || {
            let waiting = self.rows.len() as u64;
            self.shared.dropped.fetch_add(waiting, Ordering::Relaxed);
            let rows = count(waiting, "row");
            let said =
                format!("the disk is too slow to end the recording; {rows} that waited for it may be lost");
            io::Error::new(io::ErrorKind::TimedOut, said)
        };
        let (done, ended) = bounded(1);
        match self.urgent.send_timeout(UrgentMessage::Finish(done), FINISH_DEADLINE) {
            Ok(()) => ended.recv_timeout(FINISH_DEADLINE).map_err(|_| late()),
            Err(unsent) if unsent.is_timeout() => Err(late()),
            Err(_) if self.shared.has_finished.load(Ordering::Relaxed) => Ok(()),
            Err(_) => Err(io::Error::other("the recording ended early; the log says why")),
        }
    }

    fn enqueue(&self, to: RecordFile, text: Vec<u8>) {
        let has_finished = self.shared.has_finished.load(Ordering::Relaxed);
        if has_finished || self.rows.try_send(QueuedRecord { to, text: text.into_boxed_slice() }).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl RecorderShared {
    pub fn write_errors(&self) -> MutexGuard<'_, Vec<WriteError>> {
        self.write_errors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
