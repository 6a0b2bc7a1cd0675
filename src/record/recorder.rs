//! The analyzer's handle of the recorder. It queues records and never waits for the disk.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use super::alerts_log::AlertRow;
use super::archive::{Archive, Retention};
use super::block::BlockRecord;
use super::devices_csv::DeviceRow;
use super::events_jsonl;
use super::events_jsonl::EventRow;
use super::geek_log::{GeekTopic, geek_line};
use super::history::History;
use super::persisted_json;
use super::read_back;
use super::shares_csv::ShareRow;
use super::state_json::{STATE_FILE, SavedState};
use super::time_source::TimeSource;
use super::timing_csv::JobRow;
use super::worker_history::WorkerHistories;
use super::write_retry::WriteError;
use super::writer::{QueuedRecord, RecordFile, RecorderShared, UrgentMessage, Writer};
use crate::clock::NtpTime;
use crate::config::RecordConfig;
use crate::util::format::count;

/// Caps the rows queued while the disk is busy: about 2 MiB of ordinary ones.
const MAX_QUEUED: usize = 4096;

/// The queued rows for which the writer is woken before its flush interval ends. It is a small part of the queue, so
/// that a farm's rows always find room.
const WAKE_AT: usize = MAX_QUEUED / 8;

/// Caps the queued blocks.
const MAX_URGENT: usize = 16;

/// Longest time the analyzer waits for room for a found block.
const BLOCK_DEADLINE: Duration = Duration::from_secs(2);

/// Longest time the shutdown waits for the disk.
const FINISH_DEADLINE: Duration = Duration::from_secs(10);

/// Queues records for the files. Clones share the queue.
#[derive(Debug, Clone)]
pub struct Recorder {
    rows: Sender<QueuedRecord>,
    urgent: Sender<UrgentMessage>,
    /// Wakes the writer to save an urgent state or to take many rows. A channel of its own, so that it never takes a
    /// block's place.
    wakes: Sender<()>,
    shared: Arc<RecorderShared>,
    wanted: EnabledFiles,
}

/// The state of the recording, for the page and alerts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordingHealth {
    /// Rows dropped because the queue was full: the disk is too slow.
    pub dropped: u64,
    /// Rows lost because the disk failed for too long: it is full or broken.
    pub lost: u64,
    /// The files that can't be written at present; empty if there are none.
    pub write_errors: Vec<WriteError>,
    /// For how long the disk has held the present write.
    pub blocked_for: Option<Duration>,
}

/// The content of the files that are kept from run to run.
#[derive(Debug, Clone, Default)]
pub struct SavedFiles {
    pub state: SavedState,
    pub history: History,
    pub worker_histories: WorkerHistories,
}

/// The optional files that are written.
#[derive(Debug, Clone, Copy)]
struct EnabledFiles {
    shares: bool,
    timing: bool,
    geek: bool,
}

impl Recorder {
    /// Reads `state.json` and the histories in `data_dir`, and starts the threads `record` and
    /// `record-archive`. `time` decides when a day ends. A directory that can't be written is no error:
    /// [`Recorder::health`] reports it, and writing is retried.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(
        record: &RecordConfig,
        data_dir: &Path,
        time: impl TimeSource,
    ) -> io::Result<(Recorder, SavedFiles)> {
        let time: Arc<dyn TimeSource> = Arc::new(time);
        let saved = fs::metadata(data_dir.join(STATE_FILE)).and_then(|data| data.modified()).ok();
        let mut state = persisted_json::load(data_dir, time.now());
        let history = persisted_json::load(data_dir, time.now());
        let worker_histories = persisted_json::load(data_dir, time.now());
        let has_restored = read_back::restore_best(&mut state, data_dir, saved);
        let (rows, queued) = bounded(MAX_QUEUED);
        let (urgent, hurry) = bounded(MAX_URGENT);
        let (wakes, woken) = bounded(1);
        let shared = Arc::new(RecorderShared::default());
        if has_restored {
            shared.state.set_urgent(Arc::new(state.clone()));
        }
        let archive = Archive::start(data_dir, Retention::of(record), time.clone())?;
        Writer::new(record, data_dir, time, archive, shared.clone()).start(queued, hurry, woken)?;
        let wanted = EnabledFiles { shares: record.shares, timing: record.timing, geek: record.geek };
        let saved = SavedFiles { state, history, worker_histories };
        Ok((Recorder { rows, urgent, wakes, shared, wanted }, saved))
    }

    /// True if the queue is so full that one busy session could crowd out others.
    pub fn is_crowded(&self) -> bool {
        self.rows.len() > MAX_QUEUED / 2
    }

    /// Counts a row that the caller dropped, to leave room for other sessions.
    pub fn count_dropped(&self) {
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Records a row of `shares.csv`.
    pub fn record_share(&self, row: &ShareRow) {
        if self.wanted.shares {
            self.enqueue(RecordFile::Shares, row.to_csv());
        }
    }

    /// Records a row of `timing.csv`.
    pub fn record_job(&self, row: &JobRow) {
        if self.wanted.timing {
            self.enqueue(RecordFile::Timing, row.to_csv());
        }
    }

    /// Records a row of `devices.csv`.
    pub fn record_device(&self, row: &DeviceRow) {
        self.enqueue(RecordFile::Devices, row.to_csv());
    }

    /// Records an alert in `alerts.log`.
    pub fn record_alert(&self, row: &AlertRow) {
        self.enqueue(RecordFile::Alerts, row.to_text().into_bytes());
    }

    /// Records a line of `events.jsonl`.
    pub fn record_event(&self, row: &EventRow) {
        self.enqueue(RecordFile::Events, row.to_line().into_bytes());
    }

    /// Reads the newest `max` events of earlier runs back, newest first.
    pub fn newest_events(data_dir: &Path, max: usize) -> Vec<EventRow> {
        events_jsonl::newest_events(data_dir, max)
    }

    /// Records a line of `geek.log`; `text` is not called if that file is off.
    pub fn geek(&self, at: NtpTime, topic: GeekTopic, text: impl FnOnce() -> String) {
        if self.wanted.geek {
            self.enqueue(RecordFile::Geek, geek_line(at, topic, &text()).into_bytes());
        }
    }

    /// Records a file of `blocks/`, which is written and synced at once, before any queued row. If the same
    /// block is recorded again with its outcome, the file is replaced. Waits up to two seconds for room.
    ///
    /// # Errors
    /// `TimedOut` if there was no room; the log then has the block. If the disk fails,
    /// [`Recorder::health`] reports it, and the block stays in memory until a retry succeeds.
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

    /// Saves `state.json` soon, at most once a minute, and at the end. Only the newest state is kept.
    pub fn save_state(&self, state: SavedState) {
        self.shared.state.set(Arc::new(state));
    }

    /// Saves `state.json` at once, for a new best share or a block, but at most every five seconds. The
    /// rows recorded before are written first, so that kill -9 loses neither.
    pub fn save_state_now(&self, state: SavedState) {
        self.shared.state.set_urgent(Arc::new(state));
        self.wake();
    }

    /// Saves `history.json` soon, at most every five minutes, and at the end. Only the newest history is
    /// kept.
    pub fn save_history(&self, history: Arc<History>) {
        self.shared.history.set(history);
    }

    /// Saves `worker_history.json` soon, at most four times an hour, and at the end. Only the newest content is kept.
    pub fn save_worker_histories(&self, histories: Arc<WorkerHistories>) {
        self.shared.worker_histories.set(histories);
    }

    /// The present state of the recording.
    pub fn health(&self) -> RecordingHealth {
        RecordingHealth {
            dropped: self.shared.dropped.load(Ordering::Relaxed),
            lost: self.shared.lost.load(Ordering::Relaxed),
            write_errors: self.shared.write_errors().clone(),
            blocked_for: self.shared.writing_since().map(|since| since.elapsed()),
        }
    }

    /// Writes and syncs everything recorded so far, and ends the threads. Later records are dropped and
    /// counted.
    ///
    /// # Errors
    /// `TimedOut` if the disk needs more than ten seconds, `Other` if the thread had died.
    /// [`Recorder::health`] tells what could not be written.
    pub fn finish(&self) -> io::Result<()> {
        let late = || {
            let waiting = self.rows.len() as u64;
            self.shared.dropped.fetch_add(waiting, Ordering::Relaxed);
            let rows = count(waiting, "row");
            let message =
                format!("the disk is too slow to end the recording; {rows} that waited for it may be lost");
            io::Error::new(io::ErrorKind::TimedOut, message)
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
        if has_finished || self.rows.try_send(QueuedRecord { to, text }).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        if self.rows.len() >= WAKE_AT {
            self.wake();
        }
    }

    fn wake(&self) {
        // If the channel is full, the writer is about to wake up anyway.
        let _ = self.wakes.try_send(());
    }
}
