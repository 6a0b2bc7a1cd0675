//! The writer thread: rows in batches, blocks at once.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select_biased};
use log::{error, warn};
use parking_lot::{Mutex, MutexGuard};

use super::archive::Archive;
use super::block::{BLOCKS_DIR, BlockRecord};
use super::devices_csv::DeviceRow;
use super::history::History;
use super::names::FileName;
use super::persisted_json::{PersistedFile, SaveSlot};
use super::rotating::RotatingFile;
use super::shares_csv::ShareRow;
use super::state_json::SavedState;
use super::time_source::TimeSource;
use super::timing_csv::JobRow;
use super::worker_history::WorkerHistories;
use super::write_retry::{TimePair, WriteError, WriteRetry};
use crate::config::RecordConfig;
use crate::util::files::replace;
use crate::util::format::count;
use crate::util::supervise;
use crate::util::supervise::service;

/// Caps the blocks kept in memory while the disk fails. Solo miners find one in years.
const MAX_BLOCKS: usize = 64;

/// Data shared by the handle and the writer thread, beside the channels.
#[derive(Debug, Default)]
pub(super) struct RecorderShared {
    pub dropped: AtomicU64,
    pub lost: AtomicU64,
    pub write_errors: Mutex<Vec<WriteError>>,
    /// Since when the writer has been busy with the disk; `None` while it waits for rows.
    pub writing_since: Mutex<Option<Instant>>,
    pub state: Arc<SaveSlot<SavedState>>,
    pub history: Arc<SaveSlot<History>>,
    pub worker_histories: Arc<SaveSlot<WorkerHistories>>,
    /// The writer has ended regularly.
    pub has_finished: AtomicBool,
}

/// A formatted record for one of the batched files.
#[derive(Debug)]
pub(super) struct QueuedRecord {
    pub to: RecordFile,
    pub text: Vec<u8>,
}

/// The file a record belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) enum RecordFile {
    Shares,
    Timing,
    Devices,
    Alerts,
    Geek,
    Events,
}

/// A message that is handled before queued rows.
#[derive(Debug)]
pub(super) enum UrgentMessage {
    Block(Box<BlockRecord>),
    /// Requests the end; the writer sends on the channel when everything is on the disk.
    Finish(Sender<()>),
}

/// The reason for which the writer woke.
enum Wake {
    Urgent(UrgentMessage),
    Requested,
    TimeOut,
}

/// The state of the writer thread.
pub(super) struct Writer {
    dir: PathBuf,
    time: Arc<dyn TimeSource>,
    flush: Duration,
    shares: RotatingFile,
    timing: RotatingFile,
    devices: RotatingFile,
    alerts: RotatingFile,
    geek: RotatingFile,
    events: RotatingFile,
    /// Path and content of blocks that are not written yet.
    blocks: Vec<(PathBuf, String)>,
    block_condition: WriteRetry,
    state: PersistedFile<SavedState>,
    history: PersistedFile<History>,
    worker_histories: PersistedFile<WorkerHistories>,
    archive: Archive,
    shared: Arc<RecorderShared>,
    /// The part of [`RecorderShared::dropped`] that was logged.
    dropped_said: u64,
    blocks_lost: u64,
}

impl RecorderShared {
    pub fn write_errors(&self) -> MutexGuard<'_, Vec<WriteError>> {
        self.write_errors.lock()
    }

    pub fn writing_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.writing_since.lock()
    }
}

impl Writer {
    pub fn new(
        record: &RecordConfig,
        dir: &Path,
        time: Arc<dyn TimeSource>,
        archive: Archive,
        shared: Arc<RecorderShared>,
    ) -> Writer {
        let file = |name, header: &str| RotatingFile::new(dir, name, header, record.rotate_mb << 20);
        Writer {
            dir: dir.to_owned(),
            time,
            flush: record.flush,
            shares: file(FileName::SHARES, &ShareRow::COLUMNS.join(",")),
            timing: file(FileName::TIMING, &JobRow::COLUMNS.join(",")),
            devices: file(FileName::DEVICES, &DeviceRow::COLUMNS.join(",")),
            alerts: file(FileName::ALERTS, ""),
            geek: file(FileName::GEEK, ""),
            events: file(FileName::EVENTS, ""),
            blocks: Vec::new(),
            block_condition: WriteRetry::default(),
            state: PersistedFile::new(dir, shared.state.clone()),
            history: PersistedFile::new(dir, shared.history.clone()),
            worker_histories: PersistedFile::new(dir, shared.worker_histories.clone()),
            archive,
            shared,
            dropped_said: 0,
            blocks_lost: 0,
        }
    }

    /// Starts the thread. It takes the queued rows when the flush interval ends, or when `wakes` requests it: an
    /// urgent state waits to be saved, or many rows wait.
    pub fn start(
        mut self,
        rows: Receiver<QueuedRecord>,
        urgent: Receiver<UrgentMessage>,
        wakes: Receiver<()>,
    ) -> io::Result<()> {
        // Without a heartbeat: a hanging disk blocks this thread, and a restart would not help.
        service("record").start(move || {
            self.run(&rows, &urgent, &wakes);
        })?;
        Ok(())
    }

    fn run(&mut self, rows: &Receiver<QueuedRecord>, urgent: &Receiver<UrgentMessage>, wakes: &Receiver<()>) {
        let mut next_flush = Instant::now() + self.flush;
        let finished = loop {
            supervise::beat();
            // Also after a panic.
            *self.shared.writing_since() = None;
            let mut left = next_flush.saturating_duration_since(Instant::now());
            if let Some(urgent) = self.state.urgent_delay(self.moment()) {
                left = left.min(urgent);
            }
            // A row alone does not wake this thread: it would be woken for each share, beside the forwarding threads.
            let wake = select_biased! {
                recv(urgent) -> message => message.map(Wake::Urgent),
                recv(wakes) -> wake => wake.map(|()| Wake::Requested),
                default(left) => Ok(Wake::TimeOut),
            };
            *self.shared.writing_since() = Some(Instant::now());
            let is_requested = match wake {
                Ok(Wake::Urgent(UrgentMessage::Block(block))) => {
                    self.record_block(&block);
                    false
                }
                Ok(Wake::Urgent(UrgentMessage::Finish(done))) => break Some(done),
                Ok(Wake::Requested) => true,
                Ok(Wake::TimeOut) => false,
                Err(_) => break None,
            };
            self.take_queued(rows, || !urgent.is_empty());
            let urgent_state = self.state.urgent_delay(self.moment());
            let is_urgent =
                urgent.is_empty() && urgent_state.is_some_and(|left| is_requested || left.is_zero());
            // An urgent state comes after the rows that explain it, so that kill -9 loses neither.
            if is_urgent || Instant::now() >= next_flush {
                self.flush_all();
                next_flush = Instant::now() + self.flush;
            }
        };
        self.take_queued(rows, || false);
        for message in urgent.try_iter().take(urgent.len()) {
            if let UrgentMessage::Block(block) = message {
                self.record_block(&block);
            }
        }
        self.close_all(rows);
        *self.shared.writing_since() = None;
        if let Some(done) = finished {
            // The caller may have timed out.
            let _ = done.send(());
        }
    }

    /// Takes the rows that are queued now, up to the moment when a block waits. A caller that keeps recording delays
    /// nothing for ever.
    fn take_queued(&mut self, rows: &Receiver<QueuedRecord>, has_urgent: impl Fn() -> bool) {
        for _ in 0..rows.len() {
            if has_urgent() {
                return;
            }
            let Ok(entry) = rows.try_recv() else { return };
            let moment = self.moment();
            let file = match entry.to {
                RecordFile::Shares => &mut self.shares,
                RecordFile::Timing => &mut self.timing,
                RecordFile::Devices => &mut self.devices,
                RecordFile::Alerts => &mut self.alerts,
                RecordFile::Geek => &mut self.geek,
                RecordFile::Events => &mut self.events,
            };
            file.append(&entry.text, moment);
        }
    }

    /// Writes the block, and then the rows about it.
    fn record_block(&mut self, block: &BlockRecord) {
        let (file, json) = (self.dir.join(block.file()), block.to_json());
        self.blocks.retain(|(waiting, _)| *waiting != file);
        if self.blocks.len() >= MAX_BLOCKS {
            self.blocks_lost += 1;
            error!(
                "a share that meets the network's target could not be recorded, because too many blocks wait for the disk: {json}"
            );
            return;
        }
        self.blocks.push((file, json));
        self.write_blocks(true);
        self.flush_all();
    }

    /// Writes pending blocks: at once if `is_new`, else only if a retry is due.
    fn write_blocks(&mut self, is_new: bool) {
        let moment = self.moment();
        if self.blocks.is_empty() || !(is_new || self.block_condition.may_try(moment)) {
            return;
        }
        while let Some((file, json)) = self.blocks.first() {
            if let Err(reason) = replace(file, json.as_bytes()) {
                if is_new {
                    error!(
                        "{}: {reason}; this share meets the network's target, and could not be written: {json}",
                        file.display()
                    );
                }
                let file = self.dir.join(BLOCKS_DIR);
                self.block_condition.failed(moment, &file, &reason, "blocks wait in memory");
                return;
            }
            self.blocks.remove(0);
        }
        self.block_condition.succeeded();
    }

    fn flush_all(&mut self) {
        let moment = self.moment();
        for file in self.files() {
            file.flush(moment);
        }
        self.write_blocks(false);
        self.state.write(moment, false);
        self.history.write(moment, false);
        self.worker_histories.write(moment, false);
        self.report();
    }

    fn close_all(&mut self, rows: &Receiver<QueuedRecord>) {
        let moment = self.moment();
        for file in self.files() {
            file.close(moment);
        }
        self.write_blocks(true);
        self.state.write(moment, true);
        self.history.write(moment, true);
        self.worker_histories.write(moment, true);
        self.blocks_lost += self.blocks.len() as u64;
        self.shared.has_finished.store(true, Ordering::Relaxed);
        // Rows recorded while the files were being closed.
        self.shared.dropped.fetch_add(rows.try_iter().count() as u64, Ordering::Relaxed);
        self.report();
        self.log_losses();
    }

    /// Logs at the end of the program how many rows were never written.
    fn log_losses(&self) {
        let (lost, dropped) =
            (self.shared.lost.load(Ordering::Relaxed), self.shared.dropped.load(Ordering::Relaxed));
        if lost + dropped > 0 {
            error!(
                "{}: {} of this run lost: {lost} because the disk failed, {dropped} because it was too \
                 slow",
                self.dir.display(),
                count(lost + dropped, "row"),
            );
        }
    }

    /// Updates the archive thread, the health and the log.
    fn report(&mut self) {
        let mut troubles: Vec<WriteError> = Vec::new();
        let (mut lost, mut has_rotated) = (self.blocks_lost, false);
        for file in self.files() {
            lost += file.lost();
            has_rotated |= file.take_rotated();
            troubles.extend(file.error().cloned());
        }
        if has_rotated {
            self.archive.wake();
        }
        troubles.extend(self.block_condition.error().cloned());
        troubles.extend(self.state.error().cloned());
        troubles.extend(self.history.error().cloned());
        troubles.extend(self.worker_histories.error().cloned());
        troubles.extend(self.archive.error());
        *self.shared.write_errors() = troubles;
        let lost_before = self.shared.lost.swap(lost, Ordering::Relaxed);
        if lost_before == 0 && lost > 0 {
            warn!("{}: rows are lost, because the disk can't be written", self.dir.display());
        }
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        if dropped > self.dropped_said {
            let new = dropped - self.dropped_said;
            let new = count(new, "row");
            warn!("{}: dropped {new}, because the disk is too slow", self.dir.display());
            self.dropped_said = dropped;
        }
    }

    fn files(&mut self) -> [&mut RotatingFile; 6] {
        [
            &mut self.shares,
            &mut self.timing,
            &mut self.devices,
            &mut self.alerts,
            &mut self.geek,
            &mut self.events,
        ]
    }

    fn moment(&self) -> TimePair {
        TimePair { monotonic: Instant::now(), time: self.time.now() }
    }
}
